"""Does the daemon lose what it acknowledged? It is killed at random points of a busy run, hundreds of times.

Here: the writers, the killing, and the comparison of what was acknowledged with what is in the file.
Elsewhere: the store (engine/store/), the figures of the long run (docs/store.md). Run:

    python -m benchmarks.crash --kills 300

Writers send failures, batches of passes, forgettings and outputs to judge, and note for every case what the
daemon acknowledged and what is on its way. At a random moment the daemon gets SIGKILL. Then, before another
daemon touches the file, a copy of it must be sound (PRAGMA integrity_check) and hold for each case what was
acknowledged last, or what was on its way; of a batch on its way all or nothing. The next daemon starts on the
same file, the writers' requests are sent again to it, and so on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pytest_gpuemu.client import Client
from pytest_gpuemu.client.launch import daemon_command, wait_until_ready
from pytest_gpuemu.client.recorder import Recorder
from pytest_gpuemu.engine.errors import ClientError
from pytest_gpuemu.engine.protocol.requests.stored import PassedCase
from pytest_gpuemu.engine.store import FILE_NAME
from pytest_gpuemu.engine.verdict import Failure, Finding

OP = "relu"
# Each writer comes back to the same cases, so that fewer passes are stored than the store prunes.
CASES = 300
BATCH = 40
WRITERS = 5  # the first one sends outputs to be judged
# How long a daemon lives; now and then long enough for its workers to judge outputs.
LONGEST_S = 1.0
LONG_LIFE_S, LONG_LIVES = 10.0, 0.15
AT_THE_START = 0.15  # the share of kills that hit a daemon before it is ready
_TIMEOUT_MS = 60_000


@dataclass(slots=True)
class Told:
    """What one writer was told: by case, the stored value that was acknowledged last (None: none), and the
    value that is on its way. group holds the cases of a batch on its way, which is stored as a whole."""

    test_id: str
    acknowledged: dict[int, str | None] = field(default_factory=dict)
    on_its_way: dict[int, str | None] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    requests: int = 0
    refused: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def sending(self, values: dict[int, str | None]) -> Iterator[None]:
        """The block sends these values; when it returns, they are acknowledged."""
        with self.lock:
            self.on_its_way = values
        yield
        with self.lock:
            self.acknowledged.update(values)
            self.on_its_way = {}
            self.requests += 1


@dataclass(frozen=True, slots=True)
class Found:
    """What a store's file holds: whether SQLite finds it sound, and by test id and case the stored value."""

    integrity: str
    values: dict[str, dict[int, str]]


@dataclass(slots=True)
class Outcome:
    """What a run came to. lost has a line for each case that is not as it was acknowledged."""

    kills: int = 0
    before_ready: int = 0
    requests: int = 0
    in_flight: int = 0
    wall_s: float = 0.0
    lost: list[str] = field(default_factory=list)
    unsound: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)


def run(kills: int, seed: int, folder: Path, say: Callable[[str], None] = lambda _: None) -> Outcome:
    """Kill the daemon that many times, and compare after each. The random choices follow from seed."""
    draw = random.Random(seed)
    outcome, started = Outcome(), time.monotonic()
    socket = folder / "crash.sock"
    store = folder / "store"
    told = [Told(f"writer {number}") for number in range(WRITERS)]
    ended = threading.Event()
    process = _start(socket, folder, store)
    wait_until_ready(process, folder / "log")
    threads = [
        threading.Thread(
            target=_write, args=(socket, writer, draw.getrandbits(64), ended, outcome.kinds), daemon=True
        )
        for writer in told
    ]
    for thread in threads:
        thread.start()
    try:
        while outcome.kills < kills:
            time.sleep(draw.uniform(0.0, LONG_LIFE_S if draw.random() < LONG_LIVES else LONGEST_S))
            _kill(process)
            outcome.kills += 1
            _compare(told, store, outcome)
            process = _start(socket, folder, store)
            if draw.random() < AT_THE_START and outcome.kills < kills:
                time.sleep(draw.uniform(0.0, 0.4))
                outcome.before_ready += 1
            else:
                wait_until_ready(process, folder / "log")
            if outcome.kills % 25 == 0:
                say(f"{outcome.kills} kills, {sum(writer.requests for writer in told)} requests acknowledged")
        ended.set()
        for thread in threads:
            thread.join(_TIMEOUT_MS / 1000)
        if any(thread.is_alive() for thread in threads):
            outcome.lost.append("a writer got no answer")
    finally:
        ended.set()
        _kill(process)
    _compare(told, store, outcome)
    outcome.requests = sum(writer.requests for writer in told)
    outcome.lost += [line for writer in told for line in writer.refused]
    outcome.wall_s = time.monotonic() - started
    return outcome


def _start(socket: Path, folder: Path, store: Path) -> subprocess.Popen[bytes]:
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            daemon_command(socket, root=folder, store=store, config=None),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL: no handler runs, nothing is flushed. Its workers end by themselves, as they watch for that."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _write(socket: Path, told: Told, seed: int, ended: threading.Event, kinds: Counter[str]) -> None:
    """Send one request after the other; while the daemon is dead they wait, and are sent again."""
    draw = random.Random(seed)
    recorder: Recorder | None = None
    client: Client | None = None
    number = 0
    while not ended.is_set():
        try:
            if recorder is None:
                recorder = Recorder(socket)
                client = Client(str(socket), timeout_ms=_TIMEOUT_MS)
            number += 1
            kind = draw.choices(("failure", "passes", "forget"), (6, 3, 2))[0]
            if told.test_id == "writer 0":
                kind = "judge"
            assert client is not None
            _send(kind, recorder, client, told, draw, f"{number}")
            kinds[kind] += 1
        except ClientError as error:
            if error.code is not None:
                told.refused.append(f"{told.test_id}: {error.code}: {error}")  # alive, and would not do it
                return
            # Not reachable just now. What is on its way stays so: it may have been stored.
            if recorder is not None:
                recorder.close()
                recorder = None
            if client is not None:
                client.close()
                client = None
            _settle(told)
            time.sleep(0.01)


