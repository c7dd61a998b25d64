"""A kernel's own attributes on a GPU: read there, and what they complete where no ptxas is."""

from __future__ import annotations

import pytest
from baseline_samples import metrics

from pytest_gpuemu.engine.artifacts.data import Limits, LintReport
from pytest_gpuemu.engine.artifacts.on_device import (
    DeviceAttributes,
    attributes_here,
    completed,
    read_attributes,
)

# As CuPy gives them on an A100 for a kernel of 40 registers.
ATTRIBUTES = {
    "max_threads_per_block": 1024, "shared_size_bytes": 0, "const_size_bytes": 0, "local_size_bytes": 16,
    "num_regs": 40, "ptx_version": 80, "binary_version": 80, "cache_mode_ca": 0,
    "max_dynamic_shared_size_bytes": 49152, "preferred_shared_memory_carveout": -1,
}  # fmt: skip
FOUND = DeviceAttributes(arch="sm_80", registers=40, local_bytes=16, shared_bytes=0, max_block_threads=1024)
WITHOUT_PTXAS = {"max_registers": "no ptxas", "max_spills": "no ptxas", "max_local_bytes": "no ptxas"}


def report(register_count=None, unchecked=WITHOUT_PTXAS, **limits) -> LintReport:
    return LintReport(
        kernel_name="k",
        arch="sm_80",
        origin="cupy",
        source="RawKernel k",
        metrics=metrics(register_count=register_count, local_memory_bytes=None, sources={}),
        limits=Limits(**limits),
        violations=(),
        unchecked=unchecked,
        notes=(),
        ptx_digest="d",
    )


def test_the_attributes_are_read_from_cupys_names():
    assert read_attributes("sm_80", ATTRIBUTES) == FOUND


def test_without_ptxas_the_drivers_figures_are_judged():
    done = completed(report(max_registers=32), FOUND)

    assert (done.metrics.register_count, done.metrics.local_memory_bytes) == (40, 16)
    assert [violation.message for violation in done.violations] == [
        "max_registers: 40 registers of a thread on sm_80, at most 32 allowed (CUDA driver)",
        "max_local_bytes: 16 bytes of a thread's local memory on sm_80, at most 0 allowed (CUDA driver)",
    ]
    assert done.unchecked == {"max_spills": "no ptxas"}
    assert done.metrics.sources["register_count"] == "CUDA driver: registers of a thread"


def test_figures_within_the_limits_pass():
    done = completed(report(max_registers=40, max_local_bytes=16), FOUND)

    assert done.passed


def test_beside_ptxas_they_are_a_note():
    done = completed(report(register_count=38, unchecked={}), FOUND)

    assert (done.metrics.register_count, done.violations) == (38, ())
    assert done.notes[0].startswith(
        "on the GPU here, a thread takes 40 registers and 16 bytes of local memory"
    )


def test_another_architecture_says_nothing():
    before = report()

    assert completed(before, DeviceAttributes(**{**_fields(FOUND), "arch": "sm_90"})) == before
    assert completed(before, None) == before


def test_what_is_no_kernel_of_cupy_has_no_attributes():
    pytest.importorskip("cupy")

    assert attributes_here("text", None) is None
    assert attributes_here(len, "len") is None


@pytest.mark.gpu
def test_the_attributes_of_a_real_kernel_are_those_that_ptxas_promises():
    cupy = pytest.importorskip("cupy")
    kernel = cupy.RawKernel('extern "C" __global__ void one(float* x) { x[threadIdx.x] = 1; }', "one")
    found = attributes_here(kernel, None)
    if found is None:
        pytest.skip("no GPU here")

    assert found.arch == f"sm_{cupy.cuda.Device().compute_capability}"
    assert 1 <= found.registers <= 32
    assert (found.local_bytes, found.shared_bytes) == (0, 0)


def _fields(found: DeviceAttributes) -> dict[str, object]:
    return {name: getattr(found, name) for name in DeviceAttributes.__dataclass_fields__}
