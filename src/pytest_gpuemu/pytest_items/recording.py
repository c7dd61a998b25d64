"""Recording: what a session stores of its cases, and what earlier sessions stored.

Here: the known failing seeds, the journal's leftovers, and handing outcomes to the daemon, which alone
writes the store. Where no daemon can be started, the campaign goes on and says that nothing is stored.
Elsewhere: the daemon (daemon.py, client/launch.py), the messages (client/recorder.py), the file (store.py).
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pytest_gpuemu.engine.errors import ClientError

if TYPE_CHECKING:
    from pytest_gpuemu.engine.config import Config
    from pytest_gpuemu.engine.plan import Plan
    from pytest_gpuemu.engine.verdict import Failure, Verdict

_STORE, _JOURNAL = ".gpuemu", "journal"
# macOS allows 104 bytes with the final zero.
_LONGEST_SOCKET = 104
_SOCKET_VARIABLE = "GPUEMU_SOCKET"


@dataclass(frozen=True, slots=True)
class Crashed:
    """A case during which a process of an earlier session died; path is the journal that says so."""

    test_id: str
    case_id: str
    path: str


class JournalLike(Protocol):
    """Notes the case that is about to run, where a crash leaves it readable."""

    def begin(self, test_id: str, case_id: str) -> None: ...

    def end(self) -> None: ...

    def close(self) -> None: ...


class Recording(Protocol):
    """Where outcomes go; daemon is the running one, if any.

    note says why not everything is stored, stored whether anything was.
    """

    note: str | None
    stored: bool
    daemon: Any
    journal: JournalLike

    def failure(self, failure: Failure) -> None: ...

    def passed(self, test_id: str, plan: Plan, verdicts: Sequence[Verdict], duration_s: float) -> None: ...

    def forget(self, test_id: str, plan: Plan) -> None: ...

    def campaign(self, tally: Mapping[str, Any], master_seed: int) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class _NoJournal:
    def begin(self, test_id: str, case_id: str) -> None:
        """Nothing can be noted."""

    def end(self) -> None:
        """Nothing was noted."""

    def close(self) -> None:
        """There is nothing to remove."""


class Unrecorded:
    """No daemon: outcomes are reported and not stored."""

    def __init__(self, note: str | None, journal: JournalLike | None = None) -> None:
        self.note = note
        self.stored = False
        self.daemon: Any = None
        self.journal: JournalLike = journal or _NoJournal()

    def failure(self, failure: Failure) -> None:
        """Not stored."""

    def passed(self, test_id: str, plan: Plan, verdicts: Sequence[Verdict], duration_s: float) -> None:
        """Not stored."""

    def forget(self, test_id: str, plan: Plan) -> None:
        """Nothing is known that could be forgotten."""

    def campaign(self, tally: Mapping[str, Any], master_seed: int) -> None:
        """Not stored."""

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        close_journal(self.journal)


def store_folder(project: Config) -> Path:
    """The folder of the store: beside gpuemu.toml, else in pytest's rootdir."""
    return project.root / _STORE


def read_known(store: Path) -> tuple[dict[str, list[str]], list[Crashed]]:
    """Known failing case ids by test id, oldest first, and the cases that earlier processes died of.

    A crashed case is known too: nothing else would run it again. Raises StoreError.
    """
    known: dict[str, list[str]] = {}
    if not store.is_dir():
        return known, []
    from pytest_gpuemu.engine.store import known_failures

    for row in known_failures(store):
        known.setdefault(row.test_id, []).append(row.case_id)
    crashed = crashed_cases(store)
    for case in crashed:
        known.setdefault(case.test_id, []).append(case.case_id)
    return {test: list(dict.fromkeys(cases)) for test, cases in known.items()}, crashed


def crashed_cases(store: Path) -> list[Crashed]:
    """The cases that dead processes were running, oldest first."""
    folder = store / _JOURNAL
    if not folder.is_dir():
        return []
    from pytest_gpuemu.engine.journal import leftovers

    return [Crashed(left.test_id, left.case_id, str(left.path)) for left in leftovers(folder)]


def start(store: Path, project: Config, socket: Path | None, *, starts: bool) -> Recording:
    """Start a daemon, at socket if given, or connect to the one there; Unrecorded where that fails."""
    journal: JournalLike = _NoJournal()
    try:
        from pytest_gpuemu.engine.journal import Journal

        journal = Journal(store / _JOURNAL)
        from pytest_gpuemu.pytest_items.daemon import Recorded

        return Recorded(store, project, socket, journal, starts=starts)
    except ClientError as error:
        return Unrecorded(str(error), journal)
    except OSError as error:
        return Unrecorded(f"{store} cannot be written: {error.strerror}", journal)


def close_journal(journal: JournalLike) -> None:
    """An orderly end leaves no journal."""
    journal.close()


def fresh_socket() -> Path:
    """A path for a daemon's socket in a folder that does not exist yet, short enough for a socket."""
    name = f"gpuemu-{secrets.token_hex(8)}/gpuemu.sock"
    path = Path(tempfile.gettempdir()) / name
    return path if len(os.fsencode(path)) < _LONGEST_SOCKET else Path("/tmp") / name


def export_socket(path: str) -> str | None:
    """Let Client() in a test, and in what it starts, find the session's daemon. Returns the old value."""
    before = os.environ.get(_SOCKET_VARIABLE)
    os.environ[_SOCKET_VARIABLE] = path
    return before


def restore_socket(before: str | None) -> None:
    if before is None:
        os.environ.pop(_SOCKET_VARIABLE, None)
    else:
        os.environ[_SOCKET_VARIABLE] = before
