"""The shapes that built-in ops take from a caller's own arrays, beside those that cases are drawn with.

A drawn case has few axes, since more of them find little more. A caller's own arrays have what the operator
takes: `rows...` is any number of axes, and a text that leaves out an input says that it is optional.
Here: the texts of each op. Elsewhere: choosing one for some arrays (engine/given_shapes.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pytest_gpuemu.engine.op import Op

_ALL = "input[shape...] -> [shape...]"
_PAIR = "input[shape...], other[shape...] -> [shape...]"
_GATED = "gate[shape...], up[shape...] -> [shape...]"
_ROWS = "input[rows...,cols] -> [rows...,cols]"
_REDUCED = "input[rows...,cols] -> output[...]"
_TWO_REDUCED = "input[rows...,cols] -> values[...], indices[...]"
_ATTENTION = "query[lead...,S,D], key[lead...,T,D], value[lead...,T,E] -> [lead...,S,E]"
_POOLED = "input[lead...,H,W] -> output[...]"
_QUANTIZED = "input[rows...,cols] -> output[rows...,cols], scale[...]"
_DEQUANTIZED = "input[rows...,cols], scale[rows...,groups] -> [rows...,cols]"
_OF_INPUT = "grad_output[shape...], input[shape...] -> grad_input[shape...]"
_OF_OUTPUT = "grad_output[shape...], output[shape...] -> grad_input[shape...]"


def _each(names: str, *texts: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(names.split(), texts)


ALSO_TAKES: Mapping[str, tuple[str, ...]] = {
    **_each("exp log sqrt rsqrt neg abs clamp", _ALL),
    **_each("relu leaky_relu elu gelu silu sigmoid tanh softplus dropout", _ALL),
    **_each("add sub mul div floor_divide maximum minimum fmax fmin", _PAIR),
    **_each("where", "condition[shape...], input[shape...], other[shape...] -> [shape...]"),
    **_each("swiglu geglu", _GATED),
    **_each("silu_and_mul", "input[rows...,2*cols] -> [rows...,cols]"),
    **_each("sum mean max min logsumexp var std argmax argmin", _REDUCED),
    **_each("cumsum softmax log_softmax normalize", _ROWS),
    **_each("max_with_indices topk", _TWO_REDUCED),
    **_each("sort", "input[rows...,cols] -> values[rows...,cols], indices[rows...,cols]"),
    **_each(
        "layer_norm",
        "input[rows...,outer...,cols], weight[outer...,cols], bias[outer...,cols] -> [rows...,outer...,cols]",
        "input[rows...,outer...,cols], weight[outer...,cols] -> [rows...,outer...,cols]",
        _ROWS,
    ),
    **_each(
        "rms_norm", "input[rows...,outer...,cols], weight[outer...,cols] -> [rows...,outer...,cols]", _ROWS
    ),
    **_each(
        "group_norm",
        "input[N,C,space...], weight[C], bias[C] -> [N,C,space...]",
        "input[N,C,space...], weight[C] -> [N,C,space...]",
        "input[N,C,space...] -> [N,C,space...]",
    ),
    **_each(
        "matmul",
        "input[batch...,M,K], other[batch...,K,N] -> [batch...,M,N]",
        "input[batch...,M,K], other[K,N] -> [batch...,M,N]",
    ),
    **_each(
        "linear",
        "input[rows...,K], weight[N,K], bias[N] -> [rows...,N]",
        "input[rows...,K], weight[N,K] -> [rows...,N]",
    ),
    **_each("transpose", "input[shape...] -> output[...]"),
    **_each("scaled_dot_product_attention", _ATTENTION),
    **_each("rope", "input[lead...,S,2*D], cos[S,D], sin[S,D] -> [lead...,S,2*D]"),
    **_each("conv1d", "input[N,G*C,L], weight[G*O,C,K] -> output[...]"),
    **_each("conv2d", "input[N,G*C,H,W], weight[G*O,C,R,S] -> output[...]"),
    **_each("max_pool2d avg_pool2d", _POOLED),
    **_each("embedding", "input[shape...], weight[V,D] -> [shape...,D]"),
    **_each("index_select", "input[M,rest...], index[K] -> output[...]"),
    **_each("gather", "input[lead...,N], index[other...,K] -> [other...,K]"),
    **_each("scatter_add", "input[M,rest...], index[K,other...], src[L,more...] -> [M,rest...]"),
    **_each("histc", "input[shape...] -> output[...]"),
    **_each(
        "nll_loss cross_entropy",
        "input[N,C,rest...], target[N,rest...] -> output[...]",
        "input[C], target[] -> output[...]",
    ),
    **_each("quantize_int8 quantize_fp8", _QUANTIZED),
    **_each("dequantize_int8", _DEQUANTIZED),
    **_each("dequantize_fp8", _DEQUANTIZED),
    **_each("relu_backward gelu_backward silu_backward", _OF_INPUT),
    **_each("sigmoid_backward tanh_backward softmax_backward log_softmax_backward", _OF_OUTPUT),
    **_each(
        "swiglu_backward",
        "grad_output[shape...], gate[shape...], up[shape...] -> grad_gate[shape...], grad_up[shape...]",
    ),
    **_each(
        "layer_norm_backward",
        "grad_output[rows...,outer...,cols], input[rows...,outer...,cols], weight[outer...,cols]"
        " -> grad_input[rows...,outer...,cols], grad_weight[outer...,cols], grad_bias[outer...,cols]",
    ),
    **_each(
        "rms_norm_backward",
        "grad_output[rows...,outer...,cols], input[rows...,outer...,cols], weight[outer...,cols]"
        " -> grad_input[rows...,outer...,cols], grad_weight[outer...,cols]",
    ),
    **_each(
        "cross_entropy_backward",
        "grad_output[], input[N,C,rest...], target[N,rest...] -> grad_input[N,C,rest...]",
        "grad_output[N,rest...], input[N,C,rest...], target[N,rest...] -> grad_input[N,C,rest...]",
        "grad_output[], input[C], target[] -> grad_input[C]",
    ),
    **_each(
        "matmul_backward",
        "grad_output[batch...,M,N], input[batch...,M,K], other[batch...,K,N]"
        " -> grad_input[batch...,M,K], grad_other[batch...,K,N]",
        "grad_output[batch...,M,N], input[batch...,M,K], other[K,N]"
        " -> grad_input[batch...,M,K], grad_other[K,N]",
    ),
    **_each(
        "linear_backward",
        "grad_output[rows...,N], input[rows...,K], weight[N,K]"
        " -> grad_input[rows...,K], grad_weight[N,K], grad_bias[N]",
    ),
    **_each(
        "embedding_backward", "grad_output[shape...,D], indices[shape...], weight[V,D] -> grad_weight[V,D]"
    ),
    **_each(
        "scaled_dot_product_attention_backward",
        "grad_output[lead...,S,E], query[lead...,S,D], key[lead...,T,D], value[lead...,T,E]"
        " -> grad_query[lead...,S,D], grad_key[lead...,T,D], grad_value[lead...,T,E]",
    ),
}


def with_shapes_taken(ops: Iterable[Op]) -> tuple[Op, ...]:
    """The ops, each with the further shapes that it takes."""
    return tuple(replace(op, also_takes=ALSO_TAKES.get(op.name, ())) for op in ops)
