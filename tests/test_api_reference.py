"""Every name, argument, field and value of the API reference is there, under `pytest_gpuemu` and `gpuemu`.

The facts lie in api_reference.json; this walks them. What each of them does is tested elsewhere.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuemu
import pytest_gpuemu
from pytest_gpuemu.client import Client
from pytest_gpuemu.client.launch import start_daemon
from pytest_gpuemu.engine.config import Config
from pytest_gpuemu.engine.dtypes import DTYPES
from pytest_gpuemu.engine.minimize import STRATEGIES
from pytest_gpuemu.engine.protocol.requests import REQUESTS
from pytest_gpuemu.engine.requested_ops import read_fuzz_config, requested_op

FACTS = json.loads((Path(__file__).parent / "api_reference.json").read_text("utf-8"))
VALUES = FACTS["values"]
FORMS = [
    pytest.param(name, form, number == len(forms) - 1, id=f"{name}-{number}")
    for name, forms in FACTS["callables"].items()
    for number, form in enumerate(forms)
]
# Where our default is another one, and why.
OTHER_DEFAULTS = {
    ("Client.validate_op", "dtype"): "an output of any dtype is judged as what it is",
}

PTX = """
.version 7.0
.target sm_80
.address_size 64
.visible .entry nothing() { ret; }
"""


def named(name: str, package: Any = pytest_gpuemu) -> Any:
    found = package
    for part in name.split("."):
        found = getattr(found, part)
    return found


def parameters(name: str) -> list[inspect.Parameter]:
    """The parameters that a caller sees: without self."""
    found = list(inspect.signature(named(name)).parameters.values())
    return found[1:] if found and found[0].name == "self" else found


def default_of(name: str, parameter: inspect.Parameter) -> Any:
    owner = named(name)
    if dataclasses.is_dataclass(owner):
        field = next(field for field in dataclasses.fields(owner) if field.name == parameter.name)
        if field.default_factory is not dataclasses.MISSING:
            return field.default_factory()
    return list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default


@pytest.mark.parametrize("package", [pytest_gpuemu, gpuemu])
@pytest.mark.parametrize("name", [*FACTS["callables"], *FACTS["exceptions"], *FACTS["fields"]])
def test_every_name_is_there(name, package):
    assert named(name, package) is not None


@pytest.mark.parametrize(("name", "form", "is_positional"), FORMS)
def test_every_call_form_is_taken(name, form, is_positional):
    """By keyword in each form, and by position in the order of the last, the quoted source."""
    arguments = {key: object() for key in form if key != "**"}
    signature = inspect.Signature(parameters(name))

    signature.bind(**arguments)
    signature.bind(**{key: value for key, value in arguments.items() if form[key] == "required"})
    if "**" in form:
        signature.bind(**arguments, alpha=1.0)
    if is_positional:
        bound = signature.bind(*arguments.values()).arguments
        values = bound.get("sizes", tuple(bound.values()))  # randn takes a shape, or its sizes
        assert tuple(values) == tuple(arguments.values())
        assert [key for key in bound if key != "sizes"] in (list(arguments), [])


@pytest.mark.parametrize("name", FACTS["callables"])
def test_defaults_are_those_of_a_call_form(name):
    defaults: dict[str, list[Any]] = {}
    for form in FACTS["callables"][name]:
        for key, default in form.items():
            defaults.setdefault(key, []).append(default)
    ours = {parameter.name: default_of(name, parameter) for parameter in parameters(name)}

    for key, expected in defaults.items():
        if key == "**" or "required" in expected or (name, key) in OTHER_DEFAULTS:
            continue
        assert ours[key] in expected, key


@pytest.mark.parametrize("name", FACTS["fields"])
def test_every_field_is_there(name):
    ours = [field.name for field in dataclasses.fields(named(name))]

    assert [field for field in FACTS["fields"][name] if field not in ours] == []


@pytest.mark.parametrize("module", FACTS["modules"])
def test_every_module_has_its_names(module):
    found = importlib.import_module(f"gpuemu.{module}")

    for name in FACTS["modules"][module]:
        assert getattr(found, name) is getattr(pytest_gpuemu, name)


@pytest.mark.parametrize("name", FACTS["context_managers"])
def test_context_managers_are_some(name):
    assert hasattr(named(name), "__enter__")
    assert hasattr(named(name), "__exit__")


def test_every_message_is_a_request():
    assert [kind for kind in FACTS["messages"] if kind not in REQUESTS] == []


def test_every_value_is_known():
    assert set(VALUES["layouts"]) <= set(islice(pytest_gpuemu.fuzz_layouts_seeded(1), 300))
    assert set(VALUES["wire_dtypes"]) <= set(DTYPES)
    assert set(VALUES["strategies"]) <= set(STRATEGIES)
    for strict_or_relaxed, numbers in FACTS["numbers"].items():
        made = getattr(pytest_gpuemu.ToleranceConfig, strict_or_relaxed)()
        assert [made.atol, made.rtol] == numbers


def test_the_layouts_dtypes_and_schema_of_a_fuzz_config_are_taken(tmp_path):
    op = requested_op("softmax", {}, Config(path=None, root=tmp_path))
    given = {
        "seed": 2**64 - 1,
        "shape_options": {key: [[1]] if key == "edge_cases" else [1] for key in VALUES["shape_options_keys"]},
        "dtypes": ["float16", "float32"],
        "layouts": VALUES["wire_layouts"],
        "op_schema": {
            "name": "matmul",
            "dims": [{"name": "M", "candidates": [1, 2]}, {"name": "K", "candidates": [3]}],
            "inputs": [{"name": "a", "dims": ["M", "K"]}],
            "output": {"name": "c", "dims": ["M", "K"]},
        },
    }
    assert set(given) == set(VALUES["fuzz_config_keys"])
    assert set(given["op_schema"]) == set(VALUES["op_schema_keys"])

    read = read_fuzz_config(given, op, proxied_floats=True)
    narrowed = requested_op("softmax", read.overrides, Config(path=None, root=tmp_path))

    assert [x.name for x in narrowed.inputs] == ["a"]
    assert narrowed.layouts == ("contiguous", "strided", "transposed")


def test_replies_have_the_keys_of_the_reference(tmp_path):
    daemon = start_daemon(tmp_path, tmp_path / ".gpuemu")
    try:
        with Client(daemon.socket_path) as client:
            ping = client.ping()
            case = client.get_test_case("relu", 3)
            (of_batch,) = client.get_test_batch("relu", [5])
            result = client.submit_output("relu", case["seed"], np.maximum(case["inputs"]["input"], 0))
            (linted,) = client.lint_kernel(PTX, arch="sm_80")
    finally:
        daemon.stop()

    assert set(VALUES["ping_keys"]) <= set(ping)
    assert ping == "pong"
    assert set(VALUES["test_case_keys"]) <= set(case)
    assert set(VALUES["test_case_keys"]) <= set(of_batch)
    assert set(VALUES["lint_keys"]) <= set(linted)
    assert set(VALUES["lint_metrics"]) <= set(linted["metrics"])
    assert str(result.timestamp).startswith("20")
    assert int(result.timestamp) > 1_600_000_000
