"""Each kind of suspected bug is found where it is planted, and said in words that name the place."""

import numpy as np
import pytest
from wrong_kernels import failing, observe

from pytest_gpuemu.engine.define import define_op, narrow_op
from pytest_gpuemu.engine.diagnose import diagnose
from pytest_gpuemu.engine.diagnose.evidence import wrong_outputs
from pytest_gpuemu.engine.diagnose.search import find_shown, refuted
from pytest_gpuemu.engine.ops import BUILTIN_OPS

PLAIN = {"dtypes": ["float32"], "values": ["normal"], "layouts": ["contiguous"]}


def found(op, kernel, edits="", enough=True):
    """The texts of what agrees (enough), by kind, for the first case that the kernel fails."""
    observed = observe(op, kernel, failing(op, kernel, edits))
    shown = find_shown(observed.case, wrong_outputs(observed.verdict), 10.0)
    return {one.kind: one.text for one in reversed(shown) if one.agreement.is_enough or not enough}


def own_op(reference, schema, **keys):
    return define_op("own", reference=reference, schema=schema, **{**PLAIN, **keys})


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def variance(x):
    return np.square(x - x.mean(axis=1, keepdims=True)).sum(axis=1) / x.shape[1]


def variance_of_padded(x):
    """The mean of the real columns, the squares of 64 lanes."""
    padded = np.zeros((x.shape[0], 64), np.float32)
    padded[:, : x.shape[1]] = x
    return np.square(padded - x.mean(axis=1, keepdims=True)).sum(axis=1) / np.float32(x.shape[1])


ROWS = {"schema": "x[M,N] -> [M]", "dims": {"M": [12], "N": [50]}}
MATRIX = {"schema": "x[M,N] -> [M,N]", "dims": {"M": [12], "N": [50]}}


def test_lanes_of_zeros_in_one_sum_of_two_are_told_from_those_in_both():
    op = own_op(variance, **ROWS)

    text = found(op, variance_of_padded)["tail"]

    assert "from N = 50 up to 64, which hold 0" in text


def test_a_size_of_which_the_reference_takes_the_root_makes_no_tail():
    """Guards: a longer axis changed the scale, and a squared scale was told as padding."""
    op = own_op(
        lambda x, y: x @ y.T / np.sqrt(x.shape[1]),
        "x[M,D], y[N,D] -> [M,N]",
        dims={"M": [9], "N": [11], "D": [16]},
    )

    kinds = found(op, lambda x, y: x @ y.T / np.float32(x.shape[1]))

    assert "factor" in kinds
    assert "tail" not in kinds


def test_a_loop_that_ends_early_is_one_bug_in_all_its_sums():
    op = own_op(lambda x, v: softmax(x) @ v, "x[M,N], v[N] -> [M]", dims={"M": [12], "N": [50]})

    text = found(op, lambda x, v: softmax(x[:, :32]) @ v[:32])["loop bound"]

    assert text == "the loop over N = 50 lacks its last partial block of 32"


def test_an_accumulator_that_goes_on_into_the_next_output_is_found():
    op = own_op(
        lambda x, y: (x @ y, y @ x),
        "x[N,N], y[N,N] -> first[N,N], second[N,N]",
        dims={"N": [9]},
    )

    text = found(op, lambda x, y: (x @ y, y @ x + x @ y))["accumulator"]

    assert text == "the accumulator is not reset: second has first added to it"


@pytest.mark.parametrize(
    ("kernel", "kind", "words"),
    [
        (lambda x, i: x[np.sort(i)], "index", "i is sorted before it is used"),
        (
            lambda x, i: np.where(i[:, None] > 0, x[i], np.float32(0)),
            "index",
            "index 0 of i points to counts as 0",
        ),
    ],
)
def test_a_wrong_use_of_indices_is_found(kernel, kind, words):
    op = own_op(
        lambda x, i: x[i],
        "x[V,D], i[N] -> [N,D]",
        dims={"V": [4], "D": [6], "N": [40]},
        inputs={"i": {"kind": "index", "of": "V"}},
    )

    assert words in found(op, kernel, enough=False)[kind]  # zeros alone have many causes


def test_of_equal_indices_one_counts_is_a_lost_update():
    def counts_each_once(input, minlength=64):
        counts = np.zeros(minlength, np.int64)
        for start in range(0, input.size, 128):
            counts[input[start : start + 128]] += 1
        return counts

    text = found(narrow_op(BUILTIN_OPS["bincount"], layouts=["contiguous"]), counts_each_once, "N=300")

    assert "within a block of 128" in text["lost update"]


