"""Cases that the daemon draws, as their user gets them.

Here: fetching one or many, and giving each input the layout that its case has. Elsewhere: drawing them
(engine/jobs/), the layouts (engine/buffers.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from pytest_gpuemu.client.transport import Transport, ask
from pytest_gpuemu.engine.buffers import allocate
from pytest_gpuemu.engine.errors import ClientError
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.protocol.plain import wire_overrides
from pytest_gpuemu.engine.rng import derive_seed, generate_seed
from pytest_gpuemu.engine.wire_arrays import to_array

# seed, inputs (arrays by name), params, shape, dtype, layout, values, inplace (by output, the input that it
# overwrites), fuzz_config: see Client.get_test_case.
GivenCase: TypeAlias = dict[str, Any]


def fetch_case(
    transport: Transport, op_name: str, seed: int | None, fuzz_config: Mapping[str, Any]
) -> GivenCase:
    """The first case of a master seed."""
    message = {"type": "GetTestCase", "op_name": op_name, "fuzz_config": fuzz_config_of(seed, fuzz_config)}
    return _read_case(ask(transport, message, "TestCase"))


def fetch_cases(
    transport: Transport,
    op_name: str,
    *,
    count: int,
    seed: int | None,
    seeds: Sequence[int] | None,
    fuzz_config: Mapping[str, Any],
    notes: dict[str, None] | None = None,
) -> Iterator[GivenCase]:
    """`count` cases of a master seed, or those of `seeds`, page by page as they fit into replies. What the
    daemon says of the request, such as what it ignored, is put into notes."""
    config = fuzz_config_of(seed, fuzz_config)
    wanted = list(seeds) if seeds is not None else None
    total = count if wanted is None else len(wanted)
    start = 0
    while start < total:
        message = {
            "type": "GetTestBatch",
            "op_name": op_name,
            "fuzz_config": config,
            "count": count,
            "seeds": wanted,
            "start": start,
        }
        reply = ask(transport, message, "TestBatch")
        cases = reply["cases"]
        if notes is not None:
            notes |= dict.fromkeys(reply["notes"])
        if not cases:
            raise ClientError(f"the daemon sent no case {start} of the {total} of {op_name!r}")
        yield from map(_read_case, cases)
        start += len(cases)


def fuzz_config_of(seed: int | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The wire's fuzz_config: the master seed, drawn where none is given, and what narrows the op."""
    narrowed = wire_overrides({key: value for key, value in given.items() if value is not None})
    return {"seed": generate_seed() if seed is None else seed, **narrowed}


def inputs_of(tensors: Mapping[str, Any], layouts: Mapping[str, str], seed: int) -> dict[str, Array]:
    """The inputs of a case in the layouts that it has, not only with their values."""
    inputs = {}
    for name, tensor in tensors.items():
        array = to_array(tensor)
        layout = layouts.get(name, "contiguous")
        if layout != "contiguous":
            buffer = allocate(array.shape, str(array.dtype), layout, derive_seed(seed, f"layout/{name}"))
            buffer.fill(array)
            array = buffer.view
        inputs[name] = array
    return inputs


def _read_case(message: Mapping[str, Any]) -> GivenCase:
    return {
        "seed": message["seed"],
        "inputs": inputs_of(message["inputs"], message["layouts"], message["seed"]),
        "params": message["params"],
        "shape": tuple(message["shape"]),
        "dtype": message["dtype"],
        "layout": message["layout"],
        "values": message["values"],
        "inplace": message["inplace"],
        "fuzz_config": message["fuzz_config"],
    }
