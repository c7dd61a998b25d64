"""The campaign item and the items of its failing seeds, as a user sees them."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from suites import THIRDS, failed_ids, run, seeds_of, thirds_of

pytest_plugins = ["pytester"]


def test_every_failing_seed_is_an_item_of_its_own(pytester):
    """Guards: the campaign kept its failures to itself, so --lf and JUnit had nothing to name."""
    pytester.makepyfile(test_k=THIRDS)

    result = run(pytester, "--junitxml=junit.xml")

    expected = [f"test_k.py::test_thirds[seed={seed}]" for seed in thirds_of(8)]
    assert 1 < len(expected) < 8
    assert failed_ids(result) == expected
    result.assert_outcomes(passed=1, failed=len(expected))
    cases = list(ET.parse(pytester.path / "junit.xml").iter("testcase"))
    assert [case.get("name") for case in cases] == ["test_thirds[fuzz=8]"] + [
        name.partition("::")[2] for name in expected
    ]
    assert sum(case.find("failure") is not None for case in cases) == len(expected)
    assert "100%" in result.stdout.str()


def test_the_first_of_failures_alike_has_the_report_and_the_others_name_it(pytester):
    pytester.makepyfile(test_k=THIRDS)

    result = run(pytester, "-v")

    first, *others = (f"test_k.py::test_thirds[seed={seed}]" for seed in thirds_of(8))
    text = result.stdout.str()
    assert text.count("check_thirds(fuzz_case)\n") == 1
    assert text.count(f"(fails like {first}, which has the full report)") == len(others)
    assert f'pytest "{first}"' in text
    assert f"pytest --gpuemu-reproduce={thirds_of(8)[0]}" in text


def test_failures_of_different_kinds_are_each_reported_in_full(pytester):
    pytester.makepyfile(
        test_k="""
        from kernels import *

        @double
        def test_two_bugs(fuzz_case):
            if fuzz_case.seed % 2:
                raise ValueError("odd")
            fuzz_case.run(wrong)
        """
    )

    result = run(pytester, "-v")

    assert len({seed % 2 for seed in seeds_of(8)}) == 2
    result.assert_outcomes(passed=1, failed=8)
    assert result.stdout.str().count("which has the full report") == 6


def test_an_item_on_its_own_fails_with_the_seed_alone(pytester):
    pytester.makepyfile(test_k=THIRDS)
    seed = thirds_of(8)[0]

    result = run(pytester, f"test_k.py::test_thirds[seed={seed}]")

    assert failed_ids(result) == [f"test_k.py::test_thirds[seed={seed}]"]
    result.assert_outcomes(failed=1)


def test_a_seed_that_passes_alone_is_reported_as_nondeterministic(pytester):
    pytester.makepyfile(
        test_k="""
        from kernels import *
        seeds = []

        @double
        def test_third_seed(fuzz_case):
            is_new = fuzz_case.seed not in seeds
            seeds.extend([fuzz_case.seed] * is_new)
            fuzz_case.run(wrong if is_new and len(seeds) == 3 else good)
        """
    )

    result = run(pytester)

    result.assert_outcomes(passed=1, failed=1)
    assert failed_ids(result) == [f"test_k.py::test_third_seed[seed={seeds_of(8)[2]}]"]
    result.stdout.fnmatch_lines(
        [f"nondeterministic: seed {seeds_of(8)[2]} failed in the campaign, and passed*"]
    )


def test_the_global_generators_are_the_same_in_the_campaign_and_alone(pytester):
    """Guards: a test that draws from `random` looked nondeterministic."""
    pytester.makepyfile(
        test_k="""
        import random
        from kernels import *

        @double
        def test_draws(fuzz_case):
            noise = random.random() + np.random.random()
            fuzz_case.run(lambda x: good(x) + np.float32(noise > 1.0))

        def test_after():
            assert random.random() == random.Random(5).random()
        """
    )
    pytester.makeconftest("import random, pytest\nrandom.seed(5)")

    result = run(pytester)

    assert "nondeterministic" not in result.stdout.str()
    assert result.parseoutcomes()["passed"] == 2, "the campaign left the generators as they were"
    assert 0 < len(failed_ids(result)) < 8


@pytest.mark.parametrize(
    ("body", "outcome", "line"),
    [
        ("pass", {"failed": 1}, "*4 of 4 cases of test_k.py::test_x returned without a check*"),
        ("pytest.skip('no GPU')", {"skipped": 1}, "SKIPPED*all 4 cases: 4 skipped: no GPU"),
        (
            "raise CannotRunHere('no room')",
            {"failed": 1},
            "no case was judged, of 4: 4 could not run: no room",
        ),
        ("raise SystemExit(3)", {"passed": 1, "failed": 4}, "*SystemExit: 3*"),
        ("pytest.fail('by hand')", {"passed": 1, "failed": 4}, "*by hand*"),
    ],
)
def test_a_campaign_that_judged_nothing_is_no_pass(pytester, body, outcome, line):
    pytester.makepyfile(
        test_k=f"""
        from kernels import *
        from pytest_gpuemu.engine.errors import CannotRunHere

        @double
        def test_x(fuzz_case):
            {body}
        """
    )

    result = run(pytester, "-rs", cases=4)

    result.assert_outcomes(**outcome)
    result.stdout.fnmatch_lines([line])


def test_a_case_that_could_not_run_is_counted_and_named(pytester):
    pytester.makepyfile(
        test_k="""
        from kernels import *
        from pytest_gpuemu.engine.errors import CannotRunHere

        @double
        def test_some(fuzz_case):
            if fuzz_case.seed % 3 == 0:
                raise CannotRunHere("no room")
            fuzz_case.run(good)
        """
    )

    result = run(pytester)
    alone = run(pytester, f"test_k.py::test_some[seed={thirds_of(8)[0]}]", "-rs")

    result.assert_outcomes(passed=1)
    count = len(thirds_of(8))
    result.stdout.fnmatch_lines(
        [f"double: 8 cases, 0 failed, {count} could not run here*", f"  {count} *no room"]
    )
    alone.assert_outcomes(skipped=1)
    alone.stdout.fnmatch_lines(["SKIPPED*could not run here: no room"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("@double\ndef test_x(): pass", "*gpuemu_op, but not the fixture fuzz_case; it checks nothing*"),
        ("def test_x(fuzz_case): pass", "*no marker that names its op: write @pytest.mark.gpuemu_op*"),
        (
            "import unittest\nclass TestX(unittest.TestCase):\n  @double\n  def test_x(self): pass",
            "*unittest.TestCase methods get no fixtures*",
        ),
        ("@pytest.mark.gpuemu_op('sofmax')\ndef test_x(fuzz_case): pass", "*did you mean 'softmax'*"),
        ("@pytest.mark.gpuemu_op(3)\ndef test_x(fuzz_case): pass", "gpuemu_op(3) does not name its op*"),
        ("@double(cases=-1)\ndef test_x(fuzz_case): pass", "*cases = -1 is not a whole number*"),
    ],
)
def test_a_wrong_test_errs_in_its_setup_and_says_why(pytester, source, message):
    pytester.makepyfile(test_k=f"from kernels import *\n{source}\ndef test_other(): pass")

    result = run(pytester)

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([message])
    assert "_pytest" not in result.stdout.str()


def test_a_fixture_that_reads_the_case_too_early_is_told(pytester):
    pytester.makepyfile(
        test_k="""
        from kernels import *

        @pytest.fixture
        def early(fuzz_case):
            return fuzz_case.inputs

        @pytest.fixture
        def late(fuzz_case):
            return lambda: fuzz_case.run(good)

        @double
        def test_early(early): pass

        @double
        def test_late(late):
            late()
        """
    )

    result = run(pytester)

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*fuzz_case has no case yet: in a campaign, fixtures are set up once*"])


def test_vscode_gets_a_failing_campaign_since_it_would_not_show_the_seeds(pytester):
    pytester.makepyfile(test_k=THIRDS, vscode_pytest="")
    pytester.syspathinsert()

    result = run(pytester, "-p", "vscode_pytest")

    assert failed_ids(result)[0] == "test_k.py::test_thirds[fuzz=8]"
    result.stdout.fnmatch_lines([f"{len(thirds_of(8))} of 8 cases failed: seed={thirds_of(8)[0]}*"])


def test_zero_cases_skip_the_campaigns(pytester):
    pytester.makepyfile(test_k=THIRDS)

    result = run(pytester, "-rs", cases=0)

    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*campaigns are switched off (--gpuemu-fuzz=0)"])


def test_a_time_budget_ends_the_campaign_and_says_what_it_left_out(pytester):
    pytester.makepyfile(
        test_k="""
        import time
        from kernels import *

        @double
        def test_slow(fuzz_case):
            time.sleep(0.02)
            fuzz_case.run(good)
        """
    )

    result = run(pytester, "--gpuemu-time=0.01", cases=50)

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["double: 1 case, 0 failed, 49 left out (--gpuemu-time)*"])


def test_an_undetermined_case_is_neither_a_pass_nor_a_failure(pytester):
    """In float32 nothing of x is left in x + 1e9, so no output near 1/x can be called wrong."""
    pytester.makepyfile(
        test_k="""
        from kernels import *

        @pytest.mark.gpuemu_op(
            "lost", reference=lambda x: 1.0 / ((x + 1e9) - 1e9), schema="x[N] -> [N]", dims={"N": (1, 40)},
            inputs={"x": {"low": 1.0, "high": 2.0}}, dtypes=["float32"], layouts=["contiguous"],
            values=["uniform"],
        )
        def test_it(fuzz_case):
            fuzz_case.run(lambda x: np.float32(1.001) / x)
        """
    )

    campaign = run(pytester, cases=4)
    alone = run(pytester, "test_k.py::test_it[seed=5]", "-rs")

    campaign.assert_outcomes(failed=1)
    campaign.stdout.fnmatch_lines(
        ["no case was judged, of 4: *undetermined*", "lost: 4 cases, 0 failed, 4 undetermined*"]
    )
    alone.assert_outcomes(skipped=1)
    alone.stdout.fnmatch_lines(["SKIPPED*undetermined: *"])


def test_the_other_distribution_of_that_name_is_told(pytester):
    """It installs a package `gpuemu`, too: which of the two an import gets is chance."""
    folder = pytester.mkdir("gpuemu-0.0.9.dist-info")
    folder.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: gpuemu\nVersion: 0.0.9\n")
    pytester.syspathinsert()
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.gpuemu_op("relu")
        def test_relu(fuzz_case):
            fuzz_case.run(lambda input: input.clip(0))
        """
    )

    result = pytester.runpytest("--collect-only")

    result.stdout.fnmatch_lines(["gpuemu: the distribution gpuemu 0.0.9 is installed too*"])