def _settle(told: Told) -> None:
    """A request that failed may or may not have been stored: from now on both are as acknowledged. The next
    value of the case decides, and until then the case is not compared."""
    with told.lock:
        for case in told.on_its_way:
            told.acknowledged.pop(case, None)
        told.on_its_way = {}


def _send(kind: str, recorder: Recorder, client: Client, told: Told, draw: random.Random, value: str) -> None:
    case = draw.randrange(CASES)
    if kind == "failure":
        with told.sending({case: f"failed {value}"}):
            recorder.failure(_failure(told.test_id, case, f"failed {value}"))
    elif kind == "passes":
        first = CASES + draw.randrange(CASES)
        with told.sending(dict.fromkeys(range(first, first + BATCH), f"passed {value}")):
            recorder.passed(
                [_passed(told.test_id, seed, float(value)) for seed in range(first, first + BATCH)]
            )
    elif kind == "forget":
        with told.sending({case: None}):
            recorder.forget(told.test_id, OP, case)
    else:
        # A judged output is stored under the client's name, so its seed tells the writers apart.
        own = 10 * CASES * (1 + int(told.test_id.split()[1])) + case
        x = np.float32([[-1.0, float(value)]])
        with told.sending({own: "judged"}):
            client.validate_op(OP, {"input": x}, np.maximum(x, 0), seed=own)


def _failure(test_id: str, seed: int, text: str) -> Failure:
    return Failure(
        test_id=test_id,
        op=OP,
        seed=seed,
        edits="",
        generator=1,
        shape=(2, 3),
        strides=(12, 4),
        dtype="float32",
        layout="contiguous",
        values="uniform",
        fuzz_config={},
        findings=(Finding(kind="ToleranceExceeded", message="x" * 500),),
        stats=None,
        text=text,
        timestamp=time.time(),
        duration_ms=1.0,
    )


def _passed(test_id: str, seed: int, value: float) -> PassedCase:
    return PassedCase(test_id=test_id, op_name=OP, seed=seed, max_abs=value, timestamp=time.time())


def read(store: Path) -> Found:
    """What a copy of the file holds: of the file itself, opening it would repair what the crash left."""
    with tempfile.TemporaryDirectory(prefix="gpuemu-crash-") as folder:
        for name in (FILE_NAME, f"{FILE_NAME}-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(store / name, Path(folder) / name)
        with contextlib.closing(sqlite3.connect(Path(folder) / FILE_NAME)) as connection:
            integrity = connection.execute("PRAGMA integrity_check").fetchone()[0]
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return Found(integrity, {})  # killed before the tables were made
            results = connection.execute("SELECT test_id, seed, passed, body FROM results").fetchall()
            failures = connection.execute("SELECT test_id, seed, body FROM failures").fetchall()
    rows = [(test_id, seed, json.loads(body)["text"]) for test_id, seed, body in failures]
    for test_id, seed, passed, body in results:
        if test_id == "client":
            rows.append((f"writer {int(seed) // (10 * CASES) - 1}", seed, "judged"))
        elif passed:
            rows.append((test_id, seed, f"passed {json.loads(body)['max_diff']:.0f}"))
    values: dict[str, dict[int, str]] = {}
    for test_id, seed, value in rows:
        values.setdefault(test_id, {})[int(seed)] = value
    return Found(integrity, values)


def compare(told: Told, found: Found) -> list[str]:
    """A line for each case of a writer whose stored value is neither the acknowledged one nor on its way."""
    stored = found.values.get(told.test_id, {})
    with told.lock:
        acknowledged, on_its_way = dict(told.acknowledged), dict(told.on_its_way)
    wrong = []
    for case, value in acknowledged.items():
        allowed = {value, on_its_way.get(case, value)}
        if stored.get(case) not in allowed:
            wrong.append(f"{told.test_id}, case {case}: acknowledged {value!r}, stored {stored.get(case)!r}")
    arrived = [stored.get(case) == value for case, value in on_its_way.items()]
    if any(arrived) and not all(arrived):
        wrong.append(f"{told.test_id}: a batch was stored in part: {sum(arrived)} of {len(arrived)}")
    return wrong


def _compare(told: list[Told], store: Path, outcome: Outcome) -> None:
    found = read(store)
    if found.integrity != "ok":
        outcome.unsound.append(found.integrity)
    for writer in told:
        outcome.in_flight += bool(writer.on_its_way)
        outcome.lost += compare(writer, found)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gpuemu-crash-") as folder:
        outcome = run(options.kills, options.seed, Path(folder), lambda text: print(text, flush=True))
    print(f"kills of the daemon            {outcome.kills}, and {outcome.before_ready} before it was ready")
    print(f"requests acknowledged          {outcome.requests} ({dict(outcome.kinds)})")
    print(f"requests on their way at kills {outcome.in_flight}")
    print(f"acknowledged and not stored    {len(outcome.lost)}")
    print(f"files that were not sound      {len(outcome.unsound)}")
    print(f"seconds                        {outcome.wall_s:.0f}")
    for line in (*outcome.unsound, *outcome.lost)[:20]:
        print(f"  {line}")
    return 1 if outcome.lost or outcome.unsound else 0


if __name__ == "__main__":
    sys.exit(main())
