"""RMS norm in CUDA C through CuPy's RawKernel: one block of threads a row, sums by warp shuffles."""

from __future__ import annotations

import cupy

THREADS = 128

RMS_NORM = cupy.RawKernel(
    r"""
extern "C" __global__ void rms_norm(
    const float* x, const float* weight, float* out, int n_cols, float eps,
    long long x_row_stride, long long x_col_stride, long long weight_stride,
    long long out_row_stride, long long out_col_stride)
{
    __shared__ float warp_sums[32];
    const float* row = x + blockIdx.x * x_row_stride;
    float sum = 0.0f;
    for (int col = threadIdx.x; col < n_cols; col += blockDim.x) {
        float value = row[col * x_col_stride];
        sum += value * value;
    }
    for (int offset = 16; offset > 0; offset /= 2)
        sum += __shfl_down_sync(0xffffffffu, sum, offset);
    if (threadIdx.x % 32 == 0)
        warp_sums[threadIdx.x / 32] = sum;
    __syncthreads();
    float total = 0.0f;
    for (int warp = 0; warp < blockDim.x / 32; ++warp)
        total += warp_sums[warp];
    float inverse_rms = 1.0f / sqrtf(total / n_cols + eps);
    for (int col = threadIdx.x; col < n_cols; col += blockDim.x)
        out[blockIdx.x * out_row_stride + col * out_col_stride] =
            row[col * x_col_stride] * inverse_rms * weight[col * weight_stride];
}
""",
    "rms_norm",
)


def rms_norm(input: cupy.ndarray, weight: cupy.ndarray, out: cupy.ndarray, eps: float) -> None:
    """Write into out; input and out [rows, cols], weight [cols], all float32 and in any strides."""
    rows, cols = input.shape
    strides = [stride // 4 for array in (input, weight, out) for stride in array.strides]
    RMS_NORM(
        (rows,),
        (THREADS,),
        (input, weight, out, cupy.int32(cols), cupy.float32(eps), *map(cupy.int64, strides)),
    )
