"""The store: results, failures, campaigns and baselines in one SQLite file, `.gpuemu/gpuemu.db`.

Here: the names that other parts use. reading.py asks, writing.py writes, opening.py opens the file and says
what is wrong with it, tables.py has the versions of its tables, pruning.py the rule of what goes. Elsewhere:
who asks for it (service.py in the daemon, the gpuemu command), the messages (protocol/).

Rows are keyed by (test id, op, seed, edits); a newer result of a key replaces the older. Seeds are unsigned
64-bit numbers, which SQLite's integers cannot hold: they are stored as decimal text.

Durability: journal_mode is WAL and synchronous is NORMAL. A method that writes returns after its commit, when
the operating system has the data: it survives `kill -9` of every process. After a power cut the newest
commits may be missing; the file is sound in either case.
"""

from __future__ import annotations

from pytest_gpuemu.engine.store.opening import FILE_NAME
from pytest_gpuemu.engine.store.reading import Reader, known_failures, reading
from pytest_gpuemu.engine.store.records import (
    BaselineTag,
    KnownFailure,
    StoredCampaign,
    StoredFailure,
    StoredResult,
)
from pytest_gpuemu.engine.store.tables import VERSION
from pytest_gpuemu.engine.store.writing import Store

__all__ = [
    "FILE_NAME",
    "VERSION",
    "BaselineTag",
    "KnownFailure",
    "Reader",
    "Store",
    "StoredCampaign",
    "StoredFailure",
    "StoredResult",
    "known_failures",
    "reading",
]
