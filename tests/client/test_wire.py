"""What arrives at the daemon's socket: whatever it is, an Error where one is owed, and the next is served.

The bytes are sent by hand where a library would not send them. Elsewhere: messages without a socket
(engine/test_protocol.py), the fuzz target (tests/fuzz/).
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pynng
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_gpuemu.client import Client
from pytest_gpuemu.engine import protocol
from pytest_gpuemu.engine.protocol import framing
from pytest_gpuemu.engine.protocol.requests import REQUESTS
from pytest_gpuemu.engine.protocol.tensor import ITEM_BYTES, Tensor

# The handshake of nng's IPC transport for a Req socket, and the form of a message: a byte 1, its length, its
# body, which begins with the request's number (RFC of SP over IPC; numbers of protocols: Req is 0x30).
HANDSHAKE = b"\0SP\0\0\x30\0\0"
ANSWER = b"\0SP\0\0\x31\0\0"
GIB = 2**30
CODES = {value for name, value in vars(protocol).items() if name.isupper() and isinstance(value, str)}


def framed(data: bytes, number: int = 1, length: int | None = None) -> bytes:
    body = struct.pack(">I", 0x80000000 | number) + data
    return b"\1" + struct.pack(">Q", len(body) if length is None else length) + body


class Raw:
    """A connection to the daemon whose bytes the test chooses."""

    def __init__(self, path: Path, *, handshake: bytes = HANDSHAKE) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        while self.socket.connect_ex(str(path)) == errno.EAGAIN:  # the system's queue of connections is full
            time.sleep(0.01)
        self.socket.sendall(handshake)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def read(self, count: int) -> bytes:
        found = b""
        while len(found) < count and (part := self.socket.recv(count - len(found))):
            found += part
        return found

    def reply(self) -> dict[str, Any]:
        (length,) = struct.unpack(">Q", self.read(9)[1:])
        return framing.decode(self.read(length)[4:])

    def is_closed(self) -> bool:
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True


@contextmanager
def asking(path: Path) -> Iterator[Any]:
    """A function that sends a request's bytes and gives the decoded reply."""
    with pynng.Req0(dial=f"ipc://{path}", recv_timeout=20_000, recv_max_size=0) as connection:

        def ask(data: bytes) -> dict[str, Any]:
            connection.send(data)
            return framing.decode(connection.recv())

        yield ask


def is_serving(path: Path) -> bool:
    with Client(path, timeout_ms=60_000) as client:
        return client.ping() == "pong"


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def validate(tensor: dict[str, Any], **changes: Any) -> bytes:
    message = {
        "type": "ValidateOp", "op_name": "relu", "inputs": {"input": tensor}, "output": tensor, **changes
    }  # fmt: skip
    return json.dumps(message).encode()


