"""What the choice of a campaign's seeds brings: pairs of levels met, and the time it costs.

python benchmarks/coverage.py [op ...]      guided: campaign_seeds; drawn: as many derived seeds
"""

import sys
import time
from statistics import mean

from pytest_gpuemu.engine.coverage import Coverage, campaign_seeds
from pytest_gpuemu.engine.ops import BUILTIN_OPS
from pytest_gpuemu.engine.plan import plan_case
from pytest_gpuemu.engine.rng import derive_seed

COUNTS = (8, 25, 30, 200)
MASTERS = (1, 2, 3)


def covered(op, seeds):
    coverage = Coverage(op)
    for seed in seeds:
        coverage.add(plan_case(op, seed))
    return coverage


def main(names):
    print(
        f"{'op':<28} {'pairs':>6} {'cases':>6} {'guided':>7} {'drawn':>7} {'unmet levels':>13} {'ms/case':>8}"
    )
    for name in names:
        op = BUILTIN_OPS[name]
        for count in COUNTS:
            guided, drawn, unmet, spent = [], [], [], []
            for master in MASTERS:
                start = time.process_time()
                seeds = list(campaign_seeds(op, master, count))
                spent.append((time.process_time() - start) / count)
                coverage = covered(op, seeds)
                guided.append(coverage.pairs_met / coverage.pairs_possible)
                unmet.append(sum(len(levels) for levels in coverage.unmet.values()))
                plain = covered(op, [derive_seed(master, f"drawn {i}") for i in range(count)])
                drawn.append(plain.pairs_met / plain.pairs_possible)
            print(
                f"{name:<28} {coverage.pairs_possible:>6} {count:>6} {mean(guided):>7.1%} "
                f"{mean(drawn):>7.1%} {mean(unmet):>13.1f} {mean(spent) * 1e3:>8.2f}"
            )


if __name__ == "__main__":
    main(
        sys.argv[1:]
        or ["relu", "softmax", "layer_norm", "matmul", "embedding", "scaled_dot_product_attention"]
    )
