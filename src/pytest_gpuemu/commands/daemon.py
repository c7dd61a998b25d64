"""`gpuemu daemon start|stop|status|logs`: the daemon for clients outside pytest.

Here: arguments and what is printed. Elsewhere: the daemon (engine/__main__.py), its start (client/launch.py).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gpuemu.commands import Parsers, Run, add_command
from pytest_gpuemu.commands.project import store_of
from pytest_gpuemu.engine.config import load_config
from pytest_gpuemu.engine.errors import ClientError
from pytest_gpuemu.engine.sockets import Claim, check_length, default_socket, log_path

if TYPE_CHECKING:
    from pytest_gpuemu.client import Client

_TIMEOUT_MS = 5000
_ENDS_WITHIN_S = 10.0


def add(commands: Parsers) -> None:
    """Declare `daemon` and its actions."""
    daemon = commands.add_parser(
        "daemon",
        help="start, stop or look at the daemon",
        description="The daemon that keeps results and judges outputs for Client() outside pytest. It reads "
        "the gpuemu.toml that holds for this folder; pytest starts one of its own.",
    )
    actions = daemon.add_subparsers(required=True, metavar="ACTION")
    start = _add_action(
        actions, "start", _start, "start a daemon in the background, and wait until it answers"
    )
    start.add_argument(
        "--foreground", action="store_true", help="run here until Ctrl-C, with the log on stderr"
    )
    _add_action(actions, "stop", _stop, "end the daemon")
    _add_action(actions, "status", _status, "say whether it runs, and with which config and store")
    _add_action(actions, "logs", _logs, "print its log")


def _add_action(actions: Parsers, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    parser = add_command(actions, name, run, text)
    parser.add_argument(
        "--socket",
        metavar="PATH",
        help="the daemon's socket (default: GPUEMU_SOCKET, else ~/.gpuemu/gpuemu.sock)",
    )
    return parser


def _socket(options: argparse.Namespace) -> Path:
    socket = default_socket() if options.socket is None else Path(options.socket).expanduser()
    check_length(socket)
    return socket


def _start(options: argparse.Namespace) -> int:
    from pytest_gpuemu.client.launch import daemon_command, wait_until_ready

    socket = _socket(options)
    config = load_config(Path.cwd())
    command = daemon_command(socket, root=config.root, store=store_of(config), config=config.path)
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


def _stop(options: argparse.Namespace) -> int:
    from pytest_gpuemu.client.launch import wait_until_ended

    socket = _socket(options)
    with _client(socket) as client:
        client.shut_down()
    if not wait_until_ended(socket, _ENDS_WITHIN_S):
        raise ClientError(f"the daemon at {socket} was told to end, and is still there")
    print(f"the gpuemu daemon at {socket} has ended")
    return 0


def _status(options: argparse.Namespace) -> int:
    socket = _socket(options)
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


def _logs(options: argparse.Namespace) -> int:
    log = log_path(_socket(options))
    if not log.is_file():
        raise ClientError(
            f"there is no log at {log}; a daemon started with --foreground writes it to its stderr"
        )
    sys.stdout.write(log.read_text(encoding="utf-8", errors="replace"))
    return 0


def _client(socket: Path) -> Client:
    from pytest_gpuemu.client import Client

    return Client(os.fspath(socket), timeout_ms=_TIMEOUT_MS)
