"""Which suspicions name the cause of a mutant, by its bug class. The engine knows nothing of these classes.

Where a class covers several causes, each suspicion that names one of them counts as right, though it may be
wrong for one mutant of the class: the page lists what was said of each.
"""

from __future__ import annotations

from collections.abc import Mapping

RIGHT: Mapping[str, frozenset[str]] = {
    bug: frozenset(kinds)
    for bug, kinds in {
        "accumulator": ("accumulator",),
        "aliasing": ("input modified",),
        "broadcast input": ("strides",),
        "carry": ("carry",),
        "causal": ("causal",),
        "denominator": ("count", "factor"),
        "dilation": ("param",),
        "eps": ("eps",),
        "finite sentinel": ("init", "clamp"),
        "grid off by one": ("unwritten", "loop bound"),
        "head mapping": ("head mapping",),
        "ignored index": ("index", "mask"),
        "index": ("index",),
        "index overflow": ("index overflow",),
        "loop bound": ("loop bound", "unwritten"),
        "lost update": ("lost update", "accumulator", "race"),
        "low precision": ("precision",),
        "mask": ("mask", "unwritten", "out of bounds"),
        "masked rows": ("nan made",),
        "missing factor": ("factor", "param"),
        "missing maximum": ("missing maximum", "overflow"),
        "non-finite swallowed": ("nan", "clamp"),
        "order dependence": ("race",),
        "overflow": ("overflow", "missing maximum"),
        "padding": ("param", "padding"),
        "rescale": ("rescale",),
        "second pass": ("loop bound", "accumulator"),
        "size 1": ("size one",),
        "stale output": ("unwritten", "race", "stale"),
        "storage offset": ("strides",),
        "store mask": ("out of bounds", "unwritten"),
        "stride": ("param",),
        "strides ignored": ("strides",),
        "tail mask": ("tail",),
        "truncation": ("truncation",),
        "unstable form": ("unstable",),
        "unwritten output": ("unwritten",),
        "very long rows": ("loop bound", "carry", "accumulator"),
        "window edge": ("edge", "padding", "loop bound", "param"),
        "wrong axis": ("axis",),
        "wrong constant": ("constant",),
        "wrong formula": ("formula", "term", "sign"),
        "wrong init": ("init",),
        "wrong operand": ("operand", "term"),
        "wrong sign": ("sign",),
        "wrong type": ("dtype",),
    }.items()
}
