"""How the daemon runs an op under test: as its `[[ops]]` entry says, or not at all.

Here: which way there is, and what a script narrows; no NumPy, as the daemon asks, too. Elsewhere: the process
that runs the op (op_host.py), scripts (scripts.py).

execution_mode is `client_side` (the op is called where the client is), `daemon_orchestrated` (a function that
`module` names, or the script where there is none) or `script_based` (`op_script`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_gpuemu.engine.config import Config, OpEntry
from pytest_gpuemu.engine.errors import ProtocolError
from pytest_gpuemu.engine.protocol import NO_OP_TO_RUN

_CLIENT_SIDE = "client_side"
_SAID = f'execution_mode is "{_CLIENT_SIDE}"'


def runnable_entry(config: Config, name: str) -> OpEntry:
    """The `[[ops]]` entry of an op that the daemon can run. Raises ProtocolError, saying what to do instead,
    for any other: its reference is no op under test, and is never compared with itself."""
    entry = config.op_entry(name)
    if entry is not None and is_runnable(entry):
        return entry
    where = f"{config.path} has no [[ops]] {name!r}" if entry is None else f"{entry.place}: {_SAID}"
    if entry is None and config.path is None:
        where = "there is no gpuemu.toml"
    raise ProtocolError(
        f"the daemon has no way to run {name!r} ({where}); use fuzz_op_client_side({name!r}, op_fn=...), "
        "minimize(seed, op_fn=...) or reproduce(seed, op_fn=...), which run it where you are, or set under "
        '[[ops]] execution_mode = "daemon_orchestrated" with module = "package.module:function", or '
        '"script_based" with op_script = "run_op.py"',
        code=NO_OP_TO_RUN,
    )


def is_runnable(entry: OpEntry) -> bool:
    """Whether the daemon is to run the op: whether a function or a script of it is named."""
    return entry.execution_mode != _CLIENT_SIDE


def is_script(entry: OpEntry) -> bool:
    """Whether a script is what runs the op."""
    return entry.execution_mode == "script_based" or entry.module is None


def narrowed_for_script(
    config: Config, name: str, overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The overrides of a campaign, and what to say of them: a script gets bytes in C order, in no layout."""
    if not is_script(runnable_entry(config, name)):
        return dict(overrides), []
    notes = []
    if "layouts" in overrides:
        notes.append("layouts ignored: an op script gets the elements in C order, in no layout")
    return {**overrides, "layouts": ["contiguous"]}, notes
