"""Messages: what goes in comes out, and whatever does not fit is a ProtocolError."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_gpuemu.engine.errors import ProtocolError
from pytest_gpuemu.engine.protocol import framing
from pytest_gpuemu.engine.protocol.requests import REQUESTS, read_request, to_message
from pytest_gpuemu.engine.protocol.tensor import ITEM_BYTES, Tensor

quick = settings(deadline=None, max_examples=60)
TENSOR = Tensor((2, 3), "float16", bytes(range(12)))
MESSAGES: list[dict[str, Any]] = [
    {"type": "Ping"},
    {"type": "ValidateOp", "op_name": "softmax", "inputs": {"x": TENSOR}, "output": TENSOR},
    {
        "type": "SubmitOutput",
        "op_name": "softmax",
        "seed": 2**64 - 1,
        "output": TENSOR,
        "kwargs": {"dim": -1},
    },
    {"type": "GetTestCase", "op_name": "softmax", "fuzz_config": {"seed": 3, "dtypes": ["float16"]}},
    {"type": "GetTestBatch", "op_name": "softmax", "fuzz_config": {}, "count": 3},
    {"type": "RecordPassed", "cases": [{"test_id": "t", "op_name": "o", "seed": 1, "timestamp": 1.5}]},
    {"type": "ListResults"},
]


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    dtype = draw(st.sampled_from(sorted(ITEM_BYTES)))
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=3)))
    size = ITEM_BYTES[dtype]
    for n in shape:
        size *= n
    return Tensor(shape, dtype, draw(st.binary(min_size=size, max_size=size)))


@quick
@given(st.dictionaries(st.text(max_size=5), tensors(), max_size=3), tensors(), st.integers(0, 2**64 - 1))
def test_a_request_comes_back_in_both_protocols(inputs, output, seed):
    message = {
        "type": "SubmitOutput", "op_name": "softmax", "seed": seed, "inputs": inputs, "output": output
    }  # fmt: skip

    for version in (1, 2):
        data = framing.encode(message, version)
        assert framing.version_of(data) == version
        read = read_request(framing.decode(data))
        assert (read.seed, read.op_name) == (seed, "softmax")
        assert {name: bytes(x.data) for name, x in read.inputs.items()} == {
            name: x.data for name, x in inputs.items()
        }
        assert (read.output.shape, read.output.dtype, bytes(read.output.data)) == (
            output.shape,
            output.dtype,
            output.data,
        )
        assert read_request(framing.decode(framing.encode(to_message(read), 2))) == read


def ends_well(data: bytes) -> None:
    """Reading these bytes gives a request or a ProtocolError, nothing else."""
    try:
        request = read_request(framing.decode(data))
    except ProtocolError:
        return
    assert type(request) in REQUESTS.values()


@quick
@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_an_error(data):
    ends_well(data)
    ends_well(framing.MAGIC + data)


@quick
@given(st.sampled_from(MESSAGES), st.sampled_from([1, 2]), st.data())
def test_a_damaged_message_is_a_request_or_an_error(message, version, data):
    sound = framing.encode(message, version)
    cut = data.draw(st.integers(0, len(sound)))
    at = data.draw(st.integers(0, len(sound) - 1))

    ends_well(sound[:cut])
    ends_well(sound[:at] + data.draw(st.binary(max_size=4)) + sound[at + data.draw(st.integers(0, 4)) :])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@quick
@given(st.sampled_from(MESSAGES), st.data())
def test_a_field_of_any_value_is_a_request_or_an_error(message, data):
    field = data.draw(st.sampled_from(sorted(message)))
    ends_well(framing.encode({**message, field: data.draw(json_values)}, 1))
    ends_well(framing.encode({**message, data.draw(st.text(max_size=5)): data.draw(json_values)}, 2))


def tensor_with(**changes: Any) -> dict[str, Any]:
    return {"type": "ValidateOp", "op_name": "o", "inputs": {}, "output": {**TENSOR.to_json(), **changes}}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"type": "Pink"}, "type = 'Pink' is no request; did you mean 'Ping'?"),
        ({}, "type = None is no request"),
        ({"type": "Ping", "x": 1}, "Ping: unknown field 'x'"),
        ({"type": "GetResult"}, "GetResult: the field 'seed' is missing"),
        (
            {"type": "GetResult", "seed": -1},
            "GetResult.seed = -1: expected a whole number from 0 to 2**64 - 1",
        ),
        ({"type": "GetResult", "seed": 2**64}, "GetResult.seed = 18446744073709551616: expected a whole"),
        ({"type": "GetResult", "seed": True}, "GetResult.seed = True: expected a whole number"),
        ({"type": "ListResults", "limit": 10**9}, "ListResults.limit = 1000000000: expected a whole number"),
        (tensor_with(shape=[2, -3]), "ValidateOp.output.shape has -3: expected whole numbers >= 0"),
        (tensor_with(shape=[2, 4]), "ValidateOp.output has 12 bytes, but shape [2, 4] of float16 takes 16"),
        (tensor_with(shape=[2**40, 2**20]), "at most 268435456 fit"),
        (tensor_with(shape=[1] * 33), "expected a list of at most 32 sizes"),
        (tensor_with(dtype="float61"), "ValidateOp.output.dtype = 'float61' is not a dtype; did you mean"),
        (tensor_with(data="%%"), "ValidateOp.output.data is not base64"),
        (tensor_with(data=None), "ValidateOp.output.data is None: expected base64 text"),
        ({**tensor_with(), "output": 3}, "ValidateOp.output is no tensor"),
    ],
)
def test_an_error_names_the_field_and_the_value(message, text):
    with pytest.raises(ProtocolError) as caught:
        read_request(framing.decode(json.dumps(message).encode()))

    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda data: data + b"x", "1 bytes follow the last tensor"),
        (lambda data: data[:-1], "takes 12 bytes, but 11 are left"),
        (lambda data: data.replace(b'"@tensor":0', b'"@tensor":1'), "there is no tensor 1 among 1"),
        (lambda data: data[:4] + b"\xff\xff\xff\x7f" + data[8:], "the header should have 2147483647 bytes"),
        (lambda data: b"\0" + data, "which is neither protocol 1 nor 2"),
    ],
)
def test_a_wrong_frame_is_said(change, text):
    data = framing.encode({"type": "SubmitOutput", "op_name": "o", "seed": 1, "output": TENSOR}, 2)

    with pytest.raises(ProtocolError) as caught:
        framing.decode(change(data))

    assert text in str(caught.value)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "GetTestCase", "op_name": "o", "fuzz_config": {"dims": {"@tensor": 0}}},
        {"type": "ValidateOp", "op_name": "o", "inputs": {"@tensor": TENSOR}, "output": TENSOR},
        {"type": "ValidateOp", "op_name": "o", "inputs": {}, "output": TENSOR, "kwargs": {"@tensor": 1}},
    ],
)
def test_no_text_of_protocol_1_becomes_a_tensor_on_its_way_to_a_worker(message):
    """Guards: workers read protocol 2, where the daemon's copy of such an object named a tensor."""
    with pytest.raises(ProtocolError, match="the one key '@tensor'"):
        framing.decode(framing.encode(message, 1))


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("depth", [70, 900, 20_000])
def test_what_is_nested_too_deep_to_be_read_is_an_error(version, depth):
    """Guards: what JSON reads at any depth ended the functions that call themselves for each level."""
    nested = b"[" * depth + b"]" * depth
    body = b'{"type":"GetTestCase","op_name":"o","fuzz_config":{"dims":' + nested + b"}}"
    data = body
    if version == 2:
        header = b'{"message":' + body + b',"tensors":[]}'
        data = framing.MAGIC + struct.pack("<I", len(header)) + header

    with pytest.raises(ProtocolError, match=r"nested more than 64 deep|not JSON"):
        framing.decode(data)


def test_a_deep_message_is_an_error():
    ends_well(b"[" * 100_000)
    ends_well(b'{"type":"Ping","x":' + b"[" * 900 + b"]" * 900 + b"}")


def test_the_tensors_of_protocol_1_are_base64_with_c_strides():
    sent = json.loads(framing.encode({"x": TENSOR}, 1))["x"]

    assert sent == {
        "shape": [2, 3],
        "strides": [6, 2],
        "dtype": "float16",
        "data": base64.b64encode(bytes(range(12))).decode(),
    }
