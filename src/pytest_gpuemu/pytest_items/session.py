"""What one pytest session knows of its campaigns: settings, project config, known seeds, recording.

Here: the object that the other modules of this package share, kept in the config's stash and made when the
first marked test is collected. Elsewhere: what they do with it; the terminal's lines (summary.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gpuemu.engine.config import Config, load_config
from pytest_gpuemu.engine.errors import ConfigError, GpuemuError, StoreError
from pytest_gpuemu.pytest_items import kernel_options, recording
from pytest_gpuemu.pytest_items.ids import MARKER, Seed, param_of, test_id_of
from pytest_gpuemu.pytest_items.options import Settings, read_settings

if TYPE_CHECKING:
    from pytest_gpuemu.engine.op import Op

_SESSION = pytest.StashKey["FuzzSession"]()


def fuzz_session(config: pytest.Config) -> FuzzSession:
    """The session's object; the first call makes it."""
    if _SESSION not in config.stash:
        config.stash[_SESSION] = FuzzSession(config)
    return config.stash[_SESSION]


class FuzzSession:
    """What one pytest process knows of its campaigns.

    In an xdist worker, the master seed, the known seeds and the socket are the controller's.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.workerinput: dict[str, Any] | None = getattr(config, "workerinput", {}).get("gpuemu")
        # Raised once the collection is through: an error inside it would be told once a module.
        self.error: GpuemuError | None = None
        self.project = Config(path=None, root=config.rootpath)
        try:
            self.project = load_config(config.rootpath, trusted=config.rootpath)
        except ConfigError as error:
            self.error = error
        given = self.workerinput or {}
        self.store = recording.store_folder(self.project)
        master_seed = given["master_seed"] if given else self._seed_to_compare()
        self.settings: Settings = read_settings(config, self.project.fuzz, master_seed)
        self.known: dict[str, list[str]] = {}
        self.crashed: list[recording.Crashed] = []
        self.unread: str | None = None  # why the known failing seeds could not be read
        if given:
            self.known = {test: list(cases) for test, cases in given["known"].items()}
            self.crashed = [recording.Crashed(*fields) for fields in given["crashed"]]
        else:
            try:
                self.known, self.crashed = recording.read_known(self.store)
            except StoreError as error:
                # The session goes on without it: the daemon cannot open it either, and leaves it as it is.
                self.unread = str(error)
                self.crashed = recording.crashed_cases(self.store)
        self.recording: recording.Recording = recording.Unrecorded(None)
        self._has_recording = False
        socket = given.get("socket")
        self.shared_socket: Path | None = None if socket is None else Path(socket)
        # (test id, case id) of the collected items: their campaigns leave these seeds out.
        self.own_items: set[tuple[str, str]] = set()
        # By test id and kind of failure, the node id of the item that has the full report.
        self.first_alike: dict[tuple[str, str], str] = {}
        # By the id of the marker, which cannot be hashed and is kept so that the id stays its own.
        self._ops: dict[int, tuple[pytest.Mark, Op]] = {}

    def _seed_to_compare(self) -> int | None:
        """The master seed of the baseline that the session compares with: other cases say nothing. None where
        it compares with none, or --gpuemu-seed is given.
        """
        if not kernel_options.compares(self.config) or self.config.getoption("gpuemu_seed") is not None:
            return None
        from pytest_gpuemu.engine.baselines.loading import load_baseline

        try:
            return load_baseline(self.project.root, self.store).master_seed
        except GpuemuError:  # told as a usage error when the baseline is asked for
            return None

    @property
    def is_worker(self) -> bool:
        """Whether this process is an xdist worker."""
        return hasattr(self.config, "workerinput")

    def known_of(self, test: str) -> list[str]:
        """The known failing seeds of a test that are collected: the newest, up to the cap.

        In numerical order: a seed that fails again is the newest, and --stepwise goes by the order.
        """
        cap = self.settings.known_seeds
        newest = self.known.get(test, [])[-cap:] if cap else []
        if self.settings.minimize_all:
            newest = self.known.get(test, [])
        return sorted(newest, key=lambda case_id: (int(case_id.partition("~")[0]), case_id))

    def op_of(self, marker: pytest.Mark) -> Op:
        """The op that a marker means. Raises ConfigError and its kin, with the text that the user reads."""
        if id(marker) not in self._ops:
            from pytest_gpuemu.engine.resolve import resolve_op

            name, keys = _name_and_keys(marker)
            self._ops[id(marker)] = marker, resolve_op(name, keys, self.project)
        return self._ops[id(marker)][1]

    def begin(self, marked: Sequence[pytest.Item]) -> None:
        """Get ready to run the collected marked tests: told once, when the collection has ended."""
        if self.error is not None:
            raise pytest.UsageError(str(self.error))
        from pytest_gpuemu.pytest_items.reporter import Reporter
        from pytest_gpuemu.pytest_items.runner import Runner

        for item in marked:
            param = param_of(item)
            if isinstance(param, Seed):
                self.own_items.add((test_id_of(item), param.case_id))
        plugins = self.config.pluginmanager
        plugins.register(Runner(self), "gpuemu-runner")
        if not self.is_worker:
            plugins.register(Reporter(self, marked), "gpuemu-reporter")
        if not self.config.getoption("collectonly") and any(param_of(item) for item in marked):
            self.start_recording()

    def start_recording(self) -> None:
        """Start the session's daemon, or connect to that of --gpuemu-socket or of xdist's controller."""
        if self._has_recording:
            return
        self._has_recording = True
        socket: Path | None
        if self.settings.socket is not None:
            socket, starts = Path(self.settings.socket).absolute(), False
        else:
            socket = self.shared_socket
            # The controller starts one only where marked tests were collected.
            starts = not (self.is_worker and socket is not None and socket.exists())
            if self.is_worker and starts:
                socket = None
        self.recording = recording.start(self.store, self.project, socket, starts=starts)
        self.config.add_cleanup(self.recording.close)

    def share_socket(self) -> str:
        """Choose where the daemon for all xdist workers will listen, before it is started."""
        if self.shared_socket is None:
            self.shared_socket = recording.fresh_socket()
        return str(self.shared_socket)

    def crashed_now(self, test: str) -> set[str]:
        """The cases of a test during which an xdist worker of this very session died."""
        if not self.is_worker:
            return set()
        before = {case.path for case in self.crashed}
        return {
            case.case_id
            for case in recording.crashed_cases(self.store)
            if case.test_id == test and case.path not in before
        }

    def forget_crash(self, test: str, case_id: str) -> None:
        """A case that a process died of has run to its end: its journal has told what it had to."""
        for case in self.crashed:
            if (case.test_id, case.case_id) == (test, case_id):
                Path(case.path).unlink(missing_ok=True)


def _name_and_keys(marker: pytest.Mark) -> tuple[str, dict[str, Any]]:
    if len(marker.args) == 1 and isinstance(marker.args[0], str) and "name" not in marker.kwargs:
        return marker.args[0], dict(marker.kwargs)
    keys = dict(marker.kwargs)
    name = keys.pop("name", None)
    if not marker.args and isinstance(name, str):
        return name, keys
    given = ", ".join([repr(arg) for arg in marker.args] + [f"{key}=..." for key in marker.kwargs])
    raise ConfigError(
        f'{MARKER}({given}) does not name its op: write @pytest.mark.{MARKER}("softmax", ...), the name first'
    )
