"""Coverage: which combinations the cases of a campaign meet, and seeds chosen so that they meet many early.

Here: the factors of an op (the size class of each dim, the dtype, the layout and the distribution of each
input, the params), counting pairs of their levels, and the seeds of a campaign.
Elsewhere: what a single seed draws (plan.py), how the counts are shown (the campaign's summary).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from pytest_gpuemu.engine.op import Input, Op
from pytest_gpuemu.engine.plan import (
    HUGE_ONCE_IN,
    Plan,
    draws_huge,
    is_huge_rare,
    ordinary_layouts,
    plan_case,
    possible_values,
)
from pytest_gpuemu.engine.rng import SEED_BITS_DRAWN, derive_seed
from pytest_gpuemu.engine.sizes import LARGE, REMAINDERS, SIZE_CLASSES, candidates, remainder, size_class

# Attempts for one case: many while single levels are missing, fewer as new pairs grow rare.
_MOST_ATTEMPTS = 14
_LEVEL_ATTEMPTS = 40
_LEVEL_WEIGHT = 1000
# The first case with a huge layout: behind the pairs of the ordinary ones, within a default campaign.
_FIRST_HUGE = 20
_HUGE_ATTEMPTS = 6
# Blocks of a row reduction have up to 1024 columns: a value in a later block needs a longer row.
_LONG_ROW = 1024
_PLACED = ("nonfinite", "nonfinite_rows")
UNPAIRED = ("remainder of ", "in long rows of ")
# Each level of those is sought again once in so many cases: the rest of the case decides what it shows.
_DUE_ONCE_IN = 32


@dataclass(frozen=True, slots=True)
class Factor:
    """Something that differs between the cases of an op, and the levels that it may have."""

    name: str
    levels: tuple[str, ...]


def factors(op: Op) -> tuple[Factor, ...]:
    """The factors of an op that have two levels at least.

    The levels are those of each factor alone: a few pairs of them may exclude each other.
    """
    found = [Factor(f"size of {name}", _size_levels(op, name)) for name in op.dim_names]
    if sum(len(factor.levels) > 1 for factor in found) > 1:
        found.append(Factor("equal sizes", ("no", "yes")))
    if sum("large" in factor.levels for factor in found) > 1:
        found.append(Factor("several sizes large", ("no", "yes")))
    found.append(Factor("dtype", op.dtypes))
    found += [Factor(f"layout of {x.name}", ordinary_layouts(op, x)) for x in op.inputs]
    found += [Factor(f"values of {x.name}", possible_values(op, x)) for x in op.inputs]
    found += [
        Factor(f"remainder of {name}", REMAINDERS) for name in op.dim_names if _has_remainders(op, name)
    ]
    if len(op.inputs[0].dims) > 1 and any(factor.name.startswith("remainder") for factor in found):
        found.append(Factor("remainder of all elements", REMAINDERS))
    found += [Factor(f"in long rows of {x.name}", _PLACED) for x in op.inputs if _has_long_rows(op, x)]
    found += [
        Factor(f"param {param.name}", tuple(dict.fromkeys(map(repr, param.choices)))) for param in op.params
    ]
    return tuple(factor for factor in found if len(factor.levels) > 1)


def levels_of(plan: Plan) -> dict[str, str]:
    """By factor name, the level that a plan has; it may name factors that the op does not vary."""
    sizes = list(plan.dims.values())
    return {
        **{f"size of {name}": size_class(size) for name, size in plan.dims.items()},
        "equal sizes": "yes" if len(set(sizes)) < len(sizes) else "no",
        "several sizes large": "yes" if sum(size >= LARGE for size in sizes) > 1 else "no",
        "dtype": plan.dtype,
        **{f"layout of {name}": layout for name, layout in plan.layouts.items()},
        **{f"values of {name}": values for name, values in plan.values.items()},
        **{f"remainder of {name}": remainder(size) for name, size in plan.dims.items()},
        "remainder of all elements": remainder(prod(next(iter(plan.shapes.values()), ()))),
        **{
            f"in long rows of {name}": plan.values[name]
            for name, shape in plan.shapes.items()
            if shape and shape[-1] > _LONG_ROW
        },
        **{f"param {name}": repr(value) for name, value in plan.params.items()},
    }


class Coverage:
    """Which levels and pairs of levels the cases added so far have met.

    counts holds, by factor name, how many cases had each level; unmet levels count 0.
    """

    def __init__(self, varied: Op | Sequence[Factor]) -> None:
        self.factors = factors(varied) if isinstance(varied, Op) else tuple(varied)
        self.cases = 0
        self.counts: dict[str, Counter[str]] = {
            factor.name: Counter(dict.fromkeys(factor.levels, 0)) for factor in self.factors
        }
        # Each level of each factor has a bit; _met[i] holds the levels met together with level i.
        self._bits: dict[tuple[str, str], int] = {}
        for factor in self.factors:
            for level in factor.levels:
                self._bits[factor.name, level] = len(self._bits)
        self._names = list(self._bits)
        self._met = [0] * len(self._bits)
        self._partners = [
            sum(1 << other for (b, _), other in self._bits.items() if _are_paired(a, b))
            for a, _ in self._bits
        ]

    def add(self, plan: Plan) -> int:
        """Count the case of this plan; returns the number of pairs that it was the first to meet."""
        met_before = self.pairs_met
        levels = self._indices(plan)
        mask = sum(1 << index for index in levels)
        for index in levels:
            self._met[index] |= mask
        for name, level in levels_of(plan).items():
            if (name, level) in self._bits:
                self.counts[name][level] += 1
        self.cases += 1
        return self.pairs_met - met_before

    def new_pairs(self, plan: Plan) -> tuple[int, int]:
        """How many levels this plan has that are due, and how many pairs it would be the first to meet."""
        levels = self._indices(plan)
        mask = sum(1 << index for index in levels)
        new = [(mask & self._partners[index] & ~self._met[index]).bit_count() for index in levels]
        return sum(self._is_due(index) for index in levels), sum(new) // 2

    @property
    def is_any_due(self) -> bool:
        """Whether a level is to be met now."""
        return any(self._is_due(index) for index in range(len(self._names)))

    def _is_due(self, index: int) -> bool:
        """Whether a level is to be met now: for the first time, or, of an unpaired factor, again."""
        name, level = self._names[index]
        often = _DUE_ONCE_IN if name.startswith(UNPAIRED) else 0
        return not self._met[index] or self.counts[name][level] * often < self.cases * bool(often)

    @property
    def pairs_met(self) -> int:
        met = zip(self._met, self._partners, strict=True)
        return sum((mask & partners).bit_count() for mask, partners in met) // 2

    @property
    def pairs_possible(self) -> int:
        """The pairs of levels of two factors, those that exclude each other counted too."""
        return sum(partners.bit_count() for partners in self._partners) // 2

    @property
    def unmet(self) -> dict[str, tuple[str, ...]]:
        """By factor name, the levels that no case had; factors without any are left out."""
        return {
            name: tuple(level for level, count in levels.items() if not count)
            for name, levels in self.counts.items()
            if not all(levels.values())
        }

    def plain(self) -> dict[str, Any]:
        """As lists, texts and numbers, which travel between processes; read by `joined`."""
        return {
            "factors": [[factor.name, *factor.levels] for factor in self.factors],
            "counts": [self.counts[name][level] for name, level in self._bits],
            "met": [format(mask, "x") for mask in self._met],
            "cases": self.cases,
        }

    @classmethod
    def joined(cls, several: Iterable[Mapping[str, Any]]) -> Coverage:
        """What several coverages have met together, as `plain` gave them; their factors may differ."""
        given = list(several)
        levels: dict[str, dict[str, None]] = {}
        for one in given:
            for name, *found in one["factors"]:
                levels.setdefault(name, {}).update(dict.fromkeys(found))
        whole = cls([Factor(name, tuple(found)) for name, found in levels.items()])
        for one in given:
            names = [(name, level) for name, *found in one["factors"] for level in found]
            bits = [whole._bits[pair] for pair in names]
            for (name, level), count, mask in zip(names, one["counts"], one["met"], strict=True):
                met = int(mask, 16)
                whole.counts[name][level] += count
                whole._met[whole._bits[name, level]] |= sum(
                    1 << bit for position, bit in enumerate(bits) if met >> position & 1
                )
            whole.cases += one["cases"]
        return whole

    def unmet_pairs(self, limit: int = 5) -> list[tuple[str, str]]:
        """The first few pairs that no case had, as `factor: level` texts."""
        names = list(self._bits)
        found: list[tuple[str, str]] = []
        for index, one in enumerate(names):
            for other_index, other in enumerate(names[index + 1 :], index + 1):
                if len(found) == limit:
                    return found
                if self._partners[index] & ~self._met[index] & 1 << other_index:
                    found.append((": ".join(one), ": ".join(other)))
        return found

    def _indices(self, plan: Plan) -> list[int]:
        bits = self._bits
        return [bits[pair] for pair in levels_of(plan).items() if pair in bits]


def campaign_seeds(op: Op, master: int, count: int) -> Iterator[int]:
    """The seeds of a campaign's cases, each below 2**48: a function of the op's record and master alone.

    Case i takes the one of some seeds derived from (master, op name, i, attempt) whose plan meets the
    most levels, and then pairs of levels, that no case before it met. One case in HUGE_ONCE_IN has an
    input of the huge layout, where the op allows it. A smaller count gives a prefix.
    """
    coverage = Coverage(op)
    attempts = _MOST_ATTEMPTS
    has_huge = any(is_huge_rare(op, x) for x in op.inputs)
    for position in range(count):
        wants_huge = has_huge and position % HUGE_ONCE_IN == _FIRST_HUGE - 1
        best: tuple[int, int, Plan] | None = None
        drawn = (
            derive_seed(master, f"{op.name}/{position}/{attempt}") >> (64 - SEED_BITS_DRAWN)
            for attempt in itertools.count()
        )
        fitting = (seed for seed in drawn if not has_huge or draws_huge(seed) == wants_huge)
        if coverage.is_any_due:
            attempts = _LEVEL_ATTEMPTS
        for seed in itertools.islice(fitting, _HUGE_ATTEMPTS if wants_huge else attempts):
            plan = plan_case(op, seed)
            new_levels, new_pairs = coverage.new_pairs(plan)
            gain = new_levels * _LEVEL_WEIGHT + new_pairs
            if wants_huge and "huge" in plan.layouts.values():
                gain += _LEVEL_WEIGHT**2
            if best is None or gain > best[0]:
                best = (gain, new_pairs, plan)
        assert best is not None
        coverage.add(best[2])
        if not wants_huge:
            attempts = max(1, min(_MOST_ATTEMPTS, 2 * best[1]))
        yield best[2].seed


def _are_paired(one: str, other: str) -> bool:
    """Whether pairs of levels of these two factors are to be met.

    A remainder, or a special value in a long row, is to be met, with whatever else the case has.
    The distributions of two inputs are not: a rare value in one of them is seen best where the others are
    ordinary, and seeking the pair would give most cases the same distribution in all inputs.
    """
    both_values = one.startswith("values of ") and other.startswith("values of ")
    return one != other and not both_values and not (one.startswith(UNPAIRED) or other.startswith(UNPAIRED))


def _has_remainders(op: Op, name: str) -> bool:
    met = {remainder(size) for size in candidates(op.dims.get(name))}
    return met.issuperset(REMAINDERS)


def _has_long_rows(op: Op, x: Input) -> bool:
    """Whether this input's last dim may be long, and its values not finite."""
    if not x.is_floating or not x.dims or not set(_PLACED).issubset(possible_values(op, x)):
        return False
    names = x.dims[-1].names
    return (
        len(names) == 1 and str(x.dims[-1]) == names[0] and candidates(op.dims.get(names[0]))[-1] > _LONG_ROW
    )


def _size_levels(op: Op, name: str) -> tuple[str, ...]:
    alone = [condition for condition in op.where if {*condition.left.names, *condition.right.names} == {name}]
    met = {
        size_class(size)
        for size in candidates(op.dims.get(name))
        if all(condition.holds({name: size}) for condition in alone)
    }
    return tuple(level for level in SIZE_CLASSES if level in met)
