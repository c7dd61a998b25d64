"""Judging what was computed from a caller's own arrays, of any library, rather than from a drawn case.

Here: the case of such arrays as they were before the computation, and the verdicts on its output and on its
gradients. Elsewhere: the verdict itself (judge.py), calling a function and differentiating it (autograd.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pytest_gpuemu.engine import arrays, autograd, gradients
from pytest_gpuemu.engine.autograd import Differentiated
from pytest_gpuemu.engine.case import Case, case_from_arrays
from pytest_gpuemu.engine.config import Config
from pytest_gpuemu.engine.handover import Handover
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.requested_ops import op_for_arrays, read_kwargs
from pytest_gpuemu.engine.resolve import resolve_op
from pytest_gpuemu.engine.verdict import Verdict


def snapshot(inputs: Mapping[str, Any]) -> dict[str, Array]:
    """Copies of arrays of any library, C-contiguous, by name: what they hold now."""
    return {
        name: np.array(arrays.to_numpy(x, giver=f"the caller (input {name!r})"), order="C")
        for name, x in inputs.items()
    }


def own_case(
    op_name: str, before: Mapping[str, Array], params: Mapping[str, Any], seed: int, config: Config
) -> Case:
    """The case of these inputs for the op of that name. Raises ConfigError for what does not fit it."""
    op, read = read_kwargs(resolve_op(op_name, {}, config), params)
    return case_from_arrays(op_for_arrays(op, before), before, read, seed)


def by_op_names(case: Case, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The caller's inputs under the op's own names: one alone may have had any."""
    return dict(zip(case.inputs, inputs.values(), strict=True)) if len(inputs) == 1 else dict(inputs)


def judge_own(case: Case, output: Any, inputs: Mapping[str, Any]) -> Verdict:
    """The verdict on an output for the caller's inputs, which must still be what they were."""
    handed = by_op_names(case, inputs)
    first = next(iter(handed.values()))
    device = None if isinstance(first, np.ndarray) else arrays.device_of(first)
    return judge(case, output, inputs=handed, device=device)


def judge_gradients(
    case: Case,
    called: Differentiated,
    inputs: Mapping[str, Any],
    library: str,
    device: Any = None,
    judging: Callable[..., Verdict] = judge,
) -> tuple[Case, Verdict]:
    """The verdict on the gradients of a case's inputs, and the case that has them as its outputs.

    inputs are those that the differentiated function got, arrays of library. The incoming gradients come from
    the case's seed. Raises ConfigError where the reference's gradients are not known.
    """
    wanted = autograd.gradient_of(case)
    of = gradients.gradient_case(case, wanted, called.outputs, library)
    views = {name: x for name, x in of.inputs.items() if name not in case.inputs}
    handover = Handover(library, device)
    incoming = handover.arrays(views, of.buffers)
    found = called.gradients(tuple(incoming.values()))
    handover.fetch()
    first = next(iter(incoming.values()))
    verdict = judging(
        of,
        {gradients.grad_of(name): found[name] for name in wanted.of},
        inputs={**incoming, **inputs},
        device=arrays.device_of(first),
    )
    return of, verdict
