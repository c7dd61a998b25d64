"""Client: the daemon's services as methods.

Here: each method of the API reference, in both call forms that it shows. Elsewhere: the connection
(transport.py), what the methods return (data.py), what the daemon does (engine/service.py, engine/jobs.py).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_gpuemu.client.data import (
    BaselineComparison,
    FuzzResults,
    MinimizeResult,
    Pong,
    ReproduceResult,
    ValidationResult,
)
from pytest_gpuemu.client.minimizing import minimize_here
from pytest_gpuemu.client.recorder import Recorder
from pytest_gpuemu.client.transport import NngTransport, Transport, ask
from pytest_gpuemu.engine import arrays
from pytest_gpuemu.engine.buffers import allocate
from pytest_gpuemu.engine.errors import ClientError, ProtocolError
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.plan import GENERATOR_VERSION, parse_case_id
from pytest_gpuemu.engine.protocol import NOT_FOUND, PROTOCOL_VERSION
from pytest_gpuemu.engine.protocol.plain import plain, wire_overrides
from pytest_gpuemu.engine.protocol.tensor import Tensor
from pytest_gpuemu.engine.references import call_by_name
from pytest_gpuemu.engine.rng import derive_seed, generate_seed
from pytest_gpuemu.engine.sockets import default_socket
from pytest_gpuemu.engine.user_code import Called, call
from pytest_gpuemu.engine.verdict import Failure, Finding
from pytest_gpuemu.engine.wire_arrays import to_array, to_tensor

CLIENT = "client"


class Client:
    """A connection to a running daemon, made with the first call.

    socket_path defaults to `GPUEMU_SOCKET`, which pytest sets for its tests, else ~/.gpuemu/gpuemu.sock.
    Methods raise ClientError where the daemon cannot be reached, answers with an error (then `code` says
    which), or takes longer than timeout_ms. Threads may share a client.
    """

    def __init__(
        self,
        socket_path: str | os.PathLike[str] | None = None,
        timeout_ms: int = 30000,
        *,
        transport: Transport | None = None,
    ) -> None:
        self.socket_path = str(default_socket() if socket_path is None else Path(socket_path).expanduser())
        self.timeout_ms = timeout_ms
        self._transport = transport or NngTransport(Path(self.socket_path), timeout_ms=timeout_ms)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        self._transport.close()

    def ping(self) -> Pong:
        """The daemon's version, protocol_version and uptime_secs, equal to "pong"."""
        reply = ask(self._transport, {"type": "Ping"}, "Pong")
        if reply.get("protocol_version") != PROTOCOL_VERSION:
            raise ClientError(
                f"Protocol version mismatch: client={PROTOCOL_VERSION}, "
                f"daemon={reply.get('protocol_version')}; upgrade the older of the two",
                code="VersionMismatch",
            )
        return Pong({key: value for key, value in reply.items() if key != "type"})

    def shut_down(self) -> None:
        """Ask the daemon to end."""
        ask(self._transport, {"type": "Shutdown"}, "Ok")

    def validate_op(
        self,
        op_name: str,
        inputs: Mapping[str, Any],
        output: Any,
        dtype: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> ValidationResult:
        """Judge an output for these inputs against the op's reference.

        inputs and output may be arrays of any library; several outputs are a tuple or a dict by name. kwargs
        are the op's params. seed names the result in the store (drawn where it is left out). dtype is what
        the output's dtype must be, where given.
        """
        sent = _sent_output(output)
        if dtype is not None and isinstance(sent, Tensor) and sent.dtype != dtype:
            raise ClientError(
                f"validate_op({op_name!r}): dtype = {dtype!r}, but the output has dtype {sent.dtype!r}"
            )
        message = {
            "type": "ValidateOp",
            "op_name": op_name,
            "inputs": _sent_arrays(inputs),
            "output": sent,
            "seed": seed,
            "kwargs": plain(kwargs),
        }
        return ValidationResult.from_wire(ask(self._transport, message, "ValidationResult")["result"])

    def get_result(self, seed: int, op_name: str | None = None) -> ValidationResult | None:
        """The newest stored result of a seed (of that op, where given); None where there is none."""
        message = {"type": "GetResult", "seed": seed, "op_name": op_name}
        try:
            return ValidationResult.from_wire(ask(self._transport, message, "ValidationResult")["result"])
        except ClientError as error:
            if error.code == NOT_FOUND:
                return None
            raise

    def list_results(self, limit: int = 100) -> list[ValidationResult]:
        """The newest stored results, newest first."""
        reply = ask(self._transport, {"type": "ListResults", "limit": limit}, "Results")
        return [ValidationResult.from_wire(body) for body in reply["results"]]

    def list_failures(self, limit: int = 20) -> list[ValidationResult]:
        """The newest stored failures, newest first."""
        reply = ask(self._transport, {"type": "ListFailures", "limit": limit}, "Results")
        return [ValidationResult.from_wire(body) for body in reply["results"]]

    def store_baseline(self, tag: str) -> None:
        """Keep a copy of every stored result under a tag."""
        ask(self._transport, {"type": "StoreBaseline", "tag": tag}, "Ok")

    def compare_baseline(self, tag: str) -> list[BaselineComparison]:
        """The results of now beside those kept under a tag, where there are both."""
        reply = ask(self._transport, {"type": "CompareBaseline", "tag": tag}, "BaselineComparison")
        return [BaselineComparison(**row) for row in reply["comparisons"]]

    def reproduce(self, seed: int | str, op_name: str | None = None) -> ReproduceResult:
        """The newest stored failure of a seed or case id, with the inputs that it failed for."""
        number, edits = parse_case_id(seed)
        message = {"type": "Reproduce", "seed": number, "op_name": op_name, "edits": edits or None}
        reply = ask(self._transport, message, "ReproduceResult")
        return ReproduceResult(
            result=ValidationResult.from_wire(reply["result"]),
            inputs={name: to_array(tensor) for name, tensor in reply["inputs"].items()},
        )

    def minimize(
        self,
        seed: int | str,
        strategy: str | None = None,
        max_iters: int = 100,
        run_op: Callable[[dict[str, Array]], Any] | None = None,
        *,
        op_fn: Callable[..., Any] | None = None,
        op_name: str | None = None,
    ) -> MinimizeResult:
        """Find the smallest case that fails as the newest stored failure of a seed or case id does.

        strategy is "binary-search-dims" or "binary-search-values"; None does both. The op under test runs
        here, at most max_iters times: run_op gets a dict of the inputs, op_fn gets inputs and params by name.
        The smallest case is stored as a failure of its own.
        """
        if (run_op is None) == (op_fn is None):
            raise ClientError(
                f"minimize({seed!r}): give either op_fn or run_op, the op to run; a failure of a test is "
                f"minimized by `pytest --gpuemu-minimize={seed}`"
            )
        stored = self.reproduce(seed, op_name).result
        found, failure = minimize_here(
            stored,
            lambda case: _run(run_op, op_fn, case),
            test_id=CLIENT,
            config=self.ping()["config"],
            strategy=strategy,
            max_iters=max_iters,
        )
        return MinimizeResult(
            original_seed=stored.seed,
            minimized_seed=found.seed,
            minimized_shape=failure.shape,
            result=stored if found.plan == found.original else self._store_failure(failure),
            edits=found.edits,
            iterations=found.cases,
        )

    def get_test_case(self, op_name: str, seed: int | None = None, **fuzz_config: Any) -> dict[str, Any]:
        """The first case of a master seed: seed, inputs (by name, with their layouts), params, shape, dtype,
        layout. fuzz_config narrows it: dims, dtypes, layouts, values, params, max_bytes, op_schema."""
        message = {
            "type": "GetTestCase",
            "op_name": op_name,
            "fuzz_config": _fuzz_config(generate_seed() if seed is None else seed, fuzz_config),
        }
        return _read_case(ask(self._transport, message, "TestCase"))

    def get_test_batch(
        self,
        op_name: str,
        count: int | Sequence[int] = 10,
        seed: int | None = None,
        op_schema: Mapping[str, Any] | None = None,
        dtypes: Sequence[str] | None = None,
        *,
        seeds: Sequence[int] | None = None,
        **fuzz_config: Any,
    ) -> list[dict[str, Any]]:
        """`count` cases of a master seed, or the cases whose own seeds are given (`seeds=`, or in place of
        count). Each is a dict as from get_test_case."""
        given = {**fuzz_config, "op_schema": op_schema, "dtypes": dtypes}
        if isinstance(count, int):
            return list(self._cases(op_name, count, seed, seeds, given))
        return list(self._cases(op_name, 0, seed, count, given))

    def submit_output(
        self,
        op_name: str,
        inputs: Mapping[str, Any] | int | None = None,
        output: Any = None,
        seed: int | str | None = None,
        **kwargs: Any,
    ) -> ValidationResult:
        """Judge an output for the case of a seed: `submit_output(op, inputs, output, seed)`, or without the
        inputs, which the daemon builds from the seed: `submit_output(op, seed, output)`."""
        if isinstance(inputs, (int, str)):
            inputs, seed = None, inputs
        if seed is None:
            raise ClientError(
                f"submit_output({op_name!r}): seed is missing; pass the case's: seed=case['seed']"
            )
        number, edits = parse_case_id(seed)
        message = {
            "type": "SubmitOutput",
            "op_name": op_name,
            "seed": number,
            "edits": edits,
            "output": _sent_output(output),
            "inputs": None if inputs is None else _sent_arrays(inputs),
            "kwargs": plain(kwargs),
        }
        return ValidationResult.from_wire(ask(self._transport, message, "SubmitResult")["result"])

    def fuzz_op_client_side(
        self,
        op_name: str,
        run_op: Callable[[dict[str, Array]], Any] | None = None,
        iterations: int = 100,
        seed: int | None = None,
        fail_fast: bool = False,
        op_schema: Mapping[str, Any] | None = None,
        dtypes: Sequence[str] | None = None,
        *,
        op_fn: Callable[..., Any] | None = None,
        **fuzz_config: Any,
    ) -> FuzzResults:
        """Run an op here on the daemon's cases, and let the daemon judge its outputs.

        run_op gets a dict of the inputs; op_fn gets inputs and params by name. What it raises is a failure of
        its case, with the traceback, and is stored like any other. seed is the campaign's master seed.
        """
        if (run_op is None) == (op_fn is None):
            raise ClientError(f"fuzz_op_client_side({op_name!r}): give either run_op or op_fn")
        master = generate_seed() if seed is None else seed
        given = {**fuzz_config, "op_schema": op_schema, "dtypes": dtypes}
        results: list[ValidationResult] = []
        for case in self._cases(op_name, iterations, master, None, given):
            started = time.monotonic()
            called = _run(run_op, op_fn, case)
            if called.error is None:
                result = self.submit_output(op_name, case["seed"], called.value)
            else:
                result = self._store_exception(op_name, case, called, (time.monotonic() - started) * 1000.0)
            results.append(result)
            if fail_fast and result.status == "failed":
                break
        failures = [result for result in results if result.status == "failed"]
        passed = sum(result.passed for result in results)
        return FuzzResults(
            seed=master,
            total=len(results),
            passed=passed,
            failed=len(failures),
            failures=failures,
            undetermined=len(results) - passed - len(failures),
        )

    def _cases(
        self,
        op_name: str,
        count: int,
        seed: int | None,
        seeds: Sequence[int] | None,
        fuzz_config: Mapping[str, Any],
    ) -> Iterator[dict[str, Any]]:
        """The cases of a batch, fetched page by page as they fit into replies."""
        config = _fuzz_config(generate_seed() if seed is None else seed, fuzz_config)
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
            cases = ask(self._transport, message, "TestBatch")["cases"]
            if not cases:
                raise ClientError(f"the daemon sent no case {start} of the {total} of {op_name!r}")
            yield from map(_read_case, cases)
            start += len(cases)

    def _store_exception(
        self, op_name: str, case: Mapping[str, Any], called: Called, duration_ms: float
    ) -> ValidationResult:
        """Store the failure of a case whose op raised, and return it as the daemon has it."""
        first = next(iter(case["inputs"].values()))
        return self._store_failure(
            Failure(
                test_id=CLIENT,
                op=op_name,
                seed=case["seed"],
                edits="",
                generator=GENERATOR_VERSION,
                shape=tuple(first.shape),
                strides=tuple(first.strides),
                dtype=case["dtype"],
                layout=case["layout"],
                values=case["values"],
                fuzz_config=case["fuzz_config"],
                findings=(Finding(kind="ExecutionError", message=called.summary),),
                stats=None,
                text=called.traceback,
                timestamp=time.time(),
                duration_ms=duration_ms,
            )
        )

    def _store_failure(self, failure: Failure) -> ValidationResult:
        """Store a failure, and return it as the daemon has it."""
        Recorder(Path(self.socket_path), transport=self._transport).failure(failure)
        found = self.get_result(failure.seed, failure.op)
        if found is None:
            raise ClientError(f"the daemon lost the failure of seed {failure.seed} of {failure.op!r}")
        return found


def _run(
    run_op: Callable[[dict[str, Array]], Any] | None,
    op_fn: Callable[..., Any] | None,
    case: Mapping[str, Any],
) -> Called:
    if run_op is not None:
        return call(run_op, case["inputs"])
    return call(call_by_name, op_fn, case["inputs"], case["params"], optional=frozenset(case["params"]))


def _fuzz_config(seed: int, given: Mapping[str, Any]) -> dict[str, Any]:
    return {"seed": seed, **wire_overrides({key: value for key, value in given.items() if value is not None})}


def _read_case(message: Mapping[str, Any]) -> dict[str, Any]:
    """A case as its user gets it: the inputs in the layouts that the case has, not only their values."""
    inputs = {}
    for name, tensor in message["inputs"].items():
        array = to_array(tensor)
        layout = message["layouts"][name]
        if layout != "contiguous":
            buffer = allocate(
                array.shape, str(array.dtype), layout, derive_seed(message["seed"], f"layout/{name}")
            )
            buffer.fill(array)
            array = buffer.view
        inputs[name] = array
    return {
        "seed": message["seed"],
        "inputs": inputs,
        "params": message["params"],
        "shape": tuple(message["shape"]),
        "dtype": message["dtype"],
        "layout": message["layout"],
        "values": message["values"],
        "fuzz_config": message["fuzz_config"],
    }


def _sent_arrays(given: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: _sent(array) for name, array in given.items()}


def _sent_output(output: Any) -> Any:
    if isinstance(output, Mapping):
        return _sent_arrays(output)
    if isinstance(output, (tuple, list)):
        return [_sent(array) for array in output]
    return _sent(output)


def _sent(array: Any) -> Tensor:
    try:
        return to_tensor(arrays.to_numpy(array))
    except ProtocolError as error:
        raise ClientError(str(error)) from error
