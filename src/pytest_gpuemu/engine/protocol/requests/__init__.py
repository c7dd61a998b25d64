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


def read_request(message: Mapping[str, Any]) -> Any:
    """The request that a decoded message is: an object of one of REQUESTS. Raises ProtocolError."""
    kind = message.get("type")
    if not isinstance(kind, str) or kind not in REQUESTS:
        raise ProtocolError(
            f"type = {shortened(kind)} is no request; {did_you_mean(str(kind)[:40], REQUESTS)}"
        )
    return read_fields(REQUESTS[kind], kind, {key: value for key, value in message.items() if key != "type"})


def to_message(request: Any) -> dict[str, Any]:
    """The message that read_request reads back to this object."""
    fields = {field.name: getattr(request, field.name) for field in dataclasses.fields(request)}
    return {"type": type(request).__name__, **fields}
