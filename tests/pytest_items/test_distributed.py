"""Campaigns under pytest-xdist: the same items and verdicts in every --dist mode, one daemon, crashes."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from suites import failed_ids, run, seeds_of, thirds_of, with_store

pytest_plugins = ["pytester"]
pytest.importorskip("xdist")

SUITE = """
from kernels import *

@double
def test_thirds(fuzz_case):
    check_thirds(fuzz_case)

@double
@pytest.mark.parametrize("kind", ["a", "b"])
def test_kinds(fuzz_case, kind):
    check_thirds(fuzz_case) if kind == "b" else fuzz_case.run(good)

def test_plain():
    pass
"""


@pytest.mark.parametrize("mode", ["load", "loadscope", "loadfile", "loadgroup", "worksteal", "each"])
def test_items_and_verdicts_are_the_same_in_every_mode(pytester, mode):
    pytester.makepyfile(test_k=SUITE)
    nodes = ["--tx=popen"] if mode == "each" else ["-n2"]

    result = run(pytester, *nodes, f"--dist={mode}", "--junitxml=junit.xml")

    seeds = thirds_of(8)
    expected = {f"test_k.py::test_thirds[seed={seed}]" for seed in seeds}
    expected |= {f"test_k.py::test_kinds[b-seed={seed}]" for seed in seeds}
    assert set(failed_ids(result)) == expected
    result.assert_outcomes(passed=4, failed=len(expected))
    suite = ET.parse(pytester.path / "junit.xml").find("testsuite")
    assert suite.get("tests") == str(4 + len(expected))
    result.stdout.fnmatch_lines(
        [
            "gpuemu: config none (defaults), master seed 7 *",
            f"double: 24 cases, {len(expected)} failed*",
        ]
    )
    assert "%" not in result.stdout.str() or "[100%]" in result.stdout.str()


def test_known_seeds_and_the_daemon_are_shared_by_the_workers(pytester):
    with_store(pytester)
    pytester.makepyfile(test_k=SUITE)
    first = run(pytester, "-n2")

    again = run(pytester, "-n2", "-v")

    assert set(failed_ids(again)) == set(failed_ids(first))
    again.assert_outcomes(passed=4, failed=2 * len(thirds_of(8)))
    assert again.stdout.str().count("daemon at ") == 1
    again.stdout.no_fnmatch_line("*nothing is stored*")


CRASH = """
import os
from kernels import *

@double
def test_dies(fuzz_case):
    if fuzz_case.seed == {seed} and not os.path.exists("fixed"):
        os._exit(3)
    fuzz_case.run(good)

def test_plain():
    pass
"""


@pytest.mark.parametrize("mode", ["load", "loadfile"])
def test_a_crash_in_a_campaign_names_the_seed(pytester, mode):
    """Guards: xdist named the campaign only, and loadfile repeated the crash until no worker was left."""
    with_store(pytester)
    seed = seeds_of(8)[4]
    pytester.makepyfile(test_k=CRASH.format(seed=seed))

    result = pytester.runpytest_subprocess(
        "--gpuemu-fuzz=8", "--gpuemu-seed=7", "-n1", f"--dist={mode}", "--max-worker-restart=2"
    )

    result.stdout.fnmatch_lines([f"test_k.py::test_dies died at seed={seed}: the process ended while it ran"])
    assert result.parseoutcomes()["passed"] == 1
    if mode == "loadfile":
        result.stdout.fnmatch_lines([f"seed={seed} ended the process and was not run again"])


def test_a_crash_is_known_to_the_next_session_until_the_seed_has_run(pytester):
    with_store(pytester)
    seed = seeds_of(8)[4]
    pytester.makepyfile(test_k=CRASH.format(seed=seed))
    died = pytester.runpytest_subprocess("--gpuemu-fuzz=8", "--gpuemu-seed=7")
    pytester.path.joinpath("fixed").touch()

    told = run(pytester, "-v")
    after = run(pytester, "-v")

    assert died.ret == 3
    told.stdout.fnmatch_lines(
        [
            f"gpuemu: an earlier run died at seed={seed} of test_k.py::test_dies; it is run again, first",
            f"test_k.py::test_dies[[]seed={seed}] PASSED*",
        ]
    )
    after.assert_outcomes(passed=2)
    assert "an earlier run died" not in after.stdout.str()


def test_an_interrupted_controller_tells_what_its_workers_have_stored(pytester):
    """Guards: after Ctrl-C the controller hears nothing more, and the summary had no word of the failures.

    The worker interrupts its controller, as a terminal interrupts both, once it has stored two failures.
    """
    with_store(pytester)
    pytester.makepyfile(
        test_k=f"""
        import os, signal
        from kernels import *

        @double
        def test_it(fuzz_case):
            if fuzz_case.seed == {thirds_of(8)[2]}:
                os.kill(os.getppid(), signal.SIGINT)
                raise KeyboardInterrupt
            check_thirds(fuzz_case)
        """
    )

    result = pytester.runpytest_subprocess("--gpuemu-fuzz=8", "--gpuemu-seed=7", "-n1")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [
            "gpuemu: interrupted; 2 failing cases stored until then:",
            *(f'  pytest "test_k.py::test_it[[]seed={seed}]"' for seed in thirds_of(8)[:2]),
        ]
    )
