"""Kernel configurations: a list that the user gives, or those of a Triton autotuner.

Here: reading them, the case ids that run a seed under each, and holding an autotuner to one of them.
Elsewhere: the edit `config=INDEX` of a case id (edits.py), running each case (the pytest items).

An autotuner tries all its configurations on one set of buffers, so that the last one to write hides what
another left wrong. Held to one configuration, it tries none: each is judged on buffers of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import Plan
from pytest_gpuemu.engine.read_keys import read_several


def read_configs(place: str, given: Any) -> tuple[Any, ...]:
    """The configurations of a list or of an autotuner. Raises ConfigError where there are none."""
    return tuple(read_several(place, "configs", given.configs if is_autotuner(given) else given))


def is_autotuner(given: Any) -> bool:
    """Whether this is Triton's Autotuner, or works like one: a kernel `fn` and the `configs` to try."""
    return not isinstance(given, type) and hasattr(given, "configs") and hasattr(given, "fn")


def case_ids(op: Op, seed: int) -> list[str]:
    """The cases of a seed: one for each configuration, or the seed alone."""
    return [f"{seed}~config={index}" for index in range(len(op.configs))] or [str(seed)]


def describe_config(op: Op, plan: Plan) -> str:
    """Which of the configurations it is, and the configuration as its own text."""
    at = next((i for i, config in enumerate(op.configs) if config is plan.config), None)
    text = repr(plan.config) if isinstance(plan.config, str) else str(plan.config)
    return text if at is None else f"{at} of 0 to {len(op.configs) - 1}: {text}"


@contextmanager
def held_to(op: Op, config: Any) -> Iterator[None]:
    """Let the op's autotuner, if it has one, know no configuration but this one."""
    if op.autotuner is None or config is None:
        yield
        return
    every: Sequence[Any] = op.autotuner.configs
    op.autotuner.configs = [config]
    try:
        yield
    finally:
        op.autotuner.configs = every
