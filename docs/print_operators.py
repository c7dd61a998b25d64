"""Prints docs/operators.md from the records of the built-in operators.

    python docs/print_operators.py > docs/operators.md

Here: how a record reads as a row. Elsewhere: the records (src/pytest_gpuemu/engine/ops/).
"""

from __future__ import annotations

import inspect

from pytest_gpuemu.engine.op import Input, Op, Output
from pytest_gpuemu.engine.ops import FAMILIES

INTRODUCTION = """\
# Built-in operators

Which operators can a test name without defining one, and what do their inputs look like?

<!-- Printed by docs/print_operators.py; that script renews it. -->

Names of operators, inputs and params are those of torch's functional API where it has them. A param
has one value unless the marker lists several: `params={"dim": [0, -1]}`. The params shown are the
defaults; a kernel need not take those. An output `[...]` has the shape that the reference gives it.
Dtypes are float16, bfloat16 and float32 where none are listed: `dtypes=["float64"]` asks for others.

- Reductions reduce the last dim, as kernels do; torch's default of all elements is `params={"dim": None}`.
- `max` and `min` give values; values and indices together are `max_with_indices`.
- An output that is an index is right if it leads to the right value, so every tied index is.
- A NaN is carried through relu, clamp, max, min, maximum and minimum, as in torch.
- Attention accepts 0 and NaN in a row that sees no key. `grouped_query_attention` is the same with
  fewer heads of key and value; causal masks are `params={"is_causal": True}`, from the top left
  unless `causal_align` is `"bottom_right"`. Head dims are the powers of two that most kernels take;
  `dims={"D": (1, 256)}` asks for all.
- The mean loss over ignored targets alone is NaN, as in torch.
- Cases are drawn with these shapes. Arrays of your own, for `validate_op` and the client, may have every
  rank that the operator takes and leave out an optional weight or bias ([api.md](api.md)).
"""
DEFAULT_DTYPES = ("float16", "bfloat16", "float32")


def page() -> str:
    """All of docs/operators.md."""
    lines = [INTRODUCTION]
    for family, ops in FAMILIES.items():
        lines += [
            f"## {family.capitalize()}",
            "",
            "| op | schema | params | what it is |",
            "|---|---|---|---|",
        ]
        lines += [row(op) for op in ops]
        lines.append("")
    return "\n".join(lines)


def row(op: Op) -> str:
    """One row of a family's table."""
    names = "<br>".join([f"`{op.name}`", *(f"also `{alias}`" for alias in op.aliases)])
    params = "<br>".join(f"`{param.name}={param.choices[0]!r}`" for param in op.params)
    notes = [first_sentence(op), *(f"`{x.name}`: {said}" for x in op.inputs if (said := domain(x)))]
    if len(op.references) > 1:
        notes.append(f"{len(op.references)} references, of which the better counts")
    if op.dtypes != DEFAULT_DTYPES:
        notes.append(f"dtypes: {', '.join(op.dtypes)}")
    if op.where:
        notes.append("where " + ", ".join(f"`{condition}`" for condition in op.where))
    notes += [f"{name} check off" for name, is_on in op.checks.items() if not is_on]
    return f"| {names} | `{schema(op)}` | {params} | {'<br>'.join(notes).replace('|', chr(92) + '|')} |"


def schema(op: Op) -> str:
    """The schema as the marker takes it."""
    inputs = ", ".join(tensor(x) for x in op.inputs)
    return f"{inputs} -> {', '.join(tensor(y) for y in op.outputs)}"


def tensor(x: Input | Output) -> str:
    return f"{x.name}[{'...' if x.dims is None else ','.join(map(str, x.dims))}]"


def first_sentence(op: Op) -> str:
    """The first line of the reference's docstring."""
    return (inspect.getdoc(op.references[0]) or "").splitlines()[0].rstrip(".")


def domain(x: Input) -> str:
    """What the values of an input are limited to; empty where they are not."""
    found = [x.dtype] if x.dtype else []
    if x.kind == "index":
        found.append(f"indices below {x.of}")
    elif x.kind != "values":
        found.append(x.kind)
    if x.ignore is not None:
        found.append(f"or {x.ignore}, ignored")
    if x.low is not None:
        found.append(f"at least {x.low}")
    if x.high is not None:
        found.append(f"at most {x.high}")
    if x.nonzero:
        found.append("not 0")
    if x.values is not None and not any(name.startswith("nonfinite") for name in x.values):
        found.append("finite")
    return ", ".join(found)


if __name__ == "__main__":
    print(page(), end="")
