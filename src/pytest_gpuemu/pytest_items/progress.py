"""How far a campaign has come: behind the test's name on a terminal, a line now and then in a log.

Here: what is said, when, and where it is written. The output of tests is captured or is not: what is written
goes past it. Elsewhere: the loop that counts (campaign.py).

Nothing is shown in an xdist worker, which has no terminal, with -q, or where another plugin (pytest-sugar)
draws the terminal's lines.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any, Protocol

import pytest
from _pytest.terminal import TerminalReporter

# Seconds until a campaign says anything, and between two updates; a log hears less, and ever less.
AFTER_S, EVERY_S = 2.0, 0.25
LOG_AFTER_S, LOG_MOST_S = 10.0, 60.0
_NARROWEST = 12


class Place(Protocol):
    """Where progress is shown."""

    def show(self, texts: list[str]) -> None:
        """Show the first of these texts, the longest first, that fits."""

    def clear(self) -> None:
        """Leave no trace."""


class Progress:
    """The progress of one campaign: tick() after each case, end() at its end.

    planned is the number of its cases, time_s its budget of seconds, if it has one.
    """

    def __init__(
        self,
        place: Place,
        planned: int,
        time_s: float | None,
        *,
        after_s: float,
        every_s: float,
        most_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.place, self.planned, self.time_s = place, planned, time_s
        self.clock = clock
        self.started = clock()
        self.next_s = after_s
        self.every_s, self.most_s = every_s, most_s
        self.first_s: float | None = None

    def tick(self, done: int, failed: int) -> None:
        """So many cases have been run, and so many of them failed."""
        elapsed = self.clock() - self.started
        if self.first_s is None:
            self.first_s = elapsed
        if elapsed < self.next_s:
            return
        self.next_s = elapsed + self.every_s
        self.every_s = min(2 * self.every_s, self.most_s)
        self.place.show(self.texts(done, failed, elapsed))

    def end(self) -> None:
        self.place.clear()

    def texts(self, done: int, failed: int, elapsed: float) -> list[str]:
        """What is said, from the whole to the shortest form.

        The rate leaves out the first case, in which a kernel is compiled.
        """
        after_first = elapsed - (self.first_s or 0.0)
        rate = (done - 1) / after_first if done > 1 and after_first > 0 else 0.0
        left_s = (self.planned - done) / rate if rate else None
        if self.time_s is not None and left_s is not None:
            left_s = max(0.0, min(left_s, self.time_s - elapsed))
        per_second = [f"{rate:.0f}/s" if rate >= 10 else f"{rate:.2g}/s"] if rate else []
        left = [] if left_s is None else [f"{_duration(left_s)} left"]
        of, failing = f"{done}/{self.planned}", f"{failed} failed"
        return [
            ", ".join([f"{of} cases", *per_second, failing, *left]),
            ", ".join([of, failing, *left]),
            ", ".join([of, failing]),
            of,
        ]


def progress_of(config: pytest.Config, test_id: str, planned: int, time_s: float | None) -> Progress | None:
    """The progress of a campaign in this session; None where there is no place for it."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if type(terminal) is not TerminalReporter or config.getoption("verbose") < 0:
        return None
    if _takes_cursor(config, terminal):
        return Progress(_Behind(terminal), planned, time_s, after_s=AFTER_S, every_s=EVERY_S, most_s=EVERY_S)
    place = _Lines(terminal, test_id)
    return Progress(place, planned, time_s, after_s=LOG_AFTER_S, every_s=LOG_AFTER_S, most_s=LOG_MOST_S)


def _takes_cursor(config: pytest.Config, terminal: TerminalReporter) -> bool:
    """Whether the cursor can be moved back: not in a log, and not where tests write to the terminal, too."""
    with _past_capture(config):  # in whose place stands a file
        is_terminal = bool(getattr(terminal._tw._file, "isatty", lambda: False)())
    return is_terminal and config.getoption("capture") != "no" and os.environ.get("TERM") != "dumb"


class _Behind:
    """Text behind the cursor, which stays where pytest left it: what comes next is written over it."""

    def __init__(self, terminal: TerminalReporter) -> None:
        self.terminal = terminal
        self.is_shown = False

    def show(self, texts: list[str]) -> None:
        writer = self.terminal._tw
        room = writer.fullwidth - writer.width_of_current_line - 2
        fitting = next((text for text in texts if len(text) <= room), None)
        if fitting is not None and room >= _NARROWEST:
            self.is_shown = True
            self._write(f"\x1b[K {fitting}\x1b[{len(fitting) + 1}D")

    def clear(self) -> None:
        if self.is_shown:
            self._write("\x1b[K")

    def _write(self, text: str) -> None:
        with _past_capture(self.terminal.config):
            file = self.terminal._tw._file
            file.write(text)
            file.flush()


class _Lines:
    """A line of its own for each text."""

    def __init__(self, terminal: TerminalReporter, test_id: str) -> None:
        self.terminal, self.test_id = terminal, test_id

    def show(self, texts: list[str]) -> None:
        with _past_capture(self.terminal.config):
            self.terminal.write_line(f"gpuemu: {self.test_id}: {texts[0]}")
            self.terminal.flush()

    def clear(self) -> None:
        """Lines stay."""


def _past_capture(config: pytest.Config) -> Any:
    """What is written meanwhile is not taken for output of the test."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    return contextlib.nullcontext() if capture is None else capture.global_and_fixture_disabled()


def _duration(seconds: float) -> str:
    """`8 s`, `3 min`, `2 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.0f} h"
