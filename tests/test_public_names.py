"""The names that users import: there under both packages, and free to import."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from typing import get_type_hints

import pytest

import gpuemu
import pytest_gpuemu


@pytest.mark.parametrize("name", pytest_gpuemu.__all__)
def test_each_name_is_one_thing_under_both_packages(name):
    found = getattr(pytest_gpuemu, name)

    assert found is getattr(gpuemu, name)
    assert found.__doc__
    assert name in dir(pytest_gpuemu)


def test_an_unknown_name_is_an_attribute_error():
    for package in (pytest_gpuemu, gpuemu, importlib.import_module("pytest_gpuemu.client")):
        with pytest.raises(AttributeError, match="has no attribute 'Clint'"):
            package.Clint  # noqa: B018


@pytest.mark.parametrize("module", ["gpuemu.validation", "gpuemu.client", "gpuemu.rng", "gpuemu.tolerances"])
def test_the_modules_of_the_api_reference_are_there(module):
    found = importlib.import_module(module)

    for name in found.__all__:
        assert getattr(found, name) is getattr(pytest_gpuemu, name)


def test_importing_the_packages_loads_nothing_heavy():
    code = (
        "import sys, pytest_gpuemu, gpuemu; from pytest_gpuemu.client import launch, recorder\n"
        "sys.exit(', '.join({'numpy', 'hypothesis', 'sqlite3', 'ml_dtypes'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


# Names and order of the parameters that the API reference shows, in the order of its quoted source.
SIGNATURES = {
    "ping": [],
    "validate_op": ["op_name", "inputs", "output", "dtype", "seed"],
    "get_result": ["seed"],
    "list_results": ["limit"],
    "store_baseline": ["tag"],
    "reproduce": ["seed"],
    "minimize": ["seed", "strategy", "max_iters"],
    "list_failures": ["limit"],
    "get_test_case": ["op_name", "seed"],
    "get_test_batch": ["op_name", "count", "seed", "op_schema", "dtypes"],
    "submit_output": ["op_name", "inputs", "output", "seed"],
    "fuzz_op_client_side": [
        "op_name", "run_op", "iterations", "seed", "fail_fast", "op_schema", "dtypes"
    ],
    "close": [],
}  # fmt: skip


@pytest.mark.parametrize("method", SIGNATURES)
def test_each_client_method_takes_what_the_reference_shows(method):
    parameters = list(inspect.signature(getattr(pytest_gpuemu.Client, method)).parameters)

    assert parameters[1 : 1 + len(SIGNATURES[method])] == SIGNATURES[method]


FIELDS = {
    "ValidationResult": "passed seed op_name max_diff max_rel_diff failures timestamp duration_ms repro_info",
    "FuzzResults": "seed total passed failed failures",
    "ReproduceResult": "result inputs",
    "MinimizeResult": "original_seed minimized_seed minimized_shape result",
    "ReproductionInfo": "seed shape strides dtype layout fuzz_config input_snapshot",
    "FuzzConfig": "iterations seed min_dims max_dims min_size max_size dtypes layouts",
    "TestCase": "seed shape dtype layout inputs",
    "ToleranceConfig": "atol rtol",
}


@pytest.mark.parametrize("name", FIELDS)
def test_each_data_class_has_the_fields_of_the_reference(name):
    hints = get_type_hints(getattr(pytest_gpuemu, name))

    assert set(FIELDS[name].split()) <= set(hints)
