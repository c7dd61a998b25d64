"""Checks beyond values: what a kernel did to the memory around its output, and to its inputs.

Here: what one run can tell. A check is nameable and switched off by the marker's `checks`.
Elsewhere: the memory and its poison (buffers.py), values (compare.py), the order of it all (judge.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pytest_gpuemu.engine import arrays, layouts
from pytest_gpuemu.engine.buffers import Buffer, bits
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.verdict import Finding

_SHOWN = 3


def of_outputs(
    case: Case,
    given: Mapping[str, Any],
    taken: Mapping[str, Array],
    device: str | None,
    *,
    strides_known: bool = True,
) -> list[Finding]:
    """What is wrong with where outputs lie: their device, their layout, elements that were never written.

    given are the outputs as the kernel gave them, taken the same as NumPy arrays. device is where the inputs
    lie, if outputs must lie there too. strides_known: whether the arrays lie as the kernel laid them out.
    """
    op, found = case.op, []
    if op.checks_for("device") and device is not None:
        found += misplaced_outputs(given, device)
    if op.checks_for("layout") and strides_known:
        found += other_layouts(case, taken)
    if op.checks_for("written"):
        found += unwritten_outputs(case, taken)
    return found


def of_memory(case: Case, given: Mapping[str, Any], handed: Mapping[str, Any] | None) -> list[Finding]:
    """What a kernel did to memory that is none of its output's: inputs, guard bands, outputs in inputs."""
    op, found = case.op, []
    if op.checks_for("inputs_unmodified"):
        found += modified_inputs(case, handed)
    if op.checks_for("guard"):
        found += overwritten_guards(case)
    if op.checks_for("alias"):
        found += aliased_outputs(case, given, handed)
    return found


def unwritten_outputs(case: Case, outputs: Mapping[str, Array]) -> list[Finding]:
    """Elements of the case's own output buffers that still hold the poison they were filled with.

    Of the buffers that outputs lie in: a kernel may return an array of its own instead.

    Only where no arithmetic makes that poison: an integer or a bool may equal it by chance.
    """
    found = []
    for name, buffer in case.output_buffers.items():
        if not buffer.is_poison_certain or not np.may_share_memory(buffer.view, outputs[name]):
            continue
        mask = buffer.unwritten()
        if count := int(np.count_nonzero(mask)):
            index = tuple(int(i) for i in np.argwhere(mask)[0])
            found.append(
                Finding(
                    kind="Unwritten",
                    message=f"{name}: {_share(count, mask.size, 'were')} never written, "
                    f"first {name}{list(index)}",
                    output=name,
                    index=index,
                )
            )
    return found


def modified_inputs(case: Case, handed: Mapping[str, Any] | None = None) -> list[Finding]:
    """Inputs that the kernel changed, other than those the op overwrites in place.

    handed are the arrays that the kernel got, where these are not case.inputs themselves but copies
    in another library or on another device.
    """
    found = []
    for name in case.inputs:
        if name in case.op.inplace.values():
            continue
        given = case.inputs[name] if handed is None else arrays.to_numpy(handed[name])
        finding = modified_input(name, given, case.originals[name])
        if finding is None:
            continue
        buffer = case.buffers.get(name)
        damage = None if buffer is None else buffer.guard_damage()
        outside = "" if damage is None else f", and {damage.nbytes} bytes outside of it"
        found.append(replace(finding, message=finding.message + outside))
    return found


def modified_input(name: str, given: Array, before: Array) -> Finding | None:
    """The finding where an input is not what it was before."""
    if given.shape != before.shape:  # x.shape = ..., x.t_(), x.resize_(...)
        return Finding(
            kind="InputModified",
            message=f"input {name}: the shape was changed in place from {list(before.shape)} "
            f"to {list(given.shape)}; let the kernel reshape a view of its own",
        )
    mask = bits(given) != bits(before)
    if not mask.any():
        return None
    changed = [tuple(int(i) for i in index) for index in np.argwhere(mask)[:_SHOWN]]
    shown = ", ".join(f"{name}{list(i)} {before[i].item()!r} -> {given[i].item()!r}" for i in changed)
    more = ", ..." if np.count_nonzero(mask) > _SHOWN else ""
    return Finding(
        kind="InputModified",
        message=f"input {name}: {_share(int(np.count_nonzero(mask)), mask.size, 'were')} "
        f"modified: {shown}{more}",
        index=changed[0],
    )


def overwritten_guards(case: Case) -> list[Finding]:
    """Writes outside of an input or output: into the guard bands around it, or into its stride gaps."""
    found = []
    everything = [("input", *item) for item in case.buffers.items()]
    everything += [("output", *item) for item in case.output_buffers.items()]
    for role, name, buffer in everything:
        if (damage := buffer.guard_damage()) is not None:
            places = [
                f"{count} {where}"
                for count, where in (
                    (damage.before, "before its first element"),
                    (damage.between, "in the gaps between its elements"),
                    (damage.after, "after its last element"),
                )
                if count
            ]
            found.append(
                Finding(
                    kind="GuardOverwritten",
                    message=f"{role} {name}: {damage.nbytes} bytes outside of it were overwritten: "
                    f"{', '.join(places)}; the first at byte {damage.first} from its start "
                    f"({_extent(buffer)})",
                    output=name if role == "output" else None,
                )
            )
    return found


def aliased_outputs(
    case: Case, outputs: Mapping[str, Any], handed: Mapping[str, Any] | None = None
) -> list[Finding]:
    """Outputs, as the kernel gave them, that share memory with an input and are not computed in place."""
    given = case.inputs if handed is None else handed
    found = []
    for output, array in outputs.items():
        for name, inp in given.items():
            if case.op.inplace.get(output) != name and arrays.share_memory(array, inp):
                found.append(
                    Finding(
                        kind="Aliased",
                        message=f"{output} shares memory with the input {name}: writing to one changes "
                        f'the other (meant so? inplace={{"{output}": "{name}"}}, '
                        'or checks={"alias": False})',
                        output=output,
                    )
                )
    return found


def misplaced_outputs(outputs: Mapping[str, Any], device: str) -> list[Finding]:
    """Outputs, as the kernel gave them, that lie on another device than the inputs."""
    return [
        Finding(
            kind="DeviceMismatch",
            message=f"{name} lies on {found}, the inputs on {device}",
            output=name,
        )
        for name, array in outputs.items()
        if (found := arrays.device_of(array)) != device
    ]


def other_layouts(case: Case, outputs: Mapping[str, Array]) -> list[Finding]:
    """Outputs of the kernel's own memory that have none of the layouts that the op gives its outputs."""
    found = []
    for output in case.op.outputs:
        array, own = outputs[output.name], case.output_buffers.get(output.name)
        if own is not None and np.may_share_memory(own.view, array):
            continue
        if not any(layouts.is_laid_out(array, layout) for layout in output.layouts):
            found.append(
                Finding(
                    kind="LayoutMismatch",
                    message=f"{output.name} {list(array.shape)} has strides {array.strides} bytes, "
                    f"which is not {' or '.join(output.layouts)}",
                    output=output.name,
                )
            )
    return found


def _share(count: int, size: int, verb: str) -> str:
    return f"{count} of {size} elements ({100 * count / size:.1f}%) {verb}"


def _extent(buffer: Buffer) -> str:
    view = buffer.view
    return f"{view.dtype} {list(view.shape)}, strides {view.strides} bytes"
