"""The commands of `gpuemu`, one module a family: each adds its parsers, and runs what was asked.

Here: what their modules agree on. `add(commands)` declares a family's arguments and sets `run`, which gets
them and returns the exit status: 0, or 1 where something is not as wished. Elsewhere: cli.py, the command.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Protocol, TypeAlias

from pytest_gpuemu.engine.protocol import CLIENT
from pytest_gpuemu.engine.store import StoredFailure

Parsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class Run(Protocol):
    def __call__(self, options: argparse.Namespace) -> int: ...


def add_command(commands: Parsers, name: str, run: Run, text: str, more: str = "") -> argparse.ArgumentParser:
    """Declare a command: text is its line in the list of all, and with more the head of its own help."""
    description = text[0].upper() + text[1:] + "." + (f" {more}" if more else "")
    parser = commands.add_parser(name, help=text, description=description)
    parser.set_defaults(run=run)
    return parser


def again(row: StoredFailure) -> str:
    """What runs a failure again, to be pasted."""
    if row.test_id == CLIENT:
        return f'Client().reproduce("{row.case_id}")'
    return f"pytest --gpuemu-reproduce={row.case_id}"


def shown(path: Path) -> str:
    """A path as it is shorter: from the working folder, where it lies in it."""
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd()) if Path.cwd() in absolute.parents else path)


def count(number: int, word: str) -> str:
    """`1 failure`, `2 failures`."""
    return f"{number} {word}" + "s" * (number != 1)
