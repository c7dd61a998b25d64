"""`gpuemu failures`, `gpuemu results`, `gpuemu campaigns`: what the store has, for people and for scripts.

Here: the commands and how a row is printed. Elsewhere: the queries (engine/store/reading.py).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pytest_gpuemu.commands import Parsers, add_command, again, count, shown
from pytest_gpuemu.commands.project import add_store_option, store_folder, stored
from pytest_gpuemu.engine.errors import StoreError
from pytest_gpuemu.engine.protocol import CLIENT
from pytest_gpuemu.engine.store import Store, StoredCampaign, StoredFailure, StoredResult

_LIMIT = 20
_MOST_OF_CASE_ID = 40
T = TypeVar("T")


def add(commands: Parsers) -> None:
    """Declare `failures`, `results` and `campaigns`."""
    failures = add_command(
        commands,
        "failures",
        _failures,
        "list the stored failures, or show one in full",
        "A failure stays until its test passes it; --forget removes one by hand.",
    )
    failures.add_argument("--forget", action="store_true", help="remove the failures of this seed")
    results = add_command(
        commands,
        "results",
        _results,
        "list the stored results, or show one in full",
        "Passing results are kept up to a number, the newest ones; failures are all there.",
    )
    campaigns = add_command(
        commands,
        "campaigns",
        _campaigns,
        "list the campaigns that pytest ran",
        "Each with the master seed that draws the same cases again.",
    )
    for parser in (failures, results):
        parser.add_argument("seed", nargs="?", help="a seed or a case id (N~edits): the whole report")
    for parser in (failures, results, campaigns):
        parser.add_argument("--op", help="only of this op")
        parser.add_argument("--limit", type=_count, default=_LIMIT, metavar="N", help=f"how many ({_LIMIT})")
        parser.add_argument("--json", action="store_true", help="a JSON object a line")
        add_store_option(parser)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


_count.__name__ = (
    "whole number >= 1"  # argparse names a wrong value's type: invalid whole number >= 1 value: '0'
)


def _case(text: str) -> tuple[int, str]:
    from pytest_gpuemu.engine.plan import parse_case_id  # NumPy, which a list does without

    return parse_case_id(text)


def _failures(options: argparse.Namespace) -> int:
    if options.forget:
        return _forget(options)
    with stored(options) as store:
        if options.seed is None:
            rows = store.failures(options.limit + 1, op=options.op)
        else:
            seed, edits = _case(options.seed)
            found = store.failure(seed, options.op, edits or None)
            rows = [_there(found, "failure", options, store.path)]
    rows, head = _limited(rows, "failure", options)
    if options.json:
        _print_json([failure.body["result"] for failure in rows])
    elif options.seed is not None:
        _print_report(rows[0])
    elif not rows:
        print(f"no failures in {shown(store.path)}")
    else:
        print(f"{head} in {shown(store.path)}, newest first")
        _print_table([_failure_line(row) for row in rows])
        print(f"the whole report: gpuemu failures SEED; again: {_again({row.test_id for row in rows})}")
    return 0


def _again(test_ids: set[str]) -> str:
    """How failures of these tests run again; pytest has no test for those of a client."""
    by_pytest, by_client = "pytest --gpuemu-reproduce=SEED", "Client().reproduce(SEED)"
    if CLIENT not in test_ids:
        return by_pytest
    return by_client if len(test_ids) == 1 else f"{by_pytest}, or {by_client} for those of a client"


def _forget(options: argparse.Namespace) -> int:
    if options.seed is None:
        raise StoreError("--forget needs the seed of the failure: gpuemu failures SEED --forget")
    seed, edits = _case(options.seed)
    with stored(options) as reader:
        known = [
            row
            for row in reader.known_failures()
            if row.seed == seed and row.edits == edits and options.op in (None, row.op)
        ]
        _there(known[0] if known else None, "failure", options, reader.path)
    store = Store(store_folder(options))
    try:
        for row in known:
            store.forget(row.test_id, row.op, row.seed, row.edits)
            print(f"forgotten: {row.case_id} of {row.op} in {row.test_id}")
    finally:
        store.close()
    return 0


def _results(options: argparse.Namespace) -> int:
    with stored(options) as store:
        if options.seed is None:
            rows = store.results(options.limit + 1, op=options.op)
        else:
            seed, _ = _case(options.seed)
            rows = [_there(store.result(seed, options.op), "result", options, store.path)]
    rows, head = _limited(rows, "result", options)
    if options.json or options.seed is not None:
        _print_json([row.body for row in rows], indent=None if options.json else 2)
    elif not rows:
        print(f"no results in {shown(store.path)}")
    else:
        print(f"{head} in {shown(store.path)}, newest first")
        _print_table([_result_line(row) for row in rows])
    return 0


def _campaigns(options: argparse.Namespace) -> int:
    with stored(options) as store:
        rows = store.campaigns(options.limit + 1, op=options.op)
    rows, head = _limited(rows, "campaign", options)
    if options.json:
        _print_json([dataclasses.asdict(row) for row in rows])
    elif not rows:
        print(f"no campaigns in {shown(store.path)}")
    else:
        print(f"{head} in {shown(store.path)}, newest first")
        _print_table([_campaign_line(row) for row in rows])
        print("the same cases again: pytest TEST --gpuemu-seed=MASTER --gpuemu-fuzz=CASES")
    return 0


def _limited(rows: list[T], word: str, options: argparse.Namespace) -> tuple[list[T], str]:
    """The rows to show, where one more was asked for than is shown, and what they are."""
    if len(rows) <= options.limit:
        return rows, count(len(rows), word)
    return rows[: options.limit], f"the newest {count(options.limit, word)}"


def _there(found: Any, what: str, options: argparse.Namespace, path: Any) -> Any:
    if found is None:
        of = f" of {options.op!r}" if options.op else ""
        raise StoreError(f"no {what} of seed {options.seed}{of} in {path}; gpuemu {what}s lists them")
    return found


def _print_report(row: StoredFailure) -> None:
    body = row.body["result"]
    print(f"{row.op}, seed {row.case_id}, in {row.test_id}, {_when(row.timestamp)}")
    print(body["text"] or _first_finding(body))
    if row.body["fuzz_config"]:
        print(f"  fuzz_config {json.dumps(row.body['fuzz_config'])}")
    if "re-run" not in body["text"]:
        print(f"  re-run  {again(row)}")


def _failure_line(row: StoredFailure) -> tuple[str, ...]:
    return _cut(row.case_id), row.op, row.test_id, _when(row.timestamp), _first_finding(row.body["result"])


def _cut(case_id: str) -> str:
    """The seed, and as much of the edits as leaves room for the other columns; --json has all of it."""
    return case_id if len(case_id) <= _MOST_OF_CASE_ID else case_id[: _MOST_OF_CASE_ID - 1] + "…"


def _result_line(row: StoredResult) -> tuple[str, ...]:
    case_id = f"{row.seed}~{row.edits}" if row.edits else str(row.seed)
    said = "passed" if row.passed else str(row.body.get("status", "failed"))
    return (
        _cut(case_id),
        row.op,
        row.test_id,
        _when(row.timestamp),
        f"{said}, max_diff {row.body['max_diff']:.6g}",
    )


def _campaign_line(row: StoredCampaign) -> tuple[str, ...]:
    parts = [f"{row.failed} failed", f"{row.undetermined} undetermined", f"{row.could_not_run} could not run"]
    said = [count(row.cases, "case"), parts[0], *(part for part in parts[1:] if not part.startswith("0 "))]
    return (str(row.master_seed), row.op, row.test_id, _when(row.timestamp), ", ".join(said))


def _first_finding(body: Mapping[str, Any]) -> str:
    if not body["failures"]:
        return "failed"
    first = body["failures"][0]
    return f"{first['kind']}: {first['message']}".splitlines()[0]


def _when(timestamp: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(timestamp))


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Columns as wide as their widest cell; the last one is cut at the terminal's width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    terminal = shutil.get_terminal_size((160, 24)).columns
    for row in rows:
        line = "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        print(line if len(line) <= terminal else line[: terminal - 1] + "…")


def _print_json(bodies: Sequence[Mapping[str, Any]], indent: int | None = None) -> None:
    for body in bodies:
        print(json.dumps(body, indent=indent))
