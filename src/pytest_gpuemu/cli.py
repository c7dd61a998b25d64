"""The `gpuemu` command.

Here: the list of its commands, and how their errors are told. Elsewhere: each command (commands/). Testing
itself is pytest's: its options are in `pytest --help`, under gpuemu.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from pytest_gpuemu.commands import baseline, bundles, daemon, init, listing, schema
from pytest_gpuemu.engine.errors import GpuemuError

_FAMILIES = (init, daemon, listing, baseline, bundles, schema)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status: 0, 1 where something is not as wished, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
    except GpuemuError as error:
        print(f"gpuemu: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of a pipe has seen enough: `gpuemu failures | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gpuemu",
        description="Look at what pytest-gpuemu has stored, take it elsewhere, and run the daemon for "
        "clients outside pytest. Testing itself is pytest's: see its --help, under gpuemu.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for family in _FAMILIES:
        family.add(commands)
    return parser
