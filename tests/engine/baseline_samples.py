"""Metrics of a kernel and entries of a baseline, made by hand, for tests of what is done with them."""

from __future__ import annotations

from typing import Any

from pytest_gpuemu.engine.artifacts.data import KernelMetrics, MemoryOperations, Occupancy, PatternFound
from pytest_gpuemu.engine.baselines.data import ArtifactBaseline, NumericalBaseline


def metrics(**changed: Any) -> KernelMetrics:
    """A kernel of 20 registers that loads 16 bytes a thread at once."""
    return KernelMetrics(
        **{
            "virtual_registers": 31,
            "virtual_registers_by_type": {"f32": 20, "pred": 1, "b64": 10},
            "instruction_count": 40,
            "instruction_mix": {"arithmetic": 30, "memory": 10},
            "memory_operations": (
                MemoryOperations(kind="load", space="global", width_bytes=16, vector=4, count=2),
            ),
            "branches": 1,
            "barriers": 0,
            "atomics": 0,
            "tensor_core": 0,
            "declared_local_bytes": 0,
            "const_memory_bytes": 0,
            "shared_memory_bytes": 1024,
            "uses_dynamic_shared": False,
            "arithmetic_intensity": 0.25,
            "patterns_found": (PatternFound(name="vector_load", count=2, width_bytes=16),),
            "register_count": 20,
            "spill_count": 0,
            "occupancy": Occupancy(
                block_threads=256,
                block_threads_source="assumed",
                blocks=8,
                warps=64,
                max_warps=64,
                limited_by=("warps",),
            ),
            "sources": {
                "register_count": "ptxas 12.9: registers of a thread",
                "spill_count": "ptxas 12.9: 32-bit spills",
                "shared_memory_bytes": "ptxas 12.9: bytes of a block",
                "instruction_count": "PTX: instructions",
                "branches": "PTX: instructions",
                "barriers": "PTX: instructions",
                "atomics": "PTX: instructions",
            },
            **changed,
        }
    )


def artifact(kernel="saxpy", arch="sm_80", **changed) -> ArtifactBaseline:
    return ArtifactBaseline(kernel=kernel, arch=arch, ptx_digest="d1", metrics=metrics(**changed))


def number(test_id="test_k.py::test_softmax", dtype="float16", **changed) -> NumericalBaseline:
    return NumericalBaseline(
        **{
            "test_id": test_id,
            "op": "softmax",
            "dtype": dtype,
            "master_seed": 2**63,
            "generator": 1,
            "cases": 25,
            "max_abs": 1e-7,
            "max_ulp": 1.5,
            "tolerance_used": 0.25,
            "tolerance": "derived",
            **changed,
        }
    )
