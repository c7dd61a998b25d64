"""Defining and narrowing an op: what each key means, and the message for a value that it cannot have."""

import numpy as np
import pytest

from pytest_gpuemu.engine.define import CASE_KEYS, MARKER_KEYS, define_op, narrow_op
from pytest_gpuemu.engine.errors import ConfigError, SchemaError
from pytest_gpuemu.engine.op import CHECKS, Param, Range, Tolerance
from pytest_gpuemu.engine.ops import BUILTIN_OPS
from pytest_gpuemu.engine.schema import parse_dim


def scale(a, b, *, alpha=1.0, beta=0.0):
    return alpha * a + beta * b


def op(schema="a[M,K], b[M,K] -> [M,K]", reference=scale, **keys):
    return define_op("mine", reference=reference, schema=schema, **keys)


def test_the_schema_gives_inputs_and_outputs():
    mine = op("a[M,K], i[M] -> y[M], z[...]", inputs={"i": {"kind": "index", "of": "K", "ignore": -100}})

    assert [(x.name, [*map(str, x.dims)], x.kind) for x in mine.inputs] == [
        ("a", ["M", "K"], "values"),
        ("i", ["M"], "index"),
    ]
    assert (mine.input("i").of, mine.input("i").ignore) == (parse_dim("K"), -100)
    assert [(y.name, y.dims is None) for y in mine.outputs] == [("y", False), ("z", True)]
    assert mine.dim_names == ("M", "K")


def test_the_dict_form_of_a_schema_brings_its_candidates():
    given = {
        "name": "matmul",
        "dims": [{"name": "M", "candidates": [1, 2]}, {"name": "K", "candidates": [4]}],
        "inputs": [{"name": "A", "dims": ["M", "K"]}, {"name": "B", "dims": ["K", 8]}],
        "output": {"name": "C", "dims": ["M", 8]},
    }
    mine = op(given, dims={"K": [5]})

    assert mine.dims == {"M": (1, 2), "K": (5,)}
    assert [x.name for x in mine.inputs] == ["A", "B"]
    assert mine.outputs[0].name == "C"


def test_dims_are_lists_ranges_or_one_size():
    mine = op(dims={"M": (1, 300), "K": [1, 16]})
    other = op(dims={"M": {"min": 1, "max": 300}, "K": 7})

    assert mine.dims == {"M": Range(1, 300), "K": (1, 16)}
    assert other.dims == {"M": Range(1, 300), "K": (7,)}


def test_inputs_have_bounds_dtypes_layouts_and_values():
    mine = op(
        inputs={"b": {"dtype": np.int8, "low": -8, "high": "K", "layouts": ["Strided"], "values": ["wide"]}}
    )
    b = mine.input("b")

    assert (b.dtype, b.low, b.high) == ("int8", -8, parse_dim("K"))
    assert (b.layouts, b.values) == (("strided",), ("wide",))


def test_other_keys_reach_the_record():
    mine = op(
        params={"alpha": [0.5, 1.0], "beta": 0.0},
        dtypes=["float8_e5m2"],
        tolerance={"rtol": 1e-3, "atol": 1e-5},
        compute="tf32",
        checks={"written": False},
        configs=[{"BLOCK": 16}],
        where="M <= K",
        inplace=["a"],
        cases=7,
    )

    assert mine.params == (Param(name="alpha", choices=(0.5, 1.0)), Param(name="beta", choices=(0.0,)))
    assert mine.dtypes == ("float8_e5m2",)
    assert mine.tolerance == Tolerance(rtol=1e-3, atol=1e-5, source="marker")
    assert (mine.compute, mine.cases, mine.configs) == ("tf32", 7, ({"BLOCK": 16},))
    assert mine.inplace == {"output": "a"}
    assert [str(condition) for condition in mine.where] == ["M <= K"]
    assert not mine.checks_for("written")
    assert mine.checks_for("guard")


def test_a_list_of_checks_switches_the_others_off():
    mine = op(checks=["values", "shape"])

    assert [name for name in CHECKS if mine.checks_for(name)] == ["values", "shape"]


def test_narrowing_keeps_what_decides_a_case_as_overrides():
    narrowed = narrow_op(narrow_op(op(), dims={"M": [3]}, compute="tf32"), dtypes=["float64"], values=None)

    assert narrowed.overrides == {"dims": {"M": [3]}, "dtypes": ["float64"]}
    assert (narrowed.dims, narrowed.dtypes, narrowed.compute) == ({"M": (3,)}, ("float64",), "tf32")
    assert op(dims={"M": [3]}).overrides == {}