def test_a_vector_taken_by_group_is_found():
    op = own_op(
        lambda x, w, *, groups: x * w[:, None],
        "x[C,L], w[C] -> [C,L]",
        dims={"C": [12], "L": [7]},
        params={"groups": [3]},
    )

    text = found(op, lambda x, w, groups: x * w[np.arange(12) // 4][:, None])["axis"]

    assert text == "w is taken by its group, of groups = 3"


def test_heads_that_read_another_group_are_found():
    def reference(q, k):
        return q * np.repeat(k, q.shape[0] // k.shape[0], axis=0)

    op = own_op(reference, "q[G*H,D], k[G,D] -> [G*H,D]", dims={"G": [3], "H": [2], "D": [8]})

    text = found(op, lambda q, k: q * k[np.arange(6) % 3])["head mapping"]

    assert "modulo the number of groups" in text


def test_an_output_written_with_the_stride_of_another_axis_is_found():
    def transposed(x):
        out = np.full(x.size, np.nan, np.float32)
        rows, columns = x.shape
        for row in range(columns):
            at = row * columns + np.arange(rows)  # where row * rows is right
            out[at[at < x.size]] = x[at < x.size, row]
        return out.reshape(columns, rows)

    op = own_op(lambda x: x.T, "x[M,N] -> [N,M]", dims={"M": [7], "N": [10]})

    assert "is written with N = 10 as the stride of a row of 7" in found(op, transposed)["axis"]


def test_one_group_of_scales_used_for_all_is_found():
    op = own_op(lambda x, s: x * s, "x[M,N], s[M,N] -> [M,N]", dims={"M": [9], "N": [7]})

    text = found(op, lambda x, s: x * s[:, :1])["operand"]

    assert text == "the first place of s along axis 1 is used for all"


def test_integers_read_without_their_sign_are_found():
    op = define_op(
        "codes",
        reference=lambda codes, scale: codes * scale,
        schema="codes[M,N], scale[N] -> [M,N]",
        dims={"M": [9], "N": [14]},
        inputs={"codes": {"dtype": "int8"}},
        **PLAIN,
    )

    text = found(op, lambda codes, scale: codes.view(np.uint8) * scale)["dtype"]

    assert text == "codes is read without its sign, as uint8"


def test_integers_of_64_bits_are_no_obstacle():
    """Guards: twice their range does not fit into them, and raised."""
    op = define_op(
        "total",
        reference=lambda x: x + 1,
        schema="x[N] -> [N]",
        dims={"N": [40]},
        dtypes=["int64"],
        layouts=["contiguous"],
    )

    assert "sign" in found(op, lambda x: -x + 1, enough=False)


def test_a_reference_that_joins_arrays_is_no_obstacle():
    """Guards: a list of arrays of several shapes has no number of axes, and raised."""
    op = own_op(
        lambda x, y: np.concatenate([x, y[:, :3]], axis=1),
        "x[M,N], y[M,N] -> [...]",
        dims={"M": [9], "N": [14]},
    )

    texts = found(op, lambda x, y: np.concatenate([-x, y[:, :3]], axis=1))

    assert texts["sign"] == "the sign of x is wrong"


def test_a_carry_that_stops_growing_is_found_with_its_place():
    def stops(input, dim=-1):
        x = input.astype(np.float32)
        total = np.cumsum(x, axis=1)
        total[:, 64:96] = total[:, 63:64] + np.cumsum(x[:, 64:96], axis=1)
        total[:, 96:] = total[:, 63:64] + np.cumsum(x[:, 96:], axis=1)
        return total.astype(input.dtype)

    op = narrow_op(BUILTIN_OPS["cumsum"], **PLAIN, params={"dim": [-1]})

    assert "of the first 2 blocks of 32" in found(op, stops, "rows=7,cols=120")["carry"]


def test_a_wrong_shape_is_traced_to_the_param_that_gives_it():
    op = narrow_op(BUILTIN_OPS["sum"], **PLAIN, params={"dim": [-1], "keepdim": [True]})
    observed = observe(op, lambda input, **_: input.sum(axis=-1), 11)

    suspicion = diagnose(observed.case, observed.verdict).suspicion

    assert suspicion.kind == "param"
    assert "keepdim=True is ignored" in suspicion.text


def test_a_bug_that_makes_right_elements_wrong_is_not_there():
    """Guards: beside one wrong count of 64, a suspected bug might change another one."""
    counts = narrow_op(BUILTIN_OPS["bincount"], layouts=["contiguous"])

    def narrow(input, minlength=64):
        right = np.bincount(input, minlength=minlength)
        return np.where(right == right.max(), right - 1, right)

    observed = observe(counts, narrow, "5~N=3000")
    (wrong,) = wrong_outputs(observed.verdict)
    moved = wrong.reference.copy()
    moved[wrong.exceeding] = wrong.output[wrong.exceeding]
    alone = wrong.agreement(moved)
    moved[np.flatnonzero(~wrong.exceeding)[0]] += 900
    beside = wrong.agreement(moved)

    assert alone.fits
    assert not beside.fits


def test_padding_that_holds_0_under_a_maximum_is_found():
    op = narrow_op(
        BUILTIN_OPS["max_pool2d"],
        **PLAIN,
        params={"kernel_size": [2], "stride": [2], "padding": [1], "dilation": [1]},
    )

    def padded_by_zeros(input, *, kernel_size, stride, padding, **_):
        x = np.pad(input, [(0, 0), (0, 0), (1, 1), (1, 1)])
        windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(2, 3))[:, :, ::2, ::2]
        return windows.max(axis=(-1, -2))

    assert "the padding holds 0 in place of -inf" in found(op, padded_by_zeros, enough=False)["padding"]


def test_a_comparison_that_is_wrong_at_its_edge_is_found_among_zeros_of_both_inputs():
    op = own_op(
        lambda g, x: np.where(x > 0, g, 0),
        "g[M,N], x[M,N] -> [M,N]",
        dims={"M": [12], "N": [50]},
        values=["sparse"],
    )

    text = found(op, lambda g, x: np.where(x >= 0, g, np.float32(0)))["edge"]

    assert text == "where x is 0, output is g"


def test_an_operand_that_is_forgotten_in_one_use_of_two_is_called_by_its_name():
    def reference(g, w):
        h = g * w
        return h - h.mean(axis=1, keepdims=True)

    op = own_op(reference, "g[M,N], w[N] -> [M,N]", dims={"M": [9], "N": [14]})

    text = found(op, lambda g, w: g - (g * w).mean(axis=1, keepdims=True))["term"]

    assert text.startswith("w is forgotten in one of several uses")


@pytest.mark.parametrize(
    ("reference", "kernel", "kind", "words"),
    [
        (
            lambda x: np.log1p(np.exp(x - 9)),
            lambda x: np.log(1 + np.exp(x - np.float32(9))),
            "unstable",
            "in place of log1p",
        ),
    ],
)
def test_a_bug_of_one_step_is_found(reference, kernel, kind, words):
    assert words in found(own_op(reference, **MATRIX), kernel)[kind]


@pytest.mark.parametrize(
    ("kernel", "kind", "words"),
    [
        (lambda x, low, high: np.clip(x, -np.float32(high), np.float32(high)), "operand", "-high is used"),
        (
            lambda x, low, high: np.clip(x, np.float32(-0.30078125), np.float32(high)),
            "precision",
            "the param low is rounded to bfloat16",
        ),
    ],
)
def test_params_that_are_mixed_up_or_rounded_are_found(kernel, kind, words):
    op = own_op(
        lambda x, *, low, high: np.maximum(np.minimum(x, high), low),
        **MATRIX,
        params={"low": [-0.3], "high": [1.7]},
    )

    assert words in found(op, kernel)[kind]


def test_a_suspected_bug_under_which_a_passing_case_would_fail_is_refuted():
    """Guards: lanes of -1e4 in a maximum were told as lanes of 0, though ordinary values pass."""
    largest = own_op(lambda x: x.max(axis=1), **ROWS, values=["normal", "large"])

    def with_sentinel(x):
        return np.maximum(x.max(axis=1), np.float32(-1e4))

    def low(x):  # the same, of values that are all below both
        return with_sentinel(x - np.float32(1e6))

    below = own_op(lambda x: (x - 1e6).max(axis=1), **ROWS)
    wrong = observe(below, low, 11)
    shown = find_shown(wrong.case, wrong_outputs(wrong.verdict), 10.0)
    right = observe(largest, with_sentinel, 11)
    texts = {one.text for one in shown}

    gone = refuted(right.case, right.verdict, shown)

    assert any("starts at -10000" in text for text in texts - gone)
    assert right.verdict.passed
    assert not any("starts at -10000" in text for text in gone)
