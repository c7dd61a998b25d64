"""Random numbers that are the same everywhere: seeds, single draws and bulk draws.

Here: `SeededRng`, a 128-bit shift-register generator seeded through splitmix64, whose sequences equal
those of the `gpuemu` 0.1.0 package; and `derive_seed`, which splits one seed into many.
Elsewhere: what is drawn for a case (plan.py), turning draws into values (values.py).
"""

from __future__ import annotations

import hashlib
import math
import operator
import secrets
from collections.abc import MutableSequence, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from pytest_gpuemu.engine.errors import SeedError
from pytest_gpuemu.engine.op import Float64Array

T = TypeVar("T")
UInt64Array: TypeAlias = npt.NDArray[np.uint64]

MASK = 2**64 - 1
GOLDEN_GAMMA = 0x9E3779B97F4A7C15
SEED_BITS_DRAWN = 48  # exact in a JSON reader that knows only doubles, and short in a node id

# Below this many draws a Python loop costs less than setting up lanes (benchmarks/rng.py).
_SINGLE_DRAWS = 400
_SHIFT_LEFT, _SHIFT_RIGHT, _SHIFT_OTHER = 23, 17, 26


def generate_seed() -> int:
    """A fresh seed below 2**48 from the system's entropy."""
    return secrets.randbits(SEED_BITS_DRAWN)


def derive_seed(seed: int, domain: str) -> int:
    """The seed that belongs to this seed and domain, an unsigned 64-bit integer.

    BLAKE2b of 8 bytes over the seed (8 bytes, little-endian) and the domain's UTF-8, read
    little-endian. Raises SeedError for a seed outside 0 <= seed < 2**64.
    """
    message = _checked(seed).to_bytes(8, "little") + domain.encode()
    return int.from_bytes(hashlib.blake2b(message, digest_size=8).digest(), "little")


