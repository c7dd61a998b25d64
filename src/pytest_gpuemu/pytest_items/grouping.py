"""Failures that are alike: the first is reported in full, the others by a line that names it.

Two mismatches are alike when the same things are wrong with the same outputs; two other errors when one
type was raised at one place of the user's code. Elsewhere: putting the line into a report (runner.py).
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

from pytest_gpuemu.engine.errors import KernelMismatch

_PACKAGE = str(Path(__file__).resolve().parents[1])
_MACHINERY = tuple(f"/{name}/" for name in ("_pytest", "pluggy", "pytest_asyncio", "xdist"))


def alike(error: BaseException) -> str:
    """A text that is equal for failures of one kind."""
    if isinstance(error, KernelMismatch):
        found = sorted({(finding.kind, finding.output or "") for finding in error.verdict.findings})
        return "mismatch: " + ", ".join(f"{kind} {output}".strip() for kind, output in found)
    return f"{type(error).__module__}.{type(error).__qualname__} at {_place(error)}"


def pointer(text: str, first: str) -> str:
    """The one line that stands for the report of a failure like that of the item `first`."""
    last = text.strip().splitlines()
    headline = next((line for line in last if " fails for seed " in line), last[-1] if last else "")
    return f"{headline} (fails like {first}, which has the full report)"


def is_machinery(file: str) -> bool:
    """Whether a frame of this file is pytest's or this package's own, and not the user's."""
    return file.startswith(_PACKAGE) or any(part in file for part in _MACHINERY)


def _place(error: BaseException) -> str:
    """file:line of the innermost frame outside pytest, this package and the installed libraries."""
    installed = sysconfig.get_paths()["purelib"], sysconfig.get_paths()["stdlib"]
    place, fallback = "", ""
    frames = error.__traceback__
    while frames is not None:
        file = frames.tb_frame.f_code.co_filename
        if not is_machinery(file):
            fallback = f"{file}:{frames.tb_lineno}"
            if not file.startswith(installed):
                place = fallback
        frames = frames.tb_next
    return place or fallback
