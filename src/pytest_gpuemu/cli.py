"""The `gpuemu` command: `gpuemu daemon start|stop|status|logs`.

Here: arguments and what is printed. Elsewhere: the daemon (engine/__main__.py), its start (client/launch.py).
Testing itself is pytest's: its options are in `pytest --help`, under gpuemu.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gpuemu.engine.config import load_config
from pytest_gpuemu.engine.errors import ClientError, GpuemuError
from pytest_gpuemu.engine.sockets import Claim, check_length, default_socket, log_path

if TYPE_CHECKING:
    from pytest_gpuemu.client import Client

_TIMEOUT_MS = 5000
_ENDS_WITHIN_S = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status: 0, 1 where the daemon is not as wished, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    socket = default_socket() if options.socket is None else Path(options.socket).expanduser()
    try:
        check_length(socket)
        return int(options.run(socket, options))
    except GpuemuError as error:
        print(f"gpuemu: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gpuemu",
        description="Run the daemon that keeps results and judges outputs for clients outside pytest. "
        "Inside pytest nothing needs to be started.",
    )
    parts = parser.add_subparsers(required=True, metavar="COMMAND")
    daemon = parts.add_parser("daemon", help="start, stop or look at the daemon", description="The daemon.")
    actions = daemon.add_subparsers(required=True, metavar="ACTION")
    for name, run, text in (
        ("start", _start, "start a daemon in the background, and wait until it answers"),
        ("stop", _stop, "end the daemon"),
        ("status", _status, "say whether it runs, and with which config and store"),
        ("logs", _logs, "print its log"),
    ):
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        action.set_defaults(run=run)
        action.add_argument(
            "--socket",
            metavar="PATH",
            help="the daemon's socket (default: GPUEMU_SOCKET, else ~/.gpuemu/gpuemu.sock)",
        )
        if name == "start":
            action.add_argument(
                "--foreground", action="store_true", help="run here until Ctrl-C, with the log on stderr"
            )
    return parser


def _start(socket: Path, options: argparse.Namespace) -> int:
    from pytest_gpuemu.client.launch import daemon_command, wait_until_ready

    config = load_config(Path.cwd())
    store = config.root / ".gpuemu" if config.path is not None else Path.home() / ".gpuemu"
    command = daemon_command(socket, root=config.root, store=store, config=config.path)
    Claim(socket).close()  # says at once what is wrong with the path, or who listens there
    if options.foreground:
        from pytest_gpuemu.engine.__main__ import main as run_daemon

        return run_daemon(command[command.index("--socket") :])
    log_file = log_path(socket)
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=config.root,
            start_new_session=True,
        )
    wait_until_ready(process, log_file)
    print(f"the gpuemu daemon listens at {socket} (process {process.pid})")
    return 0


def _stop(socket: Path, options: argparse.Namespace) -> int:
    from pytest_gpuemu.client.launch import wait_until_ended

    with _client(socket) as client:
        client.shut_down()
    if not wait_until_ended(socket, _ENDS_WITHIN_S):
        raise ClientError(f"the daemon at {socket} was told to end, and is still there")
    print(f"the gpuemu daemon at {socket} has ended")
    return 0


def _status(socket: Path, options: argparse.Namespace) -> int:
    try:
        with _client(socket) as client:
            pong = client.ping()
    except ClientError as error:
        print(f"no gpuemu daemon answers at {socket}: {error}")
        return 1
    print(f"the gpuemu daemon listens at {socket}")
    print(f"  version  {pong['version']}, protocol {pong['protocol_version']}")
    print(f"  up       {pong['uptime_secs']} s")
    print(f"  config   {pong['config'] or 'none'}")
    print(f"  store    {pong['store'] or pong['store_error']}")
    return 0


def _logs(socket: Path, options: argparse.Namespace) -> int:
    log = log_path(socket)
    if not log.is_file():
        raise ClientError(
            f"there is no log at {log}; a daemon started with --foreground writes it to its stderr"
        )
    sys.stdout.write(log.read_text(encoding="utf-8", errors="replace"))
    return 0


def _client(socket: Path) -> Client:
    from pytest_gpuemu.client import Client

    return Client(os.fspath(socket), timeout_ms=_TIMEOUT_MS)
