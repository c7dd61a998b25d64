"""A reference that raises is one error of its campaign: no seed of it fails, is stored or is minimized."""

from __future__ import annotations

import pytest
from suites import run

pytest_plugins = ["pytester"]

RAISING = """
    import pytest

    def reference(input):
        if input.size % 2:
            raise KeyError("scale")
        return input * 2

    @pytest.mark.gpuemu_op("double", reference=reference, schema="input[N] -> [N]", dims={"N": (1, 40)})
    def test_double(fuzz_case):
        fuzz_case.run(lambda input: input * 2)
"""


def test_a_reference_that_raises_is_one_error_of_its_campaign(pytester):
    """Guards: each seed of it failed, and the first was minimized."""
    pytester.makepyfile(test_k=RAISING)

    result = run(pytester)

    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    assert "ReferenceError: double: the reference reference (test_k.py:3) raised KeyError: 'scale'" in text
    assert 'raise KeyError("scale")' in text
    assert "[seed=" not in text
    assert "smallest" not in text
    again = run(pytester, "--lf")
    again.assert_outcomes(failed=1)


def test_a_case_item_of_such_a_seed_says_so_and_is_not_minimized(pytester):
    pytester.makepyfile(test_k=RAISING.replace("input.size % 2", "True"))

    result = run(pytester, "--gpuemu-reproduce=7")

    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    assert "raised KeyError: 'scale'" in text
    assert "smallest" not in text


@pytest.mark.parametrize("given", ["x, weight", "weight"])
def test_a_reference_whose_names_are_only_half_the_inputs_is_refused(pytester, given):
    pytester.makepyfile(
        test_k=f"""
        import pytest

        @pytest.mark.gpuemu_op("f", reference=lambda {given}: weight, schema="input[N], weight[N] -> [N]")
        def test_f(fuzz_case):
            fuzz_case.run(lambda input, weight: weight)
        """
    )

    result = run(pytester)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*but the schema's inputs are input, weight: it has no parameter named 'input'*"]
    )
