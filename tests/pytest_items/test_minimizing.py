"""Minimizing in pytest: --gpuemu-minimize, the failing item's own report, what is left in the store."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from suites import failed_ids, run, seeds_of, with_store

from pytest_gpuemu.engine.minimize import search
from pytest_gpuemu.engine.store import known_failures
from pytest_gpuemu.pytest_items import options

pytest_plugins = ["pytester"]

# Wrong from ten elements on.
SUITE = """
from kernels import *

@double
def test_ten(fuzz_case):
    fuzz_case.run(wrong if fuzz_case.shape[0] >= 10 else good)
"""


@pytest.fixture
def seed() -> int:
    """A seed whose case has ten elements or more."""
    from suites import DOUBLE

    from pytest_gpuemu.engine.define import define_op
    from pytest_gpuemu.engine.plan import plan_case

    op = define_op("double", **DOUBLE)
    return next(s for s in seeds_of(40) if plan_case(op, s).dims["N"] > 12)


def without_auto(pytester: pytest.Pytester) -> None:
    pytester.makeini(
        "[pytest]\naddopts = -p no:randomly -p no:asyncio -p no:hypothesispytest\ngpuemu_auto_minimize = off"
    )


def test_a_given_seed_is_minimized_by_calling_the_test_again(pytester, seed):
    pytester.makepyfile(SUITE)

    result = run(pytester, f"--gpuemu-minimize={seed}")

    result.stdout.re_match_lines(
        [
            rf".*shrink  pytest --gpuemu-minimize={seed}",
            r".*smallest failing case: x float32 \[10\], values zeros  \(\d+ kernel runs\)",
            rf'.*pytest "test_a_given.*::test_ten\[seed={seed}~N=10,values.x=zeros\]"',
        ]
    )
    result.assert_outcomes(failed=1)


def test_a_strategy_can_be_named(pytester, seed):
    """The values stay as they were drawn where only the sizes are searched."""
    pytester.makepyfile(SUITE)

    dims = run(pytester, f"--gpuemu-minimize={seed}", "--gpuemu-minimize-strategy=binary-search-dims")
    values = run(pytester, f"--gpuemu-minimize={seed}", "--gpuemu-minimize-strategy=binary-search-values")
    both = run(pytester, f"--gpuemu-minimize={seed}", "--gpuemu-minimize-strategy=default")

    dims.stdout.re_match_lines([rf".*::test_ten\[seed={seed}~N=10\]"])
    values.stdout.re_match_lines([rf".*::test_ten\[seed={seed}~values.x=\w+\]"])
    both.stdout.re_match_lines([rf".*::test_ten\[seed={seed}~N=10,values.x=zeros\]"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--gpuemu-minimize=1", "--gpuemu-minimize-strategy=dims"], "*invalid choice: 'dims'*"),
        (
            ["--gpuemu-minimize-strategy=default"],
            "ERROR: --gpuemu-minimize-strategy=default says how to minimize, but not what: *",
        ),
        (["--gpuemu-minimize-to=x.py"], "ERROR: --gpuemu-minimize-to=x.py says how to minimize, *"),
    ],
)
def test_a_strategy_for_nothing_or_of_no_such_name_is_refused(pytester, options, said):
    pytester.makepyfile(SUITE)

    result = run(pytester, *options)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])


def test_the_names_of_the_strategies_are_the_engines():
    assert options.STRATEGIES == search.STRATEGIES


def test_the_smallest_case_fails_from_its_id_alone(pytester, seed):
    pytester.makepyfile(SUITE)

    result = run(pytester, f"--gpuemu-reproduce={seed}~N=10,values.x=zeros")
    smaller = run(pytester, f"--gpuemu-reproduce={seed}~N=9,values.x=zeros")

    assert [name.partition("[")[2] for name in failed_ids(result)] == [f"seed={seed}~N=10,values.x=zeros]"]
    assert "smallest failing case" not in result.stdout.str()  # it was found before
    smaller.assert_outcomes(passed=1)


def test_the_report_of_the_first_failure_of_a_kind_says_the_smallest_case(pytester):
    pytester.makepyfile(SUITE)

    result = run(pytester)

    smallest = [line for line in result.outlines if "smallest failing case" in line]
    assert len(failed_ids(result)) > 1
    assert len(smallest) == 1
    assert "x float32 [10]" in smallest[0]


def test_the_ini_key_switches_that_off(pytester):
    pytester.makepyfile(SUITE)
    without_auto(pytester)

    result = run(pytester)

    assert failed_ids(result)
    assert "smallest failing case" not in result.stdout.str()


def test_no_time_and_off_call_the_test_as_often(pytester, seed):
    """Guards the budget of what nobody asked for: where it is spent, no further kernel run is made."""
    pytester.makepyfile(
        SUITE.replace("fuzz_case.run", "print('called', file=open('calls', 'a')); fuzz_case.run")
    )
    calls = {}
    for budget in ("off", "1e-9", "on"):
        pytester.makeini(
            "[pytest]\naddopts = -p no:randomly -p no:asyncio -p no:hypothesispytest\n"
            f"gpuemu_auto_minimize = {budget}"
        )
        result = run(pytester, f"--gpuemu-reproduce={seed}")
        calls[budget] = (pytester.path / "calls").read_text().count("called")
        (pytester.path / "calls").unlink()
        result.assert_outcomes(failed=1)
        if budget == "1e-9":
            result.stdout.fnmatch_lines(["*smallest failing case so far: this one  (0 kernel runs)"])

    assert calls["off"] == calls["1e-9"] < calls["on"] <= calls["off"] + 40 + 50  # the diagnosis, minimizing


@pytest.mark.parametrize("text", ["maybe", "-1", "0"])
def test_a_wrong_ini_value_is_named(pytester, text):
    pytester.makeini(f"[pytest]\naddopts = -p no:asyncio\ngpuemu_auto_minimize = {text}")
    pytester.makepyfile(SUITE)

    result = run(pytester)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"*gpuemu_auto_minimize: '{text}' is neither on, off nor a number of seconds above 0"]
    )


def test_a_wrong_seed_is_named(pytester):
    pytester.makepyfile(SUITE)

    result = run(pytester, "--gpuemu-minimize=alle")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--gpuemu-minimize=alle: seed 'alle' is not a whole number*"])


def test_a_seed_that_passes_is_left_alone(pytester, seed):
    pytester.makepyfile(SUITE)

    result = run(pytester, f"--gpuemu-minimize={seed}~N=9")

    result.assert_outcomes(passed=1)
    assert "smallest failing case" not in result.stdout.str()


def test_an_exception_is_minimized_too_and_keeps_its_place(pytester, seed):
    pytester.makepyfile(
        """
        from kernels import *

        @double
        def test_raises(fuzz_case):
            if fuzz_case.shape[0] < 6:
                raise ValueError("another")
            if fuzz_case.shape[0] >= 10:
                raise ValueError("too long")
            fuzz_case.run(good)
        """
    )

    result = run(pytester, f"--gpuemu-minimize={seed}")

    result.stdout.fnmatch_lines(
        ["*ValueError: too long*", "*smallest failing case: x float32 [[]10[]], values zeros*"]
    )


def test_what_the_smaller_cases_print_is_not_shown(pytester, seed):
    pytester.makepyfile(SUITE.replace("fuzz_case.run", "print('called'); fuzz_case.run"))

    result = run(pytester, f"--gpuemu-minimize={seed}")

    assert result.stdout.str().count("called\n") <= 2  # the source line, and the case's own output


def test_nothing_but_the_failure_itself_is_stored(pytester, seed):
    with_store(pytester)
    pytester.makepyfile(SUITE)

    run(pytester, f"--gpuemu-minimize={seed}")

    assert [row.case_id for row in known_failures(pytester.path / ".gpuemu")] == [str(seed)]
    assert not list((pytester.path / ".gpuemu" / "journal").glob("*"))


def test_all_minimizes_every_known_failure_and_runs_no_campaign(pytester):
    with_store(pytester)
    pytester.makepyfile(SUITE)
    without_auto(pytester)
    known = failed_ids(run(pytester))

    result = run(pytester, "--gpuemu-minimize=all")

    assert failed_ids(result) == known or set(failed_ids(result)) == set(known)
    assert result.stdout.str().count("smallest failing case: x float32 [10]") == len(known)


def test_a_script_fails_without_the_plugin_and_passes_with_a_right_kernel(pytester, seed):
    pytester.makepyfile(test_suite=SUITE)
    script = pytester.path / "small.py"

    result = run(pytester, f"--gpuemu-minimize={seed}", f"--gpuemu-minimize-to={script}")

    result.stdout.fnmatch_lines(["*python small.py   (stand-alone, without the plugin)"])
    failing = subprocess.run([sys.executable, "-W", "ignore", script], capture_output=True, text=True)
    assert failing.returncode == 1
    assert "Not equal to tolerance" in failing.stderr
    kernels = pytester.path / "kernels.py"
    kernels.write_text(re.sub(r"return good\(x\) \+ .*", "return good(x)", kernels.read_text()))
    passing = subprocess.run([sys.executable, "-W", "ignore", script], capture_output=True, text=True)
    assert (passing.returncode, passing.stdout) == (0, "passed\n")


def test_a_test_with_further_fixtures_gets_no_script(pytester, seed):
    pytester.makepyfile(SUITE.replace("(fuzz_case):", "(fuzz_case, tmp_path):"))

    result = run(pytester, f"--gpuemu-minimize={seed}")

    result.stdout.fnmatch_lines(["*no stand-alone script: its test has further fixtures"])


def test_a_failure_that_only_a_second_run_shows_is_minimized_by_second_runs(pytester, seed):
    pytester.makepyfile(
        """
        from kernels import *

        calls = []

        @double
        def test_flaky(fuzz_case):
            calls.append(1)
            y = good(fuzz_case.inputs["x"])
            if len(calls) % 2 == 0 and y.size >= 10:
                y = np.nextafter(y, np.float32(9))
            fuzz_case.check(y)
        """
    )

    result = run(pytester, f"--gpuemu-minimize={seed}")

    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([r".*smallest failing case: x float32 \[1\d\], values "])
