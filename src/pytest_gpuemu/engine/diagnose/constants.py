"""Names for a number that a kernel's output is off by: 2, the square root of a dim, N/(N - 1).

Here: the simple expressions of a case's dims and params. Elsewhere: measuring the number (relations/).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

_BLOCKS = (8, 16, 32, 64, 128, 256)


def name_of(value: float, dims: Mapping[str, int], params: Mapping[str, Any], tolerance: float) -> str | None:
    """The simplest expression that is within a relative tolerance of value; None where there is none.

    Of those that are about as near the first counts: numbers, then dims, then params. Expressions so close
    to 1 that the tolerance cannot tell them from it name nothing.
    """
    if not math.isfinite(value) or value == 0:
        return None
    sign, size = ("-" if value < 0 else ""), abs(value)
    close = [
        (abs(size - number) / number, name)
        for name, number in _expressions(dims, params)
        if abs(number - 1.0) > 2 * tolerance and abs(size - number) <= tolerance * number
    ]
    if close:
        nearest = min(distance for distance, _ in close)
        name = next(name for distance, name in close if distance <= 2 * nearest + 1e-9)
        return f"{sign}{name}"
    return f"{sign}1" if sign and abs(size - 1.0) <= tolerance else None


def _expressions(dims: Mapping[str, int], params: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    yield from (("2", 2.0), ("1/2", 0.5), ("4", 4.0), ("1/4", 0.25), ("3", 3.0), ("1/3", 1 / 3))
    for name, n in dims.items():
        if n < 2:
            continue
        yield name, float(n)
        yield f"1/{name}", 1.0 / n
        yield f"sqrt({name})", math.sqrt(n)
        yield f"1/sqrt({name})", 1.0 / math.sqrt(n)
        yield f"{name}/({name} - 1)", n / (n - 1)
        yield f"({name} - 1)/{name}", (n - 1) / n
        for block in _BLOCKS:
            padded = -(-n // block) * block
            if padded != n:
                yield f"{name}/{padded} ({name} rounded up to a multiple of {block})", n / padded
                yield f"{padded}/{name} ({name} rounded up to a multiple of {block})", padded / n
        yield f"{name}/({name} + 1)", n / (n + 1)
        yield f"({name} + 1)/{name}", (n + 1) / n
    for name, given in params.items():
        if isinstance(given, (int, float)) and not isinstance(given, bool) and given not in (0, 1):
            yield name, abs(float(given))
            yield f"1/{name}", 1.0 / abs(float(given))
    yield from (("ln 2", math.log(2)), ("1/ln 2", 1 / math.log(2)))
    yield from (("sqrt(2)", math.sqrt(2)), ("1/sqrt(2)", math.sqrt(0.5)), ("pi", math.pi), ("8", 8.0))
