"""Schemas: what the text means, and a caret below the place where it has no meaning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_gpuemu.engine.errors import SchemaError
from pytest_gpuemu.engine.schema import parse_comparison, parse_dim, parse_schema


def shapes(tensors):
    return {tensor.name: None if tensor.dims is None else [*map(str, tensor.dims)] for tensor in tensors}


def test_a_schema_names_the_dims_of_each_tensor():
    schema = parse_schema("q[B,H*G,S], k [ B , H, 2*T+1 ] , idx[N], eps[] -> out[B,H*G,S], lse[B]")

    assert shapes(schema.inputs) == {
        "q": ["B", "H*G", "S"],
        "k": ["B", "H", "2*T+1"],
        "idx": ["N"],
        "eps": [],
    }
    assert shapes(schema.outputs) == {"out": ["B", "H*G", "S"], "lse": ["B"]}


def test_a_single_output_without_a_name_is_called_output():
    assert shapes(parse_schema("a[M] -> [M]").outputs) == {"output": ["M"]}
    assert shapes(parse_schema("a[M] -> [...]").outputs) == {"output": None}
    assert shapes(parse_schema("a[M]->y[...],z[M]").outputs) == {"y": None, "z": ["M"]}


@given(
    dims=st.dictionaries(st.sampled_from("MNK"), st.integers(0, 50), min_size=3),
    products=st.lists(
        st.lists(st.sampled_from(["M", "N", "K", "2", "3"]), min_size=1), min_size=1, max_size=3
    ),
)
def test_a_dim_has_the_size_that_python_gives_its_text(dims, products):
    text = "+".join("*".join(product) for product in products)

    assert parse_dim(text).evaluate(dims) == eval(text, {}, dims)
    assert parse_dim(str(parse_dim(text))).evaluate(dims) == eval(text, {}, dims)


@pytest.mark.parametrize(
    ("text", "holding", "broken"),
    [
        ("S <= T", {"S": 3, "T": 3}, {"S": 4, "T": 3}),
        ("S<T", {"S": 2, "T": 3}, {"S": 3, "T": 3}),
        ("S >= 2*T", {"S": 6, "T": 3}, {"S": 5, "T": 3}),
        ("S > 1", {"S": 2}, {"S": 1}),
        ("S == T+1", {"S": 4, "T": 3}, {"S": 3, "T": 3}),
        ("S != T", {"S": 4, "T": 3}, {"S": 3, "T": 3}),
    ],
)
def test_a_comparison_holds_or_does_not(text, holding, broken):
    assert parse_comparison(text).holds(holding)
    assert not parse_comparison(text).holds(broken)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a tensor name, found 'the end'"),
        ("a[M", "expected ']', found 'the end'"),
        ("a[M]", "expected '->', found 'the end'"),
        ("a M] -> [M]", "expected '[', found 'M'"),
        ("a[M,] -> [M]", "expected a dim name or an integer, found ']'"),
        ("a[M*] -> [M]", "expected a dim name or an integer, found ']'"),
        ("a[M] -> [M] b", "unexpected 'b'"),
        ("a[M-1] -> [M]", "unexpected '-'"),
        ("a[M], a[N] -> [M]", "'a' appears twice"),
        ("a[...] -> [M]", "input 'a': only an output may be [...]"),
        ("a[M] -> y[M], z[M,N]", "output 'z' uses the dim 'N', which no input has"),
        ("a[M] -> [M], [M]", "expected a tensor name, found '['"),
    ],
)
def test_a_wrong_schema_says_what_was_expected(text, message):
    with pytest.raises(SchemaError) as error:
        parse_schema(text)

    assert str(error.value).startswith(f"schema: {message}\n  {text}\n")


@pytest.mark.parametrize(
    "marked",
    [
        "^",
        "a[M^",
        "a ^M] -> [M]",
        "a[M,^] -> [M]",
        "a[M] -> [M] ^b",
        "a[M]^? -> [M]",
        "a[M], ^a[N] -> [M]",
        "a[M],^a[N] -> [M]",
        "a[^...] -> [M]",
        "a[M] -> y[M], z[M,^N]",
        "a[M] -> y[M,2*^N]",
    ],
)
def test_the_caret_is_below_the_place(marked):
    text, place = marked.replace("^", ""), marked.index("^")
    with pytest.raises(SchemaError) as error:
        parse_schema(text)

    _, shown, caret = str(error.value).split("\n")
    assert shown == f"  {text}"
    assert caret == "  " + " " * place + "^"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("S T", "where: 'S T' is not a comparison; write one such as 'S <= T'"),
        ("S <= T <= U", "where: 'S <= T <= U': unexpected '<'\n  T <= U\n    ^"),
        ("S <= T-1", "where: 'S <= T-1': unexpected '-'\n  T-1\n   ^"),
        ("S <= -1", "where: 'S <= -1': unexpected '-'\n  -1\n  ^"),
    ],
)
def test_a_wrong_comparison_is_named(text, message):
    with pytest.raises(SchemaError) as error:
        parse_comparison(text)

    assert str(error.value) == message


def test_a_wrong_dim_is_named():
    with pytest.raises(SchemaError) as error:
        parse_dim("2x")

    assert str(error.value) == "dim: unexpected 'x'\n  2x\n   ^"
