"""Every example kernel in versions with a bug that people and language models really write.

A bug is the kernel's own file with one place changed; the test stays the same, so what passes for
the kernel as it stands must fail for each of these.
Here: the bugs, and writing such a version. Elsewhere: running them (demo.py).

    python examples/planted_bugs.py FOLDER      writes them all, to be run with pytest
"""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """One wrong place: `right` stands exactly once in examples/<kernel>.py, and `wrong` replaces it."""

    kernel: str
    name: str
    right: str
    wrong: str

    @property
    def module(self) -> str:
        """The name of the kernel's file in this version: softmax_tail_filled_with_0."""
        return f"{Path(self.kernel).name}__{re.sub(r'[^a-z0-9]+', '_', self.name.lower()).strip('_')}"


PLANTED_BUGS = (
    PlantedBug(
        "numpy/tiled_logsumexp",
        "lanes start at 0 instead of -inf",
        "np.full((rows, LANES), -np.inf, dtype=np.float32)",
        "np.zeros((rows, LANES), dtype=np.float32)",
    ),
    PlantedBug(
        "numpy/tiled_logsumexp",
        "sum not rescaled when the maximum grows",
        "sum_a * np.exp(max_a - shift) +",
        "sum_a +",
    ),
    PlantedBug(
        "numpy/tiled_logsumexp",
        "last block dropped",
        "range(0, cols, LANES)",
        "range(0, max(cols - LANES + 1, 1), LANES)",
    ),
    PlantedBug(
        "numpy/tiled_logsumexp",
        "tree reduction stops one step early",
        "while width > 1:",
        "while width > 2:",
    ),
    PlantedBug("triton/softmax", "tail filled with 0", 'other=-float("inf")', "other=0.0"),
    PlantedBug("triton/softmax", "maximum not subtracted", "tl.exp(x - tl.max(x, axis=0))", "tl.exp(x)"),
    PlantedBug("triton/softmax", "rows taken as contiguous", "row * x_row_stride", "row * n_cols"),
    PlantedBug("triton/softmax", "column stride taken as 1", "+ cols * x_col_stride", "+ cols"),
    PlantedBug(
        "triton/softmax",
        "exponentials rounded before the sum",
        "tl.exp(x - tl.max(x, axis=0))",
        "tl.exp(x - tl.max(x, axis=0)).to(out_ptr.dtype.element_ty).to(tl.float32)",
    ),
    PlantedBug("triton/layer_norm", "sum overwritten instead of added to", "total += x", "total = x"),
    PlantedBug("triton/layer_norm", "eps forgotten", "tl.sqrt(variance + eps)", "tl.sqrt(variance)"),
    PlantedBug(
        "triton/layer_norm", "eps outside of the root", "tl.sqrt(variance + eps)", "(tl.sqrt(variance) + eps)"
    ),
    PlantedBug(
        "triton/layer_norm",
        "variance by E[x^2] - E[x]^2",
        """        centered = tl.where(cols < n_cols, x - mean, 0.0)
        squares += centered * centered
    variance = tl.sum(squares, axis=0) / n_cols
""",
        """        squares += x * x
    variance = tl.sum(squares, axis=0) / n_cols - mean * mean
""",
    ),
    PlantedBug(
        "triton/layer_norm",
        "tail not masked in the variance",
        "tl.where(cols < n_cols, x - mean, 0.0)",
        "x - mean",
    ),
    PlantedBug(
        "triton/layer_norm",
        "variance divided by n - 1",
        "tl.sum(squares, axis=0) / n_cols",
        "tl.sum(squares, axis=0) / (n_cols - 1)",
    ),
    PlantedBug(
        "triton/layer_norm",
        "squares summed in float16",
        "squares += centered * centered",
        "squares = (squares + centered * centered).to(tl.float16).to(tl.float32)",
    ),
    PlantedBug("triton/matmul", "tile overwritten instead of added to", "acc += tl.dot(", "acc = tl.dot("),
    PlantedBug(
        "triton/matmul",
        "last block of K dropped",
        "range(0, K, BLOCK_K)",
        "range(0, K // BLOCK_K * BLOCK_K, BLOCK_K)",
    ),
    PlantedBug(
        "triton/matmul",
        "tail of K masked in neither operand",
        """            mask=(rows[:, None] < M) & (inner[None, :] < K),
            other=0.0,
        )
        b = tl.load(
            b_ptr + inner[:, None] * b_row_stride + cols[None, :] * b_col_stride,
            mask=(inner[:, None] < K) & (cols[None, :] < N),
""",
        """            mask=rows[:, None] < M,
            other=0.0,
        )
        b = tl.load(
            b_ptr + inner[:, None] * b_row_stride + cols[None, :] * b_col_stride,
            mask=cols[None, :] < N,
""",
    ),
    PlantedBug(
        "triton/matmul", "b taken as contiguous", "inner[:, None] * b_row_stride", "inner[:, None] * N"
    ),
    PlantedBug(
        "triton/matmul",
        "accumulator in float16",
        'acc += tl.dot(a, b, input_precision="ieee")',
        'acc = (acc + tl.dot(a, b, input_precision="ieee")).to(tl.float16).to(tl.float32)',
    ),
    PlantedBug("triton/flash_attention", "scale forgotten", " * scale\n", "\n"),
    PlantedBug("triton/flash_attention", "scale by 1/D", "1.0 / math.sqrt(D)", "1.0 / D"),
    PlantedBug(
        "triton/flash_attention", "accumulator not rescaled", "acc = acc * rescale[:, None]", "acc = acc"
    ),
    PlantedBug(
        "triton/flash_attention", "sum not rescaled", "row_sum = row_sum * rescale +", "row_sum = row_sum +"
    ),
    PlantedBug(
        "triton/flash_attention",
        "tail of the keys not masked",
        "visible = keys[None, :] < n_keys",
        "visible = keys[None, :] >= 0",
    ),
    PlantedBug(
        "triton/flash_attention",
        "causal mask aligned to the end",
        "keys[None, :] <= queries[:, None]",
        "keys[None, :] <= queries[:, None] + (n_keys - n_queries)",
    ),
    PlantedBug(
        "triton/flash_attention",
        "causal mask off by one",
        "keys[None, :] <= queries[:, None]",
        "keys[None, :] < queries[:, None]",
    ),
    PlantedBug(
        "triton/flash_attention",
        "heads grouped by remainder",
        "head // heads_per_key_head",
        "head % (n_heads // heads_per_key_head)",
    ),
    PlantedBug(
        "triton/flash_attention",
        "accumulator in float16",
        'acc += tl.dot(p.to(v.dtype), v, input_precision="ieee")',
        'acc = (acc + tl.dot(p.to(v.dtype), v, input_precision="ieee")).to(tl.float16).to(tl.float32)',
    ),
    PlantedBug(
        "triton/swiglu",
        "last block not launched",
        "triton.cdiv(out.numel(), BLOCK)",
        "max(out.numel() // BLOCK, 1)",
    ),
    PlantedBug(
        "triton/swiglu",
        "mask dropped on the store",
        "out.to(out_ptr.dtype.element_ty), mask=mask\n",
        "out.to(out_ptr.dtype.element_ty)\n",
    ),
    PlantedBug("triton/swiglu", "sigmoid for silu", "gate / (1.0", "1.0 / (1.0"),
    PlantedBug(
        "triton/fused_add_rms_norm",
        "norm of x instead of the sum",
        "tl.sum(summed * summed, axis=0)",
        "tl.sum(x * x, axis=0)",
    ),
    PlantedBug(
        "triton/fused_add_rms_norm",
        "sum rounded before the norm",
        "summed = x + residual",
        "summed = (x + residual).to(summed_ptr.dtype.element_ty).to(tl.float32)",
    ),
    PlantedBug(
        "triton/fused_add_rms_norm",
        "mean over the block instead of the row",
        "axis=0) / n_cols + eps",
        "axis=0) / BLOCK + eps",
    ),
    PlantedBug(
        "triton/fused_add_rms_norm",
        "output taken as contiguous",
        "normed_ptr + row * normed_row_stride + cols * normed_col_stride",
        "normed_ptr + row * n_cols + cols",
    ),
    PlantedBug(
        "numba/numba_matmul",
        "tail of K not zeroed in a",
        "if row < M and a_col < K",
        "if row < M and a_col <= K",
    ),
    PlantedBug(
        "numba/numba_matmul", "last tile of K dropped", "range((K + TILE - 1) // TILE)", "range(K // TILE)"
    ),
    PlantedBug("numba/numba_matmul", "tile overwritten instead of added to", "acc += a_tile", "acc = a_tile"),
    PlantedBug("numba/numba_leaky_relu", "guard off by one", "if at < x.size:", "if at <= x.size:"),
    PlantedBug(
        "numba/numba_leaky_relu",
        "last block not launched",
        "(x.size + THREADS - 1) // THREADS",
        "max(x.size // THREADS, 1)",
    ),
    PlantedBug(
        "numba/numba_leaky_relu",
        "NaN swallowed",
        "value if value > 0 else value * negative_slope",
        "max(0.0, value) + min(0.0, value) * negative_slope",
    ),
    PlantedBug(
        "jax/pallas_softmax",
        "maximum of the block instead of the row",
        "jnp.max(x, axis=1, keepdims=True)",
        "jnp.max(x)",
    ),
    PlantedBug(
        "jax/pallas_softmax",
        "sum over the wrong axis",
        "jnp.sum(numerator, axis=1, keepdims=True)",
        "jnp.sum(numerator, axis=0, keepdims=True)",
    ),
    PlantedBug(
        "jax/pallas_softmax",
        "last block of rows dropped",
        "pl.cdiv(rows, BLOCK_ROWS)",
        "max(rows // BLOCK_ROWS, 1)",
    ),
    PlantedBug(
        "jax/pallas_matmul",
        "tail of K not masked in b",
        "jnp.where(inner[:, None] < K, b_ref[...], 0)",
        "b_ref[...]",
    ),
    PlantedBug(
        "jax/pallas_matmul",
        "tile overwritten instead of added to",
        "acc_ref[...] += jnp.dot",
        "acc_ref[...] = jnp.dot",
    ),
    PlantedBug(
        "jax/pallas_matmul", "accumulated in the storage type", "preferred_element_type=jnp.float32, ", ""
    ),
    PlantedBug("cupy/cupy_rms_norm", "only the first warp counted", "warp < blockDim.x / 32", "warp < 1"),
    PlantedBug(
        "cupy/cupy_rms_norm",
        "eps outside of the root",
        "sqrtf(total / n_cols + eps)",
        "(sqrtf(total / n_cols) + eps)",
    ),
    PlantedBug(
        "cupy/cupy_rms_norm",
        "column stride taken as 1",
        "row[col * x_col_stride] * inverse_rms",
        "row[col] * inverse_rms",
    ),
)


