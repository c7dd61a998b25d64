"""What changed against a baseline, and whether it is a regression."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_gpuemu.engine.artifacts.changes import compare
from pytest_gpuemu.engine.artifacts.data import KernelMetrics, MemoryOperations, Occupancy, PatternFound
from pytest_gpuemu.engine.artifacts.lint import lint
from pytest_gpuemu.engine.artifacts.tools import Tools, find_tools
from pytest_gpuemu.engine.config import Policies

DATA = Path(__file__).parent / "data"
VECTOR_ADD = (DATA / "nvrtc_vector_add.ptx").read_text()
SOURCES = dict.fromkeys(
    ("register_count", "spill_count", "local_memory_bytes", "sass_instruction_count"),
    "ptxas 12.9: of a thread",
)


def occupancy(warps: int, threads: int = 128) -> Occupancy:
    return Occupancy(
        block_threads=threads,
        block_threads_source="given",
        blocks=warps * 32 // threads,
        warps=warps,
        max_warps=64,
        limited_by=("registers",),
    )


def metrics(**given) -> KernelMetrics:
    """A kernel of 40 registers that nobody compiled; given are the figures that a test is about."""
    base = KernelMetrics(
        virtual_registers=100,
        virtual_registers_by_type={"b32": 100},
        instruction_count=100,
        instruction_mix={},
        memory_operations=(),
        branches=4,
        barriers=2,
        atomics=0,
        tensor_core=0,
        declared_local_bytes=0,
        const_memory_bytes=0,
        shared_memory_bytes=1000,
        uses_dynamic_shared=False,
        arithmetic_intensity=None,
        patterns_found=(),
        register_count=40,
        spill_count=0,
        local_memory_bytes=0,
        sources={**dict.fromkeys(KernelMetrics.__dataclass_fields__, "PTX: in the code"), **SOURCES},
    )
    return replace(base, **given)


def verdicts(baseline: KernelMetrics, current: KernelMetrics, **policies) -> dict[str, str]:
    found = compare(baseline, current, Policies(**policies))
    return {change.figure: change.verdict for change in found.changes}


def lint_one(ptx: str, kernel: str, tools: Tools) -> KernelMetrics:
    return lint(ptx, kernel, archs=["sm_80"], tools=tools)[0].metrics


# ---- real kernels ---------------------------------------------------------------------------------


@pytest.mark.parametrize("has_ptxas", [False, True])
def test_a_kernel_that_lost_its_vector_loads_is_red_and_one_that_won_them_green(has_ptxas):
    """add_scalar computes what add_vec4 does, an element at a time, and takes 12 registers, not 18."""
    tools = Tools(ptxas=find_tools().ptxas if has_ptxas else ())
    if has_ptxas and not tools.ptxas:
        pytest.skip("no ptxas is installed")
    vectorized = lint_one(VECTOR_ADD, "add_vec4", tools)
    scalar = lint_one(VECTOR_ADD, "add_scalar", tools)

    found = compare(vectorized, scalar)

    assert found.fails
    lost = {change.figure: change.message for change in found.regressions}
    assert (
        lost["vector_load"]
        == "vector_load: gone, 2 before (several elements of global memory loaded by one instruction)"
    )
    assert "vector_store" in lost
    assert not compare(scalar, vectorized).fails


def test_comments_spacing_and_locations_change_nothing():
    other = "// rebuilt\n" + VECTOR_ADD.replace(".loc\t1 4 9", ".loc 1 444 1").replace(
        "\tadd.f32", "   add.f32"
    )
    assert other != VECTOR_ADD

    found = compare(lint_one(VECTOR_ADD, "add_vec4", Tools()), lint_one(other, "add_vec4", Tools()))

    assert (found.changes, found.incomparable, found.fails) == ((), {}, False)


# ---- each rule ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "before", "now", "verdict"),
    [
        ("register_count", 40, 41, "warning"),
        ("register_count", 40, 44, "warning"),  # exactly the threshold of 10 %
        ("register_count", 40, 45, "regression"),
        ("register_count", 40, 39, "improvement"),
        ("spill_count", 0, 1, "regression"),
        ("spill_count", 100, 105, "warning"),
        ("local_memory_bytes", 0, 4, "regression"),
        ("local_memory_bytes", 128, 0, "improvement"),
        ("shared_memory_bytes", 1000, 1200, "regression"),
        ("instruction_count", 100, 300, "warning"),
        ("instruction_count", 100, 105, "changed"),
        ("instruction_count", 100, 50, "changed"),
        ("sass_instruction_count", 100, 300, "warning"),
        ("barriers", 0, 1, "warning"),
    ],
)
def test_a_growth_is_judged_by_the_figure_and_the_threshold(figure, before, now, verdict):
    assert verdicts(metrics(**{figure: before}), metrics(**{figure: now})) == {figure: verdict}


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (occupancy(64), occupancy(64), {"register_count": "warning"}),
        (occupancy(64), occupancy(48), {"register_count": "regression", "occupancy": "regression"}),
        (occupancy(64, 128), occupancy(64, 256), {"register_count": "regression"}),
        (occupancy(64), None, {"register_count": "regression"}),
    ],
)
def test_more_registers_that_cost_no_resident_warp_are_a_warning(before, now, expected):
    found = verdicts(metrics(register_count=12, occupancy=before), metrics(register_count=18, occupancy=now))

    assert found == expected


def test_the_threshold_and_the_failing_are_those_of_the_policies():
    before, now = metrics(register_count=40), metrics(register_count=50)

    assert verdicts(before, now, warn_threshold=0.25) == {"register_count": "warning"}
    assert compare(before, now, Policies(warn_threshold=0.2)).fails
    lenient = compare(before, now, Policies(fail_on_regression=False))
    assert (len(lenient.regressions), lenient.fails) == (1, False)


def test_a_change_says_how_much_and_in_which_unit():
    (change,) = compare(metrics(register_count=40), metrics(register_count=50)).changes

    assert change.growth == 0.25
    assert change.message == "register_count: 40 -> 50 of a thread (+25%)"


def test_another_release_of_the_tool_is_named():
    """A new ptxas may allocate in another way: that is a change, and who made it is said."""
    other = metrics(
        register_count=50, sources={**metrics().sources, "register_count": "ptxas 13.0: of a thread"}
    )

    (change,) = compare(metrics(), other).changes

    assert change.message.endswith("(+25%), by ptxas 13.0; the baseline by ptxas 12.9")


def test_a_figure_that_one_side_lacks_is_not_judged_and_said_to_be_so():
    without = metrics(register_count=None, sources={})

    assert compare(metrics(), without).incomparable == {
        "register_count": "the baseline's is from ptxas 12.9, and no such tool is here"
    }
    assert compare(without, metrics()).incomparable == {
        "register_count": "the baseline has none; this one is from ptxas 12.9"
    }
    assert not compare(metrics(), without).fails


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (64, 48, {"occupancy": "regression"}),
        (64, 60, {"occupancy": "warning"}),
        (48, 64, {"occupancy": "improvement"}),
        (48, 48, {}),
    ],
)
def test_fewer_resident_warps_are_a_regression(before, now, expected):
    assert verdicts(metrics(occupancy=occupancy(before)), metrics(occupancy=occupancy(now))) == expected


def test_occupancies_of_other_blocks_are_not_compared():
    found = compare(metrics(occupancy=occupancy(64, 128)), metrics(occupancy=occupancy(32, 256)))

    assert (found.changes, set(found.incomparable)) == ((), {"occupancy"})


def patterns(*found: PatternFound, **given) -> KernelMetrics:
    return metrics(patterns_found=found, **given)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ("tensor_core", None, {"tensor_core": "regression"}),
        (None, "tensor_core", {"tensor_core": "improvement"}),
        ("double_precision", None, {"double_precision": "improvement"}),
        (None, "double_precision", {"double_precision": "warning"}),
        (None, "print", {"print": "warning"}),
        ("warp_shuffle", None, {"warp_shuffle": "changed"}),
        (None, "atomic", {"atomic": "changed"}),
        ("tensor_core", "tensor_core", {}),
    ],
)
def test_a_pattern_that_comes_or_goes_is_judged_by_whether_it_is_wanted(before, now, expected):
    sides = [() if name is None else (PatternFound(name=name, count=3),) for name in (before, now)]

    assert verdicts(patterns(*sides[0]), patterns(*sides[1])) == expected


def test_narrower_vector_loads_are_a_regression():
    wide, narrow = (PatternFound(name="vector_load", count=4, width_bytes=width) for width in (16, 8))

    assert verdicts(patterns(wide), patterns(narrow)) == {"vector_load width": "regression"}
    assert verdicts(patterns(narrow), patterns(wide)) == {}


def test_a_smaller_share_of_vector_loads_is_a_warning():
    """All of 64 bytes by vector loads, then 16 of 64: the others are loaded one by one."""

    def loads(vectors: int, scalars: int) -> KernelMetrics:
        def load(width: int, vector: int, count: int) -> MemoryOperations:
            return MemoryOperations(
                kind="load", space="global", width_bytes=width, vector=vector, count=count
            )

        return patterns(
            PatternFound(name="vector_load", count=vectors, width_bytes=16),
            memory_operations=(load(16, 4, vectors), load(4, 1, scalars)),
        )

    assert verdicts(loads(4, 0), loads(1, 12)) == {"vector_load share": "warning"}
    assert verdicts(loads(4, 0), loads(8, 0)) == {}
