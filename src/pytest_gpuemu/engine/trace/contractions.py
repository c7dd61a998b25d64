"""Products that are summed: matmul, dot, tensordot, einsum, inner, outer, vecdot.

Here: the error of a sum of products, in any order, on tensor cores too.
Elsewhere: plain sums (reductions.py), operand rounding of each compute type (arithmetic.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.trace.reductions import accumulation
from pytest_gpuemu.engine.trace.rounding import finish, lost
from pytest_gpuemu.engine.trace.run import Run, Untraceable
from pytest_gpuemu.engine.trace.traced import Error, Traced, error_of, has_error, is_real, value_of

CHUNKS = 8


def operand_error(run: Run, x: Any, value: Array) -> Error:
    """The operand's error, and its rounding to what the multiplier takes: of computed ones, and under tf32
    of given ones that have more bits than it keeps. Values of float16 and bfloat16 have not.
    """
    error = error_of(run, x)
    arithmetic = run.arithmetic
    if not is_real(value):
        return error
    size = np.abs(value)
    if isinstance(x, Traced) and not x.leaf:
        if arithmetic.operand_unit == 0.0:
            return error
        rounding = size * arithmetic.operand_unit
        if arithmetic.operand_tiny:
            rounding += arithmetic.operand_tiny * (size > 0)
        return error + rounding
    if arithmetic.given_unit == 0.0:
        return error
    leading = np.ldexp(np.frexp(size)[0], arithmetic.given_bits)
    longer = leading != np.floor(leading)
    return error + np.where(longer, size * arithmetic.given_unit, 0.0) if longer.any() else error


def contract(
    run: Run,
    a: Any,
    b: Any,
    f: Callable[[Array, Array], Any],
    count: int,
    chunks: Sequence[tuple[Any, Any]] | None,
) -> Traced:
    """f(a, b), bilinear, where each output is a sum of `count` products.

    chunks are pairs of indices of a and b whose f add up to the whole, in memory order; None where the
    sum goes over several axes, which have no one order: then a partial sum may be as large as sum |a*b|.
    """
    run.check_time()
    A, B = np.asarray(value_of(a)), np.asarray(value_of(b))
    total = np.asarray(f(A, B))
    if not is_real(total):
        exact = not np.any(error_of(run, a)) and not np.any(error_of(run, b))
        return Traced(run, total, 0.0 if exact else np.full(total.shape, np.inf))
    ea, eb = operand_error(run, a, A), operand_error(run, b, B)
    A, B = A.astype(np.float64, copy=False), B.astype(np.float64, copy=False)
    size_a, size_b = np.abs(A), np.abs(B)
    peak_a, peak_b = (float(s.max()) if s.size else 0.0 for s in (size_a, size_b))
    special: Any = False
    if not (peak_a < np.inf and peak_b < np.inf):
        special = ~np.isfinite(total)
        A, B = (np.where(np.isfinite(x), x, 0.0) for x in (A, B))
        size_a, size_b = np.abs(A), np.abs(B)
        peak_a, peak_b = (float(s.max()) if s.size else 0.0 for s in (size_a, size_b))
    propagated: Error = 0.0
    if has_error(ea):
        propagated = f(_broadcast(ea, A), size_b + eb if has_error(eb) else size_b)
    if has_error(eb):
        propagated = propagated + f(size_a, _broadcast(eb, B))
    norm = np.sqrt(np.maximum(f(A * A, B * B), 0.0)) if count > 1 else 0.0
    partial: Any = 0.0
    if count > 1:
        if chunks is None:
            partial = f(size_a, size_b)
        else:
            whole = np.abs(f(A, B)) if special is not False else np.abs(total)
            partial = _largest_partial(whole, f, A, B, chunks)
    error = propagated + accumulation(run, count, norm, partial)
    largest, overflowing = run.arithmetic.largest, False
    doubt = float(np.max(propagated)) if np.size(propagated) else 0.0
    if count > 1 and not count * peak_a * peak_b + doubt <= largest:
        # Some order of summation overflows on the way.
        overflowing = ~(f(size_a, size_b) + propagated <= largest)
        error = np.where(overflowing, np.inf, error)
    if special is not False:
        given = special & np.isfinite(propagated)
        error = np.where(given, 0.0, error)
        overflowing = overflowing & ~given
    error = np.asarray(error) + np.zeros(total.shape)
    kept = error
    result = finish(
        run,
        "matmul",
        total,
        error,
        1.0,
        irregular=lambda bad: np.where(
            np.isfinite(total[bad]) | ~np.isfinite(kept[bad]),
            kept[bad],
            0.0 if special is not False else np.inf,
        ),
    )
    result.terms = count
    return lost(result, overflowing)


def _largest_partial(
    whole: Array, f: Callable[[Array, Array], Any], a: Array, b: Array, chunks: Sequence[tuple[Any, Any]]
) -> Array:
    """The largest |partial sum| after each chunk, and of the whole."""
    largest = np.array(whole)
    running = np.zeros(largest.shape)
    scratch = np.empty(largest.shape)
    for ia, ib in chunks[:-1]:
        running += f(a[ia], b[ib])
        np.abs(running, out=scratch)
        np.maximum(largest, scratch, out=largest)
    return largest


def _broadcast(error: Error, value: Array) -> Array:
    return np.broadcast_to(error, value.shape)


def _slices(length: int, at: Callable[[slice], tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    step = max(1, -(-length // CHUNKS))
    return [at(slice(i, i + step)) for i in range(0, length, step)]


def matmul(run: Run, a: Any, b: Any) -> Traced:
    """a @ b in all of its shapes."""
    length = np.shape(value_of(a))[-1]
    vector = np.ndim(value_of(b)) == 1

    def at(part: slice) -> tuple[Any, Any]:
        return (..., part), (part if vector else (..., part, slice(None)))

    return contract(run, a, b, np.matmul, length, _slices(length, at))


def dot(run: Run, a: Any, b: Any) -> Any:
    """np.dot: the last axis of a with the last but one of b."""
    if np.ndim(value_of(a)) == 0 or np.ndim(value_of(b)) == 0:
        return np.multiply(a, b)
    length = np.shape(value_of(a))[-1]
    vector = np.ndim(value_of(b)) == 1

    def at(part: slice) -> tuple[Any, Any]:
        return (..., part), (part if vector else (..., part, slice(None)))

    return contract(run, a, b, np.dot, length, _slices(length, at))


def inner(run: Run, a: Any, b: Any) -> Any:
    if np.ndim(value_of(a)) == 0 or np.ndim(value_of(b)) == 0:
        return np.multiply(a, b)
    length = np.shape(value_of(a))[-1]
    return contract(run, a, b, np.inner, length, _slices(length, lambda part: ((..., part), (..., part))))


def tensordot(run: Run, a: Any, b: Any, axes: Any = 2) -> Any:
    """np.tensordot, through einsum."""
    na, nb = np.ndim(value_of(a)), np.ndim(value_of(b))
    if isinstance(axes, int):
        left, right = list(range(na - axes, na)), list(range(axes))
    else:
        left, right = ([x] if isinstance(x, int) else list(x) for x in axes)
    letters = iter("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    first = [next(letters) for _ in range(na)]
    second = [next(letters) for _ in range(nb)]
    for i, j in zip(left, right, strict=True):
        second[j % nb] = first[i % na]
    summed = {first[i % na] for i in left}
    out = [c for c in first + second if c not in summed]
    return einsum(run, f"{''.join(first)},{''.join(second)}->{''.join(out)}", a, b)


def einsum(run: Run, subscripts: Any, *operands: Any, **kwargs: Any) -> Any:
    """np.einsum in its string form; more than two operands are contracted from the left."""
    if not isinstance(subscripts, str):
        raise Untraceable("it calls einsum with lists of axes instead of a string")
    kwargs.pop("optimize", None)
    if kwargs:
        raise Untraceable(f"it calls einsum with {next(iter(kwargs))}=")
    inputs, output = _labels(subscripts, [np.shape(value_of(x)) for x in operands])
    if len(operands) > 2:
        later = set("".join(inputs[2:]) + output)
        kept = "".join(dict.fromkeys(c for c in inputs[0] + inputs[1] if c in later))
        first = einsum(run, f"{inputs[0]},{inputs[1]}->{kept}", *operands[:2])
        rest = ",".join([kept, *inputs[2:]])
        result = einsum(run, f"{rest}->{output}", first, *operands[2:])
        plain = np.einsum(subscripts, *[value_of(x) for x in operands], optimize=True)
        return Traced(run, np.where(np.isnan(result.value), result.value, plain), result.error)
    if len(operands) == 1:
        # Summing products with ones is what summing is.
        x = operands[0]
        one = np.ones(())
        text = f"{inputs[0]},->{output}"
        return _einsum_pair(run, text, x, one, inputs[0], "", output)
    a, b = operands
    return _einsum_pair(run, f"{inputs[0]},{inputs[1]}->{output}", a, b, inputs[0], inputs[1], output)


def _einsum_pair(run: Run, text: str, a: Any, b: Any, left: str, right: str, output: str) -> Traced:
    def f(x: Array, y: Array) -> Any:
        return np.einsum(text, x, y, optimize=True)

    sizes = dict(zip(left, np.shape(value_of(a)), strict=True))
    for label, size in zip(right, np.shape(value_of(b)), strict=True):
        sizes[label] = max(size, sizes.get(label, 1))
    summed = [c for c in dict.fromkeys(left + right) if c not in output]
    count = prod(sizes[c] for c in summed)
    chunks: list[tuple[Any, Any]] | None = []
    if sum(sizes[c] > 1 for c in summed) > 1:
        chunks = None
    elif summed:
        longest = max(summed, key=lambda c: sizes[c])
        shapes = (np.shape(value_of(a)), np.shape(value_of(b)))

        def at(part: slice) -> tuple[Any, Any]:
            index = [
                tuple(part if c == longest and shape[i] > 1 else slice(None) for i, c in enumerate(labels))
                for labels, shape in zip((left, right), shapes, strict=True)
            ]
            return index[0], index[1]

        chunks = _slices(sizes[longest], at)
    if right == "" and isinstance(a, Traced) and (count <= 1 or a.leaf):
        a = Traced(run, a.value, a.error, True)
        if count <= 1:
            value = f(a.value, np.ones(()))
            error = f(a.error, np.ones(())) if isinstance(a.error, np.ndarray) else 0.0
            return Traced(run, value, error, True)
    return contract(run, a, b, f, count, chunks)


def _labels(subscripts: str, shapes: Sequence[tuple[int, ...]]) -> tuple[list[str], str]:
    """Each operand's labels and the output's, with the ellipsis written out."""
    text = subscripts.replace(" ", "")
    left, arrow, output = text.partition("->")
    inputs = left.split(",")
    free = [c for c in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if c not in text]
    longest = max(
        (len(s) - len(t.replace("...", "")) for t, s in zip(inputs, shapes, strict=True) if "..." in t),
        default=0,
    )
    dots = "".join(free[:longest])

    def expand(labels: str, shape: tuple[int, ...]) -> str:
        if "..." not in labels:
            return labels
        room = len(shape) - len(labels.replace("...", ""))
        return labels.replace("...", dots[len(dots) - room :] if room else "")

    expanded = [expand(t, s) for t, s in zip(inputs, shapes, strict=True)]
    if not arrow:
        joined = "".join(t.replace("...", "") for t in inputs)
        output = ("..." if "..." in text else "") + "".join(
            sorted(c for c in set(joined) if joined.count(c) == 1)
        )
    return expanded, output.replace("...", dots)


def outer(run: Run, a: Any, b: Any) -> Any:
    return np.multiply(np.ravel(a)[:, None], np.ravel(b)[None, :])


def vecdot(run: Run, a: Any, b: Any, axis: int = -1) -> Any:
    return np.sum(np.multiply(a, b), axis=axis)
