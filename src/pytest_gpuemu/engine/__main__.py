"""The daemon's process: `python -m pytest_gpuemu.engine --socket PATH --store FOLDER ...`.

Started by pytest (client/launch.py) or `gpuemu daemon start`. It prints "ready" once it answers, ends with
its parent where told so, and on SIGTERM, SIGINT and a Shutdown request.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from importlib import metadata
from pathlib import Path

from pytest_gpuemu.engine.config import config_at
from pytest_gpuemu.engine.errors import ClientError, ConfigError, StoreError
from pytest_gpuemu.engine.server import Server
from pytest_gpuemu.engine.service import Service
from pytest_gpuemu.engine.sockets import Claim, log_path
from pytest_gpuemu.engine.store import Store
from pytest_gpuemu.engine.workers import JUDGES, OPS, Pool

_WORKERS = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the daemon until it is told to end. Returns the exit status: 2 where it could not start."""
    parser = argparse.ArgumentParser(prog="python -m pytest_gpuemu.engine", description="The gpuemu daemon.")
    parser.add_argument("--socket", type=Path, required=True, help="the Unix socket to listen at")
    parser.add_argument("--store", type=Path, required=True, help="the folder of the store")
    parser.add_argument(
        "--root", type=Path, required=True, help="the folder that gpuemu.toml's paths start at"
    )
    parser.add_argument("--config", type=Path, help="the gpuemu.toml or pyproject.toml to read")
    parser.add_argument("--parent-pipe", action="store_true", help="end when stdin ends")
    parser.add_argument("--remove-folder", action="store_true", help="remove the socket's folder at the end")
    options = parser.parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format=f"%(asctime)s {os.getpid()} %(levelname)s %(message)s"
    )
    log = logging.getLogger("gpuemu.daemon")
    try:
        config = config_at(options.config, options.root)
        claim = Claim(options.socket)
    except (ConfigError, ClientError) as error:
        print(error, file=sys.stderr)
        return 2
    ended = threading.Event()
    store: Store | StoreError
    try:
        store = Store(options.store)
    except StoreError as error:
        store = error
        log.error("nothing is stored: %s", error)
    memory_mb = config.reference_memory_mb
    judges = Pool(JUDGES, options.config, options.root, size=_WORKERS, memory_mb=memory_mb)
    ops = Pool(OPS, options.config, options.root, size=_WORKERS, memory_mb=config.op_memory_mb)
    service = Service(
        version=metadata.version("pytest-gpuemu"),
        config=config,
        store=store,
        judges=judges,
        ops=ops,
        shut_down=lambda: threading.Timer(0.05, ended.set).start(),  # after the reply has left
    )
    server = Server(options.socket)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if options.parent_pipe:
        threading.Thread(target=_wait_for_parent, args=(ended,), daemon=True).start()
    server.start(service.answer)
    log.info("listening at %s, store %s", options.socket, options.store)
    print("ready", flush=True)
    ended.wait()
    server.close()
    judges.close()
    ops.close()
    if isinstance(store, Store):
        store.close()
    claim.close()
    if options.remove_folder:
        _remove_folder(options.socket)
    log.info("ended")
    return 0


def _wait_for_parent(ended: threading.Event) -> None:
    """stdin is a pipe whose other end only the parent holds: it ends when the parent does, however."""
    while os.read(0, 4096):
        pass
    ended.set()


def _remove_folder(socket: Path) -> None:
    """A private folder holds the socket and its log, nothing else; what else is in it stays."""
    log_path(socket).unlink(missing_ok=True)
    try:
        socket.parent.rmdir()
    except OSError:
        logging.getLogger("gpuemu.daemon").info("%s is not empty and stays", socket.parent)


if __name__ == "__main__":
    sys.exit(main())
