"""The corpus: correct kernels (controls), and mutants, each a control with one edit of its source.

A mutant names the text that it replaces, so that a reader sees the whole bug in one line, and so that
a control that changes breaks its mutants loudly instead of leaving them equal to it.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

Kernel = Callable[..., Any]


@dataclass(frozen=True)
class Control:
    """A correct kernel of an op. narrowing holds marker keys: what it does not support, or its params."""

    op: str
    kernel: Kernel
    narrowing: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.kernel.__name__


@dataclass(frozen=True)
class Mutant:
    """control with `old` replaced by `new`. bug is the class it counts in; note says what goes wrong."""

    control: Control
    bug: str
    note: str
    old: str
    new: str

    @property
    def op(self) -> str:
        return self.control.op

    @property
    def name(self) -> str:
        return f"{self.control.name}: {self.note}"

    @property
    def narrowing(self) -> Mapping[str, Any]:
        return self.control.narrowing

    @property
    def kernel(self) -> Kernel:
        return kernel_with(self)


def kernel_with(*mutants: Mutant) -> Kernel:
    """A control with the edits of one or more of its mutants. Raises ValueError where a text to replace does
    not occur once.
    """
    return _edited(mutants[0].control.kernel, tuple((mutant.old, mutant.new) for mutant in mutants))


@cache
def _edited(kernel: Kernel, edits: tuple[tuple[str, str], ...]) -> Kernel:
    source = textwrap.dedent(inspect.getsource(kernel))
    for old, new in edits:
        if source.count(old) != 1:
            raise ValueError(f"{kernel.__name__}: {old!r} occurs {source.count(old)} times, not once")
        source = source.replace(old, new)
    scope: dict[str, Any] = dict(kernel.__globals__)
    exec(compile(source, f"<{kernel.__name__} mutant>", "exec"), scope)
    edited: Kernel = scope[kernel.__name__]
    return edited
