"""What bulk draws save: time for n draws one by one and at once.

python benchmarks/rng.py [n ...]
"""

import sys
import time

from pytest_gpuemu.engine.rng import SeededRng


def seconds(draw, repeat):
    """The shortest of several runs."""
    times = []
    for _ in range(repeat):
        rng = SeededRng(1)
        start = time.perf_counter()
        draw(rng)
        times.append(time.perf_counter() - start)
    return min(times)


def main(counts):
    print(f"{'draws':>9}  {'one by one':>11}  {'at once':>11}  ratio")
    for n in counts:
        single = seconds(lambda rng, n=n: [rng.gen_u64() for _ in range(n)], 3)
        bulk = seconds(lambda rng, n=n: rng.gen_u64s(n), 7)
        print(f"{n:>9}  {single * 1e3:>8.3f} ms  {bulk * 1e3:>8.3f} ms  {single / bulk:5.1f}")


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [100, 400, 1000, 10_000, 100_000, 1_000_000])
