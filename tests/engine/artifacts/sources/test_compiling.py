"""From sources to PTX on a machine without a GPU: each of these tests runs a real compiler."""

from __future__ import annotations

import builtins
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_gpuemu.engine.artifacts.sources import KernelSource, compile_kernel
from pytest_gpuemu.engine.artifacts.sources.loading import load_object
from pytest_gpuemu.engine.errors import ArtifactError

HERE = Path(__file__).parent
SAXPY = """
#include "scale.cuh"

extern "C" __global__ void saxpy(float a, const float* x, float* y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = scaled(a, x[i]) + y[i];
}
"""
HEADER = """
#pragma once
#include <cuda_fp16.h>
__device__ float scaled(float a, float x) { return a * x; }
"""
TEMPLATE = """
template <typename T> __global__ void fill(T* x) { x[threadIdx.x] = T(1); }
"""
PTX = """
// a module
.version 8.0
.target sm_70
.address_size 64
.visible .entry nothing() { ret; }
"""
SOFTMAX_TYPES = {"x": "*fp32:16", "y": "*fp32:16", "cols": "i32", "factor": "fp32"}


def compiled(given, arch="sm_80", **keys):
    return compile_kernel(KernelSource(given=given, **keys), arch)


def refusal(given, arch="sm_80", **keys) -> str:
    with pytest.raises(ArtifactError) as raised:
        compiled(given, arch, **keys)
    return str(raised.value)


@pytest.fixture
def has_nvrtc():
    pytest.importorskip("cupy")


@pytest.mark.usefixtures("has_nvrtc")
class TestCudaC:
    def test_a_file_is_compiled_with_its_own_headers_and_those_of_cuda(self, tmp_path):
        (tmp_path / "saxpy.cu").write_text(SAXPY)
        (tmp_path / "scale.cuh").write_text(HEADER)

        artifact = compiled("saxpy.cu", root=tmp_path)

        assert ".target sm_80" in artifact.ptx
        assert ".entry saxpy(" in artifact.ptx
        assert "fma.rn.f32" in artifact.ptx
        assert (artifact.origin, artifact.source) == ("cuda", str(tmp_path / "saxpy.cu"))
        assert artifact.archs == ("sm_80",)

    def test_its_ptx_names_the_lines_of_the_file(self, tmp_path):
        (tmp_path / "saxpy.cu").write_text(SAXPY.replace('#include "scale.cuh"', HEADER))

        ptx = compiled(tmp_path / "saxpy.cu").ptx

        assert f'.file	1 "{tmp_path / "saxpy.cu"}"' in ptx
        assert "\t.loc\t1 " in ptx

    def test_each_architecture_gets_the_code_written_for_it(self):
        text = 'extern "C" __global__ void which(int* x) { *x = __CUDA_ARCH__; }'

        assert "800;" in compiled(text, "sm_80").ptx
        assert "900;" in compiled(text, "sm_90").ptx
        assert ".target sm_90a" in compiled(text, "sm_90a").ptx

    def test_options_reach_the_compiler(self):
        text = 'extern "C" __global__ void sized(int* x) { *x = SIZE; }'

        assert "1234;" in compiled(text, options=("-DSIZE=1234",)).ptx

    def test_a_template_is_compiled_where_its_instance_is_named(self):
        artifact = compiled(TEMPLATE, kernel="fill<float>")

        assert artifact.kernel_name == "_Z4fillIfEvPT_"
        assert ".entry _Z4fillIfEvPT_(" in artifact.ptx

    def test_a_text_that_does_not_compile_shows_the_compilers_log(self):
        said = refusal('extern "C" __global__ void bad(float* x) { x[0] = y; }')

        assert said.startswith("kernel.cu does not compile for sm_80; NVRTC 1")
        assert 'kernel.cu(1): error: identifier "y" is undefined' in said

    def test_a_file_that_does_not_compile_shows_its_path(self, tmp_path):
        (tmp_path / "bad.cu").write_text("__global__ void bad() { 1 +; }")

        assert f"{tmp_path / 'bad.cu'}(1): error: expected an expression" in refusal("bad.cu", root=tmp_path)

    def test_an_architecture_that_the_compiler_does_not_know_is_its_error(self):
        assert "invalid value for --gpu-architecture" in refusal(TEMPLATE, "sm_10")

    def test_keys_of_other_languages_are_refused(self):
        assert "CUDA C takes no constants (= {'BLOCK': 8})" in refusal(TEMPLATE, constants={"BLOCK": 8})