def test_narrowing_takes_a_param_that_the_reference_has_beside_those_of_the_op():
    mine = op(params={"alpha": [0.5, 1.0]})

    assert narrow_op(mine, params={"beta": 2.0}).params[1] == Param(name="beta", choices=(2.0,))
    assert narrow_op(op(reference=lambda a, b, **others: a), params={"any": 1}).params[0].name == "any"


def test_every_key_that_decides_a_case_is_a_key_of_the_marker():
    assert set(CASE_KEYS) <= set(MARKER_KEYS)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"reference": 3}, "reference = 3 is not callable"),
        ({"reference": []}, "reference is an empty list; give at least one callable"),
        ({"dimz": {}}, "unknown key 'dimz'; did you mean 'dims'"),
        ({"dims": [1]}, "dims = [1] is not a table of dim name to sizes"),
        ({"dims": {"L": [1]}}, "dims: unknown name 'L'; known: K, M"),
        ({"dims": {"M": []}}, "dims['M'] = []; write a list of sizes [1, 16, 17], or a range: (1, 300)"),
        ({"dims": {"M": [-1]}}, "dims['M'] = [-1]; write a list of sizes"),
        ({"dims": {"M": [True]}}, "dims['M'] = [True]; write a list of sizes"),
        ({"dims": {"M": (9, 1)}}, "dims['M'] = (9, 1) is an empty range"),
        ({"dtypes": "float16"}, "dtypes = 'float16' is not a list with at least one entry"),
        ({"dtypes": ["float15"]}, "dtypes: 'float15' is not a dtype; did you mean 'float16'"),
        ({"dtypes": [1.5]}, "dtypes: 1.5 is not a dtype; write a name: 'float16'"),
        ({"dtypes": [None]}, "dtypes: None is not a dtype; write a name: 'float16'"),
        ({"layouts": ["stridde"]}, "layouts = 'stridde'; did you mean 'strided'"),
        ({"layouts": []}, "layouts = [] is not a list with at least one entry"),
        ({"values": ["norml"]}, "values = 'norml'; did you mean 'normal'"),
        ({"params": [1]}, "params = [1] is not a table of name to value, or list of values"),
        ({"params": {"alpha": []}}, "params['alpha'] = [] has no value to draw from"),
        ({"library": "tensorflow"}, "library = 'tensorflow'; known: cupy, jax, numpy, torch"),
        ({"max_bytes": 0}, "max_bytes = 0 is not a whole number >= 1"),
        ({"cases": True}, "cases = True is not a whole number >= 1"),
        ({"tolerance": 1e-3}, "tolerance = 0.001; write a table such as {'rtol': 1e-3, 'atol': 1e-5}"),
        ({"tolerance": {"rtl": 1}}, "tolerance: unknown name 'rtl'; did you mean 'rtol'"),
        ({"tolerance": {"rtol": -1}}, "tolerance['rtol'] = -1 is not a number >= 0"),
        ({"tolerance": {"rtol": float("nan")}}, "tolerance['rtol'] = nan is not a number >= 0"),
        ({"tolerance": {"fraction": 95}}, "tolerance['fraction'] = 95 is not a share from 0 to 1"),
        ({"compute": "half"}, "compute = 'half'; known: float32, float32-strict, float64, storage, tf32"),
        ({"rounding": "up"}, "rounding = 'up'; known: faithful, nearest, saturate"),
        ({"scale": "rows"}, "scale = 'rows'; did you mean 'row'"),
        ({"checks": ["guards"]}, "checks = 'guards'; did you mean 'guard'"),
        ({"checks": {"guard": 0}}, "checks['guard'] = 0 is not True or False"),
        ({"invariants": "within(0, 1)"}, "invariants = 'within(0, 1)' is not a list"),
        ({"invariants": ["wthin(0, 1)"]}, "invariants: "),
        ({"configs": []}, "configs = [] is not a list with at least one entry"),
        ({"inputs": ["a"]}, "inputs = ['a'] is not a table of input name to its keys"),
        ({"inputs": {"c": {}}}, "inputs: unknown name 'c'; known: a, b"),
        (
            {"inputs": {"a": "int8"}},
            "inputs['a'] = 'int8' is not a table; write one such as {'dtype': 'int8'}",
        ),
        ({"inputs": {"a": {"dtyp": "int8"}}}, "inputs['a']: unknown name 'dtyp'; did you mean 'dtype'"),
        ({"inputs": {"a": {"kind": "idx"}}}, "inputs['a'].kind = 'idx'; did you mean 'index'?"),
        ({"inputs": {"a": {"kind": "index"}}}, "inputs['a'] has kind 'index' and needs 'of', the dim that"),
        ({"inputs": {"a": {"kind": "index", "of": "V"}}}, "inputs['a'].of: unknown name 'V'; known: K, M"),
        (
            {"inputs": {"a": {"kind": "index", "of": "M", "dtype": "float32"}}},
            "but kind 'index' is one of int",
        ),
        ({"inputs": {"a": {"ignore": "-1"}}}, "inputs['a'].ignore = '-1' is not a whole number"),
        ({"inputs": {"a": {"low": [0]}}}, "inputs['a'].low = [0] is neither a number nor a dim"),
        ({"inputs": {"a": {"nonzero": 1}}}, "inputs['a'].nonzero = 1 is not True or False"),
        ({"outputs": {"y": {}}}, "outputs: unknown name 'y'; known: output"),
        ({"outputs": {"output": "float32"}}, "outputs['output'] = 'float32' is not a table"),
        ({"outputs": {"output": {"low": 1}}}, "outputs['output']: unknown name 'low'"),
        ({"outputs": {"output": {"layouts": ["broadcast"]}}}, "outputs['output'].layouts = 'broadcast'"),
        ({"where": ["M <= L"]}, "where: unknown name 'L'; known: K, M"),
        ({"inplace": ["c"]}, "inplace: unknown name 'c'; known: a, b"),
        ({"inplace": ["a", "b"]}, "inplace = ['a', 'b'] has more entries than the op has outputs"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_place(keys, message):
    with pytest.raises(ConfigError) as error:
        op(**keys)

    assert str(error.value).startswith("gpuemu_op 'mine': ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"schema": "a[M -> [M]"},
            "gpuemu_op 'mine': schema: expected ']', found '->'\n  a[M -> [M]\n      ^",
        ),
        ({"schema": {"inputs": []}}, "gpuemu_op 'mine': schema = {'inputs': []} lacks or misspells 'output'"),
        ({"schema": 5}, "gpuemu_op 'mine': schema = 5 lacks or misspells"),
        ({"where": ["M < "]}, "gpuemu_op 'mine': where: 'M < ' is not a comparison"),
        ({"inputs": {"a": {"high": "M*"}}}, "gpuemu_op 'mine': inputs['a'].high: dim: expected a dim name"),
    ],
)
def test_a_schema_that_does_not_parse_names_the_op(keys, message):
    with pytest.raises(SchemaError) as error:
        op(**keys)

    assert message in str(error.value)


