"""What the daemon answers to each request.

Here: from the bytes of a request to those of its reply, and what goes wrong in between. Elsewhere: the
answers of each family (daemon.py, judging.py, fuzzing.py, stored.py ...), what they share (state.py), the
socket and the threads (engine/server.py), everything that needs NumPy or runs a reference (engine/jobs/, in
a worker).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_gpuemu.engine.config import Config
from pytest_gpuemu.engine.errors import ProtocolError, ReferenceFailed, StoreError
from pytest_gpuemu.engine.protocol import INTERNAL_ERROR, REFERENCE_FAILED, STORE_ERROR, framing
from pytest_gpuemu.engine.protocol.requests import read_request
from pytest_gpuemu.engine.service.artifacts import Artifacts
from pytest_gpuemu.engine.service.baselines import Baselines
from pytest_gpuemu.engine.service.daemon import Daemon
from pytest_gpuemu.engine.service.fuzzing import Fuzzing
from pytest_gpuemu.engine.service.judging import Judging
from pytest_gpuemu.engine.service.state import Answer, State
from pytest_gpuemu.engine.service.stored import Stored
from pytest_gpuemu.engine.store import Store
from pytest_gpuemu.engine.workers import Pool


class Service:
    """The daemon without its socket. answer() may be called from many threads.

    store may be the error that kept it from being opened: then what needs it is answered with that error,
    and the rest goes on.
    """

    def __init__(
        self,
        *,
        version: str,
        config: Config,
        store: Store | StoreError,
        judges: Pool,
        ops: Pool,
        shut_down: Callable[[], None],
    ) -> None:
        state = State(config=config, store_or_error=store, judges=judges, ops=ops)
        families = (
            Daemon(state, version=version, shut_down=shut_down),
            Judging(state),
            Fuzzing(state),
            Stored(state),
            Baselines(state),
            Artifacts(state),
        )
        self._answers: dict[type[Any], Answer] = {
            request: answer for family in families for request, answer in family.answers.items()
        }

    def answer(self, data: bytes) -> bytes:
        """The reply to these bytes, in their protocol; an Error for what is wrong with them."""
        version = framing.version_of(data)
        try:
            request = read_request(framing.decode(data))
            reply = self._answers[type(request)](request, version)
        except ProtocolError as error:
            reply = _error_reply(error.code, str(error))
        except StoreError as error:
            reply = _error_reply(STORE_ERROR, str(error))
        except ReferenceFailed as error:
            reply = _error_reply(REFERENCE_FAILED, str(error))
        return framing.encode(reply, version)


def internal_error(data: bytes) -> bytes:
    """The reply where answering these bytes raised what nobody expected."""
    message = "the daemon failed to answer this request; its log has the traceback: gpuemu daemon logs"
    return framing.encode(_error_reply(INTERNAL_ERROR, message), framing.version_of(data))


def _error_reply(code: str, message: str) -> dict[str, Any]:
    return {"type": "Error", "code": code, "message": message}
