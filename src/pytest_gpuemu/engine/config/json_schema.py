"""The JSON Schema of gpuemu.toml, for editors: made from the tables that the reader goes by.

Here: putting the tables' schemas together. Elsewhere: the tables (sections.py, op_keys.py). Draft 7, which
the TOML editors know. What it cannot say, the reader does: that names are unique, that the text of a schema
parses, that a dim is one of the op's, and that 3.0 is no whole number.
"""

from __future__ import annotations

import json
from typing import Any

from pytest_gpuemu.engine.config.op_keys import OP
from pytest_gpuemu.engine.config.sections import (
    FUZZ,
    POLICIES,
    PROJECT,
    ci_table,
    kernel_table,
    validation_table,
)


def json_schema() -> dict[str, Any]:
    """The schema of a whole gpuemu.toml, which is also that of `[tool.gpuemu]`."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "gpuemu.toml",
        "description": "Settings of pytest-gpuemu for everything below the file's folder.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "project": PROJECT.schema(),
            "validation": validation_table().schema(),
            "ops": {"type": "array", "items": OP.schema()},
            "kernels": {"type": "array", "items": kernel_table().schema()},
            "policies": POLICIES.schema(),
            "ci": ci_table().schema(),
            "fuzz": FUZZ.schema(),
        },
    }


def json_schema_text() -> str:
    """The schema as the text of a file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
