"""Triton kernels to PTX, for a named target and without a GPU.

Here: signature, constants and launch options of a kernel, and Triton's compiler. Elsewhere: a kernel that was
made for Triton's interpreter (fresh_process.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from pytest_gpuemu.engine import user_code
from pytest_gpuemu.engine.artifacts.data import Artifact
from pytest_gpuemu.engine.artifacts.sources.source import (
    KernelSource,
    capability,
    does_not_compile,
    no_options,
    not_installed,
)
from pytest_gpuemu.engine.errors import ArtifactError, did_you_mean, shortened

_LAUNCH_OPTIONS = ("num_warps", "num_stages", "num_ctas", "maxnreg")
_WARP = 32
_EXAMPLE = 'signature={"x": "*fp32", "n": "i32"}'


def is_triton_kernel(given: Any) -> bool:
    """Whether @triton.jit, @triton.autotune or @triton.heuristics made it, also for the interpreter."""
    return type(given).__module__.split(".")[0] == "triton" and hasattr(given, "fn")


def is_interpreted(given: Any) -> bool:
    """Whether it was made under TRITON_INTERPRET=1, so that only the interpreter can run it."""
    return type(_innermost(given)).__name__ == "InterpretedFunction"


def python_function(given: Any) -> Any:
    """The function that was decorated."""
    while hasattr(given, "fn"):
        given = given.fn
    return given


def compile_triton(source: KernelSource, arch: str) -> Artifact:
    """Compile one kernel for one architecture. Raises ArtifactError with Triton's own message."""
    try:
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource
        from triton.compiler import compile as compile_source
    except ImportError as error:
        raise not_installed("Triton cannot be imported", "triton", error) from None
    kernel = _innermost(source.given)
    name = kernel.__name__
    what = f"the Triton kernel {name}"
    no_options(source, what)
    if source.kernel not in (None, name):
        raise ArtifactError(
            f"{what} is not called {source.kernel!r}: name it {name!r}, or leave the name out"
        )
    arguments = list(inspect.signature(python_function(kernel)).parameters)
    constants = {key: value for key, value in source.constants.items() if key not in _LAUNCH_OPTIONS}
    launch = {key: value for key, value in source.constants.items() if key in _LAUNCH_OPTIONS}
    types, aligned = _types(what, arguments, source.signature, constants, source.given)
    major, minor, _ = capability(arch)

    def run() -> Any:
        made = ASTSource(
            fn=kernel,
            signature=types,
            constexprs=constants,
            attrs={(arguments.index(key),): [["tt.divisibility", 16]] for key in aligned},
        )
        return compile_source(made, target=GPUTarget("cuda", major * 10 + minor, _WARP), options=launch)

    called = user_code.call(run)
    if called.error is not None:
        raise does_not_compile(what, arch, "Triton", str(called.error) or called.summary) from called.error
    metadata = called.value.metadata
    return Artifact(
        ptx=called.value.asm["ptx"],
        kernel_name=metadata.name,
        archs=(arch,),
        origin="triton",
        source=f"{inspect.getsourcefile(python_function(kernel))}:{name}",
        block_threads=metadata.num_warps * _WARP,
        dynamic_shared_bytes=metadata.shared,
    )


def _innermost(given: Any) -> Any:
    """The JITFunction within @triton.autotune and @triton.heuristics."""
    while hasattr(getattr(given, "fn", None), "fn"):
        given = given.fn
    return given


def _types(
    what: str, arguments: list[str], signature: Any, constants: Mapping[str, Any], outermost: Any
) -> tuple[dict[str, str], list[str]]:
    """The type of each argument as Triton spells it, and the arguments that are multiples of 16."""
    if not isinstance(signature, Mapping):
        given = "none is given" if signature is None else f"{shortened(signature)} is given"
        raise ArtifactError(f"{what} needs the types of its arguments, and {given}: write {_EXAMPLE}")
    for key in (*signature, *constants):
        if key not in arguments:
            known = [*arguments, *_LAUNCH_OPTIONS] if key in constants else arguments
            raise ArtifactError(f"{what} has no argument {key!r}; {did_you_mean(str(key), known)}")
    if missing := [key for key in arguments if key not in signature and key not in constants]:
        raise ArtifactError(
            f"{what}: nothing is said of the argument {missing[0]!r}: its type in signature, such as "
            f'"*fp32", "i32" or "*fp16:16" (a multiple of 16), or its value in constants{_tuned(outermost)}'
        )
    types, aligned = {}, []
    for key in arguments:
        text = "constexpr" if key in constants else signature[key]
        if not isinstance(text, str):
            raise ArtifactError(f'{what}: signature[{key!r}] = {text!r}: expected a type, such as "*fp32"')
        kind, colon, multiple = text.partition(":")
        if colon and multiple != "16":
            raise ArtifactError(f'{what}: signature[{key!r}] = {text!r}: only ":16" may follow the type')
        types[key] = kind.strip()
        if colon:
            aligned.append(key)
    return types, aligned


def _tuned(outermost: Any) -> str:
    """For an autotuned kernel: its first configuration, as constants."""
    configs = getattr(outermost, "configs", None)
    if not configs:
        return ""
    first = {**configs[0].kwargs, "num_warps": configs[0].num_warps, "num_stages": configs[0].num_stages}
    return f"; it is autotuned, and each configuration is compiled alone: constants={first!r} is the first"
