"""Second runs as a user sees them: each kernel fails by one check alone, and its nearest relative passes."""

from __future__ import annotations

import pytest
from suites import DOUBLE, MASTER_SEED, failed_ids, run, with_store

from pytest_gpuemu.engine.coverage import campaign_seeds
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.pytest_items.recording import read_known

pytest_plugins = ["pytester"]

SUITE = """
import ctypes
import itertools
import numpy as np
import pytest

calls = itertools.count()
kept = {{}}

def good(x):
    \"\"\"Two roundings away from a float64's: the tolerance allows a little more than half an ulp.\"\"\"
    return (x * 1.1 / 1.3).astype(np.float32)

def next_float(y):
    return np.nextafter(y, np.float32(9e9))

def other_bits(x):
    return next_float(good(x)) if next(calls) % 2 else good(x)

def other_nan(x):
    y = np.full(x.shape, np.nan, np.float32)
    return -y if next(calls) % 2 else y

def seeded_noise(x):
    return next_float(good(x)) if np.random.random() < 0.5 else good(x)

def unwritten(x):
    \"\"\"As if the system had handed out a page of the right values for the first call.\"\"\"
    y = good(x) if next(calls) == 0 else np.empty_like(x)
    y[:-1] = good(x)[:-1]
    return y

def workspace(x):
    y = np.empty_like(x)
    y[...] = good(x)
    return y

def by_address(x):
    return kept.setdefault((x.ctypes.data, x.shape), good(x)).copy()

def by_content(x):
    return kept.setdefault(x.tobytes(), good(x)).copy()

def wears_out(x):
    \"\"\"Gives the newest result for inputs that it had long ago.\"\"\"
    key = x.tobytes()
    age = next(calls) - kept.setdefault(key, next(calls))
    y = good(x)
    if age > 12 and "once" not in kept:
        kept["once"] = y
        return y + np.float32(1)
    return y

@pytest.mark.gpuemu_op(
    "scaled", reference={reference}, schema="x[N] -> [N]", dims={{"N": (1, 40)}},
    dtypes=["float32"], layouts=["contiguous"], values=["uniform"], checks={checks},
)
def test_it(fuzz_case):
    fuzz_case.run({kernel})
"""
FOUND = [
    ("other_bits", "deterministic", "Nondeterministic", "differ between two runs of the same case*ulp*"),
    ("unwritten", "written", "Unwritten", "output: 1 of * were never written*"),
    ("by_address", "cached", "Cached", "output is, bit for bit, what the run before gave*"),
]


def seed_of_scaled():
    op = define_op("scaled", **{**DOUBLE, "reference": lambda x: x})
    return next(campaign_seeds(op, MASTER_SEED, 1))


def suite(pytester, kernel, checks="{}", reference="lambda x: x * 1.1 / 1.3"):
    pytester.makepyfile(test_k=SUITE.format(kernel=kernel, checks=checks, reference=reference))


@pytest.mark.parametrize(("kernel", "check", "kind", "text"), FOUND, ids=[found[0] for found in FOUND])
def test_a_kernel_that_is_right_once_fails_in_a_seed_s_own_item(pytester, kernel, check, kind, text):
    """Guards: a failure of a second run could not be reproduced from its seed alone."""
    suite(pytester, kernel, f"[{check!r}, 'values']")
    seed = seed_of_scaled()
    item = f"test_k.py::test_it[seed={seed}]"

    result = run(pytester, item)

    assert failed_ids(result) == [item]
    result.stdout.fnmatch_lines([f"*scaled fails for seed {seed}: *{text}"])
    assert f're-run  pytest "{item}"' in result.stdout.str()


@pytest.mark.parametrize("kernel", [found[0] for found in FOUND])
def test_a_campaign_finds_it_in_its_first_case(pytester, kernel):
    suite(pytester, kernel)
    assert failed_ids(run(pytester, cases=1)) == [f"test_k.py::test_it[seed={seed_of_scaled()}]"]


