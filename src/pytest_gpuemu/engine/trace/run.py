"""One run of a reference on traced arrays: its arithmetic, its deadline, its decisions.

Here: the run's state, and which run is active in this thread.
Elsewhere: the arrays (traced.py), replacing NumPy's constructors meanwhile (patching.py),
running again with a decision flipped (decisions.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pytest_gpuemu.engine.trace.arithmetic import Arithmetic


class Untraceable(TypeError):
    """The reference does something through which no error can be followed; the message says what."""


class TraceTimeout(Untraceable):
    """The trace took longer than its budget."""


@dataclass(slots=True)
class Ranges:
    """What is made of arange and linspace: traced as what a kernel computes too, such as frequencies, if they
    are followed. matter: whether a run came to anything that this decides.
    """

    followed: bool = True
    matter: bool = False

    def decide(self) -> bool:
        """Whether they are followed, asked where that matters."""
        self.matter = True
        return self.followed


class Run:
    """State of one traced run.

    flipped is the number of the one decision (a Python `if` on an undecided value) to take the other
    way, or None. undecided counts the decisions met so far.
    """

    __slots__ = ("arithmetic", "deadline", "flipped", "ranges", "undecided")

    def __init__(
        self,
        arithmetic: Arithmetic,
        deadline: float,
        flipped: int | None = None,
        *,
        ranges: Ranges | None = None,
    ) -> None:
        self.arithmetic = arithmetic
        self.deadline = deadline
        self.flipped = flipped
        self.ranges = ranges or Ranges()
        self.undecided = 0

    def check_time(self) -> None:
        """Raise TraceTimeout once the deadline (time.thread_time) has passed."""
        if time.thread_time() > self.deadline:
            raise TraceTimeout("following its rounding errors took longer than the time budget")

    def decide(self, value: bool) -> bool:
        """The answer to a Python `if` on an undecided value; counts it."""
        number = self.undecided
        self.undecided += 1
        return not value if number == self.flipped else value


class _Active(threading.local):
    run: Run | None = None


_ACTIVE = _Active()


def active_run() -> Run | None:
    """The run whose reference this thread is executing, or None. None inside a rule."""
    return _ACTIVE.run


@contextmanager
def activated(run: Run | None) -> Iterator[None]:
    """Make a run this thread's active one for the block; None suspends it."""
    before = _ACTIVE.run
    _ACTIVE.run = run
    try:
        yield
    finally:
        _ACTIVE.run = before
