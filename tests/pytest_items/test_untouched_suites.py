"""A suite without marked tests: the same output as without the plugin, and nothing imported."""

from __future__ import annotations

import re

import pytest

pytest_plugins = ["pytester"]

SUITE = """
import sys
import pytest

@pytest.mark.parametrize("x", [1, 2])
def test_it(x):
    assert x == 1

def test_modules():
    heavy = {"numpy", "pynng", "sqlite3", "hypothesis", "scipy", "ml_dtypes"}
    assert heavy & set(sys.modules) == set()
    assert "pytest_gpuemu.plugin" in sys.modules
    assert not [name for name in sys.modules if name.startswith("pytest_gpuemu.engine.")]
"""


def test_nothing_heavy_is_imported(pytester):
    pytester.makepyfile(test_k=SUITE)

    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest", "-p", "no:randomly")

    result.assert_outcomes(passed=2, failed=1)


def test_the_controller_of_xdist_imports_nothing_heavy(pytester):
    """Guards: what hands the master seed to the workers loaded NumPy in every session with -n, and a test
    with a parameter of its own named seed was taken for a marked one: a daemon was started for it."""
    pytest.importorskip("xdist")
    pytester.makepyfile(
        test_k="""
        import pytest

        @pytest.mark.parametrize("n", [5], ids=["seed=5"])
        def test_it(n):
            pass
        """
    )
    pytester.makeconftest(
        """
        import sys

        def pytest_unconfigure(config):
            if not hasattr(config, "workerinput"):
                heavy = {"numpy", "pynng", "sqlite3", "scipy", "ml_dtypes"} & set(sys.modules)
                print("imported:", sorted(heavy))
        """
    )

    result = pytester.runpytest_subprocess("-n1", "-p", "no:hypothesispytest", "-p", "no:randomly")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*imported: []"])
    result.stdout.no_fnmatch_line("*gpuemu: *")


@pytest.mark.parametrize("options", [(), ("-v",), ("-q",), ("--collect-only",), ("-n1",)])
def test_the_output_is_that_of_a_session_without_the_plugin(pytester, options):
    pytester.makepyfile(
        test_k="import pytest\n@pytest.mark.parametrize('x', [1, 2])\ndef test_it(x): assert x == 1"
    )

    def output(*more):
        text = pytester.runpytest_inprocess("-p", "no:cacheprovider", *options, *more).stdout.str()
        # pytest's own list of the installed plugins, and times.
        return re.sub(r"in \d+\.\d+s|gpuemu-[\d.]+,? ?", "", text)

    assert output() == output("-p", "no:gpuemu")