def test_a_param_that_neither_the_op_nor_its_reference_has_is_named():
    with pytest.raises(ConfigError) as error:
        narrow_op(op(params={"alpha": 1.0}), params={"alhpa": 2.0})

    assert str(error.value) == "gpuemu_op 'mine': params: unknown name 'alhpa'; did you mean 'alpha'?"


def test_the_place_of_another_origin_begins_its_messages():
    with pytest.raises(ConfigError) as error:
        op(origin="[[ops]]", dtypes=[])

    assert str(error.value).startswith("[[ops]] 'mine': dtypes = []")


def test_a_param_value_brings_the_dims_that_it_needs():
    attention = BUILTIN_OPS["scaled_dot_product_attention"]
    assert attention.dims["G"] == (1,)
    assert narrow_op(attention, params={"enable_gqa": True}).dims["G"] == (1, 2, 3, 4, 8)
    assert narrow_op(attention, params={"enable_gqa": True}, dims={"G": [4]}).dims["G"] == (4,)
    assert narrow_op(attention, params={"enable_gqa": False, "is_causal": True}).dims["G"] == (1,)
    assert narrow_op(BUILTIN_OPS["conv2d"], params={"groups": 6}).dims["G"] == (6,)


def test_a_param_whose_values_need_different_dims_takes_one_value_a_test():
    with pytest.raises(ConfigError, match=r"enable_gqa = \[False, True\]: each value needs sizes of its own"):
        narrow_op(BUILTIN_OPS["scaled_dot_product_attention"], params={"enable_gqa": [False, True]})
