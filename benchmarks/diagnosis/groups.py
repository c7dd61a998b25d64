"""The groups that the mutants are measured in: which of them the rules were made beside.

Here: the split. Elsewhere: the mutants (benchmarks/detection/kernels).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from benchmarks.detection.corpus import Mutant
from benchmarks.detection.kernels import FRESH_MUTANTS, MUTANTS


def is_held_out(control: str) -> bool:
    """Whether the mutants of this kernel were measured before any rule was made beside them: a third of all.

    By the digest of its name, so that nobody has chosen, and so that all mutants of a kernel stay together.
    """
    return int.from_bytes(blake2b(control.encode(), digest_size=8).digest(), "big") % 3 == 0


GROUPS: Mapping[str, Sequence[Mutant]] = {
    "tuned beside": MUTANTS,
    "tuned later": [mutant for mutant in FRESH_MUTANTS if not is_held_out(mutant.control.name)],
    "held out": [mutant for mutant in FRESH_MUTANTS if is_held_out(mutant.control.name)],
}
