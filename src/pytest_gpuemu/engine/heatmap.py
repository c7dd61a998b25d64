"""A heat map of where an output is wrong: two of its axes, gathered into cells that fit a terminal.

Here: gathering elements into cells, and drawing them as text. Elsewhere: which part of the output shows a
pattern best (diagnose/slices.py), printing in colour (the pytest items), all parts of an output (the HTML
report).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from math import ceil, prod
from typing import Any

import numpy as np

from pytest_gpuemu.engine.diagnose.diagnosis import Slice
from pytest_gpuemu.engine.op import Array

MAX_ROWS, MAX_COLUMNS = 10, 100
# By the share of a cell's elements that are wrong: none, less than a third, two thirds, all, all.
_BLOCKS, _ASCII = "·░▒▓█", ".:+*#"
_STYLES = ("none", "some", "some", "some", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """The wrong elements of a part of an output, counted by cell.

    part is the index that gives it (`[0, :, :]`, empty for the whole output), one of parts; shape and cell
    are in elements, [rows, columns]; the last cells of each axis may be smaller. folded: an output of one
    axis is cut into rows of shape[1] elements, of which the last one may have fewer.
    """

    output: str
    part: str
    parts: int
    shape: tuple[int, int]
    cell: tuple[int, int]
    elements: int
    wrong: tuple[tuple[int, ...], ...]
    folded: bool = False

    def size_of(self, row: int, column: int) -> int:
        """How many elements the cell has."""
        high = min(self.cell[0], self.shape[0] - row * self.cell[0])
        wide = min(self.cell[1], self.shape[1] - column * self.cell[1])
        if self.folded:
            begin = row * self.shape[1] + column * self.cell[1]
            return max(0, min(wide, self.elements - begin))
        return high * wide

    def plain(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, fields: Mapping[str, Any]) -> HeatMap:
        """The inverse of plain(), also after JSON has made lists of its tuples."""
        return cls(
            **{
                **fields,
                "shape": tuple(fields["shape"]),
                "cell": tuple(fields["cell"]),
                "wrong": tuple(tuple(row) for row in fields["wrong"]),
            }
        )


def heat_map(
    shown: Slice, exceeding: Array, *, rows: int = MAX_ROWS, columns: int = MAX_COLUMNS
) -> HeatMap | None:
    """The slice's wrong elements in at most so many rows and columns of cells; None for an empty slice.

    exceeding is the mask of the whole output. The cells have powers of two as their sides, since the blocks
    of kernels do, so that an edge of a block is an edge of a cell.
    """
    part = np.asarray(shown.of(exceeding), dtype=bool)
    if part.size == 0:
        return None
    elements, folded = part.size, False
    if shown.rows is None and elements > columns:
        folded = True
        width = _power_at_least(ceil(elements / rows))
        while 2 * width <= columns:
            width *= 2
        filled = np.zeros(ceil(elements / width) * width, dtype=bool)
        filled[:elements] = part.ravel()
        part = filled.reshape(-1, width)
    cell = _power_at_least(ceil(part.shape[0] / rows)), _power_at_least(ceil(part.shape[1] / columns))
    counts = np.add.reduceat(part, np.arange(0, part.shape[0], cell[0]), axis=0, dtype=np.int64)
    counts = np.add.reduceat(counts, np.arange(0, part.shape[1], cell[1]), axis=1)
    return HeatMap(
        output=shown.output,
        part=shown.text,
        parts=prod(exceeding.shape[axis] for axis in shown.at),
        shape=(part.shape[0], part.shape[1]),
        cell=cell,
        elements=elements,
        wrong=tuple(tuple(int(count) for count in row) for row in counts),
        folded=folded,
    )


def draw(
    shown: HeatMap, *, blocks: bool = False, paint: Callable[[str, str], str] = lambda text, style: text
) -> list[str]:
    """The map as lines: what it shows, a line for each row of cells, and what the signs mean.

    blocks takes Unicode's shades in place of ASCII; paint(text, style) may colour a run of cells whose style
    is "none", "some" or "all", for the elements of them that are wrong.
    """
    signs = _BLOCKS if blocks else _ASCII
    by = "×" if blocks else "x"
    count = sum(map(sum, shown.wrong))
    name = f"{shown.output}{shown.part}"
    several = f" (1 of {shown.parts} such parts)" if shown.parts > 1 else ""
    extent = f"{shown.shape[0]} {by} {shown.shape[1]}"
    if shown.folded:
        extent = f"{shown.elements} elements in rows of {shown.shape[1]}"
    lines = [f"{name}{several}, {extent}: {count} of {shown.elements} elements exceed"]
    margin = len(str((len(shown.wrong) - 1) * shown.cell[0] * (shown.shape[1] if shown.folded else 1)))
    for at, row in enumerate(shown.wrong):
        first = at * shown.cell[0] * (shown.shape[1] if shown.folded else 1)
        levels = [
            _level(wrong, size)
            for column, wrong in enumerate(row)
            if (size := shown.size_of(at, column))  # beyond the end of a folded output is nothing
        ]
        painted = "".join(
            paint("".join(signs[level] for level in run), style)
            for style, run in ((style, list(run)) for style, run in groupby(levels, _STYLES.__getitem__))
        )
        lines.append(f"{first:>{margin}} {painted}")
    return [*lines, f"{' ' * margin} {_legend(shown, signs, by)}"]


def _legend(shown: HeatMap, signs: str, by: str) -> str:
    high, wide = shown.cell
    if high * wide == 1:
        return f"{signs[0]} within tolerance  {signs[4]} exceeds  (a cell is one element)"
    used = {_level(wrong, shown.size_of(at, column)) for at, column, wrong in _cells(shown)}
    words = ("none", "under 1/3", "under 2/3", "not all", "all")
    meanings = [f"{signs[level]} {words[level]}" for level in range(5) if level in used]
    what = f"{wide} elements" if high == 1 else f"{high} {by} {wide} elements"
    return f"{'  '.join(meanings)}  (a cell is {what}: how many of them exceed)"


def _cells(shown: HeatMap) -> Iterator[tuple[int, int, int]]:
    return (
        (at, column, wrong)
        for at, row in enumerate(shown.wrong)
        for column, wrong in enumerate(row)
        if shown.size_of(at, column)
    )


def _level(wrong: int, size: int) -> int:
    """0 where nothing is wrong, 4 where all is, and never either of them for anything between."""
    if wrong == 0:
        return 0
    if wrong == size:
        return 4
    return 1 if 3 * wrong < size else 2 if 3 * wrong < 2 * size else 3


def _power_at_least(size: int) -> int:
    """The smallest power of two that is not below a size of 1 or more."""
    return 1 << (size - 1).bit_length()
