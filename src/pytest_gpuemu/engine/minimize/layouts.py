"""Pass: contiguous arrays. A layout that stays is part of the cause.

The moves make every input and output contiguous, else each on its own; an array whose op lists layouts
without contiguous keeps its own. It ends since each accepted move leaves fewer arrays that are not.
"""

from __future__ import annotations

from pytest_gpuemu.engine.minimize.attempts import Attempts
from pytest_gpuemu.engine.plan import possible_layouts

_PLAIN = "contiguous"


def simplify_layouts(attempts: Attempts) -> bool:
    """Whether any array became contiguous."""
    names = _others(attempts)
    if not names:
        return False
    if attempts.accepts(layouts=dict.fromkeys(names, _PLAIN)):
        return True
    if len(names) == 1:
        return False
    accepted = [attempts.accepts(layouts={name: _PLAIN}) for name in names]
    return any(accepted)


def plain_layouts(attempts: Attempts) -> dict[str | None, str]:
    """The edits that make everything contiguous that may be."""
    return dict.fromkeys(_others(attempts), _PLAIN)


def _others(attempts: Attempts) -> list[str]:
    """The inputs and outputs that are not contiguous and may be."""
    op, plan = attempts.op, attempts.plan
    inputs = [
        x.name for x in op.inputs if plan.layouts[x.name] != _PLAIN and _PLAIN in possible_layouts(op, x)
    ]
    outputs = [
        y.name
        for y in op.outputs
        if plan.output_layouts.get(y.name, _PLAIN) != _PLAIN
        and _PLAIN in y.layouts
        and y.name not in plan.layouts
    ]
    return inputs + outputs
