"""Client: the daemon's services as methods.

Here: each method of the API reference, in both call forms that it shows. Elsewhere: what each sends and reads
(judging.py, cases.py, fuzzing.py, stored.py, minimizing.py), the connection (transport.py), what the methods
return (data.py), what the daemon does (engine/service/, engine/jobs/).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_gpuemu.client import artifacts, stored
from pytest_gpuemu.client.cases import GivenCase, fetch_case, fetch_cases
from pytest_gpuemu.client.data import (
    BaselineComparison,
    FuzzResults,
    MinimizeResult,
    Pong,
    ReproduceResult,
    ValidationResult,
)
from pytest_gpuemu.client.fuzzing import (
    RunOp,
    case_limit_ms,
    fuzz_here,
    fuzz_there,
    reproduce_here,
    runner_of,
)
from pytest_gpuemu.client.judging import submit, validate
from pytest_gpuemu.client.minimizing import minimize_here
from pytest_gpuemu.client.transport import NngTransport, Transport, ask
from pytest_gpuemu.engine.errors import ClientError
from pytest_gpuemu.engine.protocol import CLIENT, PROTOCOL_VERSION
from pytest_gpuemu.engine.sockets import default_socket


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
        if not isinstance(timeout_ms, (int, float)) or not timeout_ms > 0:
            raise ClientError(f"timeout_ms = {timeout_ms!r}: expected a number of milliseconds > 0")
        self.socket_path = str(default_socket() if socket_path is None else Path(socket_path).expanduser())
        self.timeout_ms = int(timeout_ms)
        self._transport = transport or NngTransport(Path(self.socket_path), timeout_ms=self.timeout_ms)

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
        are the op's params, and atol and rtol, which then hold in place of the derived tolerance. seed names
        the result in the store (drawn where it is left out). dtype is what the output's dtype must be, where
        given.
        """
        return validate(self._transport, op_name, inputs, output, dtype=dtype, seed=seed, params=kwargs)

    def get_result(self, seed: int, op_name: str | None = None) -> ValidationResult | None:
        """The newest stored result of a seed (of that op, where given); None where there is none."""
        return stored.result_of(self._transport, seed, op_name)

    def list_results(self, limit: int = 100) -> list[ValidationResult]:
        """The newest stored results, newest first."""
        return stored.listed(self._transport, "ListResults", limit)

    def list_failures(self, limit: int = 20) -> list[ValidationResult]:
        """The newest stored failures, newest first."""
        return stored.listed(self._transport, "ListFailures", limit)

    def store_baseline(self, tag: str) -> None:
        """Keep a copy of every stored result under a tag."""
        ask(self._transport, {"type": "StoreBaseline", "tag": tag}, "Ok")

    def compare_baseline(self, tag: str) -> list[BaselineComparison]:
        """The results of now beside those kept under a tag, where there are both."""
        return stored.compared(self._transport, tag)

    def fuzz_op(
        self,
        op_name: str,
        seed: int | None = None,
        iterations: int = 100,
        fail_fast: bool = False,
        batch_sizes: Sequence[int] | None = None,
        seq_lengths: Sequence[int] | None = None,
        hidden_dims: Sequence[int] | None = None,
        dtypes: Sequence[str] | None = None,
        layouts: Sequence[str] | None = None,
        **fuzz_config: Any,
    ) -> FuzzResults:
        """Let the daemon run an op of gpuemu.toml, in one of its workers, on cases of a master seed.

        The op's execution_mode is "daemon_orchestrated" or "script_based"; for any other it raises
        ClientError, as the daemon has nothing to run. What the op raises, and that it hangs or crashes, is a
        failure of its case. The three lists of sizes are for an op without a schema; fuzz_config is as in
        get_test_case.
        """
        sizes = {"batch_sizes": batch_sizes, "seq_lengths": seq_lengths, "hidden_dims": hidden_dims}
        options = {name: list(given) for name, given in sizes.items() if given is not None}
        if options:
            fuzz_config["shape_options"] = {**options, **fuzz_config.get("shape_options", {})}
        return fuzz_there(
            self._transport,
            op_name,
            iterations=iterations,
            seed=seed,
            fail_fast=fail_fast,
            fuzz_config={**fuzz_config, "dtypes": dtypes, "layouts": layouts},
        )

    def reproduce(
        self,
        seed: int | str,
        op_name: str | None = None,
        run_op: RunOp | None = None,
        *,
        op_fn: Callable[..., Any] | None = None,
    ) -> ReproduceResult:
        """The newest stored failure of a seed or case id, with the inputs that it failed for.

        The op runs on them now where it is given (run_op gets a dict of the inputs, op_fn inputs and params
        by name), or where the daemon can run it; then result is what came of it. The store stays as it is.
        """
        if run_op is None and op_fn is None:
            more_ms = case_limit_ms(self._transport)
            return stored.reproduced(self._transport, seed, op_name, runs=True, more_ms=more_ms)
        run = runner_of(run_op, op_fn, f"reproduce({seed!r})")
        return reproduce_here(
            self._transport, stored.reproduced(self._transport, seed, op_name, runs=False), run
        )

    def minimize(
        self,
        seed: int | str,
        strategy: str | None = None,
        max_iters: int = 100,
        run_op: RunOp | None = None,
        *,
        op_fn: Callable[..., Any] | None = None,
        op_name: str | None = None,
    ) -> MinimizeResult:
        """Find the smallest case that fails as the newest stored failure of a seed or case id does.

        strategy is "binary-search-dims" or "binary-search-values"; None does both. The op under test runs
        here, where it is given (run_op gets a dict of the inputs, op_fn gets inputs and params by name), else
        in the daemon, where gpuemu.toml names it: at most max_iters times, and there for timeout_ms. The
        smallest case is stored as a failure of its own.
        """
        if run_op is None and op_fn is None:
            return stored.minimized(
                self._transport,
                seed,
                op_name,
                strategy=strategy,
                max_iters=max_iters,
                time_s=self.timeout_ms / 1000.0,
                more_ms=case_limit_ms(self._transport),
            )
        run = runner_of(run_op, op_fn, f"minimize({seed!r})")
        original = stored.reproduced(self._transport, seed, op_name, runs=False).result
        found, failure = minimize_here(
            original,
            run,
            test_id=CLIENT,
            config=self.ping()["config"],
            strategy=strategy,
            max_iters=max_iters,
        )
        return MinimizeResult(
            original_seed=original.seed,
            minimized_seed=found.seed,
            minimized_shape=failure.shape,
            result=original
            if found.plan == found.original
            else stored.store_failure(self._transport, failure),
            edits=found.edits,
            iterations=found.cases,
            is_complete=found.is_complete,
        )

    def lint_kernel(
        self, ptx_content: str, kernel_name: str | None = None, *, arch: str | None = None
    ) -> list[dict[str, Any]]:
        """Measure one kernel of a PTX text, or each, and check it: a dict for each kernel and architecture,
        with kernel_name, arch, passed, metrics, violations, unchecked, notes and timestamp.

        A kernel of gpuemu.toml's [[kernels]] has that entry's limits and architectures, any other the
        defaults (64 registers, no spills, no local memory; sm_80 and sm_90). arch is one to lint for in place
        of those. metrics.source names the tool and the unit of each figure; what no tool knows is None.
        """
        return artifacts.lint(self._transport, ptx_content, kernel_name, arch)

    def store_artifact(
        self, ptx_content: str, kernel_name: str | None = None, *, arch: str | None = None
    ) -> list[dict[str, Any]]:
        """Measure as lint_kernel does, and store each kernel's PTX and metrics in place of its older ones."""
        return artifacts.store(self._transport, ptx_content, kernel_name, arch)

    def get_artifact(
        self, kernel_name: str, arch: str | None = None, *, with_sass: bool = False
    ) -> dict[str, Any]:
        """The newest stored artifact of a kernel, with ptx_content; with_sass: and its machine code."""
        return artifacts.get(self._transport, kernel_name, arch, with_sass=with_sass)

    def list_artifacts(self, limit: int = 100, kernel_name: str | None = None) -> list[dict[str, Any]]:
        """The newest stored artifacts, newest first, without their PTX."""
        return artifacts.listed(self._transport, limit, kernel_name)

    def store_artifact_baseline(
        self, tag: str, kernel_name: str | None = None, arch: str | None = None
    ) -> int:
        """Keep the metrics of the stored artifacts (of one kernel, where given) under a tag; how many."""
        return artifacts.keep(self._transport, tag, kernel_name, arch)

    def diff_artifact_baseline(
        self, tag: str, kernel_name: str | None = None, arch: str | None = None
    ) -> list[dict[str, Any]]:
        """The stored artifacts beside those kept under a tag: what changed, and what is a regression."""
        return artifacts.diff(self._transport, tag, kernel_name, arch)

    def get_test_case(self, op_name: str, seed: int | None = None, **fuzz_config: Any) -> GivenCase:
        """The first case of a master seed: seed, inputs (by name, with their layouts), params, shape, dtype,
        layout. fuzz_config narrows it: dims, dtypes, layouts, values, params, max_bytes, op_schema."""
        return fetch_case(self._transport, op_name, seed, fuzz_config)

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
    ) -> list[GivenCase]:
        """`count` cases of a master seed, or the cases whose own seeds are given (`seeds=`, or in place of
        count). Each is a dict as from get_test_case."""
        given = {**fuzz_config, "op_schema": op_schema, "dtypes": dtypes}
        wanted: Any = count if hasattr(count, "__len__") else seeds
        total: Any = count if wanted is None else len(wanted)
        return list(
            fetch_cases(self._transport, op_name, count=total, seed=seed, seeds=wanted, fuzz_config=given)
        )

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
        if inputs is not None and not isinstance(inputs, Mapping):
            inputs, seed = None, inputs
        if seed is None or output is None:
            missing = "seed" if seed is None else "output"
            raise ClientError(
                f"submit_output({op_name!r}): {missing} is missing; write "
                "submit_output(op, case['inputs'], output, case['seed'])"
            )
        return submit(self._transport, op_name, inputs, output, seed, params=kwargs)

    def fuzz_op_client_side(
        self,
        op_name: str,
        run_op: RunOp | None = None,
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
        return fuzz_here(
            self._transport,
            op_name,
            runner_of(run_op, op_fn, f"fuzz_op_client_side({op_name!r})"),
            iterations=iterations,
            seed=seed,
            fail_fast=fail_fast,
            fuzz_config={**fuzz_config, "op_schema": op_schema, "dtypes": dtypes},
        )
