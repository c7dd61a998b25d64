"""A gpuemu.toml that has every key of every table, as the reader takes it."""

from __future__ import annotations

EVERY_KEY = """
[project]
name = "kernels"
version = "1.2"

[fuzz]
cases = 7
seed = 18446744073709551615
time = 2.5
known_seeds = 3
max_bytes = 4096

[validation]
reference_timeout_s = 2
reference_memory_mb = 512
op_timeout_s = 3
op_memory_mb = 256
[validation.tolerances]
float16 = 1e-3
float32 = { atol = 1e-6, rtol = 1e-5, ulp = 2, fraction = 0.5 }

[[ops]]
name = "twice"
module = "kernels.twice"
reference = "refs:twice"
op_script = "run.py"
execution_mode = "script_based"
frameworks = ["torch"]
schema = "x[N,M], i[K] -> y[N,M]"
dims = { N = { min = 1, max = 9 }, M = [1, 4], K = 3 }
where = ["N <= M"]
dtypes = ["float16", "float32"]
layouts = ["contiguous", "Strided"]
values = ["uniform"]
library = "torch"
max_bytes = 1024
tolerance = { atol = 0.1 }
compute = "tf32"
rounding = "faithful"
scale = "row"
invariants = ["finite"]
checks = { deterministic = false }
configs = [{ BLOCK = 64 }, 3]
inplace = ["x"]
cases = 4
[ops.inputs.x]
dtype = "int8"
low = -8
high = "N"
nonzero = true
layouts = ["reversed"]
values = ["sparse"]
[ops.inputs.i]
kind = "index"
of = "M"
ignore = -100
[ops.outputs.y]
dtype = "float32"
layouts = ["strided"]
[ops.params]
alpha = [0.5, 1.0]
mode = "fast"
axes = [[0], [0, 1]]
[ops.tolerances]
atol = 0.5

[[ops]]
name = "thrice"
reference = "refs/thrice.py"
input_names = ["x"]
checks = ["values"]
inplace = { output = "x" }
where = "N <= M"
[ops.tolerances]
float16 = 0.5
[ops.schema]
name = "thrice"
dims = [{ name = "N", candidates = [1, 8] }]
inputs = [{ name = "x", dims = ["N", 4, "N+1"] }]
output = { name = "y", dims = ["N"] }
params = { alpha = [1, 2] }
domains = { x = [-1.0, 1.0] }

[[kernels]]
name = "k"
source = "k.cu"
entry = "k_float"
arch = ["sm_90a"]
options = ["-use_fast_math"]
signature = { x = "*fp32", n = "i32" }
constants = { BLOCK = 256, num_warps = 4 }
threads = 256
reference = "refs:twice"
invariants = ["finite"]
tolerances = { float32 = 0.1 }
[kernels.artifact_checks]
max_registers = 32
max_spills = 0
max_local_bytes = 0
max_shared_bytes = 49152
max_instructions = 1000
min_occupancy = 0.5
require = ["mma.sync"]
forbid = ["ld.local"]

[policies]
fail_on_regression = false
warn_threshold = 0.2

[ci]
quick_dtypes = ["float16"]
thorough_timeout = 60
parallel_jobs = 2
"""