class SeededRng:
    """A stream of draws that is a function of the seed alone (0 <= seed < 2**64, else SeedError).

    Every method takes whole 64-bit draws from one sequence, in order; bulk methods take the same
    draws as that many single ones.
    """

    __slots__ = ("_x", "_y", "seed")

    def __init__(self, seed: int) -> None:
        self.seed = _checked(seed)
        # The state is never all zero, where it would stay: mix is a bijection and the two inputs differ.
        self._x = _mix((self.seed + GOLDEN_GAMMA) & MASK)
        self._y = _mix((self.seed + 1 + GOLDEN_GAMMA) & MASK)

    def __repr__(self) -> str:
        return f"SeededRng({self.seed})"

    def derive(self, domain: str) -> SeededRng:
        """The stream of that domain. It depends on the seed, not on what was drawn so far."""
        return SeededRng(derive_seed(self.seed, domain))

    def gen_u64(self) -> int:
        """An integer in [0, 2**64)."""
        x, y = self._x, self._y
        x ^= (x << _SHIFT_LEFT) & MASK
        x ^= (x >> _SHIFT_RIGHT) ^ (y >> _SHIFT_OTHER)
        self._x, self._y = y, x
        return ((x ^ y) + y) & MASK

    def gen_u64s(self, n: int) -> UInt64Array:
        """The next n draws of `gen_u64`, as an array [n]."""
        if n < _SINGLE_DRAWS:
            return np.array([self.gen_u64() for _ in range(n)], dtype=np.uint64)
        # Lane j makes the draws from j*stride on, and all lanes step at once. Jumping ahead costs a
        # call a doubling of the lanes, a step costs eight, so there are more lanes than steps.
        log2_stride = max(3, n.bit_length() // 2 - 1)
        stride = 1 << log2_stride
        x, y = _lanes(self._x, self._y, -(-n // stride), log2_stride)
        draws = np.empty((stride, len(x)), dtype=np.uint64)
        shifted = np.empty_like(x)
        last_lane, last_step = divmod(n - 1, stride)
        for step in range(stride):
            np.left_shift(x, _U[_SHIFT_LEFT], out=shifted)
            x ^= shifted
            np.right_shift(x, _U[_SHIFT_RIGHT], out=shifted)
            x ^= shifted
            np.right_shift(y, _U[_SHIFT_OTHER], out=shifted)
            x ^= shifted
            np.bitwise_xor(x, y, out=draws[step])
            draws[step] += y
            x, y = y, x
            if step == last_step:
                self._x, self._y = int(x[last_lane]), int(y[last_lane])
        return np.ascontiguousarray(draws.T).reshape(-1)[:n]

    def gen_f64(self) -> float:
        """A multiple of 2**-53 in [0, 1)."""
        return (self.gen_u64() >> 11) * 2.0**-53

    def gen_f64s(self, n: int) -> Float64Array:
        """The next n draws of `gen_f64`, as an array [n]."""
        draws: Float64Array = (self.gen_u64s(n) >> _U[11]).astype(np.float64) * 2.0**-53
        return draws

    def gen_f32(self) -> float:
        """A multiple of 2**-24 in [0, 1), so exact in float32."""
        return (self.gen_u64() >> 40) * 2.0**-24

    def gen_range(self, low: int, high: int) -> int:
        """An integer in [low, high). Raises ValueError where that is empty."""
        if high <= low:
            raise ValueError(f"gen_range({low}, {high}): no integer is in [{low}, {high})")
        return low + self.gen_u64() % (high - low)

    def choice(self, items: Sequence[T]) -> T:
        """One of the items. Raises ValueError where there are none."""
        if not items:
            raise ValueError("choice(): there is nothing to choose from")
        return items[self.gen_u64() % len(items)]

    def shuffle(self, items: MutableSequence[Any]) -> None:
        """Permute the items in place (Fisher and Yates, from the end)."""
        for i in range(len(items) - 1, 0, -1):
            j = self.gen_u64() % (i + 1)
            items[i], items[j] = items[j], items[i]

    def randn(
        self, *sizes: int | Sequence[int], shape: Sequence[int] | None = None
    ) -> npt.NDArray[np.float32]:
        """Normally distributed float32 values, for callers of the published interface.

        Takes a shape, or its sizes one by one. Box and Muller, two values from two draws. The last
        bits of log, cos and sin differ between machines, so no case draws its values here.
        """
        parts = sizes if shape is None else (*sizes, shape)
        whole = tuple(s for part in parts for s in ((part,) if isinstance(part, (int, np.integer)) else part))
        count = math.prod(whole)
        values: list[float] = []
        while len(values) < count:
            radius = math.sqrt(-2.0 * math.log(max(self.gen_f64(), 2.0**-53)))  # log(0) is a pole
            angle = 2.0 * math.pi * self.gen_f64()
            values += (radius * math.cos(angle), radius * math.sin(angle))
        return np.array(values[:count], dtype=np.float32).reshape(whole)


_U = [np.uint64(i) for i in range(64)]  # NumPy 1 promotes uint64 with a Python int to float64
_BYTES = np.arange(16)
_SINGLE_BITS = 1 << np.arange(8)
_JUMP_TABLES: list[UInt64Array] = []  # entry k jumps 2**k draws; 64 KiB each, made when first needed


def _checked(seed: int) -> int:
    value = operator.index(seed)
    if not 0 <= value <= MASK:
        raise SeedError(f"seed {value} is not a seed; write an integer from 0 to 2**64 - 1")
    return value


def _mix(z: int) -> int:
    """The output function of splitmix64 (Steele, Lea & Flood, OOPSLA 2014): a bijection of 64 bits."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def _lanes(x: int, y: int, count: int, log2_stride: int) -> tuple[UInt64Array, UInt64Array]:
    """The states (x, y) after 0, 1, … count-1 times 2**log2_stride draws: two arrays [count]."""
    states = np.array([[x, y]], dtype=np.uint64)
    while len(states) < count:
        ahead = _jump(states, log2_stride + len(states).bit_length() - 1)
        states = np.concatenate([states, ahead])
    return states[:count, 0].copy(), states[:count, 1].copy()


def _jump(states: UInt64Array, log2_draws: int) -> UInt64Array:
    """The states [n, 2] after 2**log2_draws more draws.

    A draw maps the 128 bits of the state linearly over GF(2), and so does any number of draws: the
    result is the XOR of one table entry for each of the state's 16 bytes.
    """
    while len(_JUMP_TABLES) <= log2_draws:
        if _JUMP_TABLES:
            once = np.ascontiguousarray(_JUMP_TABLES[-1][:, _SINGLE_BITS]).reshape(128, 2)
            columns = _jump(once, len(_JUMP_TABLES) - 1)
        else:
            columns = np.array([_step_basis_state(bit) for bit in range(128)], dtype=np.uint64)
        _JUMP_TABLES.append(_byte_table(columns))
    in_bytes = states.astype("<u8", copy=False).view(np.uint8).reshape(len(states), 16)
    ahead: UInt64Array = np.bitwise_xor.reduce(_JUMP_TABLES[log2_draws][_BYTES, in_bytes], axis=1)
    return ahead


def _step_basis_state(bit: int) -> tuple[int, int]:
    rng = SeededRng(0)
    rng._x, rng._y = (1 << bit) & MASK, (1 << bit) >> 64
    rng.gen_u64()
    return rng._x, rng._y


def _byte_table(columns: UInt64Array) -> UInt64Array:
    """From the images [128, 2] of the single bits, those [16, 256, 2] of each value of each byte."""
    table = np.zeros((16, 256, 2), dtype=np.uint64)
    of_bytes = columns.reshape(16, 8, 1, 2)
    for bit in range(8):
        table[:, 1 << bit : 2 << bit] = table[:, : 1 << bit] ^ of_bytes[:, bit]
    return table
