"""Which suspicions name the cause of a mutant, by its bug class. The engine knows nothing of these classes.

Where a class covers several causes, each suspicion that names one of them counts as right, though it may be
wrong for one mutant of the class: the page lists what was said of each.

Some classes and suspicions are two words for one cause (MERGED), and some classes tell when a bug shows in
place of what it is; mutants of these are classed by their edit (BY_EDIT).
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.detection.corpus import Mutant

# Classes whose mutants have the same cause in other words, with the class that counts for both: a loop, grid
# or mask of a store that ends early; a number that multiplies or divides; a value that is rounded on its way;
# NaN and infinity that are lost or made.
MERGED: Mapping[str, str] = {
    "grid off by one": "loop bound",
    "second pass": "loop bound",
    "store mask": "loop bound",
    "unwritten output": "loop bound",
    "denominator": "wrong number",
    "missing factor": "wrong number",
    "wrong constant": "wrong number",
    "low precision": "rounding",
    "wrong type": "rounding",
    "masked rows": "non-finite",
    "non-finite swallowed": "non-finite",
}

# The class of what was edited, of a mutant whose note names another class, and of those whose class tells
# when the bug shows ("size 1", "very long rows", "order dependence"). Those that are held out were read for
# this alone, before anything was said of them.
BY_EDIT: Mapping[str, str] = {
    "bmm: a batch of one reads b transposed where it is square": "wrong axis",
    "rms_norm: mean over at most 1024 columns": "denominator",
    "index_select: indices sorted first": "index",
    "softmax: finite sentinel": "finite sentinel",
    "log_softmax: at most 16 blocks are added up": "loop bound",
    "var: one element with correction 1 gives 0": "denominator",
    "cumsum: carry kept for eight blocks only": "carry",
}

RIGHT: Mapping[str, frozenset[str]] = {
    bug: frozenset(kinds)
    for bug, kinds in {
        "accumulator": ("accumulator",),
        "aliasing": ("input modified",),
        "broadcast input": ("strides",),
        "carry": ("carry",),
        "causal": ("causal",),
        "dilation": ("param",),
        "eps": ("eps",),
        "finite sentinel": ("init", "clamp"),
        "head mapping": ("head mapping",),
        "ignored index": ("index", "mask"),
        "index": ("index",),
        "index overflow": ("index overflow",),
        "loop bound": ("loop bound", "unwritten", "out of bounds"),
        "lost update": ("lost update", "accumulator", "race"),
        "mask": ("mask", "unwritten", "out of bounds"),
        "missing maximum": ("missing maximum", "overflow"),
        "non-finite": ("nan", "clamp", "nan made"),
        "overflow": ("overflow", "missing maximum"),
        "padding": ("param", "padding"),
        "rescale": ("rescale",),
        "rounding": ("precision", "dtype"),
        "stale output": ("unwritten", "race", "stale"),
        "storage offset": ("strides",),
        "stride": ("param",),
        "strides ignored": ("strides",),
        "tail mask": ("tail",),
        "truncation": ("truncation",),
        "unstable form": ("unstable",),
        "window edge": ("padding", "loop bound", "param", "edge"),
        "wrong axis": ("axis",),
        "wrong formula": ("formula", "term", "sign"),
        "wrong init": ("init",),
        "wrong number": ("count", "factor", "constant", "param"),
        "wrong operand": ("operand", "term"),
        "wrong sign": ("sign",),
    }.items()
}


def class_of(mutant: Mutant) -> str:
    """The class that a mutant counts in."""
    bug = BY_EDIT.get(mutant.name, mutant.bug)
    return MERGED.get(bug, bug)


def is_right(mutant: Mutant, suspicion: str) -> bool:
    """Whether a suspicion names the mutant's cause."""
    return suspicion in RIGHT[class_of(mutant)]
