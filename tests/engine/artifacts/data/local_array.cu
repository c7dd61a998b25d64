extern "C" __global__ void histogram(const int* bins, float* out, int n) {
    float counts[32];
    for (int i = 0; i < 32; i++) counts[i] = 0.0f;
    for (int i = 0; i < n; i++) counts[bins[i] & 31] += 1.0f;
    out[threadIdx.x] = counts[bins[threadIdx.x] & 31];
}

__device__ __noinline__ float power(float x, int k) {
    float product = 1.0f;
    for (int i = 0; i < k; i++) product *= x;
    return product;
}

extern "C" __global__ void __launch_bounds__(256, 2) powers(float* x, int k) {
    __shared__ float tile[256];
    tile[threadIdx.x] = power(x[threadIdx.x], k);
    __syncthreads();
    if (threadIdx.x == 0) atomicAdd(x, tile[255]);
}
