"""References that are scripts: JSON on stdin, JSON on stdout, in a persistent process.

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
from pytest_gpuemu.engine.errors import ReferenceFailed
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.processes import how_it_ended, killed_after, last_words

_HOST = "pytest_gpuemu.engine.script_host"


class ScriptReference:
    """A reference that a script computes. Called with the op's inputs, in order or by name, and its params.

    The process that runs the script starts with the first call and is replaced when it dies or exceeds
    timeout_s; both raise ReferenceFailed. memory_mb bounds its address space.
    """

    def __init__(
        self,
        path: Path,
        *,
        input_names: tuple[str, ...],
        param_defaults: Mapping[str, Any],
        timeout_s: float,
        memory_mb: int,
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
        self._timeout_s = timeout_s
        self._memory_mb = memory_mb
        self._host: _ScriptHost | None = None

    def __call__(self, *args: Array, **kwargs: Any) -> Array | dict[str, Array]:
        bound = self.__signature__.bind(*args, **kwargs)
        bound.apply_defaults()
        params = {name: value for name, value in bound.arguments.items() if name not in self._inputs}
        params |= params.pop("others")
        for name in self._inputs:
            # A traced array would leave its error bound behind on its way through JSON.
            if type(bound.arguments[name]) is not np.ndarray:
                raise TypeError(f"a reference script takes NumPy arrays, not {type(bound.arguments[name])}")
        request = {
            "inputs": {name: encode_array(bound.arguments[name]) for name in self._inputs},
            "kwargs": {name: str(value) for name, value in params.items()},
        }
        if self._host is None:
            self._host = _ScriptHost(self.path, self._memory_mb)
        try:
            text = self._host.run(json.dumps(request), self._timeout_s)
        except ReferenceFailed:
            self._host = None
            raise
        return _read_answer(text, self.path)

    def __repr__(self) -> str:
        return f"ScriptReference({str(self.path)!r})"


class _ScriptHost:
    """The process that runs one script again and again."""

    def __init__(self, path: Path, memory_mb: int) -> None:
        self._path = path
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", _HOST, str(path), str(memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=path.parent,
        )

    def run(self, request: str, timeout_s: float) -> str:
        """One exchange. Raises ReferenceFailed, after which this host is spent."""
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
            raise ReferenceFailed(
                f"reference script {self._path} took longer than {timeout_s:g} s and was stopped; "
                "reference_timeout_s under [validation] sets the limit"
            )
        raise ReferenceFailed(f"reference script {self._path} {ended}\n{last_words(self._stderr)}".rstrip())

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


def _read_answer(text: str, path: Path) -> Array | dict[str, Array]:
    try:
        answer = json.loads(text)
    except ValueError:
        raise ReferenceFailed(
            f"reference script {path} printed {text[:200]!r}, which is not one JSON object "
            "{shape, dtype, data}; print nothing else to stdout"
        ) from None
    if isinstance(answer, dict) and isinstance(answer.get("outputs"), dict):
        return {str(name): _decode(found, path) for name, found in answer["outputs"].items()}
    return _decode(answer, path)


def _decode(answer: Any, path: Path) -> Array:
    try:
        shape = tuple(int(size) for size in answer["shape"])
        name = str(answer["dtype"])
        data = base64.b64decode(answer["data"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise ReferenceFailed(
            f"reference script {path}: its answer lacks or misspells {error}; it must print "
            "{shape, dtype, data (base64)}"
        ) from None
    if name not in DTYPES:
        raise ReferenceFailed(f"reference script {path}: its answer has dtype {name!r}, which is none")
    dtype = numpy_dtype(name)
    if min(shape, default=0) < 0 or prod(shape) * dtype.itemsize != len(data):
        raise ReferenceFailed(
            f"reference script {path}: its answer has {len(data)} bytes, but shape {list(shape)} of {name} "
            f"takes {prod(shape) * dtype.itemsize}"
        )
    array: Array = np.frombuffer(data, dtype).reshape(shape).copy()
    return array
