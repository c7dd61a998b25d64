"""The requests that the daemon answers, one data class each, by family.

Here: `read_request`, the one place where what a client sent becomes a data class. Elsewhere: the fields of
each request (daemon.py, judging.py, fuzzing.py, stored.py ...) and their checks (fields.py), the answers
(engine/service/), the bytes (../framing.py). A family names its requests; nothing else lists them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pytest_gpuemu.engine.errors import ProtocolError, did_you_mean, shortened
from pytest_gpuemu.engine.protocol.requests import artifacts, baselines, daemon, fuzzing, judging, stored
from pytest_gpuemu.engine.protocol.requests.fields import read_fields

REQUESTS: dict[str, type[Any]] = {
    kind.__name__: kind
    for family in (daemon, judging, fuzzing, stored, baselines, artifacts)
    for kind in family.REQUESTS
}


# Requests of the protocol that this daemon leaves to pytest, which runs the tests: what to do instead.
LEFT_TO_PYTEST: dict[str, str] = {
    "RunCi": "run pytest, whose exit status is the answer: pytest --gpuemu-fuzz=N --gpuemu-lint; FuzzOp runs "
    "one op that gpuemu.toml lets the daemon run",
    "GetCiSummary": "pytest --gpuemu-json=FILE writes it; ListResults and ListFailures say what is stored",
}


def read_request(message: Mapping[str, Any]) -> Any:
    """The request that a decoded message is: an object of one of REQUESTS. Raises ProtocolError."""
    kind = message.get("type")
    if isinstance(kind, str) and kind in LEFT_TO_PYTEST:
        raise ProtocolError(f"the daemon does not answer {kind}: {LEFT_TO_PYTEST[kind]}")
    if not isinstance(kind, str) or kind not in REQUESTS:
        raise ProtocolError(
            f"type = {shortened(kind)} is no request; {did_you_mean(str(kind)[:40], REQUESTS)}"
        )
    return read_fields(REQUESTS[kind], kind, {key: value for key, value in message.items() if key != "type"})


def to_message(request: Any) -> dict[str, Any]:
    """The message that read_request reads back to this object."""
    fields = {field.name: getattr(request, field.name) for field in dataclasses.fields(request)}
    return {"type": type(request).__name__, **fields}
