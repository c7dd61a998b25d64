"""`gpuemu schema`: the JSON Schema of gpuemu.toml, for an editor, and that of --gpuemu-json's report."""

from __future__ import annotations

import argparse
import sys

from pytest_gpuemu.commands import Parsers, add_command


def add(commands: Parsers) -> None:
    """Declare `schema`."""
    parser = add_command(
        commands,
        "schema",
        _schema,
        "print the JSON Schema of gpuemu.toml, for an editor",
        "Write it to a file, and name that in the first line of gpuemu.toml: #:schema ./gpuemu.schema.json",
    )
    parser.add_argument("--report", action="store_true", help="that of the file that --gpuemu-json writes")


def _schema(options: argparse.Namespace) -> int:
    if options.report:
        from pytest_gpuemu.report.document import schema_text

        sys.stdout.write(schema_text())
        return 0
    from pytest_gpuemu.engine.config.json_schema import json_schema_text

    sys.stdout.write(json_schema_text())
    return 0
