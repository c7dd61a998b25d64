"""A worker's process: what it does at its start, and the loop of messages in and out.

Here: frames on stdin and stdout, questions to the daemon, errors as replies. Elsewhere: the daemon's end of
the pipes (workers.py), what is done with a message (jobs/, op_host.py).

A message of protocol 2, behind its length, comes on stdin, and the reply goes to stdout in the same form.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from pytest_gpuemu.engine.config import Config, config_at
from pytest_gpuemu.engine.errors import (
    CannotRunHere,
    ConfigError,
    GpuemuError,
    OutputError,
    ProtocolError,
    ReferenceFailed,
    SeedError,
    UnknownOpError,
)
from pytest_gpuemu.engine.processes import end_with_parent, limit_memory
from pytest_gpuemu.engine.protocol import (
    CANNOT_RUN_HERE,
    CONFIG_ERROR,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    OP_NOT_FOUND,
    REFERENCE_FAILED,
    framing,
)
from pytest_gpuemu.engine.workers import FRAME, QUESTION

# Asks the daemon something that only it can do, such as running the op under test.
Ask: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
Answer: TypeAlias = Callable[[Mapping[str, Any], Config, Ask], dict[str, Any]]

_CODES: tuple[tuple[type[GpuemuError], str], ...] = (
    (UnknownOpError, OP_NOT_FOUND),
    (ReferenceFailed, REFERENCE_FAILED),
    (CannotRunHere, CANNOT_RUN_HERE),
    (SeedError, INVALID_REQUEST),
    (OutputError, INVALID_REQUEST),
    (ConfigError, CONFIG_ERROR),
)


def run_worker(arguments: list[str], answer: Answer, *, memory: int = resource.RLIMIT_AS) -> None:
    """Be a worker until the daemon ends. arguments: MEMORY_MB ROOT [CONFIG]."""
    end_with_parent()
    limit_memory(int(arguments[0]), kind=memory)
    root = Path(arguments[1])
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what user code prints must not land among the replies
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    config = config_at(Path(arguments[2]) if len(arguments) > 2 else None, root)
    _write(answers, b"")  # ready

    def ask(question: dict[str, Any]) -> dict[str, Any]:
        _write(answers, framing.encode(question, 2), mark=QUESTION)
        data = _read(requests)
        if data is None:
            raise EOFError("the daemon has ended")
        return framing.decode(data)

    while (data := _read(requests)) is not None:
        _write(answers, framing.encode(_reply(answer, framing.decode(data), config, ask), 2))


def _reply(answer: Answer, message: Mapping[str, Any], config: Config, ask: Ask) -> dict[str, Any]:
    """What goes wrong with a job comes back as an Error."""
    try:
        return answer(message, config, ask)
    except ProtocolError as error:
        return {"type": "Error", "code": error.code, "message": str(error)}
    except GpuemuError as error:
        code = next((code for kind, code in _CODES if isinstance(error, kind)), INTERNAL_ERROR)
        return {"type": "Error", "code": code, "message": str(error)}


def _read(requests: BinaryIO) -> bytes | None:
    head = requests.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    (length,) = FRAME.unpack(head)
    return requests.read(length)


def _write(answers: BinaryIO, body: bytes, *, mark: int = 0) -> None:
    answers.write(FRAME.pack(len(body) | mark) + body)
    answers.flush()
