"""Campaigns beside pytest's own features: fixtures, classes, -x, --lf, xfail, Ctrl-C."""

from __future__ import annotations

import pytest
from suites import THIRDS, failed_ids, run, seeds_of, thirds_of, with_store

pytest_plugins = ["pytester"]

SCOPES = """
from kernels import *

LOG = []

def logged(scope):
    @pytest.fixture(scope=scope, autouse=True, name=f"{scope}_scope")
    def fixture():
        LOG.append(f"+{scope}")
        yield
        LOG.append(f"-{scope}")
    return fixture

in_session, in_module = logged("session"), logged("module")
in_class, in_function = logged("class"), logged("function")

class TestIt:
    @double
    def test_thirds(self, fuzz_case, tmp_path, capsys, monkeypatch, request):
        assert request.node.name.startswith("test_thirds[")
        check_thirds(fuzz_case)

    def test_plain(self):
        pass

def test_last():
    for scope in ("session", "module"):
        assert LOG.count(f"+{scope}") == 1 and LOG.count(f"-{scope}") == 0
    # One for the class, one for this function, which is in none.
    assert LOG.count("+class") == 2 and LOG.count("-class") == 1
    # Campaign, its failing seeds, test_plain and this one.
    print("functions", LOG.count("+function"))
"""


def test_wider_fixtures_are_set_up_once_and_function_fixtures_for_each_item(pytester):
    """Guards: a campaign torn down towards the real next item set its module's fixtures up again."""
    pytester.makepyfile(test_k=SCOPES, test_next="def test_of_the_next_module(): pass")

    result = run(pytester, "-s")

    result.assert_outcomes(passed=4, failed=len(thirds_of(8)))
    result.stdout.fnmatch_lines([f"*functions {len(thirds_of(8)) + 3}"])


def test_a_class_inherited_parametrized_and_marked_as_a_whole(pytester):
    pytester.makepyfile(
        test_k="""
        from kernels import *

        @double
        class Base:
            made = 0

            @pytest.mark.parametrize("kind", ["a", "b"])
            @pytest.mark.parametrize("fast", [False, True])
            def test_it(self, fuzz_case, kind, fast):
                assert not hasattr(self, "seen"), "a failing seed has an instance of its own"
                if kind == "b" and fast:
                    check_thirds(fuzz_case)
                else:
                    fuzz_case.run(good)

        class TestA(Base):
            pass

        class TestB(Base):
            @staticmethod
            def test_static(fuzz_case):
                fuzz_case.run(good)
        """
    )

    result = run(pytester)

    assert failed_ids(result) == [
        f"test_k.py::{name}::test_it[True-b-seed={seed}]"
        for name in ("TestA", "TestB")
        for seed in thirds_of(8)
    ]
    result.assert_outcomes(passed=9, failed=2 * len(thirds_of(8)))


@pytest.mark.parametrize(("option", "failures"), [("-x", 1), ("--maxfail=2", 2)])
def test_the_campaign_stops_at_the_last_failure_that_is_allowed(pytester, option, failures):
    pytester.makepyfile(
        test_k=THIRDS
        + "\n@pytest.fixture(scope='module', autouse=True)\ndef m():\n    yield\n    print('torn down')",
        test_later="def test_never(): assert 0",
    )

    result = run(pytester, option, "-s", cases=20)

    assert len(thirds_of(20)) > 3
    assert failed_ids(result) == [f"test_k.py::test_thirds[seed={seed}]" for seed in thirds_of(20)[:failures]]
    assert result.stdout.str().count("torn down") == 1
    result.stdout.fnmatch_lines([f"*stopping after {failures} failures*"])


def test_known_seeds_come_first_and_last_failed_finds_them(pytester):
    with_store(pytester)
    pytester.makepyfile(test_k=THIRDS, test_other="def test_other(): pass")
    known = [f"test_k.py::test_thirds[seed={seed}]" for seed in sorted(thirds_of(8))]
    run(pytester)

    listed = run(pytester, "--collect-only", "-q")
    last_failed = run(pytester, "--lf")
    stepwise = run(pytester, "--sw")
    by_seed = run(pytester, "-k", f"seed:{sorted(thirds_of(8))[1]}")
    again = run(pytester)

    assert listed.outlines[: len(known) + 1] == [*known, "test_k.py::test_thirds[fuzz=8]"]
    assert failed_ids(last_failed) == known
    last_failed.assert_outcomes(failed=len(known))
    assert failed_ids(stepwise) == known[:1]
    assert failed_ids(by_seed) == [known[1]]
    # The campaign leaves out the seeds that have an item of their own.
    assert failed_ids(again) == known
    again.stdout.fnmatch_lines([f"double: 8 cases, {len(known)} failed*"])


def test_a_known_seed_that_passes_is_forgotten(pytester):
    with_store(pytester)
    pytester.makepyfile(test_k=THIRDS)
    run(pytester)
    pytester.makepyfile(test_k=THIRDS.replace("check_thirds(fuzz_case)", "fuzz_case.run(good)"))

    fixed = run(pytester)
    after = run(pytester)

    fixed.assert_outcomes(passed=1 + len(thirds_of(8)))
    after.assert_outcomes(passed=1)


