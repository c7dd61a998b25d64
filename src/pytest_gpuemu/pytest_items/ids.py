"""Names of campaigns and cases: what stands in the brackets of a node id.

Here: the two params that fuzz_case is parametrized with, and the test id that failures are stored under.
Elsewhere: which of them a test gets (collect.py). Imports nothing heavy: the plugin uses it for every item.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TypeAlias

import pytest

MARKER = "gpuemu_op"


@dataclass(frozen=True, slots=True)
class Seed:
    """One case: its id is `seed=N` or `seed=N~edits`."""

    case_id: str

    @property
    def id(self) -> str:
        return f"seed={self.case_id}"


@dataclass(frozen=True, slots=True)
class Fuzz:
    """A campaign of that many cases; 0 is a campaign that is switched off."""

    cases: int

    @property
    def id(self) -> str:
        return f"fuzz={self.cases}"


CaseParam: TypeAlias = "Seed | Fuzz"

# xdist's --dist=loadgroup appends "@group".
_LAST_PART = re.compile(r"(?:\[|-)(?:fuzz=\d+|seed=\d+(?:~[^\]]*)?)\](?:@.*)?$")


def param_of(item: object) -> CaseParam | None:
    """What the item's fuzz_case is parametrized with; None for an item that is not ours."""
    callspec = getattr(item, "callspec", None)
    param = None if callspec is None else callspec.params.get("fuzz_case")
    return param if isinstance(param, (Seed, Fuzz)) else None


def test_id(nodeid: str) -> str:
    """The node id without its seed or fuzz part: what failures of a test are stored under.

    `t.py::test[float16-seed=5]` and `t.py::test[float16-fuzz=25]` both give `t.py::test[float16]`,
    `t.py::test[fuzz=25]` gives `t.py::test`.
    """
    found = _LAST_PART.search(nodeid)
    if found is None:
        return nodeid
    return nodeid[: found.start()] + ("]" if found[0][0] == "-" else "")


def case_part(nodeid: str) -> str:
    """The part of a node id that names its cases, `seed=5` or `fuzz=25`; "" where there is none."""
    found = _LAST_PART.search(nodeid)
    return "" if found is None else found[0][1:].partition("]")[0]


def test_id_of(item: pytest.Item) -> str:
    return test_id(str(item.nodeid))


def seed_nodeid(test: str, case_id: str) -> str:
    """The node id of one case of a test."""
    if test.endswith("]"):
        return f"{test[:-1]}-seed={case_id}]"
    return f"{test}[seed={case_id}]"


def from_invocation_dir(nodeid: str, config: pytest.Config) -> str:
    """The node id as it is typed in the folder that pytest was called in; it is relative to rootdir."""
    path, separator, names = nodeid.partition("::")
    return os.path.relpath(config.rootpath / path, config.invocation_params.dir) + separator + names


test_id.__test__ = False  # type: ignore[attr-defined]  # not a test, where a test module imports it
test_id_of.__test__ = False  # type: ignore[attr-defined]