@pytest.mark.parametrize(("kernel", "check", "kind", "text"), FOUND, ids=[found[0] for found in FOUND])
def test_the_check_is_switched_off_by_its_name(pytester, kernel, check, kind, text):
    others = {"unwritten": ", 'deterministic': False, 'cached': False"}.get(kernel, "")
    suite(pytester, kernel, f"{{{check!r}: False{others}}}")
    run(pytester, cases=1).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("kernel", "reference"),
    [
        ("good", "lambda x: x * 1.1 / 1.3"),
        ("other_nan", "lambda x: x * float('nan')"),
        ("seeded_noise", "lambda x: x * 1.1 / 1.3"),
        ("workspace", "lambda x: x * 1.1 / 1.3"),
        ("by_content", "lambda x: x * 1.1 / 1.3"),
    ],
)
def test_the_nearest_right_kernel_passes(pytester, kernel, reference):
    """NaNs of either sign, noise from a seeded generator, memory that is filled, a cache by content."""
    suite(pytester, kernel, reference=reference)
    run(pytester, cases=14).assert_outcomes(passed=1)


def test_an_earlier_case_comes_again_at_the_end_of_a_campaign(pytester):
    """Guards: a kernel that serves what it kept, once it has seen enough, passed every campaign."""
    suite(pytester, "wears_out")

    result = run(pytester, cases=14)

    first = f"test_k.py::test_it[seed={seed_of_scaled()}]"
    assert failed_ids(result) == [first]
    result.stdout.fnmatch_lines(
        [
            f"nondeterministic: seed {seed_of_scaled()} failed in the campaign*",
            "*this case passed when the campaign began and fails at its end*",
            "scaled: 14 cases, 1 failed*",
        ]
    )


def test_the_own_outputs_of_a_second_run_hold_the_other_poison(pytester):
    """A bool that is left True passes where the reference is True; the other poison is False."""
    pytester.makepyfile(
        test_k="""
        import numpy as np, pytest

        @pytest.mark.gpuemu_op(
            "positive", reference=lambda x: x > -1, schema="x[N] -> y[N]", dims={"N": [8]},
            inputs={"x": {"low": 0.0, "high": 1.0}}, dtypes=["float32"], values=["uniform"],
        )
        @pytest.mark.parametrize("last", [7, 8])
        def test_it(fuzz_case, last):
            fuzz_case.outputs["y"][:last] = fuzz_case.inputs["x"][:last] > -1
            fuzz_case.check()
        """
    )

    result = run(pytester, cases=1)

    assert failed_ids(result) == [f"test_k.py::test_it[7-{failed_ids(result)[0].rpartition('-')[2]}"]
    result.stdout.fnmatch_lines(["*positive fails for seed *: y: 1 of 8 elements (12.5%) were never*"])


def test_an_op_in_place_gets_its_input_anew(pytester):
    pytester.makepyfile(
        test_k="""
        import pytest

        @pytest.mark.gpuemu_op(
            "double_", reference=lambda x: 2.0 * x, schema="x[N] -> y[N]", inplace={"y": "x"},
        )
        def test_it(fuzz_case):
            fuzz_case.inputs["x"][...] *= 2
            fuzz_case.check()
        """
    )
    run(pytester, cases=4).assert_outcomes(passed=1)


def test_torch_tensors_are_compared_and_cached_results_found(pytester):
    pytest.importorskip("torch")
    pytester.makepyfile(
        test_k="""
        import pytest

        kept = {}
        double = pytest.mark.gpuemu_op(
            "double", reference=lambda x: 2.0 * x, schema="x[N] -> [N]", dims={"N": (1, 40)},
            dtypes=["float32"], layouts=["contiguous"], values=["uniform"], library="torch",
        )

        @double
        def test_right(fuzz_case):
            fuzz_case.check(fuzz_case.inputs["x"] * 2)

        @double
        def test_cached(fuzz_case):
            x = fuzz_case.inputs["x"]
            fuzz_case.check(kept.setdefault((x.data_ptr(), x.shape), x * 2).clone())
        """
    )
    result = run(pytester, cases=1)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["*double fails for seed *: output is, bit for bit, what the run before gave*"]
    )


