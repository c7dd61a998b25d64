"""Patterns: forms of code that say how a kernel works, and whose coming or going changes its speed.

Here: the patterns, what trips each and what does not, and finding them or an instruction by its beginning.
Elsewhere: what a limit or a baseline makes of them (lint.py, changes.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_gpuemu.engine.artifacts.data import PatternFound
from pytest_gpuemu.engine.artifacts.instruction_classes import (
    OPCODES,
    instruction_class,
    is_atomic,
    is_block_barrier,
    is_matrix_product,
)
from pytest_gpuemu.engine.artifacts.memory import access
from pytest_gpuemu.engine.artifacts.ptx.tree import Instruction, Name
from pytest_gpuemu.engine.artifacts.ptx.walk import SourceLines
from pytest_gpuemu.engine.errors import ConfigError, did_you_mean

LINES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Pattern:
    """A form of code. wanted: True where its loss slows a kernel, False where its coming does, None where
    neither is sure. example trips it, and counterexample is the nearest line that does not."""

    name: str
    what: str
    why: str
    wanted: bool | None
    matches: Callable[[Instruction], bool]
    example: str
    counterexample: str


def _moves(kinds: Sequence[str], spaces: Sequence[str]) -> Callable[[Instruction], bool]:
    """Several elements, or 16 bytes, by one instruction of these kinds in these spaces."""

    def matches(instruction: Instruction) -> bool:
        found = access(instruction)
        return (
            found is not None
            and found.kind in kinds
            and found.space in spaces
            and instruction.opcode in ("ld", "ldu", "st")
            and (found.vector > 1 or found.width_bytes >= 16)
        )

    return matches


def _has_kind(kind: str) -> Callable[[Instruction], bool]:
    def matches(instruction: Instruction) -> bool:
        found = access(instruction)
        return found is not None and found.kind == kind

    return matches


def _is_local(instruction: Instruction) -> bool:
    found = access(instruction)
    return found is not None and found.space == "local" and found.kind in ("load", "store")


def _calls(*functions: str) -> Callable[[Instruction], bool]:
    def matches(instruction: Instruction) -> bool:
        return instruction.opcode == "call" and any(
            isinstance(operand, Name) and operand.name in functions for operand in instruction.operands
        )

    return matches


def _begins(*beginnings: str) -> Callable[[Instruction], bool]:
    def matches(instruction: Instruction) -> bool:
        return any(begins_with(instruction, beginning) for beginning in beginnings)

    return matches


PATTERNS = {
    pattern.name: pattern
    for pattern in (
        Pattern(
            "vector_load",
            "several elements of global memory loaded by one instruction",
            "four separate loads take four times the instructions for the same bytes",
            True,
            _moves(("load",), ("global", "generic")),
            "ld.global.v4.f32 {a, b, c, d}, [p];",
            "ld.global.f32 a, [p];",
        ),
        Pattern(
            "vector_store",
            "several elements stored to global memory by one instruction",
            "as for loads",
            True,
            _moves(("store",), ("global", "generic")),
            "st.global.v2.b64 [p], {a, b};",
            "st.global.b64 [p], a;",
        ),
        Pattern(
            "vector_shared",
            "several elements of shared memory moved by one instruction",
            "as for global memory, and 16 bytes a thread use the banks fully",
            True,
            _moves(("load", "store"), ("shared",)),
            "ld.shared.v4.b32 {a, b, c, d}, [p];",
            "ld.shared.b32 a, [p];",
        ),
        Pattern(
            "tensor_core",
            "matrices multiplied on tensor cores",
            "the same product in fma instructions runs an order of magnitude slower",
            True,
            is_matrix_product,
            "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {a,b,c,d}, {e,f,g,h}, {i,j}, {k,l,m,n};",
            "wgmma.fence.sync.aligned;",
        ),
        Pattern(
            "matrix_load",
            "fragments of matrices loaded from shared memory for a whole warp",
            "without it each thread loads and shuffles its own elements",
            True,
            _begins("ldmatrix", "wmma.load"),
            "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {a,b,c,d}, [p];",
            "stmatrix.sync.aligned.m8n8.x1.shared.b16 [p], {a};",
        ),
        Pattern(
            "async_copy",
            "global memory copied to shared memory without passing registers",
            "a pipeline that hides the latency of memory rests on it",
            True,
            _has_kind("async_copy"),
            "cp.async.cg.shared.global [a], [b], 16;",
            "cp.async.wait_group 0;",
        ),
        Pattern(
            "bulk_copy",
            "a block of memory copied by the copy engine (TMA)",
            "as for async_copy, with no instruction for each thread",
            True,
            _has_kind("bulk_copy"),
            "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [a], [b], 128, [m];",
            "cp.async.cg.shared.global [a], [b], 16;",
        ),
        Pattern(
            "read_only_load",
            "global memory loaded through the read-only path",
            "it tells the compiler and the cache that nobody writes there",
            None,
            lambda instruction: (
                instruction.opcode == "ldu" or (instruction.opcode == "ld" and "nc" in instruction.modifiers)
            ),
            "ld.global.nc.f32 a, [p];",
            "ld.global.f32 a, [p];",
        ),
        Pattern(
            "fused_multiply_add",
            "a product and a sum in one instruction with one rounding",
            "two instructions in place of one, and another rounding",
            None,
            lambda instruction: instruction.opcode == "fma",
            "fma.rn.f32 a, b, c, d;",
            "mul.f32 a, b, c;",
        ),
        Pattern(
            "warp_shuffle",
            "values exchanged between the threads of a warp",
            "the other way is through shared memory, with barriers",
            None,
            _begins("shfl", "redux"),
            "shfl.sync.bfly.b32 a|p, b, 16, 31, -1;",
            "vote.sync.ballot.b32 a, p, -1;",
        ),
        Pattern(
            "block_barrier",
            "the threads of a block, or of a cluster, wait for each other",
            "each one idles all warps of the block until the last has come",
            None,
            is_block_barrier,
            "bar.sync 0;",
            "bar.warp.sync -1;",
        ),
        Pattern(
            "atomic",
            "memory read, changed and written at once",
            "threads that meet at one address go one after the other, in no fixed order",
            None,
            is_atomic,
            "atom.global.add.f32 a, [p], b;",
            "st.global.f32 [p], b;",
        ),
        Pattern(
            "double_precision",
            "arithmetic in float64",
            "consumer GPUs do it at 1/32 or 1/64 of the rate of float32; a literal without an f is enough",
            False,
            lambda instruction: (
                instruction_class(instruction) == "float64"
                or (instruction_class(instruction) == "special_function" and "f64" in instruction.modifiers)
            ),
            "mul.f64 a, b, c;",
            "cvt.f64.f32 a, b;",
        ),
        Pattern(
            "local_memory",
            "a thread's own memory, which lies in global memory",
            "an array that is indexed at run time, or registers that did not suffice",
            False,
            _is_local,
            "ld.local.f32 a, [p];",
            "ld.shared.f32 a, [p];",
        ),
        Pattern(
            "assertion",
            "a failed assertion or a trap ends the kernel",
            "left in from a debug build, it costs registers and branches",
            False,
            lambda instruction: instruction.opcode == "trap" or _calls("__assertfail")(instruction),
            "call __assertfail, (a, b, c, d, e);",
            "call f, (a);",
        ),
        Pattern(
            "print",
            "the kernel prints",
            "left in from a debug build, it costs a stack and a call",
            False,
            _calls("vprintf"),
            "call.uni (r), vprintf, (a, b);",
            "call.uni (r), f, (a, b);",
        ),
    )
}


def begins_with(instruction: Instruction, beginning: str) -> bool:
    """Whether the instruction's name is that, or begins with it at a dot: "mma.sync"."""
    return (instruction.name + ".").startswith(beginning.rstrip(".") + ".")


