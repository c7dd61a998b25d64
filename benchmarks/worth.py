"""What asking for the worth of a test costs, beside the campaign without its kernel.

Run: python benchmarks/worth.py [op ...]. In seconds of this process: drawing, building and judging the right
output of each case, then the worth, within the limit that a campaign gives it.
"""

from __future__ import annotations

import sys
import time

from pytest_gpuemu.engine import references
from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.coverage import campaign_seeds
from pytest_gpuemu.engine.fakes import as_dtype
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.ops import BUILTIN_OPS
from pytest_gpuemu.engine.output_buffers import output_dtype
from pytest_gpuemu.engine.plan import plan_case
from pytest_gpuemu.engine.worth import measure


def main(names: list[str]) -> None:
    print(f"{'op':<30} {'cases':>5} {'campaign':>10} {'worth':>9} {'share':>7}  kills")
    for name in names:
        op = BUILTIN_OPS[name]
        for count in (25, 200):
            started = time.process_time()
            seeds = list(campaign_seeds(op, 1, count))
            for seed in seeds:
                case = make_case(op, seed)
                expected = references.evaluate(op, op.references[0], case)
                judge(
                    case,
                    {
                        key: as_dtype(array, output_dtype(case, op.output(key), str(array.dtype)))
                        for key, array in expected.items()
                    },
                )
            campaign_s = time.process_time() - started
            plans = [plan_case(op, seed) for seed in seeds]
            started = time.process_time()
            worth = measure(op, plans, max(0.1, 0.05 * campaign_s))
            worth_s = time.process_time() - started
            fakes = len(worth.killed) + len(worth.survived)
            print(
                f"{name:<30} {count:>5} {campaign_s * 1e3:7.0f} ms {worth_s * 1e3:6.0f} ms "
                f"{worth_s / campaign_s:7.1%}  {len(worth.killed)} of {fakes}"
            )


if __name__ == "__main__":
    main(sys.argv[1:] or ["relu", "softmax", "layer_norm", "matmul", "scaled_dot_product_attention"])
