"""Kernel configurations: lists, autotuners, and the cases that run a seed under each."""

from __future__ import annotations

import pytest

from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.configs import case_ids, describe_config, held_to
from pytest_gpuemu.engine.define import define_op, narrow_op
from pytest_gpuemu.engine.errors import ConfigError, SeedError
from pytest_gpuemu.engine.ops import BUILTIN_OPS
from pytest_gpuemu.engine.plan import parse_case_id, plan_case
from pytest_gpuemu.engine.report import describe_case


class Autotuner:
    """What Triton's has: a kernel, and configurations to try."""

    def __init__(self, *configs):
        self.fn, self.configs = print, list(configs)


class Config:
    def __str__(self):
        return "BLOCK: 64"


def op_of(configs, schema="x[N] -> y[N]"):
    return define_op("mine", reference=lambda x: x, schema=schema, configs=configs)


def test_a_seed_is_a_case_for_each_configuration():
    assert case_ids(op_of(["a", "b"]), 7) == ["7~config=0", "7~config=1"]
    assert case_ids(BUILTIN_OPS["softmax"], 7) == ["7"]


def test_the_cases_of_a_seed_differ_in_the_configuration_alone():
    op = op_of(["a", "b", "c"])
    plans = [plan_case(op, *parse_case_id(case)) for case in case_ids(op, 7)]
    assert [plan.config for plan in plans] == ["a", "b", "c"]
    assert len({(plan.dtype, *plan.dims.items(), *plan.layouts.items()) for plan in plans}) == 1


def test_a_configuration_that_is_not_there_is_refused():
    with pytest.raises(SeedError, match=r"op 'mine': edit config=2: its configs are 0 to 1"):
        plan_case(op_of(["a", "b"]), 7, "config=2")
    with pytest.raises(SeedError, match="unknown dim or edit 'config'"):
        plan_case(op_of(None), 7, "config=0")


def test_a_dim_called_config_is_still_a_dim():
    assert plan_case(op_of(None, "x[config] -> y[config]"), 7, "config=3").dims == {"config": 3}
    both = plan_case(op_of(["a", "b"], "x[config] -> y[config]"), 7, "dim.config=3,config=1")
    assert (both.dims, both.config) == ({"config": 3}, "b")


def test_an_autotuner_gives_its_configurations_and_is_held_to_one():
    tuner = Autotuner("a", "b")
    op = narrow_op(op_of(None), configs=tuner)
    assert (op.configs, op.autotuner) == (("a", "b"), tuner)

    with held_to(op, "b"):
        assert tuner.configs == ["b"]
    assert tuner.configs == ["a", "b"]


def test_an_autotuner_has_all_configurations_again_after_an_error():
    tuner = Autotuner("a", "b")
    with pytest.raises(ZeroDivisionError), held_to(narrow_op(op_of(None), configs=tuner), "b"):
        _ = 1 / 0
    assert tuner.configs == ["a", "b"]


def test_a_list_leaves_an_autotuner_as_it_is():
    tuner = Autotuner("a", "b")
    op = narrow_op(narrow_op(op_of(None), configs=tuner), configs=["a"])
    with held_to(op, "a"):
        assert tuner.configs == ["a", "b"]


def test_an_autotuner_without_configurations_is_refused():
    with pytest.raises(ConfigError, match="configs"):
        narrow_op(op_of(None), configs=Autotuner())


def test_a_report_names_the_configuration_by_its_own_text():
    op = op_of([{"BLOCK": 16}, Config()])
    assert "  config  1 of 0 to 1: BLOCK: 64" in describe_case(make_case(op, 7, "config=1"))
    assert describe_config(op, plan_case(op, 7, "config=0")) == "0 of 0 to 1: {'BLOCK': 16}"
