"""The causes that a suspicion may name: what each is called, and which comes first.

Here: the words. Elsewhere: what leads to each (the other modules of this package).
"""

from __future__ import annotations

from collections.abc import Mapping

from pytest_gpuemu.engine.diagnose.diagnosis import Suspicion

# What a kind of suspicion is called in a report.
NAMES: Mapping[str, str] = {
    "accumulator": "an accumulator is overwritten or not reset",
    "axis": "a wrong axis",
    "carry": "what is carried from block to block is lost",
    "causal": "the causal mask is misplaced",
    "clamp": "a value is clamped that should not be",
    "constant": "a wrong constant",
    "count": "a wrong count to divide by",
    "dtype": "a wrong dtype",
    "edge": "a comparison is wrong at its edge: > and >= are mixed up",
    "eps": "eps is wrong or misplaced",
    "factor": "a factor is missing or wrong",
    "formula": "a wrong formula",
    "head mapping": "heads are mapped in the wrong order",
    "index": "a wrong index",
    "index overflow": "an offset overflows the bits that it is kept in",
    "init": "a running maximum or minimum starts at a finite value",
    "input modified": "the kernel writes into its input",
    "loop bound": "a loop ends early",
    "lost update": "updates are lost: a store where an atomic addition is meant",
    "mask": "a mask is not applied, or not everywhere",
    "missing maximum": "the maximum is not subtracted before exp",
    "nan": "NaN or infinity is swallowed",
    "nan made": "NaN is made: infinities cancel, or one is multiplied by 0",
    "operand": "an operand is forgotten or mixed up",
    "out of bounds": "the kernel writes outside of its output",
    "overflow": "a step on the way overflows",
    "padding": "the padding is wrong",
    "param": "a param is ignored or misused",
    "precision": "a value is kept in too low a precision",
    "race": "a race, or memory that is read before it is written",
    "rescale": "older blocks are not rescaled in an online softmax",
    "sign": "a wrong sign or exchanged operands",
    "stale": "a result of an earlier call is given again",
    "strides": "strides are ignored or mixed up",
    "tail": "a tail mask leaks into a reduction",
    "term": "a term or factor is missing",
    "truncation": "a quotient or code is rounded in the wrong direction",
    "unstable": "an unstable form: a difference of large numbers loses the digits",
    "unwritten": "part of the output is never written (grid, bound or mask of the store)",
}
# Of several suspicions that agree as well, the first of these: a bug that many kernels have before a chance.
PRIORITY = (
    "strides",
    "accumulator",
    "lost update",
    "rescale",
    "carry",
    "tail",
    "loop bound",
    "head mapping",
    "causal",
    "missing maximum",
    "nan",
    "init",
    "eps",
    "count",
    "padding",
    "param",
    "factor",
    "operand",
    "axis",
    "index",
    "sign",
    "mask",
    "edge",
    "term",
    "formula",
    "clamp",
    "constant",
    "unstable",
    "dtype",
    "precision",
)


def named(kind: str, certainty: str, *because: str) -> Suspicion:
    perhaps = "" if certainty == "shown" else "perhaps "
    return Suspicion(
        kind=kind,
        text=f"{perhaps}{NAMES[kind]}: {because[0]}",
        certainty=certainty,
        because=tuple(because),
    )
