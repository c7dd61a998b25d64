"""Which op a name means, and with which reference and tolerance."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gpuemu.engine.case import case_from_arrays
from pytest_gpuemu.engine.config import load_config
from pytest_gpuemu.engine.errors import ConfigError, ScriptFailed, UnknownOpError
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.requested_ops import op_for_arrays, with_params
from pytest_gpuemu.engine.resolve import resolve_op

SCRIPT = """
import base64, json, sys
import numpy as np
request = json.load(sys.stdin)
x = request["inputs"]["x"]
values = np.frombuffer(base64.b64decode(x["data"]), x["dtype"]).reshape(x["shape"])
if request["kwargs"].get("mode") == "raise":
    raise ValueError("the script is at fault")
if request["kwargs"].get("mode") == "hang":
    while True: pass
if request["kwargs"].get("mode") == "chatter":
    print("hello")
if request["kwargs"].get("mode") == "short":
    values = values[1:]
y = values * 2
data = base64.b64encode(y.tobytes()).decode()
print(json.dumps({"shape": x["shape"], "dtype": str(y.dtype), "data": data}))
"""


@pytest.fixture
def config(tmp_path):
    """Reads a gpuemu.toml given as text, beside a module and a script."""
    module = f"references_of_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{module}.py").write_text("def twice(x): return 2 * x\nvalue = 3\n", encoding="utf-8")
    (tmp_path / "twice.py").write_text(SCRIPT, encoding="utf-8")

    def read(text: str):
        (tmp_path / "gpuemu.toml").write_text(text.replace("MODULE", module), encoding="utf-8")
        return load_config(tmp_path, {})

    return read


def test_a_built_in_is_found_by_name_and_by_alias():
    assert resolve_op("softmax", {}, None).origin == "built-in"
    assert resolve_op("layernorm", {}, None) == resolve_op("layer_norm", {}, None)


def test_an_unknown_op_names_the_nearest(config):
    given = config("[[ops]]\nname = 'my_softmax'\nreference = 'MODULE:twice'")

    with pytest.raises(UnknownOpError) as caught:
        resolve_op("my_sofmax", {}, given)

    first, second = str(caught.value).split("\n")
    assert first.startswith(f"gpuemu_op 'my_sofmax': no such op among the built-ins nor in {given.path}; ")
    assert "did you mean 'my_softmax'" in first
    assert second == (
        "  an op of your own needs reference= and schema=, in the marker or under [[ops]] in gpuemu.toml"
    )


def test_the_marker_wins_over_the_file_and_the_file_over_the_built_ins(config):
    given = config("[[ops]]\nname = 'softmax'\nreference = 'MODULE:twice'\nschema = 'x[N] -> y[N]'")

    of_file = resolve_op("softmax", {}, given)
    assert (of_file.origin, [x.name for x in of_file.inputs]) == ("[[ops]]", ["x"])

    of_marker = resolve_op("softmax", {"reference": abs, "schema": "z[N] -> y[N]"}, given)
    assert (of_marker.origin, [x.name for x in of_marker.inputs]) == ("marker", ["z"])


def test_an_entry_without_reference_narrows_the_built_in(config):
    op = resolve_op("softmax", {}, config("[[ops]]\nname = 'softmax'\ndtypes = ['float32']"))

    assert op.dtypes == ("float32",)
    assert op.references == resolve_op("softmax", {}, None).references


def test_an_entry_without_reference_and_built_in_says_what_is_missing(config):
    with pytest.raises(ConfigError, match=r"\[\[ops\]\] 'mine': reference is missing, and no built-in op"):
        resolve_op("mine", {}, config("[[ops]]\nname = 'mine'"))


def test_a_marker_narrows_what_it_does_not_define():
    op = resolve_op("softmax", {"dtypes": ["float64"]}, None)

    assert (op.dtypes, op.overrides) == (("float64",), {"dtypes": ["float64"]})


def test_a_schema_without_reference_is_refused():
    with pytest.raises(ConfigError, match=r"gpuemu_op 'softmax': schema = .* needs reference= beside it"):
        resolve_op("softmax", {"schema": "x[N] -> y[N]"}, None)


@pytest.mark.parametrize(
    ("marker", "own", "project", "source", "atol"),
    [
        ({"atol": 1.0}, "atol = 2.0", "float32 = 3.0", "marker", 1.0),
        (None, "atol = 2.0", "float32 = 3.0", "[ops.tolerances]", 2.0),
        (None, "float32 = 2.0", "float32 = 3.0", "[ops.tolerances]", 2.0),
        (None, "float16 = 2.0", "float32 = 3.0", "[validation.tolerances]", 3.0),
    ],
)
def test_a_tolerance_comes_from_the_nearest_place(config, marker, own, project, source, atol):
    given = config(
        f"[[ops]]\nname = 'softmax'\n[ops.tolerances]\n{own}\n[validation.tolerances]\n{project}\n"
    )

    op = resolve_op("softmax", {"tolerance": marker}, given)

    found = op.tolerance or op.tolerances["float32"]
    assert (found.source, found.atol) == (source, atol)


def test_a_wrong_value_of_an_entry_names_the_file(config):
    given = config(
        "[[ops]]\nname = 'mine'\nreference = 'MODULE:twice'\nschema = 'x[N] -> y[N]'\ndims = { M = [1] }"
    )

    with pytest.raises(ConfigError) as caught:
        resolve_op("mine", {}, given)

    assert str(caught.value).startswith(f"{given.path}: [[ops]] 'mine': dims: unknown name 'M'; ")


@pytest.mark.parametrize(("dtype", "passes"), [("float32", True), ("float64", False)])
def test_a_tolerance_by_dtype_holds_for_the_cases_of_that_dtype(config, dtype, passes):
    given = config(
        "[[ops]]\nname = 'mine'\nreference = 'MODULE:twice'\nschema = 'x[N] -> y[N]'\n"
        "[validation.tolerances]\nfloat32 = 0.5\n"
    )
    case = case_from_arrays(resolve_op("mine", {}, given), {"x": np.ones(3, dtype)})

    verdict = judge(case, np.full(3, 2.25, dtype))

    assert verdict.passed is passes
    assert verdict.comparisons[0].tolerance == ("[validation.tolerances]" if passes else "derived")


def test_a_function_of_the_files_folder_is_the_reference(config):
    op = resolve_op("mine", {}, config("[[ops]]\nname = 'mine'\nreference = 'MODULE:twice'"))

    assert op.references[0](21) == 42


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("no_such_module_x:f", "cannot import 'no_such_module_x'"),
        ("MODULE:twise", "has no 'twise'; did you mean 'twice'?"),
        ("MODULE:value", "is 3, which is not callable"),
        ("nowhere.py", "there is no file"),
    ],
)
def test_a_reference_that_cannot_be_had_is_said(config, reference, message):
    given = config(f"[[ops]]\nname = 'mine'\nreference = '{reference}'")

    with pytest.raises(ConfigError) as caught:
        resolve_op("mine", {}, given)

    assert message in str(caught.value)
    assert "[[ops]] 'mine': reference = " in str(caught.value)


@pytest.fixture
def script(config):
    text = (
        "[validation]\nreference_timeout_s = 3\n"
        "[[ops]]\nname = 'mine'\nreference = 'twice.py'\nschema = 'x[N] -> y[N]'\n"
        "params = { mode = 'fine' }\n"
    )
    return resolve_op("mine", {}, config(text)).references[0]


def test_a_script_is_called_like_a_function_again_and_again(script):
    for n in range(3):
        assert script(x=np.arange(float(n))).tolist() == [2.0 * i for i in range(n)]
    assert script._host is not None


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("raise", "ValueError: the script is at fault"),
        ("hang", "took longer than 3 s"),
        ("chatter", "printed 'hello"),
        ("short", "has 8 bytes, but shape [2] of float64 takes 16"),
    ],
)
def test_a_script_at_fault_is_said_and_the_next_call_works(script, mode, message):
    with pytest.raises(ScriptFailed) as caught:
        script(np.ones(2), mode=mode)

    assert message in str(caught.value)
    assert "twice.py" in str(caught.value)
    assert script(np.ones(2)).tolist() == [2.0, 2.0]


def test_a_script_refuses_what_would_lose_its_error_bound(script):
    class Traced(np.ndarray):
        pass

    with pytest.raises(TypeError, match="takes NumPy arrays"):
        script(np.ones(2).view(Traced))


def test_a_marker_narrows_the_tensors_of_a_built_in_op():
    """Guards: a kernel that takes a positive weight had to define the op anew."""
    keys = {
        "inputs": {"weight": {"low": 0.5, "high": 2.0, "layouts": ["contiguous"]}},
        "outputs": {"output": {"layouts": ["strided"], "dtype": "float32"}},
        "where": ["rows <= cols"],
        "inplace": ["input"],
    }
    op = resolve_op("rms_norm", keys, None)

    assert (op.input("weight").low, op.input("weight").layouts) == (0.5, ("contiguous",))
    assert op.input("input") == resolve_op("rms_norm", {}, None).input("input")
    assert (op.outputs[0].layouts, op.outputs[0].dtype) == (("strided",), "float32")
    assert [str(condition) for condition in op.where] == ["rows <= cols"]
    assert op.inplace == {"output": "input"}
    assert op.overrides == {key: keys[key] for key in ("inputs", "outputs", "where")}


def test_an_unknown_input_of_a_built_in_op_is_named():
    with pytest.raises(
        ConfigError, match=r"gpuemu_op 'rms_norm': inputs: .*'wieght'.* did you mean 'weight'"
    ):
        resolve_op("rms_norm", {"inputs": {"wieght": {"low": 0.5}}}, None)


SAXPY = """
[[kernels]]
name = "saxpy"
source = "saxpy.cu"
reference = "MODULE:saxpy"
invariants = ["finite"]
tolerances = { float32 = 0.5 }
"""


def test_a_kernel_with_a_reference_is_an_op_of_its_name(config, tmp_path):
    """Guards: reference, tolerances and invariants of [[kernels]] were checked, and had no effect."""
    (module,) = tmp_path.glob("references_of_*.py")
    module.write_text("def saxpy(x, y, alpha=1.0): return alpha * x + y\n", encoding="utf-8")
    op = resolve_op("saxpy", {}, config(SAXPY))
    x = np.arange(3, dtype=np.float32)

    case = case_from_arrays(
        op_for_arrays(with_params(op, {"alpha": 2.0}), {"x": x, "y": x}), {"x": x, "y": x}
    )

    assert judge(case, 3 * x + np.float32(0.4)).passed
    assert judge(case, 3 * x + np.float32(0.6)).failed
    assert [invariant.name for invariant in op.invariants] == ["finite()"]


def test_a_parameter_of_the_reference_that_came_as_a_param_is_no_input(config, tmp_path):
    (module,) = tmp_path.glob("references_of_*.py")
    module.write_text("def saxpy(alpha, x, y): return alpha * x + y\n", encoding="utf-8")
    op = with_params(resolve_op("saxpy", {}, config(SAXPY)), {"alpha": 2.0})
    x = np.arange(3, dtype=np.float32)

    given = op_for_arrays(op, {"x": x, "y": x})

    assert [declared.name for declared in given.inputs] == ["x", "y"]
    assert judge(case_from_arrays(given, {"x": x, "y": x}), 3 * x).passed


def test_an_op_of_a_kernels_name_wins_over_it(config):
    given = config(SAXPY + '[[ops]]\nname = "saxpy"\nreference = "MODULE:twice"\nschema = "x[N] -> y[N]"\n')
    op = resolve_op("saxpy", {}, given)

    assert ([x.name for x in op.inputs], op.invariants, op.tolerances) == (["x"], (), {})


def test_a_kernel_without_any_of_these_is_no_op(config):
    with pytest.raises(UnknownOpError):
        resolve_op("saxpy", {}, config('[[kernels]]\nname = "saxpy"\nsource = "saxpy.cu"'))


def test_a_kernel_of_a_built_ins_name_narrows_it(config):
    given = config('[[kernels]]\nname = "softmax"\nsource = "softmax.cu"\ntolerances = { ulp = 4 }')

    assert resolve_op("softmax", {}, given).tolerance.ulp == 4


def test_a_wrong_reference_of_a_kernel_names_it(config):
    with pytest.raises(ConfigError, match=r"\[\[kernels\]\] 'saxpy': reference = 'no_such_module:f': cannot"):
        resolve_op("saxpy", {}, config(SAXPY.replace("MODULE:saxpy", "no_such_module:f")))
    with pytest.raises(ConfigError, match=r"\[\[kernels\]\] 'saxpy': reference = 'saxpy'"):
        config(SAXPY.replace("MODULE:saxpy", "saxpy"))
