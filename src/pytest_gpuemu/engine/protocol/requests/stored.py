"""Requests about results and failures: storing, finding, listing, forgetting.

Here: their fields. Elsewhere: the answers (engine/service/stored.py), the store (engine/store.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pytest_gpuemu.engine.protocol.requests.fields import (
    Count,
    Flag,
    Name,
    Number,
    OptionalName,
    OptionalTable,
    Seed,
    Shape,
    Table,
    Tables,
    Text,
    Whole,
    list_of,
    record,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetResult:
    seed: Seed
    op_name: OptionalName = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListResults:
    limit: Count = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFailures:
    limit: Count = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduce:
    """The stored failure of a seed with its inputs. Answered by ReproduceResult. runs: run the op on them
    now, where the daemon can."""

    seed: Seed
    op_name: OptionalName = None
    edits: OptionalName = None
    runs: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFailure:
    """A failure that a campaign found, to be stored. Answered by Ok once it is. Fields: verdict.Failure."""

    test_id: Name
    op_name: Name
    seed: Seed
    edits: Name = ""
    generator: Count
    shape: Shape
    strides: Shape
    dtype: Name
    layout: Name
    values: Name
    fuzz_config: Table
    findings: Tables
    stats: OptionalTable = None
    text: Text
    timestamp: Number
    duration_ms: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedCase:
    """One case that passed."""

    test_id: Name
    op_name: Name
    seed: Seed
    edits: Name = ""
    max_abs: Number = 0.0
    max_rel: Number = 0.0
    timestamp: Number
    duration_ms: Number = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPassed:
    """Cases that passed, to be stored. Answered by Ok once all are."""

    cases: Annotated[tuple[PassedCase, ...], list_of(record(PassedCase))]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCampaign:
    """A campaign that has ended, to be stored. Answered by Ok once it is. timestamp is when it ended."""

    test_id: Name
    op_name: Name
    master_seed: Seed
    generator: Whole
    cases: Whole
    passed: Whole
    failed: Whole
    undetermined: Whole
    could_not_run: Whole
    wall_s: Number
    timestamp: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetFailure:
    """A stored failure passes now. Answered by Ok, also where none was stored."""

    test_id: Name
    op_name: Name
    seed: Seed
    edits: Name = ""


REQUESTS = (
    GetResult,
    ListResults,
    ListFailures,
    Reproduce,
    RecordFailure,
    RecordPassed,
    RecordCampaign,
    ForgetFailure,
)
