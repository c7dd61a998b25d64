"""Requests about artifacts: the PTX of kernels, what a lint says of it, and baselines of it.

Here: their fields. Elsewhere: the answers (engine/service/artifacts.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_gpuemu.engine.protocol.requests.fields import (
    Count,
    Flag,
    Name,
    Number,
    OptionalName,
    Seed,
    Table,
    Tag,
    Text,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LintKernel:
    """Lint one kernel of a PTX text, or each. Answered by LintResults."""

    ptx_content: Text
    kernel_name: OptionalName = None
    arch: OptionalName = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreArtifact:
    """Lint a kernel as LintKernel does, and store its PTX and metrics. Answered by Artifacts."""

    ptx_content: Text
    kernel_name: OptionalName = None
    arch: OptionalName = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetArtifact:
    """The newest artifact of a kernel, with its PTX; with_sass: also the code that ptxas makes of it.
    Answered by Artifact."""

    kernel_name: Name
    arch: OptionalName = None
    with_sass: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListArtifacts:
    """The newest artifacts without their PTX, newest first. Answered by Artifacts."""

    limit: Count = 100
    kernel_name: OptionalName = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreArtifactBaseline:
    """Keep the metrics of the stored artifacts under a tag. Answered by ArtifactBaselineStored."""

    tag: Tag
    kernel_name: OptionalName = None
    arch: OptionalName = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffArtifactBaseline:
    """The stored artifacts beside those kept under a tag. Answered by ArtifactDiff."""

    tag: Tag
    kernel_name: OptionalName = None
    arch: OptionalName = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordArtifact:
    """Store what a test's own process measured; with a tag, keep it as that baseline too."""

    kernel_name: Name
    arch: Name
    ptx_digest: Name
    origin: Name
    source: Name
    timestamp: Number
    metrics: Table
    ptx_content: Text
    tag: OptionalName = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordErrors:
    """Keep the largest errors that a campaign saw of the outputs of one dtype, as a tag's baseline."""

    tag: Tag
    test_id: Name
    op_name: Name
    dtype: Name
    timestamp: Number
    master_seed: Seed
    generator: Count
    cases: Count
    max_abs: Number
    max_ulp: Number
    tolerance_used: Number
    tolerance: Name


REQUESTS = (
    LintKernel,
    StoreArtifact,
    GetArtifact,
    ListArtifacts,
    StoreArtifactBaseline,
    DiffArtifactBaseline,
    RecordArtifact,
    RecordErrors,
)
