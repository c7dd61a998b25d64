"""The session's daemon, and sending it what the cases came to.

Here: whose daemon it is, batches of passes, and what happens when it cannot store. Elsewhere: its process
(client/launch.py), its messages (client/recorder.py). Imported only where something is recorded: it loads
pynng.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_gpuemu.client.launch import Daemon, start_daemon
from pytest_gpuemu.client.recorder import Recorder
from pytest_gpuemu.engine.config import Config
from pytest_gpuemu.engine.errors import ClientError
from pytest_gpuemu.engine.plan import GENERATOR_VERSION, Plan
from pytest_gpuemu.engine.protocol.requests.stored import PassedCase, RecordCampaign
from pytest_gpuemu.engine.verdict import Failure, Verdict
from pytest_gpuemu.pytest_items import recording
from pytest_gpuemu.pytest_items.running import COULD_NOT_RUN, FAILED, PASSED, SKIPPED, UNDETERMINED

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A daemon that another process owns."""

    socket_path: Path


class Recorded:
    """Outcomes stored by a daemon: the session's own, xdist's controller's, or that of --gpuemu-socket."""

    def __init__(
        self,
        store: Path,
        project: Config,
        socket: Path | None,
        journal: recording.JournalLike,
        *,
        starts: bool,
    ) -> None:
        """Start a daemon (at socket, if given) or connect to the one at socket. Raises ClientError."""
        self.journal = journal
        self.note: str | None = None
        self.stored = False
        self._passed: list[PassedCase] = []
        self._folder: Path | None = None
        if starts or socket is None:
            self.daemon: Daemon | Elsewhere = start_daemon(
                project.root, store, config=project.path, socket=socket
            )
            self._folder = None if socket is None else socket.parent
        elif socket.exists():
            self.daemon = Elsewhere(socket)
        else:
            # Said at once: the client would wait for a daemon that may be restarting.
            raise ClientError(f"no daemon listens at {socket}: start one with `gpuemu daemon start`")
        try:
            self._recorder = Recorder(self.daemon.socket_path)
            error = self._recorder.store_error()
        except ClientError:
            self._end_daemon()
            raise
        if error is not None:
            self.note = error
        self._socket_before = recording.export_socket(str(self.daemon.socket_path))

    def failure(self, failure: Failure) -> None:
        """Store a failure, at once."""
        self._send(lambda: self._recorder.failure(failure))

    def passed(self, test_id: str, plan: Plan, verdicts: Sequence[Verdict], duration_s: float) -> None:
        """Store a pass, with the next batch."""
        stats = [comparison.stats for verdict in verdicts for comparison in verdict.comparisons]
        self._passed.append(
            PassedCase(
                test_id=test_id,
                op_name=plan.op_name,
                seed=plan.seed,
                edits=plan.edits,
                max_abs=max((found.max_abs for found in stats), default=0.0),
                max_rel=max((found.max_rel for found in stats), default=0.0),
                timestamp=time.time(),
                duration_ms=duration_s * 1000.0,
            )
        )
        if len(self._passed) >= _BATCH:
            self.flush()

    def forget(self, test_id: str, plan: Plan) -> None:
        """Remove a known failure: its case passes now."""
        self._send(lambda: self._recorder.forget(test_id, plan.op_name, plan.seed, plan.edits))

    def campaign(self, tally: Mapping[str, Any], master_seed: int) -> None:
        """Store what a campaign came to (campaign.tally)."""
        counts = tally["counts"]
        said = RecordCampaign(
            test_id=tally["test_id"],
            op_name=tally["op"],
            master_seed=master_seed,
            generator=GENERATOR_VERSION,
            cases=sum(counts.values()),
            passed=counts.get(PASSED, 0),
            failed=counts.get(FAILED, 0),
            undetermined=counts.get(UNDETERMINED, 0),
            could_not_run=counts.get(COULD_NOT_RUN, 0) + counts.get(SKIPPED, 0),
            wall_s=tally["seconds"],
            timestamp=time.time(),
        )
        self._send(lambda: self._recorder.campaign(said))

    def flush(self) -> None:
        """Store the passes that wait."""
        batch, self._passed = self._passed, []
        if batch:
            self._send(lambda: self._recorder.passed(batch))

    def close(self) -> None:
        """Store what waits, and end the daemon if it is ours."""
        self.flush()
        self._recorder.close()
        recording.restore_socket(self._socket_before)
        self._end_daemon()
        recording.close_journal(self.journal)

    def _send(self, message: Callable[[], None]) -> None:
        """Send it, once more where the daemon had to be restarted; after that, nothing more is stored."""
        if self.note is not None:
            return
        try:
            message()
        except ClientError:
            if isinstance(self.daemon, Daemon):
                self.daemon.ensure_running()
            try:
                message()
            except ClientError as error:
                self.note = str(error)
                return
        self.stored = True

    def _end_daemon(self) -> None:
        if isinstance(self.daemon, Daemon):
            self.daemon.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
