"""fuzz_case: the object that a test gets, and all that it knows of the case at hand.

Here: reading the case, handing it over in an array library, and checking an output. Elsewhere: judging
(engine/judge.py), what an unchecked or undetermined case means for the item (running.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pytest_gpuemu.engine import arrays, autograd, interpreter, judge, references, report
from pytest_gpuemu.engine.autograd import Differentiated
from pytest_gpuemu.engine.case import Case, build_case
from pytest_gpuemu.engine.errors import (
    CannotRunHere,
    ConfigError,
    KernelMismatch,
    OutputError,
    ReferenceFailed,
)
from pytest_gpuemu.engine.handover import Handover
from pytest_gpuemu.engine.interpreter import Launches
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.output_buffers import make_outputs
from pytest_gpuemu.engine.own_arrays import judge_gradients
from pytest_gpuemu.engine.plan import Plan
from pytest_gpuemu.engine.verdict import Verdict

_NO_BOUND = (
    "no bound holds for most elements: a step on the way may overflow, or lose every digit, in some order"
)
_IN_SETUP = (
    "fuzz_case has no case yet: in a campaign, fixtures are set up once, before its first case. "
    "Read fuzz_case in the test function, or let the fixture return a function of it"
)


class BoundCase:
    """A case and the verdicts on it. Its arrays are built when first read; commands() is what re-runs it.

    Its output buffers hold that poison; judging is what an output is judged by, which differs in second runs.
    """

    def __init__(self, op: Op, plan: Plan, commands: Callable[[], Sequence[str]], *, poison: int = 0) -> None:
        self.op = op
        self.plan = plan
        self.commands = commands
        self.poison = poison
        self.judging: Callable[..., Verdict] = judge.judge
        self.launches = Launches()
        self.verdicts: list[Verdict] = []
        self.judged: Case | None = None  # what the last verdict is on: the case, or that of its gradients
        self._case: Case | None = None

    @property
    def case(self) -> Case:
        if self._case is None:
            self._case = build_case(self.op, self.plan)
        return self._case

    @property
    def is_built(self) -> bool:
        return self._case is not None

    def forget_arrays(self) -> None:
        """Let go of the arrays, also of the references that verdicts hold; what was found stays."""
        self._case = self.judged = None
        self.verdicts = [verdict.without_arrays() for verdict in self.verdicts]

    @property
    def undetermined_reason(self) -> str:
        """Why the verdict is undetermined, in the judge's words."""
        said = [
            *(f.message for v in self.verdicts for f in v.findings),
            *(h for v in self.verdicts for h in v.hints),
        ]
        return "; ".join(dict.fromkeys(said)) or _NO_BOUND

    @property
    def status(self) -> str | None:
        """The worst of the verdicts; None where nothing was checked."""
        order = ("failed", "undetermined", "passed")
        return next((name for name in order if any(v.status == name for v in self.verdicts)), None)


class _HandedOver:
    """The inputs and outputs of a case in one array library, on one device."""

    def __init__(self, bound: BoundCase, library: str, device: Any) -> None:
        self.bound = bound
        self._handover = Handover(library, device)
        self._inputs: dict[str, Any] | None = None
        self._outputs: dict[str, Any] | None = None

    @property
    def library(self) -> str:
        return self._handover.library

    @property
    def device(self) -> Any:
        return self._handover.device

    @property
    def inputs(self) -> dict[str, Any]:
        if self._inputs is None:
            self._inputs = self._handover.arrays(self.bound.case.inputs, self.bound.case.buffers)
        return self._inputs

    @property
    def outputs(self) -> dict[str, Any]:
        if self._outputs is None:
            views = make_outputs(self.bound.case, self.bound.poison)
            self._outputs = self._handover.arrays(views, self.bound.case.output_buffers)
        return self._outputs

    def refresh(self) -> None:
        """Hand over again what changed in the case's buffers; arrays that share their memory are kept."""
        if not self._handover.shares_memory:
            self._inputs = self._outputs = None
            self._handover.forget()

    def judge(self, output: Any) -> Verdict:
        """The verdict on an output, on `outputs` where it is None."""
        foreign = self.library != "numpy"
        self._handover.fetch()
        inputs = self.inputs if foreign else None
        first = next(iter(inputs.values())) if inputs else None
        return self.bound.judging(
            self.bound.case,
            output,
            inputs=inputs,
            device=None if first is None or output is None else arrays.device_of(first),
        )

    def judge_gradients(self, called: Differentiated) -> tuple[Case, Verdict]:
        """The verdict on the gradients of the inputs, and the case that has them as its outputs."""
        return judge_gradients(
            self.bound.case, called, self.inputs, self.library, self.device, self.bound.judging
        )


