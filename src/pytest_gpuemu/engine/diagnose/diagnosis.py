"""What diagnosing a failure found: plain data, which the report, the store and other tools read.

Here: the data classes. Elsewhere: finding out where the wrong elements lie (where.py), how they are wrong
(relations/), which cases fail (when.py), what the cause may be (causes/).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_gpuemu.engine.op import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Clue:
    """One thing that holds for the wrong elements of one output.

    kind is a stable name ("tail", "ratio"); text a sentence without a full stop; evidence holds the numbers
    behind it: JSON values by name. explained is the share of the wrong elements that it holds for.
    """

    kind: str
    text: str
    output: str
    explained: float = 1.0
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What parts failing cases from passing ones: `cols % 32 != 0`.

    terms are its parts, joined by "and": one or two. kinds name what each is about: "multiple", "above",
    "below", "dtype", "layout", "values", "param", "relation". The counts are cases of the campaign for which
    it holds or not; confirmed_by says how many further cases were run on purpose near its border, all of
    which it foretold.
    """

    terms: tuple[str, ...]
    kinds: tuple[str, ...]
    failing_with: int
    failing_without: int
    passing_with: int
    passing_without: int
    confirmed_by: int = 0

    @property
    def text(self) -> str:
        """The condition and its counts, in one line."""
        failing, passing = (
            self.failing_with + self.failing_without,
            self.passing_with + self.passing_without,
        )
        more = f"; foretold {self.confirmed_by} further cases" if self.confirmed_by else ""
        return (
            f"{' and '.join(self.terms)}   ({self.failing_with} of {failing} failing cases, "
            f"{self.passing_with} of {passing} passing{more})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """A named cause. kind is a stable name, text a sentence, because the clues that lead to it, as sentences.

    certainty is "shown" where the output was computed again from the suspected bug and agrees, "likely" where
    it follows from where, how and when alone.
    """

    kind: str
    text: str
    certainty: str = "likely"
    because: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The two-dimensional part of an output that shows a pattern best.

    rows < columns are axes of the output, rows None where it has one axis; at gives the index on every
    other axis.
    """

    output: str
    rows: int | None
    columns: int
    at: Mapping[int, int] = field(default_factory=dict)

    def of(self, array: Array) -> Array:
        """The part of an array of the output's shape: [rows, columns], [1, columns] where rows is None."""
        index = tuple(self.at.get(axis, slice(None)) for axis in range(array.ndim))
        part = array[index]
        return part.reshape(1, -1) if self.rows is None else part

    @property
    def text(self) -> str:
        """As an index of the output: `[0, :, 3, :]`; empty where it is the whole output."""
        if not self.at:
            return ""
        ndim = len(self.at) + (1 if self.rows is None else 2)
        return f"[{', '.join(str(self.at.get(axis, ':')) for axis in range(ndim))}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What is known of a failure. Empty parts: nothing simple holds, and nothing is guessed.

    shown is the slice of the first wrong output that shows the pattern best; None without wrong values.
    """

    where: tuple[Clue, ...] = ()
    how: tuple[Clue, ...] = ()
    when: Condition | None = None
    suspicion: Suspicion | None = None
    shown: Slice | None = None

    def lines(self) -> list[tuple[str, str]]:
        """Labels with their text, for a report: where, how, when, suspect."""
        found = [("where", clue.text) for clue in self.where] + [("how", clue.text) for clue in self.how]
        if self.when is not None:
            found.append(("when", self.when.text))
        if self.suspicion is not None:
            found.append(("suspect", self.suspicion.text))
        return found

    def plain(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "where": [_plain_clue(clue) for clue in self.where],
            "how": [_plain_clue(clue) for clue in self.how],
            "when": None
            if self.when is None
            else {
                "terms": list(self.when.terms),
                "kinds": list(self.when.kinds),
                "failing_with": self.when.failing_with,
                "failing_without": self.when.failing_without,
                "passing_with": self.when.passing_with,
                "passing_without": self.when.passing_without,
                "confirmed_by": self.when.confirmed_by,
                "text": self.when.text,
            },
            "suspicion": None
            if self.suspicion is None
            else {
                "kind": self.suspicion.kind,
                "text": self.suspicion.text,
                "certainty": self.suspicion.certainty,
                "because": list(self.suspicion.because),
            },
            "shown": None
            if self.shown is None
            else {
                "output": self.shown.output,
                "rows": self.shown.rows,
                "columns": self.shown.columns,
                "at": {str(axis): index for axis, index in self.shown.at.items()},
            },
        }


def _plain_clue(clue: Clue) -> dict[str, Any]:
    return {
        "kind": clue.kind,
        "text": clue.text,
        "output": clue.output,
        "explained": clue.explained,
        "evidence": dict(clue.evidence),
    }
