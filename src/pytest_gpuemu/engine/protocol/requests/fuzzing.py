"""Requests that let the daemon run an op under test.

Here: their fields. Elsewhere: the answers (engine/service/fuzzing.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_gpuemu.engine.protocol.requests.fields import (
    Count,
    Flag,
    Name,
    OptionalName,
    OptionalNumber,
    OptionalSeeds,
    Seed,
    Table,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzOp:
    """A campaign of an op that gpuemu.toml names: `iterations` cases of the master seed in fuzz_config, or
    those of the case seeds given. Answered by FuzzResults, which holds as many as were run within the time of
    one reply, and the seeds that are left."""

    op_name: Name
    fuzz_config: Table
    iterations: Count = 100
    fail_fast: Flag = False
    seeds: OptionalSeeds = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimize:
    """Find the smallest case that fails as the stored failure of a seed does, with at most max_iters runs of
    the op, none begun after time_s seconds. Answered by MinimizeResult."""

    seed: Seed
    strategy: OptionalName = None
    max_iters: Count = 100
    op_name: OptionalName = None
    edits: OptionalName = None
    time_s: OptionalNumber = None


REQUESTS = (FuzzOp, Minimize)
