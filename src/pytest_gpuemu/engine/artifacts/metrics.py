"""What PTX alone says of a kernel.

Here: virtual registers, the mix of instructions, memory operations, declared memory, arithmetic intensity.
Elsewhere: the registers that ptxas allocates and what it spills (ptxas.py); PTX's registers are virtual, as
many as the compiler likes, and say nothing of them.
A kernel's figures hold its own code and each function that it reaches, once; a loop's body counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pytest_gpuemu.engine.artifacts.data import KernelMetrics, MemoryOperations
from pytest_gpuemu.engine.artifacts.instruction_classes import (
    CLASSES,
    float_operations,
    instruction_class,
    is_atomic,
    is_block_barrier,
    is_branch,
    is_matrix_product,
)
from pytest_gpuemu.engine.artifacts.memory import access, type_bytes
from pytest_gpuemu.engine.artifacts.patterns import found_patterns
from pytest_gpuemu.engine.artifacts.ptx.constants import whole
from pytest_gpuemu.engine.artifacts.ptx.tree import Declarator, Function, Instruction, Module, Variable
from pytest_gpuemu.engine.artifacts.ptx.walk import (
    SourceLines,
    instructions,
    reached_functions,
    used_names,
    variables,
)

PTX_SOURCES = {
    "virtual_registers": "PTX: virtual registers declared, not those of the hardware",
    "virtual_registers_by_type": "PTX: virtual registers declared, by type",
    "instruction_count": "PTX: instructions in the code",
    "instruction_mix": "PTX: instructions in the code, by class",
    "memory_operations": "PTX: instructions in the code",
    "branches": "PTX: instructions in the code",
    "barriers": "PTX: instructions in the code",
    "atomics": "PTX: instructions in the code",
    "tensor_core": "PTX: instructions in the code",
    "declared_local_bytes": "PTX: bytes of a thread, declared",
    "const_memory_bytes": "PTX: bytes that the kernel uses, declared",
    "shared_memory_bytes": "PTX: bytes of a block, declared",
    "arithmetic_intensity": "PTX: floating-point operations per byte of global memory, each loop once",
    "patterns_found": "PTX: instructions in the code",
}


def ptx_metrics(module: Module, kernel: Function, source: SourceLines) -> KernelMetrics:
    """The figures of one kernel that its PTX gives; those of other tools are None."""
    functions = reached_functions(module, kernel)
    code = [instruction for function in functions for instruction in instructions(function)]
    declared = [variable for function in functions for variable in variables(function)]
    used = frozenset().union(*map(used_names, functions))
    outside = [item for item in module.items if isinstance(item, Variable)]
    outside = [item for item in outside if any(declarator.name in used for declarator in item.declarators)]
    registers = _registers(declared)
    mix = Counter(map(instruction_class, code))
    return KernelMetrics(
        virtual_registers=sum(registers.values()),
        virtual_registers_by_type=registers,
        instruction_count=len(code),
        instruction_mix={name: mix[name] for name in CLASSES if mix[name]},
        memory_operations=_memory_operations(code),
        branches=sum(map(is_branch, code)),
        barriers=sum(map(is_block_barrier, code)),
        atomics=sum(map(is_atomic, code)),
        tensor_core=sum(map(is_matrix_product, code)),
        declared_local_bytes=_laid_out(declared + outside, "local"),
        const_memory_bytes=_laid_out(outside, "const"),
        shared_memory_bytes=_laid_out(declared + outside, "shared"),
        uses_dynamic_shared=any(_is_dynamic(variable) for variable in declared + outside),
        arithmetic_intensity=arithmetic_intensity(code),
        patterns_found=found_patterns(code, source),
        sources=PTX_SOURCES,
    )


def arithmetic_intensity(code: Iterable[Instruction]) -> float | None:
    """Floating-point operations over bytes of global memory, both of one thread and one pass of the code.

    Operations as instruction_classes.float_operations counts them; bytes are the widths of loads, stores,
    atomics and asynchronous copies of the global and the generic space. None where no byte is moved, or an
    instruction does not say its operations or bytes. It is an estimate that compares two builds of one
    kernel: a loop counts once, a cache is not known, and a generic address may lie in shared memory.
    """
    operations, moved = 0.0, 0
    for instruction in code:
        count = float_operations(instruction)
        if count is None:
            return None
        operations += count
        found = access(instruction)
        if found is None:
            continue
        if found.kind in ("bulk_copy", "texture") and not found.width_bytes:
            return None
        if found.space in ("global", "generic"):
            moved += found.width_bytes
    return operations / moved if moved else None


def _registers(declared: Iterable[Variable]) -> dict[str, int]:
    """Virtual registers by type. `%r<5>` declares %r0 to %r4; a vector register is one for each element."""
    found: Counter[str] = Counter()
    for variable in declared:
        if variable.space == "reg":
            names = sum(
                1 if declarator.count is None else declarator.count for declarator in variable.declarators
            )
            found[variable.type] += names * variable.vector
    return dict(sorted(found.items()))


def _memory_operations(code: Iterable[Instruction]) -> tuple[MemoryOperations, ...]:
    counts = Counter(found for found in map(access, code) if found is not None)
    return tuple(
        MemoryOperations(
            kind=found.kind,
            space=found.space,
            width_bytes=found.width_bytes,
            vector=found.vector,
            count=count,
        )
        for found, count in sorted(counts.items())
    )


def _laid_out(declared: Iterable[Variable], space: str) -> int:
    """Bytes of these declarations in one space, each aligned as it asks and in the order of the text."""
    end = 0
    for variable in declared:
        if variable.space.split("::")[0] == space:
            for declarator in variable.declarators:
                align = whole(variable.align) or _element_bytes(variable)
                end = -(-end // align) * align + _bytes(variable, declarator)
    return end


def _bytes(variable: Variable, declarator: Declarator) -> int:
    """Bytes of one declared name; 0 for an open array, whose size the launch gives."""
    elements = 1
    for dim in declarator.dims:
        elements *= whole(dim) or 0
    return elements * _element_bytes(variable)


def _element_bytes(variable: Variable) -> int:
    return max(1, type_bytes((variable.type,))) * variable.vector


def _is_dynamic(variable: Variable) -> bool:
    return variable.space.split("::")[0] == "shared" and any(
        None in declarator.dims for declarator in variable.declarators
    )