def test_a_test_that_catches_the_mismatch_is_not_called_again(pytester):
    pytester.makepyfile(
        test_k="""
        from kernels import *
        from pytest_gpuemu.engine.errors import KernelMismatch

        calls = []

        @double
        def test_it(fuzz_case):
            calls.append(0)
            with pytest.raises(KernelMismatch):
                fuzz_case.run(wrong)

        def test_calls():
            assert len(calls) == 1
        """
    )
    run(pytester, cases=1).assert_outcomes(passed=2)


def test_an_error_in_the_second_call_says_that_the_first_passed(pytester):
    pytester.makepyfile(
        test_k="""
        from kernels import *

        @double
        def test_it(fuzz_case, tmp_path):
            (tmp_path / str(fuzz_case.seed)).mkdir()
            fuzz_case.run(good)
        """
    )
    result = run(pytester, cases=1)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*double fails for seed *: FileExistsError: *",
            "*raised when the test function was called again for the same case, on fresh buffers; *",
        ]
    )


OUR_FAULT = """
    import pytest_gpuemu.engine.second_run
    from kernels import *

    def fails(*args):
        raise IndexError("an index too many")

    @pytest.fixture(autouse=True)
    def fault(monkeypatch):
        monkeypatch.setattr(pytest_gpuemu.engine.second_run, "{function}", fails)

    @double
    def test_it(fuzz_case):
        fuzz_case.run(good)
"""


@pytest.mark.parametrize("function", ["change_one_element", "keep"])
def test_an_error_of_our_own_is_no_failure_of_the_kernel(pytester, function):
    """Guards: an IndexError of this package was told as a failure of the kernel, stored and minimized."""
    pytester.makepyfile(test_k=OUR_FAULT.format(function=function))
    with_store(pytester)

    result = run(pytester)
    alone = run(pytester, "--gpuemu-reproduce=3")

    for found in result, alone:
        found.assert_outcomes(failed=1)
        text = found.stdout.str()
        assert "pytest-gpuemu itself failed while it ran a case again that had passed" in text
        assert "IndexError: an index too many" in text
        assert "double fails for seed" not in text
        assert "smallest" not in text
    assert not any("[seed=" in nodeid for nodeid in failed_ids(result))
    assert read_known(pytester.path / ".gpuemu") == ({}, [])


def test_a_skip_in_the_second_call_leaves_the_first_one_s_verdict(pytester):
    pytester.makepyfile(
        test_k="""
        from kernels import *

        seen = set()

        @double
        def test_it(fuzz_case):
            if fuzz_case.seed in seen:
                pytest.skip("once is enough")
            seen.add(fuzz_case.seed)
            fuzz_case.run(good)
        """
    )
    run(pytester, cases=2).assert_outcomes(passed=1)


def test_few_cases_of_a_campaign_run_again(pytester):
    pytester.makepyfile(
        test_k="""
        from kernels import *
        from collections import Counter

        calls = Counter()

        @double
        def test_it(fuzz_case):
            calls[fuzz_case.seed] += 1
            fuzz_case.run(good)

        def test_calls():
            assert list(calls.values()) == [4] + [1] * 11 + [2] + [1] * 11 + [3]
        """
    )
    run(pytester, cases=25).assert_outcomes(passed=2)


def test_nothing_that_the_first_run_was_compared_with_is_left_in_the_second(pytester):
    """Guards: a kernel could find the reference's values through the garbage collector."""
    pytester.makepyfile(
        test_k="""
        import gc
        import numpy as np
        from kernels import *

        found = []

        def looks_around(x):
            right = good(x).astype(np.float64)
            for holder in gc.get_objects():
                for other in gc.get_referents(holder) if type(holder) is not type(gc) else ():
                    if type(other) is np.ndarray and other.shape == right.shape and other is not right:
                        if other.dtype.kind == "f" and np.allclose(other, right):
                            found.append(other)
            return good(x)

        @double
        def test_it(fuzz_case):
            fuzz_case.run(looks_around)

        def test_found():
            assert not found
        """
    )
    result = pytester.runpytest_subprocess("--gpuemu-fuzz=2", "--gpuemu-seed=7")  # a process of its own
    result.assert_outcomes(passed=2)
