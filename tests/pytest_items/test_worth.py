"""The summary of a run: which pairs were met and what the tests are worth, with workers and without."""

from __future__ import annotations

import pytest
from suites import run

pytest_plugins = ["pytester"]

WEAK = """
import numpy as np
import pytest

@pytest.mark.gpuemu_op(
    "weak", reference=lambda x, scale: 2.0 * x, schema="x[N], scale[N] -> [N]", dims={"N": (1, 40)},
    dtypes=["float32"], layouts=["contiguous"], values=["uniform", "normal"], tolerance={"atol": 1e6},
)
@pytest.mark.parametrize("twice", [False, True])
def test_weak(fuzz_case, twice):
    fuzz_case.run(lambda x, scale: x * np.float32(2))
"""


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "two workers"])
def test_a_weak_test_is_named_though_everything_passes(pytester, workers):
    """Guards: a tolerance that zeros pass stayed unseen until a kernel was wrong, and then let it through."""
    pytester.makepyfile(test_weak=WEAK)

    result = run(pytester, *workers, cases=25)

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "weak: 50 cases, 0 failed; *; kills * of *",
            "  coverage * of * pairs*",
            "  warning: the tolerance given by hand (atol=1e+06, marker) is * times looser than *",
            "  warning: under the tolerance given by hand (atol=1e+06, marker), zeros would pass seed=*",
            "  warning: the reference ignores the input scale: other values of it change nothing",
        ],
        consecutive=True,
    )


def test_a_right_test_has_no_warning(pytester):
    pytester.makepyfile(
        test_double="from kernels import *\n\n@double\ndef test_it(fuzz_case):\n    fuzz_case.run(good)"
    )

    result = run(pytester, cases=25)

    assert "warning:" not in "\n".join(result.outlines)
    result.stdout.re_match_lines([r"double: 25 cases, 0 failed; .*kills (\d+) of \1$"])
