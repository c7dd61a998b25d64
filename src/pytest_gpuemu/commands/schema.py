"""`gpuemu schema`: the JSON Schema of gpuemu.toml, for an editor."""

from __future__ import annotations

import argparse
import sys

from pytest_gpuemu.commands import Parsers, add_command


def add(commands: Parsers) -> None:
    """Declare `schema`."""
    add_command(
        commands,
        "schema",
        _schema,
        "print the JSON Schema of gpuemu.toml, for an editor",
        "Write it to a file, and name that in the first line of gpuemu.toml: #:schema ./gpuemu.schema.json",
    )


def _schema(options: argparse.Namespace) -> int:
    from pytest_gpuemu.engine.config.json_schema import json_schema_text

    sys.stdout.write(json_schema_text())
    return 0
