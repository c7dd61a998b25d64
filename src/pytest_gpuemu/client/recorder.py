"""Sending what a campaign found to the daemon, which stores it.

Here: failures one at a time, passes in batches, and forgetting what passes now. A method returns when the
daemon has stored it: from then on no crash loses it. Elsewhere: the store (engine/store.py), the daemon's
restart (launch.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_gpuemu.client.transport import NngTransport, Transport, ask
from pytest_gpuemu.engine.errors import ClientError
from pytest_gpuemu.engine.protocol import NOT_STORED, STORE_ERROR
from pytest_gpuemu.engine.protocol.plain import plain, wire_overrides
from pytest_gpuemu.engine.protocol.requests import to_message
from pytest_gpuemu.engine.protocol.requests.daemon import Ping
from pytest_gpuemu.engine.protocol.requests.stored import (
    ForgetFailure,
    PassedCase,
    RecordCampaign,
    RecordFailure,
    RecordPassed,
)

if TYPE_CHECKING:
    from pytest_gpuemu.engine.verdict import Failure

TIMEOUT_MS = 10_000
_BATCH = 1_000


class Recorder:
    """Stores failures and passes through the daemon at a socket. Every method raises ClientError where the
    daemon does not answer within TIMEOUT_MS (it may be restarting meanwhile), or cannot store."""

    def __init__(self, socket_path: Path, *, transport: Transport | None = None) -> None:
        self._transport = transport or NngTransport(socket_path, timeout_ms=TIMEOUT_MS)

    def failure(self, failure: Failure) -> None:
        """Store one failure."""
        ask(self._transport, to_message(RecordFailure(**failure_fields(failure))), "Ok")

    def passed(self, batch: Sequence[PassedCase]) -> None:
        """Store cases that passed."""
        for start in range(0, len(batch), _BATCH):
            cases = [
                {field.name: getattr(case, field.name) for field in dataclasses.fields(case)}
                for case in batch[start : start + _BATCH]
            ]
            ask(self._transport, {"type": RecordPassed.__name__, "cases": cases}, "Ok")

    def campaign(self, campaign: RecordCampaign) -> None:
        """Store what a campaign came to."""
        ask(self._transport, to_message(campaign), "Ok")

    def forget(self, test_id: str, op: str, seed: int, edits: str = "") -> None:
        """Remove a stored failure that passes now."""
        request = ForgetFailure(test_id=test_id, op_name=op, seed=seed, edits=edits)
        ask(self._transport, to_message(request), "Ok")

    def store_error(self) -> str | None:
        """Why the daemon cannot store anything; None where it can."""
        error = ask(self._transport, to_message(Ping()), "Pong").get("store_error")
        return None if error is None else str(error)

    def close(self) -> None:
        self._transport.close()


def note_unless_stored(transport: Transport, request: RecordCampaign | RecordFailure) -> str | None:
    """Store what a request holds, and return once it is; the note to give where the store cannot be written.
    Raises ClientError for any other error."""
    try:
        ask(transport, to_message(request), "Ok")
    except ClientError as error:
        if error.code != STORE_ERROR:
            raise
        return f"{NOT_STORED}: {error}"
    return None


def failure_fields(failure: Failure) -> dict[str, Any]:
    """A failure as JSON values, under the names of RecordFailure."""
    fields: dict[str, Any] = {x.name: getattr(failure, x.name) for x in dataclasses.fields(failure)}
    fields["op_name"] = fields.pop("op")
    fields["shape"], fields["strides"] = list(failure.shape), list(failure.strides)
    fields["fuzz_config"] = wire_overrides(failure.fuzz_config)
    fields["findings"] = [plain(dataclasses.asdict(finding)) for finding in failure.findings]
    fields["stats"] = None if failure.stats is None else plain(dataclasses.asdict(failure.stats))
    return fields
