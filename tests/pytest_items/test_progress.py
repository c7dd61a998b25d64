"""How far a long campaign has come, on terminals and in logs."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest
from suites import THIRDS, run, thirds_of

from pytest_gpuemu.pytest_items.progress import Progress

pytest_plugins = ["pytester"]


class Shown:
    """A place that keeps what it is told to show."""

    def __init__(self):
        self.texts, self.cleared = [], 0

    def show(self, texts):
        self.texts.append(texts[0])

    def clear(self):
        self.cleared += 1


def told(times, *, planned=100, time_s=None, failed=0, after_s=2.0, every_s=0.25, most_s=0.25):
    """What a campaign says whose cases end at these times."""
    now = iter([0.0, *times])
    place = Shown()
    progress = Progress(
        place, planned, time_s, after_s=after_s, every_s=every_s, most_s=most_s, clock=lambda: next(now)
    )
    for done in range(1, len(times) + 1):
        progress.tick(done, failed)
    progress.end()
    assert place.cleared == 1
    return place.texts


def test_a_short_campaign_says_nothing():
    assert told([0.1, 0.5, 1.9]) == []


def test_a_long_one_tells_cases_rate_failures_and_time_left():
    """After a first case of 1 s, ten cases a second: 11 at 2 s, and 89 to go."""
    times = [1.0, *(1.0 + 0.1 * case for case in range(1, 12))]

    assert told(times, failed=3) == ["11/100 cases, 10/s, 3 failed, 9 s left"]


def test_updates_have_a_least_distance():
    times = [0.05 * case for case in range(1, 81)]

    assert len(told(times)) == 8 + 1  # from 2 s to 4 s, each quarter of a second


def test_a_log_hears_less_and_ever_less():
    times = [float(second) for second in range(1, 301)]

    said = told(times, planned=1000, after_s=10.0, every_s=10.0, most_s=60.0)

    assert [int(text.partition("/")[0]) for text in said] == [10, 20, 40, 80, 140, 200, 260]


def test_the_budget_of_time_bounds_what_is_left():
    assert told([1.0, 3.0], planned=1000, time_s=60.0)[0].endswith(", 57 s left")


def test_one_case_alone_has_no_rate():
    assert told([5.0]) == ["1/100 cases, 0 failed"]


@pytest.mark.parametrize(("left", "text"), [(98, "98 s"), (100, "2 min"), (5000, "83 min"), (7300, "2 h")])
def test_long_times_are_short_to_read(left, text):
    assert told([0.0, 2.0], planned=2 + left // 2, every_s=0)[0].endswith(f"{text} left")


SOON = """
from pytest_gpuemu.pytest_items import progress
progress.AFTER_S = progress.EVERY_S = progress.LOG_AFTER_S = progress.LOG_MOST_S = 0.0
"""


def on_terminal(pytester, *options, columns=100):
    """What a terminal receives from a session whose campaigns are long at once."""
    pytester.makeconftest(SOON)
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    common = ["--gpuemu-fuzz=8", "--gpuemu-seed=7", "--color=no"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *common, *options],
        cwd=pytester.path,
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    received = b""
    while True:
        try:
            some = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not some:
            break
        received += some
    process.wait()
    os.close(master)
    return received.decode()


def as_seen(received):
    """The lines that stay on a terminal: these escapes alone are understood."""
    lines, column = [[]], 0
    for token in re.findall(r"\x1b\[\d*[A-Za-z]|[^\x1b]", received):
        if token == "\n":
            lines.append([])
            column = 0
        elif token == "\r":
            column = 0
        elif token == "\x1b[K":
            del lines[-1][column:]
        elif token.startswith("\x1b[") and token.endswith("D"):
            column -= int(token[2:-1])
        elif not token.startswith("\x1b"):
            lines[-1][column:] = [*lines[-1][column:column], token, *lines[-1][column + 1 :]]
            column += 1
    return ["".join(line) for line in lines]


@pytest.mark.parametrize("options", [(), ("-v",), ("--capture=sys",)])
def test_a_terminal_shows_it_behind_the_name_and_keeps_nothing_of_it(pytester, options):
    pytester.makepyfile(test_k=THIRDS)

    received = on_terminal(pytester, *options)

    failed = len(thirds_of(8))
    assert "\x1b[K 1/8 cases, 0 failed" in received
    assert re.search(rf"\x1b\[K 8/8 cases, [\d.e+]+/s, {failed} failed, 0 s left\x1b\[\d+D", received)
    seen = as_seen(received)
    assert not [line for line in seen if "cases, " in line and not line.startswith("double: ")]
    if "-v" in options:
        assert any(
            line.startswith(f"test_k.py::test_thirds[fuzz=8] CAMPAIGN: {failed} of 8") for line in seen
        )
    else:
        (dots,) = (line for line in seen if line.startswith("test_k.py ."))
        assert dots.count("F") == failed


def test_a_narrow_terminal_gets_a_shorter_text(pytester):
    pytester.makepyfile(test_k=THIRDS)

    received = on_terminal(pytester, columns=40)

    assert f"\x1b[K 8/8, {len(thirds_of(8))} failed" in received
    assert "8/8 cases" not in received


def test_without_capture_a_terminal_gets_lines(pytester):
    """Guards: a kernel that prints would be written over."""
    pytester.makepyfile(test_k=THIRDS.replace("check_thirds", "print('mine'); check_thirds"))

    received = on_terminal(pytester, "-s")

    assert "\x1b[K" not in received
    assert "gpuemu: test_k.py::test_thirds: 1/8 cases, 0 failed" in received
    assert received.count("mine") > 8


def test_a_log_gets_lines_and_the_output_of_tests_is_still_theirs(pytester):
    pytester.makeconftest(SOON)
    pytester.makepyfile(
        test_k="""
        from kernels import *

        @double
        def test_it(fuzz_case, capsys):
            print("mine")
            fuzz_case.run(good)
            assert capsys.readouterr().out == "mine\\n"
        """
    )

    result = run(pytester)

    result.assert_outcomes(passed=1)
    lines = [line for line in result.outlines if line.startswith("gpuemu: test_k.py::test_it: ")]
    assert lines[0] == "gpuemu: test_k.py::test_it: 1/8 cases, 0 failed"
    assert len(lines) == 8
    assert "mine" not in result.stdout.str()


@pytest.mark.parametrize("options", [("-q",), ("-n1",), ("-p", "no:terminal")])
def test_elsewhere_nothing_is_shown(pytester, options):
    if "-n1" in options:
        pytest.importorskip("xdist")
    pytester.makeconftest(SOON)
    pytester.makepyfile(test_k=THIRDS)

    result = run(pytester, *options)

    assert "8/8 cases" not in result.stdout.str()
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


def test_another_reporter_is_left_alone(pytester):
    pytester.makeconftest(
        SOON
        + """
import pytest
from _pytest.terminal import TerminalReporter

class Mine(TerminalReporter):
    pass

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    old = config.pluginmanager.unregister(name="terminalreporter")
    config.pluginmanager.register(Mine(config), "terminalreporter")
"""
    )
    pytester.makepyfile(test_k=THIRDS)

    assert "8/8 cases" not in run(pytester).stdout.str()