GOOD = {"shape": [1, 1], "strides": [4, 4], "dtype": "float32", "data": "AACAPw=="}
LIES = {
    "a protocol of the future": (b"\0GE3" + bytes(8), "VersionMismatch", "speaks protocols 1 and 2"),
    "neither JSON nor protocol 2": (b"\0\xff" * 20, "InvalidRequest", "neither protocol 1 nor 2"),
    "JSON that ends early": (b'{"type": "Ping"', "InvalidRequest", "not JSON"),
    "JSON that is no object": (b"[1, 2]", "InvalidRequest", "not a JSON object"),
    "no UTF-8": (b'{"type": "\xff"}', "InvalidRequest", "not JSON"),
    "a number of 5000 digits": (b'{"type":"GetResult","seed":' + b"9" * 5000 + b"}", "InvalidRequest", ""),
    "an unknown type": (b'{"type": "FuzzOpp"}', "InvalidRequest", "did you mean 'FuzzOp'"),
    "a run of CI": (b'{"type": "RunCi"}', "InvalidRequest", "the daemon does not answer RunCi: run pytest"),
    "a summary of CI": (b'{"type": "GetCiSummary"}', "InvalidRequest", "pytest --gpuemu-json=FILE writes it"),
    "no type": (b"{}", "InvalidRequest", "type = None"),
    "too few bytes": (validate({**GOOD, "data": "AAA="}), "InvalidRequest", "has 2 bytes, but shape [1, 1]"),
    "too many bytes": (validate({**GOOD, "data": "AACAPwAAgD8="}), "InvalidRequest", "has 8 bytes"),
    "no base64": (validate({**GOOD, "data": "a*b="}), "InvalidRequest", "not base64"),
    "a negative size": (validate({**GOOD, "shape": [-1, 1]}), "InvalidRequest", "whole numbers >= 0"),
    "a size of 2**62": (validate({**GOOD, "shape": [2**62, 1]}), "InvalidRequest", "at most"),
    "sizes that multiply to 2**64": (validate({**GOOD, "shape": [2**32] * 2}), "InvalidRequest", "at most"),
    "0 times 2**62": (validate({**GOOD, "shape": [0, 2**62]}), "InvalidRequest", "has 4 bytes"),
    "33 axes": (validate({**GOOD, "shape": [1] * 33}), "InvalidRequest", "at most 32 sizes"),
    "half a size": (validate({**GOOD, "shape": [0.5, 2]}), "InvalidRequest", "whole numbers >= 0"),
    "an unknown dtype": (validate({**GOOD, "dtype": "float23"}), "InvalidRequest", "did you mean 'float"),
    "a dtype of objects": (validate({**GOOD, "dtype": "object"}), "InvalidRequest", "is not a dtype"),
    "a seed of 2**64": (b'{"type":"GetResult","seed":18446744073709551616}', "InvalidRequest", "2**64 - 1"),
    "a seed of -1": (b'{"type":"GetResult","seed":-1}', "InvalidRequest", "2**64 - 1"),
    "a seed that is true": (b'{"type":"GetResult","seed":true}', "InvalidRequest", "2**64 - 1"),
    "a batch of 2**40": (
        b'{"type":"GetTestBatch","op_name":"relu","fuzz_config":{},"count":1099511627776}',
        "InvalidRequest",
        "from 0 to 100000",
    ),
    "an unknown op": (validate(GOOD, op_name="relux"), "OpNotFound", "did you mean"),
    "an unknown field": (validate(GOOD, module="os:system"), "InvalidRequest", "unknown field 'module'"),
    "a seed that nothing is stored for": (
        b'{"type":"GetResult","seed":18446744073709551615}', "NotFound", "18446744073709551615"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", LIES)
def test_a_lie_gets_an_error_with_its_code_and_the_next_request_is_answered(daemon, what):
    data, code, text = LIES[what]

    with asking(daemon.socket_path) as ask:
        reply = ask(data)
        assert (reply["type"], reply["code"]) == ("Error", code), reply
        assert text in reply["message"]
        assert len(reply["message"]) < 2000
        assert ask(b'{"type":"Ping"}')["type"] == "Pong"


def test_the_largest_seed_is_a_seed(client):
    seed = 2**64 - 1
    (case,) = client.get_test_batch("relu", [seed])
    right = client.submit_output("relu", seed, np.maximum(case["inputs"]["input"], 0))
    wrong = client.submit_output(
        "relu", seed, case["inputs"]["input"] + case["inputs"]["input"].dtype.type(1)
    )

    assert (case["seed"], right.seed, wrong.seed) == (seed, seed, seed)
    assert right.passed
    assert not wrong.passed
    assert client.get_result(seed) == wrong
    assert client.reproduce(seed).inputs["input"].tobytes() == case["inputs"]["input"].tobytes()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
TENSORS = st.builds(
    lambda shape, dtype, data: {"shape": shape, "strides": [], "dtype": dtype, "data": data},
    st.lists(st.integers(-1, 4) | st.integers(), max_size=3) | JSON,
    st.sampled_from([*sorted(ITEM_BYTES), "float23"]) | JSON,
    st.sampled_from(["", "AACAPw==", "AA=="]) | JSON,
)
FIELDS = sorted({name for kind in REQUESTS.values() for name in kind.__dataclass_fields__})
# What would end the daemon, and what takes as long as a user's own op does, is left out.
KINDS = sorted(set(REQUESTS) - {"Shutdown"})


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(KINDS),
    fields=st.dictionaries(
        st.sampled_from(FIELDS),
        JSON | TENSORS | st.dictionaries(st.sampled_from(["input", "x"]), TENSORS, max_size=2),
        max_size=6,
    ),
    op_name=st.sampled_from(["relu", "twice", "shapeless", "nothing"]),
)
def test_no_request_of_any_fields_is_beyond_the_daemon(daemon, kind, fields, op_name):
    """A reply of its type or an Error with a code that is not InternalError, and the daemon goes on."""
    message = {**({"op_name": op_name} if "op_name" in REQUESTS[kind].__dataclass_fields__ else {}), **fields}

    with asking(daemon.socket_path) as ask:
        reply = ask(json.dumps({**message, "type": kind}).encode())
        if reply["type"] == "Error":
            assert reply["code"] in CODES - {protocol.INTERNAL_ERROR}, reply
        assert ask(b'{"type":"Ping"}')["type"] == "Pong"


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_bytes_are_beyond_the_daemon(daemon, data):
    """Whole messages of both protocols, with some bytes changed, left out or added."""
    tensor = Tensor((1, 1), "float32", b"\0\0\x80?")
    message = {"type": "ValidateOp", "op_name": "relu", "inputs": {"input": tensor}, "output": tensor}
    sent = bytearray(framing.encode(message, data.draw(st.sampled_from([1, 2]))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(sent)))
        sent[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))

    with asking(daemon.socket_path) as ask:
        reply = ask(bytes(sent))
        assert reply["type"] in ("ValidationResult", "Error")
        assert reply.get("code", "InvalidRequest") in CODES - {protocol.INTERNAL_ERROR}, reply
        assert ask(b'{"type":"Ping"}')["type"] == "Pong"


