"""The record of an operator: what is true of it, whoever defines it.

A built-in, a marker and an `[[ops]]` entry all become this record, through `define.define_op`.
Here: the data classes. Elsewhere: reading and checking what a user wrote (define.py), finding an op
by its name (resolve.py), drawing a case from the record (plan.py, case.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pytest_gpuemu.engine.schema import Comparison, DimExpr

Array: TypeAlias = npt.NDArray[Any]
Float64Array: TypeAlias = npt.NDArray[np.float64]
Reference: TypeAlias = Callable[..., Any]

LAYOUTS = (
    "contiguous",
    "strided",
    "transposed",
    "channels_last",
    "offset",
    "reversed",
    "broadcast",
    "huge",
)
VALUES = (
    "uniform",
    "normal",
    "wide",
    "near_equal",
    "one_signed",
    "root",
    "integers",
    "sparse",
    "tiny",
    "large",
    "nonfinite",
    "nonfinite_rows",
)
FINITE_VALUES = tuple(name for name in VALUES if not name.startswith("nonfinite"))
INPUT_KINDS = ("values", "index", "offsets", "lengths", "permutation", "mask")
COMPUTE_TYPES = ("float32", "float32-strict", "tf32", "storage", "float64")
ROUNDINGS = ("nearest", "faithful", "saturate")
SCALES = ("element", "row")
LIBRARIES = ("numpy", "torch", "cupy", "jax")
CHECKS = (
    "values",
    "shape",
    "dtype",
    "device",
    "layout",
    "inputs_unmodified",
    "written",
    "deterministic",
    "guard",
    "alias",
    "cached",
)
DEFAULT_MAX_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Range:
    """Every size from low to high, both included; boundary-rich sizes are drawn more often."""

    low: int
    high: int


# Candidates or a range by the name of a dim; a dim that is not there may have any size.
Dims: TypeAlias = Mapping[str, tuple[int, ...] | Range]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input of an op.

    dtype None means the case's floating dtype. low and high bound the values (both included for
    floats, high excluded for integers); high may be a dim. `of` is the dim that an index lies
    below, that offsets end at, or that lengths stay within; `ignore` an index value that stands
    for "no index" and is drawn now and then (cross_entropy's ignore_index). nonzero: no value is 0.
    """

    name: str
    dims: tuple[DimExpr, ...]
    kind: str = "values"
    dtype: str | None = None
    low: float | DimExpr | None = None
    high: float | DimExpr | None = None
    of: DimExpr | None = None
    ignore: int | None = None
    nonzero: bool = False
    layouts: tuple[str, ...] | None = None
    values: tuple[str, ...] | None = None

    @property
    def is_floating(self) -> bool:
        """Whether its dtype is the case's own, so that value distributions apply."""
        return self.kind == "values" and self.dtype is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output. dims None: the reference decides the shape. dtype None: the first floating input's."""

    name: str
    dims: tuple[DimExpr, ...] | None = None
    dtype: str | None = None
    layouts: tuple[str, ...] = ("contiguous",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """A keyword argument that is no array. One choice: a default that a test may ignore."""

    name: str
    choices: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """A tolerance given by hand: |output - reference| <= atol + rtol*|reference|, or <= ulp ulps.

    fraction is the share of elements that must be within it (1.0: all). source names the place it
    was given at: "marker", "[ops.tolerances]" or "[validation.tolerances]".
    """

    atol: float = 0.0
    rtol: float = 0.0
    ulp: float = 0.0
    fraction: float = 1.0
    source: str = "marker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """Something every output fulfils. check(outputs, inputs, params) gives a message, or None.

    A tolerant one gets a fourth argument: by output name, what each element may be off by.
    """

    name: str
    check: Callable[..., str | None]
    tolerant: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gradient:
    """How the gradients of an op's inputs follow from that of its output.

    references: acceptable ones; the best counts. Each is called with float64 arrays, `grad_output` before
    the op's own inputs, and the params, and gives the gradients of the inputs named in `of`, in that order.
    """

    references: tuple[Reference, ...]
    of: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """An operator. See contracts of each field in docs/ops.md.

    references: acceptable ones; the best counts. Each is called with float64 arrays (integers and
    bools as they are) and the params. canonical maps outputs to what is compared, for outputs with
    several right answers: argmax's index to the value at that index.
    tolerance holds for every output; where it is None, tolerances is looked up by the case's dtype.
    statistics, if there, judges a random output in place of values: (outputs, inputs, params) -> what is
    wrong, or None; the reference gives one right output. Two runs may then differ, unless checks say not.
    shape_rule, if there, gives an output's shape that dims cannot express:
    (output name, input shapes by name, params) -> shape.
    autotuner is the object that the configs came from, if it was one.
    param_dims: by param and value, the dims that are drawn otherwise where the caller chose that value alone.
    gradient, where it is known without the op's own references, is what check_grad judges by. conventions,
    if there, gives masks by output name of the elements for which no one answer is right; it is called with
    the reference's tolerance.ErrorBounds, and only for what disagrees.
    also_takes: further schemas that a caller's own arrays may have (given_shapes.py); none is drawn from.
    """

    name: str
    references: tuple[Reference, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    params: tuple[Param, ...] = ()
    dims: Dims = field(default_factory=dict)
    where: tuple[Comparison, ...] = ()
    dtypes: tuple[str, ...] = ("float16", "bfloat16", "float32")
    layouts: tuple[str, ...] = LAYOUTS
    values: tuple[str, ...] = VALUES
    library: str = "numpy"
    max_bytes: int = DEFAULT_MAX_BYTES
    tolerance: Tolerance | None = None
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    compute: str | None = None
    rounding: str = "nearest"
    scale: str = "element"
    invariants: tuple[Invariant, ...] = ()
    checks: Mapping[str, bool] = field(default_factory=dict)
    configs: tuple[Any, ...] = ()
    autotuner: Any = None
    inplace: Mapping[str, str] = field(default_factory=dict)
    cases: int | None = None
    canonical: (
        Callable[[Mapping[str, Array], Mapping[str, Array], Mapping[str, Any]], Mapping[str, Array]] | None
    ) = None
    statistics: Callable[[Mapping[str, Array], Mapping[str, Array], Mapping[str, Any]], str | None] | None = (
        None
    )
    shape_rule: Callable[[str, Mapping[str, tuple[int, ...]], Mapping[str, Any]], tuple[int, ...]] | None = (
        None
    )
    param_dims: Mapping[str, Mapping[Any, Mapping[str, tuple[int, ...] | Range]]] = field(
        default_factory=dict
    )
    gradient: Gradient | None = None
    conventions: Callable[[Any], Mapping[str, Array]] | None = None
    also_takes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    origin: str = "built-in"
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def input(self, name: str) -> Input:
        """The input of that name; KeyError where there is none."""
        return next(found for found in self.inputs if found.name == name)

    def output(self, name: str) -> Output:
        return next(found for found in self.outputs if found.name == name)

    @property
    def dim_names(self) -> tuple[str, ...]:
        """Every named dim, in the order of the inputs."""
        return tuple(dict.fromkeys(name for x in self.inputs for dim in x.dims for name in dim.names))

    def checks_for(self, name: str) -> bool:
        """Whether the check of that name is on; all are, unless the marker switched them off.

        Two are off unless it switched them on: a random output need not have the same bits twice, and the
        layout of an output may follow its input's, as torch's does.
        """
        off = {"layout"} if self.statistics is None else {"layout", "deterministic"}
        return self.checks.get(name, name not in off)


def tensor_shape(dims: Sequence[DimExpr], sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The shape that these dim expressions have under these sizes."""
    return tuple(dim.evaluate(sizes) for dim in dims)
