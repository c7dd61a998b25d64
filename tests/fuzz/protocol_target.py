"""A fuzz target: any bytes are a request or a ProtocolError, and a request comes back from its own bytes.

    python tests/fuzz/protocol_target.py CORPUS -runs=1000000

atheris (libFuzzer) changes the messages in the folder CORPUS, which gets those of seeds() first, so as to
reach new lines of the protocol's code. Here: the target. Elsewhere: running it for a fixed number of inputs
(test_fuzz.py), what such bytes do to a running daemon (tests/client/test_wire.py).
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pytest_gpuemu.engine"], enable_loader_override=False):
    from pytest_gpuemu.engine.config import Config
    from pytest_gpuemu.engine.errors import GpuemuError, ProtocolError
    from pytest_gpuemu.engine.protocol import framing
    from pytest_gpuemu.engine.protocol.requests import read_request, to_message
    from pytest_gpuemu.engine.protocol.tensor import Tensor
    from pytest_gpuemu.engine.requested_ops import read_fuzz_config, requested_op

CONFIG = Config(path=None, root=Path())
SOFTMAX = requested_op("softmax", {}, CONFIG)
OP_SCHEMA = {
    "name": "a",
    "dims": [{"name": "M", "candidates": [1]}],
    "inputs": [{"name": "x", "dims": ["M"]}],
    "output": {"name": "y", "dims": ["M"]},
}
FUZZ_CONFIG = {
    "seed": 2**64 - 1,
    "shape_options": {"batch_sizes": [1], "seq_lengths": [2], "edge_cases": [[1], [1, 1]]},
    "dtypes": ["float32", "bfloat16"],
    "layouts": ["Contiguous", "transposed"],
    "values": ["uniform"],
    "params": {"dim": [0, -1]},
    "dims": {"rows": [1, 2], "cols": {"min": 1, "max": 9}},
    "max_bytes": 4096,
    "op_schema": OP_SCHEMA,
}
SOFTMAX_OF = {"op_name": "softmax"}
TENSOR = Tensor((1, 2), "bfloat16", b"\x80?\0\xc0")
MESSAGES = [
    {"type": "ValidateOp", **SOFTMAX_OF, "inputs": {"x": TENSOR}, "output": TENSOR, "kwargs": {"dim": "0"}},
    {"type": "SubmitOutput", **SOFTMAX_OF, "seed": 7, "edits": "rows=1", "output": TENSOR},
    {"type": "GetTestBatch", **SOFTMAX_OF, "fuzz_config": FUZZ_CONFIG, "count": 3, "seeds": [1, 2]},
    {"type": "GetTestCase", **SOFTMAX_OF, "fuzz_config": {"seed": 1}},
    {"type": "FuzzOp", **SOFTMAX_OF, "fuzz_config": {}, "iterations": 2, "fail_fast": True},
    {"type": "Minimize", "seed": 1, "strategy": "BinarySearchDims", "max_iters": 9},
    {"type": "StoreBaseline", "tag": "v1"},
    {"type": "ListResults", "limit": 9},
]


def seeds() -> list[bytes]:
    """Messages that hold much, in both protocols."""
    return [framing.encode(message, version) for message in MESSAGES for version in (1, 2)]


def one_input(data: bytes) -> None:
    """What the daemon does with a request before a worker gets it, and how a worker reads its fuzz_config."""
    try:
        request = read_request(framing.decode(data))
    except ProtocolError as error:
        if len(str(error)) > 4000:
            raise AssertionError("an error that repeats the whole message") from error
        return
    again = framing.encode(to_message(request), 2)
    assert framing.encode(to_message(read_request(framing.decode(again))), 2) == again
    given = getattr(request, "fuzz_config", None)
    if given is not None:
        try:
            read = read_fuzz_config(given, SOFTMAX, proxied_floats=data[:1] != b"\0")
            requested_op("softmax", read.overrides, CONFIG, read.seed)
        except GpuemuError:
            return


def main() -> None:
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds()):
        read_request(framing.decode(data))  # each is a request
        (corpus / f"seed-{number}").write_bytes(data)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
