"""Functions get inputs and params by name, and a reference gives float64 outputs of the right shape."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import numpy as np
import pytest

from pytest_gpuemu.engine.case import case_from_arrays
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.errors import ReferenceFailed
from pytest_gpuemu.engine.references import call_by_name, evaluate, optional_params, wants_torch

INPUTS = {"input": 1, "weight": 2}
PARAMS = {"eps": 3}


def named(input, weight, eps):
    return input, weight, eps


def swapped(weight, input, *, eps):
    return input, weight, eps


def renamed(x, weight, eps):
    return x, weight, eps


def renamed_and_swapped(weight, x, eps):
    return x, weight, eps


def all_renamed(x, w, eps=None):
    return x, w, eps


def positional_only(a, b, /, eps):
    return a, b, eps


def packed(*args, eps):
    return (*args, eps)


def keywords(**kwargs):
    return kwargs["input"], kwargs["weight"], kwargs["eps"]


def anything(*args, **kwargs):
    return (*args, kwargs["eps"])


@functools.wraps(swapped)
def wrapped(*args, **kwargs):
    return swapped(*args, **kwargs)


class Callable:
    def __call__(self, input, weight, eps):
        return input, weight, eps


@pytest.mark.parametrize(
    "function",
    [
        named,
        swapped,
        renamed,
        renamed_and_swapped,
        all_renamed,
        positional_only,
        packed,
        keywords,
        anything,
        wrapped,
        Callable(),
        functools.partial(named),
    ],
    ids=lambda function: getattr(function, "__name__", type(function).__name__),
)
def test_every_form_of_signature_gets_its_arguments(function):
    assert call_by_name(function, INPUTS, PARAMS) == (1, 2, 3)


def test_a_builtin_without_a_signature_gets_them_by_position():
    assert call_by_name(max, {"a": 1, "b": 5}, {}) == 5


def test_an_optional_param_is_left_out_where_the_function_does_not_take_it():
    def kernel(input, weight):
        return input, weight

    assert call_by_name(kernel, INPUTS, PARAMS, optional={"eps"}) == (1, 2)
    assert call_by_name(named, INPUTS, PARAMS, optional={"eps"}) == (1, 2, 3)


def test_an_optional_param_that_a_builtin_does_not_take_is_left_out():
    """Guards: torch's own attention has no readable signature, and no causal_align."""
    torch = pytest.importorskip("torch")
    attention = torch.nn.functional.scaled_dot_product_attention
    x = torch.ones(1, 2, 3)
    inputs, params = {"query": x, "key": x, "value": x}, {"is_causal": True, "causal_align": "top_left"}

    found = call_by_name(attention, inputs, params, optional={"causal_align"})

    assert found.tolist() == attention(x, x, x, is_causal=True).tolist()
    with pytest.raises(TypeError, match="causal_align"):
        call_by_name(attention, inputs, params)


def test_a_param_that_is_not_optional_is_never_dropped():
    with pytest.raises(TypeError, match="unexpected keyword argument 'eps'"):
        call_by_name(lambda input, weight: None, INPUTS, PARAMS)


def test_a_function_that_takes_fewer_inputs_gets_python_s_own_error():
    with pytest.raises(TypeError, match="positional argument"):
        call_by_name(lambda x: None, INPUTS, {})


def test_only_a_param_with_one_choice_is_optional():
    op = define_op("f", reference=named, schema="x[N] -> [N]", params={"eps": 1e-5, "dim": [0, -1]})
    assert optional_params(op) == {"eps"}


def made(reference, schema="x[N] -> [N]", x=(1.0, 2.0), dtype=np.float32, **keys):
    op = define_op("mine", reference=reference, schema=schema, **keys)
    return op, case_from_arrays(op, {"x": np.array(x, dtype=dtype)}, seed=7)


def evaluated(reference, **keys):
    op, case = made(reference, **keys)
    return evaluate(op, reference, case)


