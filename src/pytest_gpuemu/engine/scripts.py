"""Scripts of gpuemu.toml, references and ops alike: JSON on stdin, JSON on stdout, in a persistent process.

Here: the callable that stands for such a script, and the exchange with the process that runs it.
Elsewhere: that process (script_host.py), the pool that judges cases (workers.py).

A script reads {"inputs": {name: {shape, strides, dtype, data}}, "kwargs": {name: text}} and prints
{shape, dtype, data}; data is base64 of the C-ordered bytes. Several outputs: {"outputs": {name: {...}}}.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from pytest_gpuemu.engine.dtypes import DTYPES, numpy_dtype
from pytest_gpuemu.engine.errors import ScriptFailed
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.processes import how_it_ended, killed_after, last_words

_HOST = "pytest_gpuemu.engine.script_host"


class Script:
    """A function that a script computes. Called with the op's inputs, in order or by name, and its params.

    The process that runs the script starts with the first call and is replaced when it dies or exceeds
    timeout_s (limit says which key sets that); both raise ScriptFailed. memory_mb bounds its address space,
    or with limits_data the memory that it can write to. role begins the errors.
    """

    def __init__(
        self,
        path: Path,
        *,
        role: str,
        input_names: tuple[str, ...],
        param_defaults: Mapping[str, Any],
        timeout_s: float,
        limit: str,
        memory_mb: int,
        limits_data: bool = False,
    ) -> None:
        self.path = path
        self.__name__ = self.__qualname__ = path.name
        self.__signature__ = inspect.Signature(
            [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in input_names]
            + [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value)
                for name, value in param_defaults.items()
            ]
            + [inspect.Parameter("others", inspect.Parameter.VAR_KEYWORD)]
        )
        self._inputs = input_names
        self._name = f"{role} {path}"
        self._timeout_s = timeout_s
        self._limit = limit
        self._memory = [str(memory_mb), *(["data"] if limits_data else [])]
        self._host: _ScriptHost | None = None

    def __call__(self, *args: Array, **kwargs: Any) -> Array | dict[str, Array]:
        bound = self.__signature__.bind(*args, **kwargs)
        bound.apply_defaults()
        params = {name: value for name, value in bound.arguments.items() if name not in self._inputs}
        params |= params.pop("others")
        for name in self._inputs:
            # A traced array would leave its error bound behind on its way through JSON.
            if type(bound.arguments[name]) is not np.ndarray:
                raise TypeError(f"{self._name} takes NumPy arrays, not {type(bound.arguments[name])}")
        request = {
            "inputs": {name: encode_array(bound.arguments[name]) for name in self._inputs},
            "kwargs": {name: str(value) for name, value in params.items()},
        }
        if self._host is None:
            self._host = _ScriptHost(self.path, self._name, self._memory)
        try:
            text = self._host.run(json.dumps(request), self._timeout_s, self._limit)
        except ScriptFailed:
            self._host = None
            raise
        return _read_answer(text, self._name)

    def __repr__(self) -> str:
        return f"Script({str(self.path)!r})"


class _ScriptHost:
    """The process that runs one script again and again."""

    def __init__(self, path: Path, name: str, memory: list[str]) -> None:
        self._name = name
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", _HOST, str(path), *memory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=path.parent,
        )

    def run(self, request: str, timeout_s: float, limit: str) -> str:
        """One exchange. Raises ScriptFailed, after which this host is spent."""
        process = self._process
        late = threading.Event()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with killed_after(timeout_s, process, late):
                process.stdin.write(request.encode() + b"\n")
                process.stdin.flush()
                line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if line.endswith(b"\n"):
            return str(json.loads(line))
        ended = how_it_ended(process)
        if late.is_set():
            raise ScriptFailed(
                f"{self._name} took longer than {timeout_s:g} s and was stopped; {limit} sets the limit"
            )
        raise ScriptFailed(f"{self._name} {ended}\n{last_words(self._stderr)}".rstrip())

    def __del__(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None and not stream.closed:
                stream.close()


def encode_array(array: Array) -> dict[str, Any]:
    """An array as JSON holds it: {shape, strides (bytes, C order), dtype, data (base64, C order)}."""
    contiguous = np.ascontiguousarray(array).reshape(array.shape)
    return {
        "shape": list(array.shape),
        "strides": list(contiguous.strides),
        "dtype": str(array.dtype),
        "data": base64.b64encode(contiguous.tobytes()).decode("ascii"),
    }


def _read_answer(text: str, name: str) -> Array | dict[str, Array]:
    try:
        answer = json.loads(text)
    except ValueError:
        raise ScriptFailed(
            f"{name} printed {text[:200]!r}, which is not one JSON object "
            "{shape, dtype, data}; print nothing else to stdout"
        ) from None
    if isinstance(answer, dict) and isinstance(answer.get("outputs"), dict):
        return {str(key): _decode(found, name) for key, found in answer["outputs"].items()}
    return _decode(answer, name)


def _decode(answer: Any, name: str) -> Array:
    try:
        shape = tuple(int(size) for size in answer["shape"])
        dtype_name = str(answer["dtype"])
        data = base64.b64decode(answer["data"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise ScriptFailed(
            f"{name}: its answer lacks or misspells {error}; it must print {{shape, dtype, data (base64)}}"
        ) from None
    if dtype_name not in DTYPES:
        raise ScriptFailed(f"{name}: its answer has dtype {dtype_name!r}, which is none")
    dtype = numpy_dtype(dtype_name)
    if min(shape, default=0) < 0 or prod(shape) * dtype.itemsize != len(data):
        raise ScriptFailed(
            f"{name}: its answer has {len(data)} bytes, but shape {list(shape)} of {dtype_name} "
            f"takes {prod(shape) * dtype.itemsize}"
        )
    array: Array = np.frombuffer(data, dtype).reshape(shape).copy()
    return array