@pytest.mark.usefixtures("has_nvrtc")
class TestCupy:
    def test_a_raw_kernel_is_compiled_as_cupy_compiles_it(self):
        import cupy

        kernel = cupy.RawKernel(
            'extern "C" __global__ void half(float* x) { x[0] = x[0] * FACTOR; }',
            "half",
            options=("-DFACTOR=0.5f",),
        )

        artifact = compiled(kernel)

        assert "mul.ftz.f32" in artifact.ptx  # CuPy adds -ftz=true
        assert (artifact.kernel_name, artifact.origin) == ("half", "cupy")

    def test_a_kernel_of_a_raw_module_is_chosen_by_name(self):
        import cupy

        module = cupy.RawModule(code=TEMPLATE, name_expressions=["fill<float>", "fill<double>"])

        assert compiled(module, kernel="fill<double>").kernel_name == "_Z4fillIdEvPT_"
        assert compiled(module).kernel_name is None
        assert compiled(module).ptx.count(".entry") == 2

    def test_a_raw_kernel_is_named_by_itself(self):
        import cupy

        kernel = cupy.RawKernel(TEMPLATE, "fill<float>")

        assert compiled(kernel).kernel_name == "_Z4fillIfEvPT_"
        assert "named 'fill<float>' holds no kernel 'fil'" in refusal(kernel, kernel="fil")


class TestTriton:
    @pytest.fixture(autouse=True)
    def compiler(self, monkeypatch, tmp_path):
        pytest.importorskip("triton")
        monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))

    @pytest.mark.parametrize("interpret", ["0", "1"])
    def test_a_kernel_is_compiled_also_where_its_module_was_imported_for_the_interpreter(
        self, monkeypatch, interpret
    ):
        monkeypatch.setenv("TRITON_INTERPRET", interpret)
        monkeypatch.delitem(sys.modules, "triton_softmax_rows", raising=False)

        artifact = compiled(
            "triton_softmax_rows.py:softmax_rows",
            root=HERE,
            signature=SOFTMAX_TYPES,
            constants={"BLOCK": 256, "num_warps": 2},
        )

        assert ".target sm_80" in artifact.ptx
        assert (artifact.kernel_name, artifact.origin) == ("softmax_rows", "triton")
        assert artifact.block_threads == 64
        assert artifact.dynamic_shared_bytes > 0
        assert artifact.source == f"{HERE / 'triton_softmax_rows.py'}:softmax_rows"

    def test_a_multiple_of_16_allows_wider_loads(self):
        types = SOFTMAX_TYPES | {"cols": "i32:16"}

        ptx = compiled(
            "triton_softmax_rows.py:softmax_rows", root=HERE, signature=types, constants={"BLOCK": 1024}
        ).ptx

        assert "ld.global.v4.b32" in ptx

    def test_what_triton_refuses_is_told_in_its_words(self):
        said = refusal(
            "triton_softmax_rows.py:softmax_rows",
            root=HERE,
            signature=SOFTMAX_TYPES,
            constants={"BLOCK": 100},
        )

        assert said.startswith("the Triton kernel softmax_rows does not compile for sm_80; Triton says:\n")
        assert "power of 2" in said

    @pytest.mark.parametrize(
        ("keys", "words"),
        [
            ({}, "needs the types of its arguments, and none is given"),
            ({"signature": {"x": "*fp32"}}, "nothing is said of the argument 'y'"),
            ({"signature": SOFTMAX_TYPES | {"z": "i32"}}, "has no argument 'z'"),
            ({"signature": SOFTMAX_TYPES, "constants": {"BLOK": 8}}, "did you mean 'BLOCK'?"),
            (
                {"signature": SOFTMAX_TYPES | {"x": "*fp32:8"}, "constants": {"BLOCK": 8}},
                'only ":16" may follow',
            ),
            ({"kernel": "softmax"}, "is not called 'softmax'"),
            ({"options": ("-O3",)}, "takes no options (= ['-O3'])"),
        ],
    )
    def test_a_wrong_key_is_named(self, keys, words):
        assert words in refusal("triton_softmax_rows.py:softmax_rows", root=HERE, **keys)

    def test_an_autotuned_kernel_asks_for_one_configuration(self):
        said = refusal("triton_softmax_rows.py:tuned", root=HERE, signature=SOFTMAX_TYPES)

        assert "constants={'BLOCK': 256, 'num_warps': 8, 'num_stages': 3} is the first" in said


