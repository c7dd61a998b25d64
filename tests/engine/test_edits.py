"""Edits of a case id: what each may name, and the message where it does not."""

import pytest

from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.edits import read_edits, write_edits
from pytest_gpuemu.engine.errors import SeedError
from pytest_gpuemu.engine.plan import plan_case

OP = define_op(
    "mine",
    reference=lambda a, i, *, axes, mode: a,
    schema="a[rows,cols], i[rows], b[dtype] -> [rows,cols]",
    inputs={"i": {"kind": "index", "of": "cols"}},
    params={"axes": [(0, 1), (1,)], "mode": ["sum", "mean"]},
    where=["rows <= cols"],
    max_bytes=2**20,
)


def test_each_edit_is_read_into_its_place():
    edits = read_edits(
        OP, "rows=3, dtype=float32, layout=strided, layout.a=offset, values.a=ones, keep.a=0:7"
    )

    assert edits.dims == {"rows": 3}
    assert edits.dtype == "float32"
    assert edits.layouts == {None: "strided", "a": "offset"}
    assert edits.values == {"a": "ones"}
    assert edits.keep == {"a": (0, 7)}


def test_a_choice_is_named_as_python_prints_it_with_or_without_quotes():
    assert read_edits(OP, "param.axes=(0, 1),param.mode=mean").params == {"axes": (0, 1), "mode": "mean"}
    assert read_edits(OP, "param.mode='sum'").params == {"mode": "sum"}


def test_a_dim_whose_name_is_a_word_of_the_grammar_is_reached_with_its_prefix():
    assert read_edits(OP, "dim.dtype=4,dtype=float16").dims == {"dtype": 4}


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ("rows", "edit 'rows' is not NAME=VALUE; write edits such as rows=1,dtype=float16"),
        ("rows=1,", "edit '' is not NAME=VALUE"),
        ("rowz=1", "edit 'rowz': unknown dim or edit 'rowz'; did you mean 'rows'?"),
        ("rows=-1", "edit rows='-1' is not a whole number >= 0"),
        ("dtype=float31", "edit dtype='float31'; did you mean 'float32'"),
        ("dtype=int8", "edit dtype='int8'"),
        ("layout=reverse", "edit layout='reverse'; did you mean 'reversed'?"),
        ("layout.c=offset", "edit 'layout.c': unknown name 'c'; known: a, b, i"),
        ("values=zeroes", "edit values='zeroes'; did you mean 'zeros' or 'ones'?"),
        ("keep.a=1:x", "edit keep.a='x' is not a whole number >= 0"),
        ("param.mod=sum", "edit 'param.mod': unknown name 'mod'; did you mean 'mode'?"),
        ("param.mode=max", "edit param.mode='max' is no choice of it: 'sum', 'mean'"),
    ],
)
def test_a_wrong_edit_is_named_with_what_it_could_be(edits, message):
    with pytest.raises(SeedError) as error:
        read_edits(OP, edits)

    assert message in str(error.value)


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ("rows=9,cols=8", "op 'mine': edits 'rows=9,cols=8' break the condition rows <= cols"),
        ("rows=1000,cols=9000", "more than max_bytes = 1048576"),
        ("rows=1,cols=1,layout.a=reversed", "edit layout.a=reversed does not fit the shape (1, 1)"),
        ("values.i=zeros", "edit values.i=zeros: an input of kind 'index' has no distribution"),
    ],
)
def test_edits_that_make_no_case_are_refused(edits, message):
    with pytest.raises(SeedError) as error:
        plan_case(OP, 1, edits)

    assert message in str(error.value)


def test_an_edit_that_leaves_nothing_to_index_is_refused():
    op = define_op(
        "take",
        reference=lambda w, i: w[i],
        schema="w[V], i[N] -> [N]",
        inputs={"i": {"kind": "index", "of": "V"}},
    )
    with pytest.raises(SeedError) as error:
        plan_case(op, 1, "V=0,N=2")

    assert "op 'take': edits 'V=0,N=2': input 'i' has 2 indices below V = 0" in str(error.value)
    assert plan_case(op, 1, "V=0,N=0").shapes == {"w": (0,), "i": (0,)}


def test_edits_are_written_as_they_are_read():
    text = (
        "rows=3,dim.dtype=4,dtype=float32,layout=strided,layout.out=contiguous,values.a=ones,draw=2,keep.a=7"
    )
    op = define_op(
        "mine",
        reference=lambda a, b, *, mode: a,
        schema="a[rows,cols], b[dtype] -> out[rows,cols]",
        params={"mode": ["sum", (1, 2)]},
    )

    for written in (text, f"{text},param.mode='sum'", f"{text},param.mode=(1, 2)"):
        assert write_edits(read_edits(op, written)) == written


def test_another_draw_has_other_values_of_the_same_distribution():
    case, same, other = (make_case(OP, 7, f"rows=2,cols=8{edit}") for edit in ("", ",draw=0", ",draw=1"))

    assert (case.originals["a"] == same.originals["a"]).all()
    assert (case.originals["a"] != other.originals["a"]).any()
    assert other.plan.values == case.plan.values


def test_an_output_can_be_made_contiguous():
    op = define_op(
        "y", reference=lambda x: x, schema="x[N,M] -> y[N,M]", outputs={"y": {"layouts": ["transposed"]}}
    )

    assert plan_case(op, 3, "N=3,M=3").output_layouts == {"y": "transposed"}
    assert plan_case(op, 3, "N=3,M=3,layout.y=contiguous").output_layouts == {"y": "contiguous"}


def test_elements_that_are_not_kept_lie_in_the_domain():
    """Guards: they became 0 where the input's domain begins at 1."""
    op = define_op("x", reference=lambda x: x, schema="x[N] -> [N]", inputs={"x": {"low": 1, "high": 9}})

    values = make_case(op, 3, "N=6,keep.x=2").originals["x"]

    assert (values >= 1).all()
    assert list(values == values[0]) == [True, True, False, True, True, True]
