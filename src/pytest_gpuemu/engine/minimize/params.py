"""Pass: params at their first choice, which is the default, and the first configuration.

The moves set all, else each on its own, to its first choice, else to the next before the present one. It
ends since each accepted move goes up a list of choices.
"""

from __future__ import annotations

from typing import Any

from pytest_gpuemu.engine.minimize.attempts import Attempts


def simplify_params(attempts: Attempts) -> bool:
    """Whether any param came nearer to its first choice."""
    first = first_choices(attempts)
    if not first:
        return False
    if attempts.accepts(params=first):
        return True
    accepted = False
    for param in attempts.op.params:
        if param.name in first:
            before = param.choices[: _position(attempts, param.name, param.choices)]
            accepted |= any(attempts.accepts(params={param.name: choice}) for choice in before)
    return accepted


def simplify_config(attempts: Attempts) -> bool:
    """Whether an earlier one of the op's configurations fails, too."""
    configs = [repr(config) for config in attempts.op.configs]
    before = configs.index(repr(attempts.plan.config)) if configs else 0
    return any(attempts.accepts(config=index) for index in range(before))


def first_choices(attempts: Attempts) -> dict[str, Any]:
    """The first choice of each param that has another."""
    return {
        param.name: param.choices[0]
        for param in attempts.op.params
        if _position(attempts, param.name, param.choices)
    }


def _position(attempts: Attempts, name: str, choices: tuple[Any, ...]) -> int:
    """Where among its choices the present value stands; by repr, as 0 equals False."""
    here = repr(attempts.plan.params[name])
    return [repr(choice) for choice in choices].index(here)
