"""pytest's summaries of failing items: one in full for each kind, with the picture of where it is wrong."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from suites import THIRDS, failed_ids, run, thirds_of

from pytest_gpuemu.pytest_items.display import Others, grouped

pytest_plugins = ["pytester"]
TAIL = """
import numpy as np
from kernels import *

def forgetful(x):
    out = good(x)
    out[len(x) // 8 * 8 :] = 7
    return out

@double
def test_tail(fuzz_case):
    fuzz_case.run(forgetful)
"""


def test_failures_alike_are_counted_in_one_line_behind_the_first(pytester):
    """Guards: a bug that fails in every second case filled the screen with a block for each."""
    pytester.makepyfile(test_k=THIRDS)

    result = run(pytester, cases=20)

    first, *others = thirds_of(20)
    assert len(others) > 4
    text = result.stdout.str()
    listed = ", ".join(f"seed={seed}" for seed in others[:4])
    line = f"{len(others)} more cases fail like test_k.py::test_thirds[seed={first}]: {listed}, … "
    assert f"{line}(pytest -v shows each)" in text
    in_short = [line for line in result.outlines if line.startswith("FAILED ")]
    assert len(in_short) == 2
    assert in_short[0].startswith(f"FAILED test_k.py::test_thirds[seed={first}] - double fails for seed")
    assert in_short[1].startswith(f"FAILED test_k.py::test_thirds - {len(others)} more fail alike: ")


def test_items_stay_items(pytester):
    pytester.makepyfile(test_k=THIRDS)

    result = run(pytester, "--junitxml=junit.xml", cases=20)

    count = len(thirds_of(20))
    result.assert_outcomes(passed=1, failed=count)
    assert len(failed_ids(result)) == count
    assert (pytester.path / "junit.xml").read_text().count("<failure ") == count


ODD_VALUES = """
import numpy as np
import pytest

@pytest.mark.gpuemu_op(
    "double", reference=lambda x: 2.0 * x, schema="x[N] -> [N]", dims={"N": (2, 40)}, dtypes=["float32"]
)
def test_it(fuzz_case):
    fuzz_case.run(lambda x: np.where(np.isfinite(x), x * np.float32(2.5), x * np.float32(2)))
"""


def test_the_clearest_of_the_failures_alike_is_told_in_full(pytester):
    """Guards: the first to fail had infinities or subnormals, though ordinary numbers failed alike."""
    pytester.makepyfile(test_k=ODD_VALUES)

    result = run(pytester, cases=30)

    text = result.stdout.str()
    told = re.findall(r"^E? +input +float32 .*values (\w+)$", text, re.M)
    assert told
    assert set(told) <= {"uniform", "normal", "integers"}


def test_a_campaign_with_failing_seeds_is_not_called_passed(pytester):
    """Guards: `pytest -v` wrote PASSED behind the campaign, and FAILED behind each of its seeds."""
    pytester.makepyfile(
        test_k=THIRDS, test_right=THIRDS.replace("check_thirds(fuzz_case)", "fuzz_case.run(good)")
    )

    result = run(pytester, "-v", cases=20)

    count = len(thirds_of(20))
    (line,) = [line for line in result.outlines if line.startswith("test_k.py::test_thirds[fuzz=20]")]
    assert f"CAMPAIGN: {count} of 20 cases failed, items of their own" in line
    assert "PASSED" not in line
    (right,) = [line for line in result.outlines if line.startswith("test_right.py::test_thirds[fuzz=20]")]
    assert "PASSED" in right
    result.assert_outcomes(passed=2, failed=count)


@pytest.mark.parametrize("options", [("-v",), ("-n2", "-v")])
def test_verbose_lists_each(pytester, options):
    if "-n2" in options:
        pytest.importorskip("xdist")
    pytester.makepyfile(test_k=THIRDS)

    result = run(pytester, *options)

    in_short = {line.split()[1] for line in result.outlines if line.startswith("FAILED ")}
    assert in_short == {f"test_k.py::test_thirds[seed={seed}]" for seed in thirds_of(8)}


def test_the_controller_of_xdist_groups_what_its_workers_found(pytester):
    pytest.importorskip("xdist")
    pytester.makepyfile(test_k=THIRDS)

    result = run(pytester, "-n2", cases=20)

    assert f"{len(thirds_of(20)) - 1} more cases fail like " in result.stdout.str()


@pytest.mark.parametrize("tb", ["auto", "long", "short", "native", "line", "no"])
def test_every_style_of_traceback_can_be_asked_for(pytester, tb):
    pytester.makepyfile(test_k=THIRDS)

    result = run(pytester, f"--tb={tb}")

    result.assert_outcomes(passed=1, failed=len(thirds_of(8)))
    assert "INTERNALERROR" not in result.stdout.str()


def map_of(result):
    """The lines of the first map that the terminal shows."""
    lines = result.outlines
    (start,) = (at for at, line in enumerate(lines) if line.startswith("-") and " where it is wrong " in line)
    end = next(at for at in range(start, len(lines)) if "(a cell is" in lines[at])
    return lines[start + 1 : end + 1]


def test_the_map_is_plain_ascii_in_a_log_and_shows_the_tail(pytester):
    pytester.makepyfile(test_k=TAIL)

    head, *rows, legend = map_of(run(pytester, "-p", "no:cacheprovider"))

    size, exceeding = (int(text) for text in re.match(r"output, 1 x (\d+): (\d+) of", head).groups())
    assert rows == ["0 " + "." * (size - exceeding) + "#" * exceeding]
    assert (size - exceeding) % 8 == 0
    assert legend.strip() == ". within tolerance  # exceeds  (a cell is one element)"


def test_the_map_has_blocks_and_colours_where_the_terminal_has_them(pytester):
    pytester.makepyfile(test_k=TAIL)

    _, row, _ = map_of(run(pytester, "--color=yes"))

    assert re.fullmatch(r"0 (\x1b\[2m·+\x1b\[0m)?\x1b\[31m█+\x1b\[0m", row)


def test_the_map_reaches_no_file(pytester):
    """Guards: escape codes in JUnit's XML."""
    pytester.makepyfile(test_k=TAIL)

    run(pytester, "--color=yes", "--junitxml=junit.xml")

    text = (pytester.path / "junit.xml").read_text()
    assert "exceed their tolerance" in text
    assert "█" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_the_map_is_as_wide_as_the_terminal_has_room_for(pytester, monkeypatch, workers):
    """160 columns: one for one where they fit, and four to a cell where the terminal has 60."""
    if workers:
        pytest.importorskip("xdist")
    pytester.makepyfile(
        test_k="""
        import pytest

        @pytest.mark.gpuemu_op(
            "ones", reference=lambda x: x + 1, schema="x[M,N] -> [M,N]", dims={"M": [3], "N": [160]},
            dtypes=["float32"], values=["uniform"], layouts=["contiguous"],
        )
        def test_it(fuzz_case):
            fuzz_case.run(lambda x: x)
        """
    )
    monkeypatch.setenv("COLUMNS", "60")

    narrow = map_of(run(pytester, *workers, cases=1))
    monkeypatch.setenv("COLUMNS", "200")
    wide = map_of(run(pytester, *workers, cases=1))

    assert narrow[1] == "0 " + "#" * 40
    assert wide[1] == "0 " + "#" * 160


def report(test, case_id, kind="a", is_first=False, **more):
    return SimpleNamespace(
        nodeid=f"{test}[seed={case_id}]",
        location=("t.py", 3, f"test[seed={case_id}]"),
        gpuemu_failure={"test_id": test, "case_id": case_id, "kind": kind, "is_first": is_first},
        **more,
    )


def test_two_alike_are_both_shown_and_other_reports_keep_their_place():
    other = SimpleNamespace(nodeid="t.py::other")
    two = [report("t", "1", is_first=True), other, report("t", "2")]

    assert grouped(two) == two


def test_groups_are_by_test_and_kind():
    several = [
        report("t", "1", is_first=True),
        report("u", "1", is_first=True),
        report("t", "2"),
        report("t", "3", "b", is_first=True),
        report("t", "4"),
        report("u", "2"),
    ]

    shown = grouped(several)

    assert [shown[0], *shown[2:]] == [several[0], several[1], several[3], several[5]]
    assert str(shown[1].longrepr) == "2 more cases fail like t[seed=1]: seed=2, seed=4 (pytest -v shows each)"
    assert shown[1].location[2] == "test: 2 more like the one above"


def test_what_was_minimized_by_itself_is_told_by_itself():
    several = [report("t", str(seed), is_first=seed == 1, gpuemu_smallest={}) for seed in range(1, 6)]

    assert grouped(several) == several


def test_the_line_names_a_few_seeds():
    line = Others(5, "t[seed=1]", ["2", "3", "4", "5", "6"]).text

    assert line == "5 more cases fail like t[seed=1]: seed=2, seed=3, seed=4, seed=5, …"
