"""`validate_op` as a context manager: judge what a block computed.

    with validate_op("softmax", inputs={"logits": x}) as ctx:
        ctx.set_output(my_softmax(x))
    assert ctx.result.passed

Without a client it judges in this process, by the gpuemu.toml that holds here, and stores nothing.
Elsewhere: the same with a daemon, `Client.validate_op` (client/client.py); campaigns in pytest (plugin.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from pytest_gpuemu.client.client import Client
from pytest_gpuemu.client.data import ValidationResult
from pytest_gpuemu.engine.config import load_config
from pytest_gpuemu.engine.errors import ConfigError, OutputError
from pytest_gpuemu.engine.judged import judged_body
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.own_arrays import judge_own, own_case, snapshot
from pytest_gpuemu.engine.rng import generate_seed


class ValidationContext:
    """The block's side: set_output() takes the output, result has the verdict once the block has ended."""

    def __init__(
        self,
        op_name: str,
        inputs: Mapping[str, Any],
        client: Client | None,
        seed: int | None,
        kwargs: Mapping[str, Any],
    ) -> None:
        if not isinstance(inputs, Mapping):
            raise ConfigError(
                f"validate_op({op_name!r}): inputs is a {type(inputs).__name__}; expected a dict of arrays "
                "by name"
            )
        self.op_name = op_name
        self.inputs = inputs
        self._client = client
        self._seed = seed
        self._kwargs = kwargs
        self._outputs: dict[str, Any] = {}
        self._result: ValidationResult | None = None
        self._before: dict[str, Array] = {}

    def set_output(self, output: Any) -> None:
        """The op's output: an array of any library, or a tuple or dict of several."""
        self._outputs = {"output": output}

    def __setitem__(self, name: str, output: Any) -> None:
        """`ctx["output"] = y`, or one of several outputs by its name."""
        self._outputs[name] = output

    def __getitem__(self, name: str) -> Any:
        return self._outputs[name]

    @property
    def result(self) -> ValidationResult:
        """The verdict. Raises OutputError while the block has not ended."""
        if self._result is None:
            raise OutputError(
                f"validate_op({self.op_name!r}): the result is there once the with block has ended"
            )
        return self._result

    def __enter__(self) -> ValidationContext:
        self._before = snapshot(self.inputs)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._result = self._judge()

    def _judge(self) -> ValidationResult:
        if not self._outputs:
            raise OutputError(
                f"validate_op({self.op_name!r}): the block set no output, so nothing was checked; "
                "call ctx.set_output(output)"
            )
        output = self._outputs["output"] if set(self._outputs) == {"output"} else self._outputs
        if self._client is not None:
            return self._client.validate_op(
                self.op_name, self._before, output, seed=self._seed, **self._kwargs
            )
        return self._judge_here(output)

    def _judge_here(self, output: Any) -> ValidationResult:
        started = time.monotonic()
        seed = generate_seed() if self._seed is None else self._seed
        case = own_case(self.op_name, self._before, self._kwargs, seed, load_config(Path.cwd()))
        verdict = judge_own(case, output, self.inputs)
        body, _ = judged_body(
            case,
            verdict,
            overrides={},
            timestamp=time.time(),
            duration_ms=(time.monotonic() - started) * 1000.0,
        )
        return ValidationResult.from_wire(body)


def validate_op(
    op_name: str,
    inputs: Mapping[str, Any],
    *,
    client: Client | None = None,
    seed: int | None = None,
    **kwargs: Any,
) -> ValidationContext:
    """Judge the output that the block sets, for these inputs, against the op's reference.

    kwargs are the op's params, and atol and rtol, which then hold in place of the derived tolerance. With a
    client its daemon judges and stores; without one, this process judges.
    """
    return ValidationContext(op_name, inputs, client, seed, kwargs)
