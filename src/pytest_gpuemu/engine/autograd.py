"""Automatic differentiation by torch and JAX: of the function under test, and of references.

Here: one call of a function and the gradients of its inputs, in the dtype and with the strides that it gives
them; float64 gradients of a reference. Elsewhere: the case they are judged by (gradients.py).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pytest_gpuemu.engine import arrays, dtypes
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.errors import OutputError
from pytest_gpuemu.engine.gradients import differentiable_inputs, no_gradient_known
from pytest_gpuemu.engine.op import Array, Gradient, Op, Reference
from pytest_gpuemu.engine.outputs import outputs_by_name
from pytest_gpuemu.engine.references import call_by_name, evaluate, optional_params, speaks
from pytest_gpuemu.engine.trace.run import Untraceable
from pytest_gpuemu.engine.user_code import call

LIBRARIES = ("torch", "jax")


class Differentiated(Protocol):
    """One call of a function: what it returned, and the gradients of its inputs."""

    output: Any

    @property
    def outputs(self) -> dict[str, Array]:
        """The output by name, as NumPy arrays."""
        ...

    def gradients(self, incoming: Sequence[Any]) -> dict[str, Any]:
        """By input name, from the gradients of the floating outputs, in their order. Called once."""
        ...


def differentiate(
    function: Callable[..., Any], op: Op, inputs: Mapping[str, Any], params: Mapping[str, Any], library: str
) -> Differentiated:
    """Call function(**inputs, **params) on arrays of library so that it can be differentiated.

    Floating inputs become leaf tensors that require a gradient and share memory and strides with those given.
    What function raises passes through.
    """
    made = _torch if library == "torch" else _jax
    return made(function, op, inputs, params)


def gradient_of(case: Case) -> Gradient:
    """How the gradients of the case's op are known: from its record, else by differentiating its references.

    Raises ConfigError where no reference of it can be differentiated by torch or by JAX.
    """
    op = case.op
    if op.inplace:
        raise no_gradient_known(op, "it works in place")
    if op.gradient is not None:
        return op.gradient
    of = differentiable_inputs(op, case)
    if not of:
        raise no_gradient_known(op, "no input of it is floating")
    found, why = [], ""
    for reference in op.references:
        by = "jax" if speaks(reference, "jax") else "torch"
        if (refused := _refusal(reference, case, by)) is None:
            found.append(_differentiated(reference, op, of, by))
        else:
            why = refused
    if not found:
        raise no_gradient_known(op, why)
    return Gradient(references=tuple(found), of=of)


def _refusal(reference: Reference, case: Case, library: str) -> str | None:
    """Why a reference cannot be differentiated by library; None where it can."""
    op = case.op
    if library not in sys.modules:
        return f"{library} is not imported"

    def forward(*given: Any, **params: Any) -> Any:
        inputs = dict(zip((x.name for x in op.inputs), given, strict=True))
        found = differentiate(reference, op, _library_inputs(inputs, library), params, library)
        return found.outputs

    called = call(evaluate, op, _speaking_as(reference, forward), case)
    if called.error is not None:
        last = called.summary.splitlines()[-1]
        return f"{library} cannot differentiate it ({last})"
    # Methods of one name differ between libraries (var's ddof): it must be the same function in both.
    for name, value in evaluate(op, reference, case).items():
        near = (
            1e-9 * np.abs(value).max(initial=1.0, where=np.isfinite(value)) if value.dtype.kind == "f" else 0
        )
        if not np.allclose(called.value[name], value, rtol=1e-9, atol=near, equal_nan=True):
            return f"it gives other values on {library}'s arrays than on NumPy's"
    return None


def _differentiated(reference: Reference, op: Op, of: tuple[str, ...], library: str) -> Reference:
    """The gradients of a reference as a function of the incoming gradients and its inputs, by position."""

    if library == "torch":
        from pytest_gpuemu.engine.trace import torch_gradient

        torch_gradient.prepare()

    def gradient(*given: Any, **params: Any) -> Any:
        def run(*given: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
            inputs = dict(zip(names, given[count:], strict=True))
            found = differentiate(reference, op, inputs, params, library)
            gradients = found.gradients(given[:count])
            return tuple(outputs_by_name(op, found.output).values()), tuple(gradients[name] for name in of)

        names = [x.name for x in op.inputs]
        count = len(given) - len(names)
        if not any(_is_traced(x) for x in given):
            return tuple(
                map(arrays.to_numpy, run(*_library_inputs(dict(enumerate(given)), library).values())[1])
            )
        if library != "torch":
            raise Untraceable(f"it is differentiated by {library}")
        return torch_gradient.traced_gradients(run, given)

    return _speaking_as(reference, gradient)


def _speaking_as(reference: Reference, function: Callable[..., Any]) -> Reference:
    """function, which counts as written in the libraries that reference is written in, and named like it."""
    function.__wrapped__ = reference  # type: ignore[attr-defined]
    function.__signature__ = inspect.signature(lambda *given, **params: None)  # type: ignore[attr-defined]
    function.__qualname__ = getattr(reference, "__qualname__", type(reference).__qualname__)
    return function


def _library_inputs(inputs: Mapping[Any, Any], library: str) -> dict[Any, Any]:
    return {
        name: arrays.from_numpy(x, library) if isinstance(x, np.ndarray) else x for name, x in inputs.items()
    }


def _plain(op: Op, output: Any) -> dict[str, Array]:
    return {name: arrays.to_numpy(x) for name, x in outputs_by_name(op, output).items()}


def _is_traced(x: Any) -> bool:
    return not isinstance(x, np.ndarray) and not any(arrays.is_array_of(x, name) for name in LIBRARIES)


def _is_floating(x: Any) -> bool:
    return dtypes.is_floating(str(x.dtype).removeprefix("torch."))


@dataclass(slots=True)
class _ByTorch:
    output: Any
    op: Op
    leaves: dict[str, Any]

    @property
    def outputs(self) -> dict[str, Array]:
        return _plain(self.op, self.output)

    def gradients(self, incoming: Sequence[Any]) -> dict[str, Any]:
        import torch

        floating = [x for x in outputs_by_name(self.op, self.output).values() if _is_floating(x)]
        pairs = [pair for pair in zip(floating, incoming, strict=True) if pair[0].requires_grad]
        outputs, grads = [output for output, _ in pairs], [grad for _, grad in pairs]
        raw: dict[int, Any] = {}
        _watch([output.grad_fn for output in outputs], raw)
        found = torch.autograd.grad(outputs, list(self.leaves.values()), grads, allow_unused=True)
        named = dict(zip(self.leaves, found, strict=True))
        return {name: self._as_given(name, grad, raw) for name, grad in named.items()}

    def _as_given(self, name: str, grad: Any, raw: Mapping[int, Any]) -> Any:
        """An input's gradient as its backward function returned it, before torch made it fit the input.

        torch casts a gradient of another dtype, and sums one that has more dims, without a word.
        """
        leaf = self.leaves[name]
        if grad is None:  # no output depends on it
            import torch

            return torch.zeros_like(leaf, requires_grad=False)
        given = raw.get(id(leaf))
        if given is None:
            return grad
        other_dtype = given.dtype != leaf.dtype and self.op.checks_for("dtype")
        other_shape = given.shape != leaf.shape and self.op.checks_for("shape")
        return given if other_dtype or other_shape else grad


def _torch(
    function: Callable[..., Any], op: Op, inputs: Mapping[str, Any], params: Mapping[str, Any]
) -> _ByTorch:
    import torch

    leaves = {name: x.detach().requires_grad_() for name, x in inputs.items() if x.is_floating_point()}
    with torch.enable_grad():
        output = call_by_name(function, {**inputs, **leaves}, params, optional=optional_params(op))
    outputs = outputs_by_name(op, output)
    tensors = [x for x in outputs.values() if isinstance(x, torch.Tensor)]
    if not any(x.requires_grad for x in tensors):
        raise OutputError(
            f"{op.name}: no output of the function requires a gradient: torch cannot differentiate it "
            "(does it leave torch, detach, or lack a torch.autograd.Function?)"
        )
    return _ByTorch(output=output, op=op, leaves=leaves)


def _watch(nodes: Sequence[Any], raw: dict[int, Any]) -> None:
    """Let the user's own backward functions in these graphs note what they return for a leaf, by its id.

    A leaf that several functions read gets a sum, which has no raw form; nothing is noted for it.
    """
    from torch.autograd import Function
    from torch.autograd.function import BackwardCFunction

    readers: dict[int, int] = {}
    watched, seen, pending = [], set(), [node for node in nodes if node is not None]
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        edges = [after for after, _ in node.next_functions]
        leaves = [getattr(after, "variable", None) for after in edges]
        for leaf in leaves:
            if leaf is not None:
                readers[id(leaf)] = readers.get(id(leaf), 0) + 1
        if isinstance(node, BackwardCFunction) and any(leaf is not None for leaf in leaves):
            watched.append((node, leaves))
        pending += [after for after in edges if after is not None]
    for node, leaves in watched:
        own: Any = getattr(node, "_forward_cls", None)
        if own is None or own.vjp is not Function.vjp:
            continue
        alone = [leaf if leaf is not None and readers[id(leaf)] == 1 else None for leaf in leaves]

        def backward(ctx: Any, *grads: Any, own: Any = own, alone: Sequence[Any] = alone) -> Any:
            found = own.backward(ctx, *grads)
            for leaf, grad in zip(alone, found if isinstance(found, tuple) else (found,), strict=False):
                if leaf is not None and grad is not None:
                    raw[id(leaf)] = grad
            return found

        node._forward_cls = type(own.__name__, (own,), {"backward": staticmethod(backward)})


@dataclass(slots=True)
class _ByJax:
    output: Any
    op: Op
    names: list[str]
    vjp: Callable[[Any], Any]

    @property
    def outputs(self) -> dict[str, Array]:
        return _plain(self.op, self.output)

    def gradients(self, incoming: Sequence[Any]) -> dict[str, Any]:
        import jax

        given_in_order = iter(incoming)
        cotangents = {
            name: next(given_in_order) if _is_floating(x) else np.zeros(np.shape(x), jax.dtypes.float0)
            for name, x in outputs_by_name(self.op, self.output).items()
        }
        given: Any
        if isinstance(self.output, Mapping):
            given = cotangents
        elif isinstance(self.output, (tuple, list)):
            given = type(self.output)(cotangents.values())
        else:
            given = next(iter(cotangents.values()))
        return dict(zip(self.names, self.vjp(given), strict=True))


def _jax(
    function: Callable[..., Any], op: Op, inputs: Mapping[str, Any], params: Mapping[str, Any]
) -> _ByJax:
    import jax

    floating = {name: x for name, x in inputs.items() if dtypes.is_floating(str(x.dtype))}

    def of_floating(*given: Any) -> Any:
        named = dict(zip(floating, given, strict=True))
        return call_by_name(function, {**inputs, **named}, params, optional=optional_params(op))

    output, vjp = jax.vjp(of_floating, *floating.values())
    return _ByJax(output=output, op=op, names=list(floating), vjp=vjp)
