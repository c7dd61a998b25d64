"""The errors that a user meets, one small flat family.

Each message names the place (file, key, option, op), the value by ``repr`` and the way out.
A kernel that fails a case raises none of these: that is a `KernelMismatch`, an AssertionError.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_gpuemu.engine.verdict import Verdict


class GpuemuError(Exception):
    """Base of every error that pytest-gpuemu raises on purpose."""


class ConfigError(GpuemuError):
    """A wrong key or value in gpuemu.toml, in a marker or in an option."""


class SchemaError(ConfigError):
    """A schema that does not parse, or that no case can satisfy."""


class UnknownOpError(ConfigError):
    """An op name that no marker, gpuemu.toml or built-in defines."""


class SeedError(ConfigError):
    """A seed or a case id that is not `N` or `N~edits` with 0 <= N < 2**64."""


class ReferenceFailed(GpuemuError):
    """The reference raised, or gave an output that does not fit the schema."""


class WorkerLost(GpuemuError):
    """A worker of the daemon hung or died on a job. is_late: it took longer than its limit, and was ended."""

    def __init__(self, message: str, *, is_late: bool) -> None:
        super().__init__(message)
        self.is_late = is_late


class ScriptFailed(GpuemuError):
    """A script of gpuemu.toml raised, hung, died, or printed what is no answer."""


class SecondRunFailed(GpuemuError):
    """This package, not the kernel, raised something unforeseen while a case that had passed ran again."""


class OutputError(GpuemuError):
    """The kernel's output cannot be read as an array, or outputs are missing or unknown."""


class CannotRunHere(GpuemuError):
    """The platform or the array library cannot hold this case: neither a pass nor a failure."""


class ProtocolError(GpuemuError):
    """A message that is no valid request or reply. `code` is the wire's name for what is wrong."""

    def __init__(self, message: str, code: str = "InvalidRequest") -> None:
        super().__init__(message)
        self.code = code


class PtxParseError(GpuemuError):
    """PTX that does not parse. line and column count from 1 and say where."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class ArtifactError(GpuemuError):
    """A kernel that is not in the PTX, an unknown architecture, or a tool that failed: with its own log."""


class StoreError(GpuemuError):
    """The store cannot be read or written; the message names the file and what to do."""


class BundleError(GpuemuError):
    """A failure bundle that cannot be read or written; the message names the file and what is wrong."""


class ClientError(GpuemuError):
    """The daemon could not be reached, or answered with an error. `code` is the wire's, if any."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class KernelMismatch(AssertionError):
    """The kernel's output failed its case. `verdict` says how; the text is the whole report."""

    def __init__(self, message: str, verdict: Verdict) -> None:
        super().__init__(message)
        self.verdict = verdict


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Name the nearest known words, or all of them where none is near: ends an error message."""
    names = sorted(known)
    if not names:
        return "there are none"
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(repr(name) for name in near) + "?"
    return "known: " + ", ".join(names)


def shortened(value: Any) -> str:
    """A value by `repr`, cut to 80 characters: it may be a whole message or file."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
