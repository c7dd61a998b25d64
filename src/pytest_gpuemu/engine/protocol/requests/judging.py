"""Requests that hand out cases, and judge an output.

Here: their fields. Elsewhere: the answers (engine/service/judging.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_gpuemu.engine.protocol.requests.fields import (
    Count,
    Flag,
    Name,
    OptionalCount,
    OptionalSeed,
    OptionalSeeds,
    OptionalTable,
    OptionalTensors,
    OutputTensors,
    Params,
    Seed,
    Table,
    Tables,
    Tensors,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateOp:
    """Judge a caller's output for the caller's inputs. Answered by ValidationResult."""

    op_name: Name
    inputs: Tensors
    output: OutputTensors
    kwargs: Params = None
    seed: OptionalSeed = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOutput:
    """Judge an output for a case of ours, named by its seed, or for inputs sent along. Answered by
    SubmitResult.

    fuzz_config is what the case was narrowed by; null: as it was last handed out. keep: store the result.
    seen is what was seen of the op where it ran, beside its output: each with kind and message, as
    verdict.Finding has them.
    """

    op_name: Name
    seed: Seed
    output: OutputTensors
    inputs: OptionalTensors = None
    edits: Name = ""
    kwargs: Params = None
    fuzz_config: OptionalTable = None
    keep: Flag = True
    seen: Tables = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GetTestCase:
    """The case of a master seed. Answered by TestCase."""

    op_name: Name
    fuzz_config: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class GetTestBatch:
    """count cases of a master seed, or those of the case seeds given. Answered by TestBatch, which holds as
    many as fit into one reply."""

    op_name: Name
    fuzz_config: Table
    count: OptionalCount = None
    seeds: OptionalSeeds = None
    start: Count = 0


REQUESTS = (ValidateOp, SubmitOutput, GetTestCase, GetTestBatch)