class FuzzCase:
    """One case of the op that the test's marker names.

    seed, op_name, inputs, params and the rest describe the case; check() judges the kernel's output and
    raises KernelMismatch where it is wrong; run(kernel) calls the kernel and checks what it returns.
    """

    __slots__ = ("_at",)

    def __init__(self, at: _HandedOver | None = None) -> None:
        self._at = at

    def __repr__(self) -> str:
        if self._at is None:
            return "<fuzz_case>"
        return f"<fuzz_case {self._at.bound.plan.op_name} seed={self._at.bound.plan.case_id}>"

    @property
    def _here(self) -> _HandedOver:
        if self._at is None:
            raise ConfigError(_IN_SETUP)
        return self._at

    @property
    def _plan(self) -> Plan:
        return self._here.bound.plan

    @property
    def seed(self) -> int:
        """The case's seed, an unsigned 64-bit number."""
        return self._plan.seed

    @property
    def op_name(self) -> str:
        return self._plan.op_name

    @property
    def inputs(self) -> dict[str, Any]:
        """The inputs by name, with the layouts of the case, as arrays of the op's `library`."""
        return self._here.inputs

    @property
    def params(self) -> dict[str, Any]:
        """The op's keyword arguments that are no arrays, by name."""
        return dict(self._plan.params)

    @property
    def shape(self) -> tuple[int, ...]:
        """The first input's shape."""
        return next(iter(self._plan.shapes.values()))

    @property
    def dtype(self) -> str:
        """The name of the first input's dtype."""
        return next(iter(self._plan.dtypes.values()))

    @property
    def layout(self) -> str:
        """The first input's layout."""
        return next(iter(self._plan.layouts.values()))

    @property
    def layouts(self) -> dict[str, str]:
        """The layout of each input, by name."""
        return dict(self._plan.layouts)

    @property
    def values(self) -> dict[str, str]:
        """The value distribution of each input, by name."""
        return dict(self._plan.values)

    @property
    def config(self) -> Any:
        """The entry of the marker's `configs` that this case draws; None without configs."""
        return self._plan.config

    @property
    def outputs(self) -> dict[str, Any]:
        """Output buffers by name, poisoned and in guard bands, for a kernel that writes into given memory.

        Made when first asked for; check() without an argument judges them.
        """
        return self._here.outputs

    @property
    def reference(self) -> Any:
        """The reference's float64 values: an array, or a dict by name where the op has several outputs."""
        bound = self._here.bound
        values = references.evaluate(bound.op, bound.op.references[0], bound.case)
        return next(iter(values.values())) if len(values) == 1 else values

    def to(self, library: str, device: Any = None) -> FuzzCase:
        """The same case with inputs and outputs of "numpy", "torch", "cupy" or "jax".

        Raises CannotRunHere where the library is not there, or cannot hold the case.
        """
        here = self._here
        return FuzzCase(_HandedOver(here.bound, library, device))

    def check(self, output: Any = None) -> None:
        """Judge the kernel's output: an array, or several as a tuple or as a dict by name.

        Without an argument, `outputs` are judged. Raises KernelMismatch where the output is wrong.
        """
        __tracebackhide__ = True
        self._judge(output)

    def run(self, kernel: Callable[..., Any]) -> Any:
        """Call kernel(**inputs, **params), check what it returns, and return that.

        A param with one choice is left out where the kernel does not take it. A kernel that returns None
        is taken to have written into `outputs`.
        """
        __tracebackhide__ = True
        bound = self._here.bound
        optional = references.optional_params(bound.op)
        output = references.call_by_name(kernel, self.inputs, self.params, optional=optional)
        self._judge(output)
        return output

    def check_grad(self, function: Callable[..., Any]) -> Any:
        """Call function(**inputs, **params), check what it returns and its gradients, and return that.

        For `library="torch"` (torch.autograd) and `library="jax"` (jax.vjp). The incoming gradient comes from
        the case's seed, in torch in any layout; each input's gradient is judged against that of the reference
        in float64 (docs/gradients.md). Raises KernelMismatch where something is wrong, ConfigError where the
        reference's gradients are not known.
        """
        __tracebackhide__ = True
        here, op = self._here, self._here.bound.op
        if here.library not in autograd.LIBRARIES:
            raise ConfigError(
                f"op {op.name!r}: check_grad differentiates by torch or JAX, and this case's arrays are "
                f"{here.library}'s: "
                'write library="torch" in the marker, or fuzz_case.to("torch").check_grad(…)'
            )
        called = autograd.differentiate(function, op, self.inputs, self.params, here.library)
        self._judge(called.output)
        self._take(*here.judge_gradients(called))
        return called.output

    def _judge(self, output: Any) -> None:
        __tracebackhide__ = True
        try:
            verdict = self._here.judge(output)
        except (OutputError, ReferenceFailed) as error:
            # How the engine came to say so tells the author of a kernel or a reference nothing.
            raise error.with_traceback(None)  # noqa: B904
        self._take(self._here.bound.case, verdict)

    def _take(self, case: Case, verdict: Verdict) -> None:
        """Keep a verdict on a case; raise KernelMismatch where it is a failure."""
        __tracebackhide__ = True
        bound = self._here.bound
        excuse = interpreter.excuse(case, verdict, bound.launches) if verdict.failed else None
        if excuse is not None:
            raise CannotRunHere(excuse)
        bound.verdicts.append(verdict)
        bound.judged = case
        if verdict.failed:
            lines = report.describe_failure(case, verdict, commands=bound.commands())
            raise KernelMismatch("\n".join(lines), verdict)


def bind(case: FuzzCase, bound: BoundCase) -> None:
    """Let the object that the test got show this case."""
    case._at = _HandedOver(bound, bound.op.library, None)


def hand_over(case: FuzzCase) -> None:
    """Make the inputs now rather than when they are first read, and again where the case has changed."""
    case._here.refresh()
    _ = case.inputs


def release(case: FuzzCase) -> None:
    """Let go of the case, and of the memory of its arrays."""
    case._at = None