class TestSizes:
    def test_a_request_over_the_limit_is_refused_before_it_is_sent(self, client):
        half = np.broadcast_to(np.zeros(1, np.uint8), (2**27 + 1,))  # no memory until it is encoded
        with pytest.raises(Exception, match="the daemon reads at most 268435456"):
            client.validate_op("relu", {"input": half}, half)
        assert client.ping() == "pong"

    @pytest.mark.parametrize("length", [GIB, 2**40, 2**63, 2**64 - 1])
    def test_an_announced_gibibyte_is_neither_awaited_nor_held(self, daemon, length):
        before = resident_bytes(daemon.pid)

        with Raw(daemon.socket_path) as raw:
            assert raw.read(8) == ANSWER
            raw.socket.sendall(framed(b'{"type":"Ping"}', length=length))
            assert raw.is_closed()

        assert is_serving(daemon.socket_path)
        assert resident_bytes(daemon.pid) - before < 2**26

    def test_a_header_that_announces_more_than_follows_is_an_error(self, daemon):
        with asking(daemon.socket_path) as ask:
            for length in (1, 2**31, 2**32 - 1):
                reply = ask(framing.MAGIC + struct.pack("<I", length))
                assert (reply["type"], reply["code"]) == ("Error", "InvalidRequest")


class TestSlowAndVanishing:
    def test_a_client_that_sends_byte_by_byte_holds_up_nobody_and_gets_its_answer(self, daemon):
        with Raw(daemon.socket_path) as raw:
            assert raw.read(8) == ANSWER
            for position, byte in enumerate(framed(b'{"type":"Ping"}')):
                raw.socket.sendall(bytes([byte]))
                if position % 8 == 0:
                    assert is_serving(daemon.socket_path)
            assert raw.reply()["type"] == "Pong"

    @pytest.mark.parametrize(
        "sent", [b"", b"\0SP", b"\0SP\0\0\x10\0\0", b"GET / HTTP/1.1\r\n\r\n", HANDSHAKE]
    )
    def test_a_connection_that_does_not_speak_is_let_go(self, daemon, sent):
        with ExitStack() as open_connections:
            for _ in range(20):
                open_connections.enter_context(Raw(daemon.socket_path, handshake=sent))
            assert is_serving(daemon.socket_path)
        assert is_serving(daemon.socket_path)

    def test_a_client_that_is_gone_in_the_middle_of_its_message_is_forgotten(self, daemon):
        data = framed(validate(GOOD))
        for cut in (9, 12, 20, len(data) - 1):
            with Raw(daemon.socket_path) as raw:
                raw.socket.sendall(data[:cut])
        assert is_serving(daemon.socket_path)

    def test_clients_that_never_read_their_replies_keep_no_thread(self, daemon):
        """Guards: replies that nobody read blocked the threads that wanted to send them, all of them."""
        request = framing.encode(
            {
                "type": "GetTestCase", "op_name": "relu",
                "fuzz_config": {"seed": 1, "dims": {"rows": [300], "cols": [300]}, "dtypes": ["float32"]},
            },
            2,
        )  # fmt: skip
        with Raw(daemon.socket_path) as raw:
            for number in range(1, 33):
                raw.socket.sendall(framed(request, number))
            assert is_serving(daemon.socket_path)


def test_three_hundred_clients_with_a_request_each_are_all_answered(daemon):
    with ExitStack() as opened:
        clients = [opened.enter_context(Raw(daemon.socket_path)) for _ in range(300)]
        for number, raw in enumerate(clients):
            assert raw.read(8) == ANSWER
            raw.socket.sendall(framed(json.dumps({"type": "GetResult", "seed": 10**6 + number}).encode()))

        replies = [raw.reply() for raw in clients]

    assert {reply["code"] for reply in replies} == {"NotFound"}
    assert [str(10**6 + number) in reply["message"] for number, reply in enumerate(replies)] == [True] * 300


def test_a_client_waits_while_the_queue_of_connections_is_full(daemon):
    """Guards: a busy daemon was said not to run."""
    answers: list[bool] = []
    asks = threading.Thread(target=lambda: answers.append(is_serving(daemon.socket_path)))
    with ExitStack() as opened:
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            while True:
                waiting = opened.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                if waiting.connect_ex(str(daemon.socket_path)) == errno.EAGAIN:
                    break
            asks.start()
            time.sleep(0.2)
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        asks.join(20)

    assert answers == [True]
