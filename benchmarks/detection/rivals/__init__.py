"""Other ways to test a kernel, on the same corpus: what each finds, and which controls it fails.

Here: the table of detectors, each `find(kernel, master, cases) -> Campaign`, imported when asked for,
since two of them live in environments of their own (environments.py).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeAlias

from benchmarks.detection.campaign import Campaign

Detector: TypeAlias = Callable[[Any, int, int], Campaign]

OURS = "pytest-gpuemu"
MODULES = {
    OURS: ("benchmarks.detection.campaign", "run_campaign"),
    "assert_close": ("benchmarks.detection.rivals.one_shape", "find"),
    "gpuemu 0.1.0": ("benchmarks.detection.rivals.absolute", "find"),
    "Hypothesis": ("benchmarks.detection.rivals.property_based", "find"),
    "gpucheck": ("benchmarks.detection.rivals.gpucheck_defaults", "find"),
    "numguard-ci": ("benchmarks.detection.rivals.numguard_defaults", "find"),
}


def detector(name: str) -> Detector:
    """The detector of that name; what it needs is imported now."""
    module, function = MODULES[name]
    found: Detector = getattr(import_module(module), function)
    return found