class TestWhatAReferenceGives:
    def test_it_gets_float64_and_gives_float64(self):
        seen = []

        def reference(x):
            seen.append(x.dtype)
            return x + 2.0**-40

        outputs = evaluated(reference)

        assert seen == [np.float64]
        assert outputs["output"].tolist() == [1 + 2.0**-40, 2 + 2.0**-40]

    def test_integers_stay_as_they_are(self):
        outputs = evaluated(lambda x: x * 2, x=(3, 4), dtype=np.int8, inputs={"x": {"dtype": "int8"}})
        assert (outputs["output"].dtype, outputs["output"].tolist()) == (np.int8, [6, 8])

    def test_it_may_write_into_its_inputs(self):
        def reference(x):
            x *= 2
            return x

        op, case = made(reference)
        assert evaluate(op, reference, case)["output"].tolist() == [2.0, 4.0]
        assert evaluate(op, reference, case)["output"].tolist() == [2.0, 4.0]

    @pytest.mark.parametrize(
        "give",
        [
            lambda x: (x, x.sum()),
            lambda x: [x, x.sum()],
            lambda x: {"s": x.sum(), "y": x},
            lambda x: (list(x), float(x.sum())),
        ],
        ids=["tuple", "list", "dict", "python numbers"],
    )
    def test_several_outputs_come_by_name(self, give):
        outputs = evaluated(give, schema="x[N] -> y[N], s[]")
        assert list(outputs) == ["y", "s"]
        assert (outputs["y"].tolist(), outputs["s"].shape, outputs["s"].item()) == ([1.0, 2.0], (), 3.0)

    def test_its_warnings_are_its_own_business(self, recwarn):
        assert np.isnan(evaluated(lambda x: np.log(-x))["output"]).all()
        assert not recwarn.list

    def test_the_shape_rule_says_what_dims_cannot(self):
        def halves(name, shapes, params):
            return (shapes["x"][0] // 2,)

        keys = {"schema": "x[N] -> [...]", "shape_rule": halves}
        assert evaluated(lambda x: x[:1], **keys)["output"].tolist() == [1.0]
        with pytest.raises(ReferenceFailed, match=r"gave output 'output' of shape \[2\].*says \[1\]"):
            evaluated(lambda x: x, **keys)


class TestAReferenceThatFails:
    def test_the_wrong_shape_names_op_function_and_shapes(self):
        def too_short(x):
            return x[:1]

        with pytest.raises(ReferenceFailed) as raised:
            evaluated(too_short)

        text = str(raised.value)
        assert text.startswith("mine: the reference ")
        assert "too_short (test_references.py:" in text
        assert "gave output 'output' of shape [1], but the schema says [2] for inputs x [2] (seed 7)" in text

    def test_its_exception_is_shown_with_its_traceback(self):
        def broken(x):
            raise KeyError("scale")

        with pytest.raises(ReferenceFailed) as raised:
            evaluated(broken)

        text = str(raised.value)
        assert "broken (test_references.py:" in text
        assert "raised KeyError: 'scale'" in text
        assert 'raise KeyError("scale")' in text
        assert isinstance(raised.value.__cause__, KeyError)

    @pytest.mark.parametrize(
        ("give", "message"),
        [
            (lambda x: None, "it returned None: return the output$"),
            (lambda x: (x, x), "got a tuple of 2, but the op has one output, 'output'"),
            (lambda x: {"out": x}, "unknown output 'out'; did you mean 'output'"),
            (lambda x: x.astype(complex), "dtype complex128 is neither"),
        ],
    )
    def test_what_is_no_output_is_named(self, give, message):
        with pytest.raises(ReferenceFailed, match=message):
            evaluated(give)

    @pytest.mark.parametrize(
        ("reference", "named"),
        [
            (lambda x, weight: x, r"takes x, weight, .* no parameter named 'input' \(and 'x' is no input\)"),
            (lambda weight: weight, "takes weight, .* no parameter named 'input'; rename"),
        ],
        ids=["renamed", "left out"],
    )
    def test_names_of_which_only_some_are_inputs_are_refused(self, reference, named):
        """Guards: what had no name took the place that was left, whatever that meant."""
        with pytest.raises(ReferenceFailed, match=named):
            evaluate(*of_two_inputs(reference))

    @pytest.mark.parametrize(
        "reference",
        [
            lambda weight, input: input - weight,
            lambda x, w: x - w,
            lambda input, weight, bias=None: input - weight,
            lambda input, **others: input - others["weight"],
            lambda *inputs: inputs[0] - inputs[1],
        ],
        ids=["all", "none", "a default more", "keywords", "packed"],
    )
    def test_names_that_are_all_inputs_or_none_are_taken(self, reference):
        assert evaluate(*of_two_inputs(reference))["output"].tolist() == [2.0]


def of_two_inputs(reference):
    op = define_op("mine", reference=reference, schema="input[N], weight[N] -> [N]")
    inputs = {"input": np.array([3.0], np.float32), "weight": np.ones(1, np.float32)}
    return op, reference, case_from_arrays(op, inputs, seed=7)


class TestAReferenceInTorch:
    torch = pytest.importorskip("torch")

    def test_it_gets_float64_tensors(self):
        def reference(x):
            assert x.dtype == self.torch.float64
            return self.torch.softmax(x, -1)

        assert evaluated(reference)["output"].sum() == pytest.approx(1.0, abs=1e-15)

    def test_a_torch_function_itself_is_a_reference(self):
        assert evaluated(self.torch.relu, x=(-1.0, 2.0))["output"].tolist() == [0.0, 2.0]

    def test_methods_of_tensors_are_found_out_by_their_failure(self):
        assert evaluated(lambda x: x.clamp(min=1.5))["output"].tolist() == [1.5, 2.0]

    def test_code_that_names_neither_library_means_the_one_of_the_marker(self):
        """Guards: x.var() divides by n in NumPy and by n - 1 in torch."""
        keys = {"schema": "x[N] -> []"}
        assert evaluated(lambda x: x.var(), library="torch", **keys)["output"] == 0.5
        assert evaluated(lambda x: x.var(), **keys)["output"] == 0.25

    def test_a_reference_in_numpy_stays_in_numpy_for_torch_kernels(self):
        op, _ = made(lambda x: np.var(x), schema="x[N] -> []", library="torch")
        assert not wants_torch(op, op.references[0])

    def test_its_own_error_is_the_one_that_is_shown(self):
        def broken(x):
            return self.torch.softmax(x, 5)

        with pytest.raises(ReferenceFailed, match="Dimension out of range"):
            evaluated(broken)


def test_a_reference_in_jax_runs_in_float64():
    """Guards: JAX narrows to float32 unless told otherwise, and such a run is no reference."""
    jax = pytest.importorskip("jax")

    def reference(x):
        return jax.numpy.exp(x)

    assert evaluated(reference)["output"].tolist() == pytest.approx([np.e, np.e**2], abs=0, rel=1e-15)


def test_the_library_is_recognised_in_helpers_and_closures():
    torch = pytest.importorskip("torch")
    op = SimpleNamespace(library="numpy", origin="marker")

    def helper(x):
        return torch.relu(x)

    def uses_helper(x):
        return helper(x)

    assert wants_torch(op, uses_helper)
    assert not wants_torch(op, lambda x: np.maximum(x, 0))
