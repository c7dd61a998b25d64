"""What the installed compilers write today: parsed without loss, and linted with the figures expected."""

import importlib.util
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_gpuemu.engine.artifacts.changes import compare
from pytest_gpuemu.engine.artifacts.data import KernelMetrics, Limits
from pytest_gpuemu.engine.artifacts.lint import lint
from pytest_gpuemu.engine.artifacts.ptx.parse import parse
from pytest_gpuemu.engine.artifacts.ptx.render import render
from pytest_gpuemu.engine.artifacts.ptxas import assemble
from pytest_gpuemu.engine.artifacts.sass import disassemble
from pytest_gpuemu.engine.artifacts.sources import KernelSource, compile_kernel
from pytest_gpuemu.engine.artifacts.tools import Tools, find_tools

HERE = Path(__file__).parent
# Of everything a little: vectors, calls, a switch, inline assembly, printf, constants, doubles, shuffles.
CUDA = r"""
struct Pack { float a[4]; double d; };
__constant__ float table[64];
__device__ float globals[3] = {1.5f, -2.0f, 1e-30f};
extern __shared__ float dynamic[];
__device__ __noinline__ float series(float x, int n) {
    float sum = x;
    for (int i = 0; i < n; i++) sum = sum * 1.5f + sinf(sum);
    return sum;
}
extern "C" __global__ void mixed(Pack pack, float4* v, double* d, int* q, int n) {
    int t = threadIdx.x;
    float4 x = v[t];
    dynamic[t] = series(x.x, n) + table[n & 63] + globals[n % 3] + pack.a[t & 3];
    __syncthreads();
    x.y += dynamic[t ^ 1];
    asm volatile("{.reg .f32 h;.reg .pred p;setp.lt.f32 p,%1,0f00000000;add.f32 h,%1,%1;@p mul.f32 h,h,h;"
                 "mov.f32 %0,h;}" : "=f"(x.z) : "f"(x.y));
    v[t] = x;
    d[t] = sin(d[t]) / pack.d;
    switch (n) {
        case 0: q[0] = 3; break;
        case 1: q[1] = q[2]; break;
        case 2: atomicAdd(q, __shfl_xor_sync(~0u, q[t], 3)); break;
        case 5: __trap();
        default: printf("%d\n", __popc(__ballot_sync(~0u, q[t] > 3)));
    }
}
"""
MATMUL = KernelSource(
    given="triton_matmul.py:matmul",
    root=HERE,
    signature={
        **dict.fromkeys(("a", "b"), "*fp16:16"),
        "c": "*fp32:16",
        **dict.fromkeys(("depth", "a_row", "b_row", "c_row"), "i32:16"),
    },
    constants={"M": 64, "N": 64, "K": 32, "P": "tf32"},
)


def needs(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


def assert_kept(ptx: str) -> None:
    module = parse(ptx)
    assert parse(render(module)) == module


def test_what_nvrtc_writes_is_kept():
    needs("cupy")
    for options in ((), ("--generate-line-info",), ("--device-debug",)):
        assert_kept(compile_kernel(KernelSource(given=CUDA, options=options), "sm_80").ptx)


def test_what_nvcc_writes_is_kept(tmp_path):
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("nvcc is not on PATH")
    source = tmp_path / "mixed.cu"
    source.write_text("#include <cstdio>\n" + CUDA)
    for options in (("-lineinfo",), ("-G",)):
        made = subprocess.run(
            [nvcc, "-ptx", "-arch=compute_80", *options, str(source), "-o", str(tmp_path / "mixed.ptx")],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            pytest.skip(f"nvcc does not compile here: {made.stderr[:200]}")
        assert_kept((tmp_path / "mixed.ptx").read_text())


@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "sm_100"])
def test_what_triton_writes_is_kept_and_its_tensor_cores_are_found(arch):
    """mma on Ampere, wgmma on Hopper, tcgen05 on Blackwell."""
    needs("triton")
    ptx = compile_kernel(MATMUL, arch).ptx
    assert_kept(ptx)

    (report,) = lint(ptx, archs=[arch], limits=Limits(required_patterns=("tensor_core", "async_copy")))

    assert report.metrics.tensor_core > 0
    assert report.metrics.uses_dynamic_shared
    assert not any(violation.limit == "required_patterns" for violation in report.violations)
    assert report.unchecked == {}  # Triton's own ptxas assembles what Triton writes


def test_a_kernel_that_lost_its_tensor_cores_is_red():
    """float32 rounded to TF32 goes to the tensor cores; in full precision it does not."""
    needs("triton")

    def metrics(precision: str) -> KernelMetrics:
        types = {**MATMUL.signature, **dict.fromkeys(("a", "b"), "*fp32:16")}
        source = replace(MATMUL, signature=types, constants={"M": 16, "N": 16, "K": 16, "P": precision})
        return lint(compile_kernel(source, "sm_80").ptx, archs=["sm_80"], tools=Tools())[0].metrics

    found = compare(metrics("tf32"), metrics("ieee"))

    assert found.fails
    assert "tensor_core" in {change.figure for change in found.regressions}


def test_what_numba_writes_is_kept():
    needs("numba_cuda")
    from numba import cuda

    def saxpy(a, x, y, out):
        i = cuda.grid(1)
        if i < x.size:
            out[i] = a * x[i] + y[i]

    source = KernelSource(
        given=cuda.jit(saxpy), signature="void(float32, float32[::1], float32[:], float32[:])"
    )

    assert_kept(compile_kernel(source, "sm_80").ptx)


@pytest.mark.parametrize("name", ["triton_row_max", "nvrtc_local_array"])
def test_the_text_of_the_tree_assembles_to_the_same_machine_code(name):
    """The strongest sign that nothing is dropped: ptxas itself sees no difference."""
    tools = find_tools()
    if not (tools.ptxas and tools.nvdisasm):
        pytest.skip("no ptxas or no nvdisasm is installed")
    ptx = (HERE / "data" / f"{name}.ptx").read_text()

    def code(text: str) -> dict[str, list[str]]:
        found = disassemble(assemble(text, "sm_80", tools.ptxas).cubin, tools)
        return {kernel: [i.opcode for i in instructions] for kernel, instructions in found.functions.items()}

    assert code(render(parse(ptx))) == code(ptx) != {}