class TestNumba:
    @pytest.fixture(autouse=True)
    def compiler(self):
        pytest.importorskip("numba.cuda")

    def test_a_kernel_is_compiled_for_a_signature(self):
        artifact = compiled(
            "numba_saxpy.py:saxpy", root=HERE, signature="void(float32, float32[::1], float32[::1])"
        )

        assert ".target sm_80" in artifact.ptx
        assert "fma.rn.f32" in artifact.ptx
        assert artifact.origin == "numba"

    def test_a_kernel_of_the_simulator_is_compiled_too(self):
        """The simulator cannot be switched on once Numba is imported, so the whole goes to a new process."""
        script = (
            "from pytest_gpuemu.engine.artifacts.sources import KernelSource, compile_kernel\n"
            "import numba_saxpy\n"
            "assert type(numba_saxpy.saxpy).__name__ == 'FakeCUDAKernel'\n"
            "signature = 'void(float32, float32[::1], float32[::1])'\n"
            "source = KernelSource(given=numba_saxpy.saxpy, signature=signature)\n"
            "print(compile_kernel(source, 'sm_80').ptx)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=HERE,
            env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

        assert "fma.rn.f32" in done.stdout, done.stderr

    @pytest.mark.parametrize(
        ("signature", "words"),
        [
            (None, "needs its signature, and none is given"),
            ("void(float32", "signature = 'void(float32' is no signature of Numba"),
            ("void(float32, float32, float32)", "does not compile for sm_80; Numba says:\n"),
        ],
    )
    def test_a_wrong_signature_is_named(self, signature, words):
        assert words in refusal("numba_saxpy.py:saxpy", root=HERE, signature=signature)


class TestOthers:
    def test_ptx_is_taken_as_it_is(self, tmp_path):
        (tmp_path / "nothing.ptx").write_text(PTX)

        assert compiled(PTX).ptx == compiled("nothing.ptx", root=tmp_path).ptx == PTX
        assert compiled(tmp_path / "nothing.ptx").source == str(tmp_path / "nothing.ptx")

    def test_a_text_is_found_by_the_name_of_its_variable(self, tmp_path):
        (tmp_path / "texts_of_kernels.py").write_text(f"NOTHING = {PTX!r}\nNUMBER = 1\nWORD = 'x.cu'\n")

        assert compiled("texts_of_kernels.py:NOTHING", root=tmp_path).ptx == PTX
        assert compiled("texts_of_kernels:NOTHING", root=tmp_path).source == "texts_of_kernels:NOTHING"
        assert "has no 'NOTHNG'; did you mean 'NOTHING'?" in refusal("texts_of_kernels:NOTHNG", root=tmp_path)
        assert "source = 1 is no kernel" in refusal("texts_of_kernels:NUMBER", root=tmp_path)
        assert "names the text 'x.cu'" in refusal("texts_of_kernels:WORD", root=tmp_path)

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ("absent.cu", "absent.cu cannot be read: No such file or directory"),
            ("absent.py:kernel", "there is no file"),
            ("absent_module:kernel", "absent_module cannot be imported: ModuleNotFoundError"),
            ("kernel.txt", "source = 'kernel.txt' is no kernel: write the path of a .cu or .ptx file"),
            (len, "a plain function: decorate it"),
            (3, "source = 3 is no kernel: write"),
        ],
    )
    def test_what_is_no_kernel_is_named(self, tmp_path, given, words):
        assert words in refusal(given, root=tmp_path)

    def test_a_wrong_architecture_is_named(self):
        assert "arch 'ampere' is no architecture: write 'sm_80'" in refusal(TEMPLATE, "ampere")

    @pytest.mark.parametrize(
        ("library", "given", "keys", "words"),
        [
            ("cupy", TEMPLATE, {}, "pip install 'pytest-gpuemu[cuda]'"),
            ("triton", "triton_softmax_rows.py:softmax_rows", {}, "pip install 'pytest-gpuemu[triton]'"),
        ],
    )
    def test_a_compiler_that_is_not_there_is_named_with_what_brings_it(
        self, monkeypatch, library, given, keys, words
    ):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"the test takes away {library}, which is not there")
        compiled_before = builtins.__import__

        def without(name, *rest, **more):
            if name.split(".")[0] == library:
                raise ModuleNotFoundError(f"No module named {name!r}")
            return compiled_before(name, *rest, **more)

        kernel = load_object(given, HERE) if ".py" in given else given
        monkeypatch.setattr(builtins, "__import__", without)

        assert words in refusal(kernel, **keys)
