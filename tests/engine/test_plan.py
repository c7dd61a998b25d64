"""The plan of a case: a function of op, seed and edits; each draw keeps to what the op allows."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_gpuemu.engine.define import define_op, narrow_op
from pytest_gpuemu.engine.errors import ConfigError, SeedError
from pytest_gpuemu.engine.op import LAYOUTS
from pytest_gpuemu.engine.plan import MAX_SEED, parse_case_id, plan_case
from pytest_gpuemu.engine.sizes import case_bytes

seeds = st.integers(0, MAX_SEED)


def op(schema="input[rows,cols] -> [rows,cols]", **keys):
    return define_op("mine", reference=lambda *inputs, **params: inputs[0], schema=schema, **keys)


SOFTMAX = op(params={"dim": [-1, 0]})
MATMUL = op("a[M,K], b[K,N] -> [M,N]", dims={"M": (1, 300), "K": [1, 16, 17, 256]})
ATTENTION = op("q[B,H*G,S,D], k[B,H,T,D], v[B,H,T,D] -> [B,H*G,S,D]", dims={"D": [16, 64]}, where=["S <= T"])


@given(seed=seeds)
def test_a_plan_is_a_function_of_op_seed_and_edits(seed):
    assert plan_case(SOFTMAX, seed, "cols=3") == plan_case(op(params={"dim": [-1, 0]}), seed, "cols=3")


@given(seed=seeds)
def test_sizes_are_candidates_in_range_or_at_least_one(seed):
    dims = plan_case(MATMUL, seed).dims

    assert 1 <= dims["M"] <= 300
    assert dims["K"] in (1, 16, 17, 256)
    assert dims["N"] >= 1


@given(seed=seeds)
def test_conditions_hold_and_products_reach_the_shape(seed):
    plan = plan_case(ATTENTION, seed)

    assert plan.dims["S"] <= plan.dims["T"]
    assert plan.shapes["q"][1] == plan.dims["H"] * plan.dims["G"]


@given(seed=seeds, max_bytes=st.sampled_from([4096, 2**16, 2**24]))
def test_inputs_and_outputs_stay_within_the_byte_limit(seed, max_bytes):
    plan = plan_case(narrow_op(ATTENTION, max_bytes=max_bytes, dtypes=["float64"]), seed)

    m = plan.dims
    elements = m["B"] * m["D"] * (2 * m["H"] * m["G"] * m["S"] + 2 * m["H"] * m["T"])
    assert case_bytes(ATTENTION, "float64", m) == 8 * elements <= max_bytes


def test_most_cases_are_small_and_a_few_are_large_long_or_square():
    """Guards: an interpreter of GPU code takes seconds for a million elements."""
    dims = [plan_case(SOFTMAX, seed).dims for seed in range(600)]
    elements = sorted(m["rows"] * m["cols"] for m in dims)

    assert 200 <= elements[300] <= 8000
    assert sum(n > 2**17 for n in elements) < 60
    assert any(m["rows"] > 128 and m["cols"] > 128 for m in dims)
    assert any(max(m.values()) > 4096 for m in dims)
    assert sum(m["rows"] == m["cols"] > 1 for m in dims) > 15
    assert sum(m["rows"] == 1 for m in dims) > 15


def test_sizes_off_by_one_from_a_power_of_two_are_common():
    cols = [plan_case(SOFTMAX, seed).dims["cols"] for seed in range(600)]

    assert sum(n > 14 and ((n & (n + 1)) == 0 or ((n - 1) & (n - 2)) == 0) for n in cols) > 600 / 8


def test_zero_is_drawn_where_a_list_or_a_range_includes_it_and_nowhere_else():
    def sizes(**dims):
        mine = op(dims=dims)
        return Counter(plan_case(mine, seed).dims["rows"] for seed in range(300))

    assert sizes(rows=[0, 3])[0] > 0
    assert sizes(rows=(0, 100))[0] > 0
    assert sizes(rows=(1, 100))[0] == 0
    assert sizes()[0] == 0


def test_a_range_gives_both_of_its_ends():
    mine = op(dims={"rows": (37, 211)})
    drawn = {plan_case(mine, seed).dims["rows"] for seed in range(400)}

    assert min(drawn) == 37
    assert max(drawn) == 211


@given(seed=seeds)
def test_a_layout_is_drawn_only_where_the_shape_has_room_for_it(seed):
    plan = plan_case(ATTENTION, seed)
    one_dim = plan_case(op("x[N], y[] -> [N]"), seed)

    for name, layout in plan.layouts.items():
        assert layout not in ("reversed", "broadcast") or max(plan.shapes[name]) > 1
    assert one_dim.layouts["x"] not in ("transposed", "channels_last")
    assert one_dim.layouts["y"] in ("contiguous", "offset")


def test_every_layout_is_drawn_by_default_and_huge_seldom():
    mine = op("x[A,B,C,D] -> [A,B,C,D]")
    drawn = Counter(plan_case(mine, seed).layouts["x"] for seed in range(500))

    assert set(drawn) == set(LAYOUTS)
    assert drawn["huge"] < 30 < min(count for layout, count in drawn.items() if layout != "huge")


def test_about_half_of_the_inputs_beside_the_one_with_the_layout_are_contiguous():
    layouts = [plan_case(MATMUL, seed).layouts["b"] for seed in range(1000)]

    assert 350 < layouts.count("contiguous") < 650


def test_libraries_are_not_asked_for_what_they_cannot_hold():
    torch, jax = (narrow_op(MATMUL, library=library) for library in ("torch", "jax"))

    assert "reversed" not in {layout for s in range(200) for layout in plan_case(torch, s).layouts.values()}
    assert {layout for s in range(50) for layout in plan_case(jax, s).layouts.values()} == {"contiguous"}


def test_layouts_that_the_library_never_has_are_refused():
    with pytest.raises(ConfigError, match="torch arrays are never reversed; add 'contiguous'"):
        plan_case(op(library="torch", layouts=["reversed"]), 1)


def test_inputs_that_are_written_or_rise_have_memory_of_their_own_for_every_element():
    """Guards: stride 0 would make offsets constant, and an input computed in place overwrite itself."""
    mine = op(
        "x[N], at[N+1] -> y[N]",
        layouts=["broadcast", "strided"],
        inputs={"at": {"kind": "offsets", "of": "N"}},
        inplace={"y": "x"},
    )

    assert {layout for s in range(100) for layout in plan_case(mine, s).layouts.values()} == {"strided"}


def test_an_input_keeps_to_its_own_layouts_values_and_dtype():
    mine = op(
        "a[M], b[M] -> [M]",
        inputs={"b": {"layouts": ["offset"], "values": ["sparse", "tiny"], "dtype": "int8"}},
    )
    plans = [plan_case(mine, seed) for seed in range(60)]

    assert {plan.layouts["b"] for plan in plans} == {"offset"}
    assert {plan.values["b"] for plan in plans} == {"sparse", "tiny"}
    assert {plan.dtypes["b"] for plan in plans} == {"int8"}
    assert {plan.dtypes["a"] for plan in plans} == {"float16", "bfloat16", "float32"}


def test_inputs_that_point_into_a_dim_are_int64_and_masks_bool_unless_said_otherwise():
    mine = op(
        "w[V,D], i[N], m[N] -> [N,D]", inputs={"i": {"kind": "index", "of": "V"}, "m": {"kind": "mask"}}
    )
    plan = plan_case(mine, 1)

    assert (plan.dtypes["i"], plan.dtypes["m"]) == ("int64", "bool")
    assert (plan.values["i"], plan.values["m"]) == ("index", "mask")


def test_each_param_and_config_is_drawn_from_its_choices():
    mine = op(params={"dim": [-1, 0], "eps": 1e-5}, configs=["small", "large"])
    plans = [plan_case(mine, seed) for seed in range(60)]

    assert {plan.params["dim"] for plan in plans} == {-1, 0}
    assert {plan.params["eps"] for plan in plans} == {1e-5}
    assert {plan.config for plan in plans} == {"small", "large"}


def test_an_output_is_asked_for_in_its_layouts():
    mine = op("x[M,N] -> y[M,N]", outputs={"y": {"layouts": ["contiguous", "transposed"]}})

    assert {plan_case(mine, seed).output_layouts["y"] for seed in range(60)} == {"contiguous", "transposed"}


def test_edits_change_only_what_they_name():
    plan = plan_case(SOFTMAX, 5)
    edited = plan_case(SOFTMAX, 5, "rows=1,dtype=float16,layout=offset,values=zeros,param.dim=-1")

    assert edited.shapes["input"] == (1, plan.dims["cols"])
    assert edited.dtypes == {"input": "float16"}
    assert (edited.layouts, edited.values) == ({"input": "offset"}, {"input": "zeros"})
    assert edited.params == {"dim": -1}
    assert plan_case(SOFTMAX, 5, "rows=1").dtype == plan.dtype
    assert edited.case_id == "5~rows=1,dtype=float16,layout=offset,values=zeros,param.dim=-1"


def test_edits_of_one_input_leave_the_others():
    plan = plan_case(MATMUL, 5)
    edited = plan_case(MATMUL, 5, "layout.b=strided,values.b=ones,keep.a=0:2")

    assert (edited.layouts["a"], edited.values["a"]) == (plan.layouts["a"], plan.values["a"])
    assert (edited.layouts["b"], edited.values["b"], edited.keep["a"]) == ("strided", "ones", (0, 2))


def test_a_drawn_layout_that_no_longer_fits_an_edited_shape_becomes_contiguous():
    seed = next(s for s in range(99) if plan_case(SOFTMAX, s).layouts["input"] == "reversed")

    assert plan_case(SOFTMAX, seed, "rows=1,cols=1").layouts == {"input": "contiguous"}


def test_a_case_id_is_a_number_and_perhaps_edits():
    assert parse_case_id(7) == parse_case_id("7") == parse_case_id(" 7 ") == (7, "")
    assert parse_case_id("18446744073709551615") == (MAX_SEED, "")
    assert parse_case_id("7~rows=1,cols=2") == (7, "rows=1,cols=2")


@pytest.mark.parametrize(
    ("case_id", "message"),
    [
        ("seven", "seed 'seven' is not a whole number >= 0; write N, or N~edits such as 7~rows=1"),
        ("-1", "seed '-1' is not a whole number >= 0"),
        ("1.5", "seed '1.5' is not a whole number >= 0"),
        ("", "seed '' is not a whole number >= 0"),
        ("٣", "seed '٣' is not a whole number >= 0"),
        (True, "seed True is not a whole number >= 0"),
        (2**64, "seed 18446744073709551616 is out of range; seeds are below 2**64 = 18446744073709551616"),
        ("5~foo", "seed '5~foo': edit 'foo' is not NAME=VALUE; write edits such as rows=1,dtype=float16"),
        ("5~rows=1,=2", "seed '5~rows=1,=2': edit '=2' is not NAME=VALUE"),
        ("7~", "seed '7~' ends in '~' without an edit; write 7, or 7~rows=1"),
    ],
)
def test_another_case_id_is_refused(case_id, message):
    with pytest.raises(SeedError) as error:
        parse_case_id(case_id)

    assert message in str(error.value)
