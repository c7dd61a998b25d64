"""The process that runs a script: `python -m pytest_gpuemu.engine.script_host PATH MEMORY_MB [data]`.

A request is a line of JSON on stdin; the script gets it as its stdin, and what it prints comes back as one
line (a JSON string). NumPy is loaded once for all calls. A script that raises ends the process; the traceback
is on stderr, and the caller starts another. With `data` the limit is on the memory that can be written to.
"""

from __future__ import annotations

import io
import json
import os
import resource
import runpy
import sys

from pytest_gpuemu.engine.processes import end_with_parent, limit_memory


def serve(path: str) -> None:
    """Answer requests until stdin ends."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what C code prints must not land among the answers
    sys.path.insert(0, os.path.dirname(path))
    for line in requests:
        printed = io.BytesIO()
        sys.stdin = io.TextIOWrapper(io.BytesIO(line), encoding="utf-8")
        sys.stdout = io.TextIOWrapper(printed, encoding="utf-8", write_through=True)
        sys.argv = [path]
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as exit_:
            if exit_.code not in (None, 0):
                raise
        sys.stdout.flush()
        answers.write(json.dumps(printed.getvalue().decode("utf-8", "replace")).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    end_with_parent()
    limit_memory(
        int(sys.argv[2]), kind=resource.RLIMIT_DATA if "data" in sys.argv[3:] else resource.RLIMIT_AS
    )
    serve(sys.argv[1])
