"""The fuzz generators of the API reference: shapes, dtypes, layouts and tensors without an op.

They are for code that builds its own tests; an op's own cases come from its schema (engine/plan.py), inside
pytest or through the Client. Each draw is a pure function of the seed.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np

from pytest_gpuemu.client.data import FailureDescription, FuzzResults, Timestamp, ValidationResult
from pytest_gpuemu.engine.buffers import allocate
from pytest_gpuemu.engine.dtypes import DTYPES, FLOATS, dtype_name, is_floating, numpy_dtype
from pytest_gpuemu.engine.errors import ConfigError, did_you_mean
from pytest_gpuemu.engine.op import LAYOUTS, Array
from pytest_gpuemu.engine.plan import layout_fits
from pytest_gpuemu.engine.rng import SeededRng, derive_seed, generate_seed
from pytest_gpuemu.engine.user_code import call

_LAYOUTS = tuple(layout for layout in LAYOUTS if layout != "huge")
_EVEN_BITS = 53


def fuzz_shapes(
    min_dims: int = 1, max_dims: int = 4, min_size: int = 1, max_size: int = 1024, **dims: Sequence[int]
) -> Iterator[tuple[int, ...]]:
    """Random shapes without end, sizes on a logarithmic scale; with named lists, such as
    `fuzz_shapes(batch=[1, 2], seq=[64])`, the product of the lists, once."""
    if dims:
        return itertools.product(*dims.values())
    return fuzz_shapes_seeded(
        generate_seed(), min_dims=min_dims, max_dims=max_dims, min_size=min_size, max_size=max_size
    )


def fuzz_shapes_seeded(
    seed: int, min_dims: int = 1, max_dims: int = 4, min_size: int = 1, max_size: int = 1024
) -> Iterator[tuple[int, ...]]:
    """The shapes of a seed, without end. Raises ConfigError for an empty range."""
    _check_ranges(min_dims, max_dims, min_size, max_size)
    return _shapes(SeededRng(derive_seed(seed, "shapes")), min_dims, max_dims, min_size, max_size)


def fuzz_dtypes(
    include: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
    *,
    dtypes: Sequence[str] | None = None,
) -> Iterator[str]:
    """Random names among the floating dtypes, or those included, without those excluded; without end. With
    `dtypes=` these names, each once."""
    if dtypes is not None:
        _check_dtypes(dtypes)
        return iter(list(dtypes))
    return fuzz_dtypes_seeded(generate_seed(), include=include, exclude=exclude)


def fuzz_dtypes_seeded(
    seed: int, include: Sequence[str] | None = None, exclude: Sequence[str] | None = None
) -> Iterator[str]:
    """The dtypes of a seed, without end. Raises ConfigError for an unknown name, or where none is left."""
    for given in (include, exclude):
        _check_dtypes(given or ())
    names = [name for name in include or FLOATS if name not in (exclude or ())]
    if not names:
        raise ConfigError(f"include = {include!r}, exclude = {exclude!r}: no dtype is left")
    return _choices(SeededRng(derive_seed(seed, "dtypes")), names)


def fuzz_layouts(shape: Sequence[int] | None = None) -> Iterator[Any]:
    """Random layout names without end; with a shape, a (shape, strides) pair for each layout that it can
    have, once, strides in bytes of float32."""
    if shape is None:
        return fuzz_layouts_seeded(generate_seed())
    sizes = tuple(shape)
    return iter(
        [
            (sizes, tuple(allocate(sizes, "float32", layout, 0).view.strides))
            for layout in _LAYOUTS
            if layout_fits(layout, sizes)
        ]
    )


def fuzz_layouts_seeded(seed: int) -> Iterator[str]:
    """The layouts of a seed, without end."""
    return _choices(SeededRng(derive_seed(seed, "layouts")), list(_LAYOUTS))


def generate_random_tensor(
    seed: int,
    shape: int | Sequence[int],
    dtype: Any = "float32",
    domain: tuple[float, float] = (-1.0, 1.0),
) -> Array:
    """A tensor of values spread evenly over a domain: the same bytes for a seed on every machine.

    Floats lie from low to high, both included (rounding may reach high); integers from low to high, high
    excluded; bools are even odds. shape may be one size, dtype a NumPy dtype. Raises ConfigError for an empty
    domain, a negative size or an unknown dtype.
    """
    name = dtype_name(dtype)
    sizes = (shape,) if isinstance(shape, Integral) else tuple(shape)  # type: ignore[arg-type]
    if any(size < 0 for size in sizes):
        raise ConfigError(f"shape = {shape!r}: sizes are whole numbers >= 0")
    low, high = domain
    if not low < high:
        raise ConfigError(f"domain = {domain!r} is empty; write (low, high) with low < high")
    count = int(np.prod(sizes, dtype=np.int64))
    bits = SeededRng(derive_seed(seed, "values")).gen_u64s(count)
    if name == "bool":
        odds: Array = (bits >> np.uint64(63)).astype(bool).reshape(sizes)
        return odds
    unit = (bits >> np.uint64(64 - _EVEN_BITS)).astype(np.float64) * 2.0**-_EVEN_BITS
    values = low + unit * (high - low)
    if not is_floating(name):
        values = np.floor(values)
    drawn: Array = values.astype(numpy_dtype(name)).reshape(sizes)
    return drawn


@dataclass(slots=True)
class FuzzConfig:
    """What a SeededFuzzer draws; seed counts where the fuzzer gets none of its own. batch_sizes, seq_lengths
    and hidden_dims, where given, make every shape [batch, seq, hidden] or one of edge_cases, in place of the
    ranges."""

    iterations: int = 100
    seed: int | None = None
    min_dims: int = 1
    max_dims: int = 4
    min_size: int = 1
    max_size: int = 1024
    dtypes: list[str] = field(default_factory=lambda: ["float32"])
    layouts: list[str] = field(default_factory=lambda: ["contiguous"])
    batch_sizes: list[int] | None = None
    seq_lengths: list[int] | None = None
    hidden_dims: list[int] | None = None
    edge_cases: list[list[int]] | None = None
    max_elements: int = 2**20


@dataclass(frozen=True, slots=True)
class TestCase:
    """One drawn case; its one input is named "input"."""

    __test__ = False  # pytest collects classes named Test*

    seed: int
    shape: tuple[int, ...]
    dtype: str
    layout: str
    inputs: Mapping[str, Array]


class SeededFuzzer:
    """Draws test cases one after another; the same seed (the config's, or else a fresh one) gives the same
    cases. The config alone may stand first. Raises ConfigError for a config that no case fits."""

    def __init__(self, seed: int | FuzzConfig | None = None, config: FuzzConfig | None = None) -> None:
        if isinstance(seed, FuzzConfig):
            seed, config = None, seed
        self.config = config or FuzzConfig()
        given = self.config.seed if seed is None else seed
        self.seed = generate_seed() if given is None else given
        self._drawn = 0
        _check_ranges(self.config.min_dims, self.config.max_dims, self.config.min_size, self.config.max_size)
        _check_dtypes(self.config.dtypes)
        for layout in self.config.layouts:
            if layout not in LAYOUTS:
                raise ConfigError(f"{layout!r} is not a layout; {did_you_mean(layout, LAYOUTS)}")
        for name, names in (("dtypes", self.config.dtypes), ("layouts", self.config.layouts)):
            if not names:
                raise ConfigError(f"{name} is empty, so there is nothing to draw")

    def next_test_case(self) -> TestCase:
        """The next case. A layout that its shape cannot have falls back to contiguous."""
        seed = derive_seed(self.seed, f"case/{self._drawn}")
        self._drawn += 1
        shape = self._shape(seed)
        dtype = SeededRng(derive_seed(seed, "dtype")).choice(self.config.dtypes)
        layout = SeededRng(derive_seed(seed, "layout")).choice(self.config.layouts)
        if not layout_fits(layout, shape):
            layout = "contiguous"
        buffer = allocate(shape, dtype, layout, derive_seed(seed, "layout/input"))
        drawn = generate_random_tensor(seed, shape, dtype)
        if layout == "broadcast":
            drawn = np.broadcast_to(
                drawn[tuple(slice(0, 1 if step == 0 else None) for step in buffer.view.strides)], shape
            )
        buffer.fill(drawn)
        return TestCase(seed, shape, dtype, layout, {"input": buffer.view})

    def run(self, op_fn: Callable[..., Any]) -> FuzzResults:
        """Call op_fn with the input of `config.iterations` cases. Without a reference, a case fails where
        op_fn raises, or gives NaN or infinities for these finite inputs; a marker or a Client judges more.
        Raises ConfigError where nothing would be tested."""
        if not callable(op_fn):
            raise ConfigError(f"op_fn = {op_fn!r} is not callable")
        if self.config.iterations < 1:
            raise ConfigError(f"iterations = {self.config.iterations!r}: expected >= 1, or nothing is tested")
        failures = []
        for _ in range(self.config.iterations):
            case = self.next_test_case()
            started = time.monotonic()
            called = call(op_fn, case.inputs["input"])
            if called.error is not None:
                kind, message = "ExecutionError", called.summary
            else:
                output = np.asarray(called.value)
                if not is_floating(str(output.dtype)) or np.isfinite(output.astype(np.float64)).all():
                    continue
                kind = "NaNDetected" if np.isnan(output.astype(np.float64)).any() else "InfDetected"
                message = f"the output of a finite input {list(case.shape)} {case.dtype} is not finite"
            failures.append(
                ValidationResult(
                    passed=False,
                    status="failed",
                    seed=case.seed,
                    op_name=getattr(op_fn, "__name__", "op_fn"),
                    max_diff=float("inf"),
                    max_rel_diff=float("inf"),
                    failures=[FailureDescription({"kind": kind, "message": message})],
                    timestamp=Timestamp(time.time()),
                    duration_ms=int((time.monotonic() - started) * 1000.0),
                    text=called.traceback,
                )
            )
        total = self.config.iterations
        return FuzzResults(
            seed=self.seed, total=total, passed=total - len(failures), failed=len(failures), failures=failures
        )

    def _shape(self, seed: int) -> tuple[int, ...]:
        config = self.config
        rng = SeededRng(derive_seed(seed, "shape"))
        if config.edge_cases and rng.gen_range(0, 10) == 0:
            return tuple(rng.choice(config.edge_cases))
        lists = [sizes for sizes in (config.batch_sizes, config.seq_lengths, config.hidden_dims) if sizes]
        if lists:
            return tuple(rng.choice(sizes) for sizes in lists)
        shapes = _shapes(rng, config.min_dims, config.max_dims, config.min_size, config.max_size)
        for shape in itertools.islice(shapes, 1000):
            if np.prod(shape, dtype=np.float64) <= config.max_elements:
                return shape
        return (config.min_size,) * config.min_dims


def _check_ranges(min_dims: int, max_dims: int, min_size: int, max_size: int) -> None:
    for name, low, high in (("dims", min_dims, max_dims), ("size", min_size, max_size)):
        if not 0 <= low <= high:
            raise ConfigError(f"min_{name} = {low!r}, max_{name} = {high!r}: an empty range")


def _check_dtypes(names: Sequence[str]) -> None:
    if isinstance(names, str):
        raise ConfigError(f"{names!r} is one dtype, and a list is expected: [{names!r}]")
    for name in names:
        if name not in DTYPES:
            raise ConfigError(f"{name!r} is not a dtype; {did_you_mean(name, DTYPES)}")


def _shapes(
    rng: SeededRng, min_dims: int, max_dims: int, min_size: int, max_size: int
) -> Iterator[tuple[int, ...]]:
    while True:
        yield tuple(_size(rng, min_size, max_size) for _ in range(rng.gen_range(min_dims, max_dims + 1)))


def _size(rng: SeededRng, low: int, high: int) -> int:
    """A size from low to high, each power of two as likely as the next."""
    octaves = [bits for bits in range(high.bit_length() + 1) if _octave(bits, low, high)]
    return rng.gen_range(*_octave(rng.choice(octaves), low, high))


def _octave(bits: int, low: int, high: int) -> tuple[int, ...]:
    """The sizes with this many bits that lie in the range, as (first, last + 1); () where there are none."""
    first, end = max(low, 2**bits // 2), min(high + 1, 2**bits)
    return (first, end) if first < end else ()


def _choices(rng: SeededRng, names: list[str]) -> Iterator[str]:
    while True:
        yield rng.choice(names)
