"""What kind of work an instruction of PTX does.

Here: the class of each opcode, and the floating-point operations of one instruction.
Elsewhere: the bytes it moves (memory.py), what a compiler made of it (sass.py).
Opcodes are those of the PTX ISA, chapter "Instructions"; one that is not there is of class "other".
"""

from __future__ import annotations

import re

from pytest_gpuemu.engine.artifacts.ptx.tree import Instruction

CLASSES = (
    *("float16", "float32", "float64", "integer", "special_function", "logic", "compare", "convert", "move"),
    *("load", "store", "atomic", "async_copy", "cache", "tensor", "texture"),
    *("warp", "barrier", "control", "other"),
)
THREADS_PER_WARP = 32
THREADS_PER_WARPGROUP = 128  # of wgmma

_ARITHMETIC = (
    *("add", "sub", "mul", "mad", "fma", "div", "rem", "min", "max", "abs", "neg", "copysign", "sad"),
    *("mul24", "mad24", "addc", "subc", "madc", "dp4a", "dp2a"),
    *("popc", "clz", "bfind", "fns", "brev", "bfe", "bfi", "bmsk", "szext"),
)
_ONE_CLASS = {
    "special_function": "rcp sqrt rsqrt sin cos lg2 ex2 tanh",
    "logic": "and or xor not cnot lop3 shl shr shf prmt",
    "compare": "set setp selp slct testp",
    "convert": "cvt",
    "move": "mov cvta isspacep mapa getctarank alloca stackrestore stacksave istypep",
    "load": "ld ldu",
    "store": "st",
    "atomic": "atom red multimem",
    "async_copy": "cp",
    "cache": "prefetch prefetchu applypriority discard createpolicy",
    "tensor": "mma wmma wgmma ldmatrix stmatrix movmatrix tcgen05",
    "texture": "tex tld4 txq suld sust sured suq tensormap",
    "warp": "shfl vote match activemask redux elect",
    "barrier": "bar barrier membar fence mbarrier griddepcontrol",
    "control": "bra brx call ret exit trap brkpt pmevent nanosleep setmaxnreg clusterlaunchcontrol",
}
_CLASS_OF = {opcode: name for name, opcodes in _ONE_CLASS.items() for opcode in opcodes.split()}
OPCODES = (*_ARITHMETIC, *_CLASS_OF)
_FLOATS = {
    "f16": "float16",
    "f16x2": "float16",
    "bf16": "float16",
    "bf16x2": "float16",
    "f32": "float32",
    "f32x2": "float32",
    "f64": "float64",
}
_MATRIX_SHAPE = re.compile(r"m(\d+)n(\d+)k(\d+)")


def instruction_class(instruction: Instruction) -> str:
    """One of CLASSES. Arithmetic is told by its last type: `add.f32`, and `add.s32` is "integer"."""
    opcode = instruction.opcode
    if opcode in _ARITHMETIC:
        return _float_class(instruction) or "integer"
    if opcode in ("bar", "barrier") and "warp" in instruction.modifiers:
        return "warp"
    return _CLASS_OF.get(opcode, "other")


def is_matrix_product(instruction: Instruction) -> bool:
    """Whether it multiplies matrices on a tensor core; loading and storing their fragments is not it."""
    modifiers = instruction.modifiers
    return (
        instruction.opcode == "mma"
        or (instruction.opcode in ("wmma", "tcgen05") and "mma" in modifiers)
        or (instruction.opcode == "wgmma" and "mma_async" in modifiers)
    )


def is_block_barrier(instruction: Instruction) -> bool:
    """Whether threads of a block, or of a cluster, meet here: bar and barrier, but not those of a warp."""
    return instruction.opcode in ("bar", "barrier") and "warp" not in instruction.modifiers


def is_branch(instruction: Instruction) -> bool:
    """Whether it may go on elsewhere in its function."""
    return instruction.opcode in ("bra", "brx")


def is_atomic(instruction: Instruction) -> bool:
    """Whether it reads, changes and writes memory at once: atom, red, and the reductions of multimem."""
    if instruction.opcode == "multimem":
        return "red" in instruction.modifiers
    return instruction.opcode in ("atom", "red")


def float_operations(instruction: Instruction) -> float | None:
    """Floating-point operations of one thread; None where the instruction does not say how many.

    1 for add, mul, min, div, sqrt, ex2 and their like, 2 for fma and mad, twice that for packed types.
    A matrix product of m x n x k is 2*m*n*k operations of the threads that take part.
    """
    if is_matrix_product(instruction):
        shape = next(filter(None, map(_MATRIX_SHAPE.fullmatch, instruction.modifiers)), None)
        if shape is None:
            return None  # tcgen05 has its shape in a register
        threads = THREADS_PER_WARPGROUP if instruction.opcode == "wgmma" else THREADS_PER_WARP
        m, n, k = map(int, shape.groups())
        return 2 * m * n * k / threads
    kind = instruction_class(instruction)
    if kind == "special_function":
        return float(_packed(instruction))
    if kind not in ("float16", "float32", "float64") or instruction.opcode in ("abs", "neg", "copysign"):
        return 0.0
    return float(_packed(instruction) * (2 if instruction.opcode in ("fma", "mad") else 1))


def _float_class(instruction: Instruction) -> str | None:
    for modifier in reversed(instruction.modifiers):
        if modifier in _FLOATS:
            return _FLOATS[modifier]
    return None


def _packed(instruction: Instruction) -> int:
    return (
        2 if any(modifier.endswith("x2") and modifier in _FLOATS for modifier in instruction.modifiers) else 1
    )