def matcher(name: str) -> Callable[[Instruction], bool]:
    """What tells the instructions of a pattern, or those whose name begins so.

    Raises ConfigError for what is neither a pattern nor the beginning of an instruction that PTX has.
    """
    if name in PATTERNS:
        return PATTERNS[name].matches
    if name.split(".")[0] in OPCODES:
        return _begins(name)
    raise ConfigError(
        f"{name!r} is no pattern, and no instruction of PTX begins so: "
        f"{did_you_mean(name, (*PATTERNS, *OPCODES)) if _is_near(name) else did_you_mean('', PATTERNS)}"
    )


def _is_near(name: str) -> bool:
    return did_you_mean(name, (*PATTERNS, *OPCODES)).startswith("did you mean")


def found_patterns(instructions: Iterable[Instruction], source: SourceLines) -> tuple[PatternFound, ...]:
    """Each pattern that the instructions show, in the order of PATTERNS."""
    return tuple(_found(list(instructions), source))


def _found(instructions: list[Instruction], source: SourceLines) -> Iterator[PatternFound]:
    for pattern in PATTERNS.values():
        matching = [instruction for instruction in instructions if pattern.matches(instruction)]
        if matching:
            widths = [moved.width_bytes for moved in map(access, matching) if moved is not None]
            yield PatternFound(
                name=pattern.name,
                count=len(matching),
                width_bytes=max(widths, default=0),
                lines=tuple(source.at(instruction.line) for instruction in matching[:LINES_SHOWN]),
            )