def test_seeds_of_one_parametrization_are_not_those_of_another(pytester):
    with_store(pytester)
    pytester.makepyfile(
        test_k="""
        from kernels import *

        @double
        @pytest.mark.parametrize("kind", ["a", "b"])
        def test_it(fuzz_case, kind):
            check_thirds(fuzz_case) if kind == "b" else fuzz_case.run(good)
        """
    )
    run(pytester)

    listed = run(pytester, "--collect-only", "-q")

    assert [line for line in listed.outlines if "::" in line] == [
        "test_k.py::test_it[a-fuzz=8]",
        *(f"test_k.py::test_it[b-seed={seed}]" for seed in sorted(thirds_of(8))),
        "test_k.py::test_it[b-fuzz=8]",
    ]


def test_the_known_seeds_of_a_test_are_capped_and_the_rest_is_counted(pytester):
    with_store(pytester)
    pytester.makepyfile(test_k=THIRDS)
    run(pytester)

    result = run(pytester, "--override-ini=gpuemu_known_seeds=1", "--gpuemu-fuzz=0")

    assert failed_ids(result) == [f"test_k.py::test_thirds[seed={thirds_of(8)[-1]}]"]
    left_out = len(thirds_of(8)) - 1
    result.stdout.fnmatch_lines([f"gpuemu: {left_out} known failing seeds are above gpuemu_known_seeds*"])


@pytest.mark.parametrize(
    ("strict", "kernel", "outcome"),
    [
        (False, "wrong", {"xfailed": 1}),
        (True, "wrong", {"xfailed": 1}),
        (False, "good", {"xpassed": 1}),
        (True, "good", {"failed": 1}),
    ],
)
def test_an_expected_failure_is_the_campaigns_own(pytester, strict, kernel, outcome):
    pytester.makepyfile(
        test_k=f"""
        from kernels import *

        @double
        @pytest.mark.xfail(strict={strict})
        def test_it(fuzz_case):
            fuzz_case.run({kernel})
        """
    )

    result = run(pytester)

    result.assert_outcomes(**outcome)


def test_skip_marks_apply(pytester):
    pytester.makepyfile(
        test_k="""
        from kernels import *

        @double
        @pytest.mark.skip(reason="no GPU")
        def test_it(fuzz_case):
            fuzz_case.run(wrong)
        """
    )

    run(pytester).assert_outcomes(skipped=1)


def test_ctrl_c_reports_the_failures_found_so_far(pytester):
    pytester.makepyfile(
        test_k="""
        from kernels import *
        calls = []

        @double
        def test_it(fuzz_case):
            calls.append(0)
            if len(calls) == 4:
                raise KeyboardInterrupt
            fuzz_case.run(wrong)
        """
    )

    result = pytester.runpytest_subprocess("--gpuemu-fuzz=8", "--gpuemu-seed=7")
    again = pytester.runpytest_subprocess(
        "--gpuemu-fuzz=8", "--gpuemu-seed=7", "--lf", "--collect-only", "-q"
    )

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["double: 3 cases, 3 failed, 5 left out (interrupted)*", "*3 failed*"])
    assert result.parseoutcomes() == {"failed": 3}
    assert again.ret == 0


def test_ctrl_c_in_a_campaign_without_failures_says_how_far_it_came(pytester):
    """Guards: what an interrupted campaign came to was told by its failures' reports, and there were none."""
    pytester.makepyfile(
        test_k=f"""
        from kernels import *

        @double
        def test_it(fuzz_case):
            if fuzz_case.seed == {seeds_of(8)[5]}:
                raise KeyboardInterrupt
            fuzz_case.run(good)
        """
    )

    result = pytester.runpytest_subprocess("--gpuemu-fuzz=8", "--gpuemu-seed=7")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["double: 5 cases, 0 failed, 3 left out (interrupted)*"])


def test_without_the_cache_plugin_campaigns_run_as_ever(pytester):
    pytester.makepyfile(test_k=THIRDS)

    result = run(pytester, "-p", "no:cacheprovider", "-vv", "--durations=3", "-rA")

    assert failed_ids(result) == [f"test_k.py::test_thirds[seed={seed}]" for seed in thirds_of(8)]
    assert "which has the full report" not in result.stdout.str(), "-vv shows every report in full"
    percentages = [line.rpartition("[")[2].strip(" %]") for line in result.outlines if line.endswith("%]")]
    assert max(map(int, percentages)) == 100


def test_marks_that_a_conftest_adds_later_reach_the_failing_seeds(pytester):
    pytester.makeconftest(
        """
        import pytest
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.usefixtures("seen"))
        def pytest_runtest_setup(item):
            assert item.get_closest_marker("usefixtures")
        """
    )
    pytester.makepyfile(test_k=THIRDS)

    run(pytester).assert_outcomes(passed=1, failed=len(thirds_of(8)))