def copy_kernel(kernel: str, folder: Path) -> Path:
    """Copy the kernel as it stands, and its test, into folder/<library>; gives the test's path."""
    library, name = kernel.split("/")
    return _write(library, name, name, (EXAMPLES / f"{kernel}.py").read_text(), folder)


def plant(bug: PlantedBug, folder: Path) -> Path:
    """Write the kernel with the bug, and its test, into folder/<library>; gives the test's path.

    Raises ValueError where the kernel has no such place, or several.
    """
    library, name = bug.kernel.split("/")
    source = (EXAMPLES / f"{bug.kernel}.py").read_text()
    if source.count(bug.right) != 1:
        raise ValueError(f"{bug.kernel}.py holds {bug.right!r} {source.count(bug.right)} times, not once")
    return _write(library, name, bug.module, source.replace(bug.right, bug.wrong), folder)


def _write(library: str, kernel: str, module: str, source: str, folder: Path) -> Path:
    target = folder / library
    target.mkdir(parents=True, exist_ok=True)
    for shared in ("conftest.py", "device.py"):
        if (EXAMPLES / library / shared).exists():
            shutil.copy(EXAMPLES / library / shared, target / shared)
    (target / f"{module}.py").write_text(source)
    path = target / f"test_{module}.py"
    test = (EXAMPLES / library / f"test_{kernel}.py").read_text()
    path.write_text(test.replace(f"from {kernel} import", f"from {module} import"))
    return path


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: python {sys.argv[0]} FOLDER")
    for planted in PLANTED_BUGS:
        print(plant(planted, Path(sys.argv[1])))
