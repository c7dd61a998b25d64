"""`gpuemu baseline store|compare|list|remove|export`: results kept under a tag, and those of now beside them.

Here: arguments, what is printed, the exit status. Elsewhere: what counts as a regression
(engine/regressions.py).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from pytest_gpuemu.commands import Parsers, add_command, count, shown
from pytest_gpuemu.commands.project import add_store_option, store_folder, stored
from pytest_gpuemu.engine.baselines.file import FILE_NAME as BASELINE_FILE
from pytest_gpuemu.engine.baselines.file import read_baseline_file
from pytest_gpuemu.engine.baselines.loading import export_baseline
from pytest_gpuemu.engine.config import load_config
from pytest_gpuemu.engine.errors import StoreError, did_you_mean
from pytest_gpuemu.engine.regressions import Comparison, compare_baseline
from pytest_gpuemu.engine.store import Reader, Store, artifacts


def add(commands: Parsers) -> None:
    """Declare `baseline` and its actions."""
    baseline = commands.add_parser(
        "baseline",
        help="keep the stored results under a tag, and compare later ones with them",
        description="Keep the stored results under a tag, and compare later ones with them: the same seeds "
        "must have been run again, as with --gpuemu-seed.",
    )
    actions = baseline.add_subparsers(required=True, metavar="ACTION")
    keep = add_command(
        actions, "store", _store, "keep the results of now under a tag, in place of older ones"
    )
    compare = add_command(
        actions,
        "compare",
        _compare,
        "compare the results of now with those of a tag",
        "A regression is a case that passed and fails, or whose largest error grew by more than "
        "[policies] warn_threshold. The exit status is 1 where there is one and [policies] "
        "fail_on_regression holds.",
    )
    tags = add_command(actions, "list", _list, "list the tags")
    remove = add_command(actions, "remove", _remove, "remove a tag and the results kept under it")
    export = add_command(
        actions,
        "export",
        _export,
        "write what pytest --gpuemu-baseline=store kept to a file that can be committed",
        f"The file, {BASELINE_FILE} beside gpuemu.toml, is sorted and holds no times. Where it is there, "
        "pytest --gpuemu-baseline=compare compares with it, else with what the store keeps.",
    )
    for parser in (keep, compare, remove):
        parser.add_argument("tag")
    for parser in (keep, compare, tags, remove, export):
        add_store_option(parser)


def _store(options: argparse.Namespace) -> int:
    with stored(options) as reader:  # says it where there is no store to keep anything of
        path = reader.path
    store = Store(store_folder(options))
    try:
        kept = store.store_baseline(options.tag)
    finally:
        store.close()
    print(f"baseline {options.tag!r}: {count(kept, 'result')} of {shown(path)} kept")
    return 0


def _compare(options: argparse.Namespace) -> int:
    policies = load_config(Path.cwd()).policies
    with stored(options) as store:
        kept = len(_kept(store, options.tag))
        rows = compare_baseline(store, options.tag, policies.warn_threshold)
    worse = [row for row in rows if row.regression]
    print(
        f"baseline {options.tag!r}: {len(rows)} of its {kept} cases have a result now, {len(worse)} got worse"
    )
    for row in worse:
        print(f"  {_line(row)}")
    return 1 if worse and policies.fail_on_regression else 0


def _list(options: argparse.Namespace) -> int:
    with stored(options) as store:
        tags = store.baseline_tags()
    for tag in tags:
        newest = time.strftime("%Y-%m-%d %H:%M", time.localtime(tag.timestamp))
        print(f"{tag.tag}  {count(tag.results, 'result')}, the newest of {newest}")
    if not tags:
        print(f"no baselines in {shown(store.path)}")
    return 0


def _remove(options: argparse.Namespace) -> int:
    with stored(options) as reader:
        if not artifacts.kept_artifacts(reader, options.tag) and not artifacts.kept_numbers(
            reader, options.tag
        ):
            _kept(reader, options.tag)
    store = Store(store_folder(options))
    try:
        removed = store.remove_baseline(options.tag)
        others = artifacts.remove_kept(store, options.tag)
    finally:
        store.close()
    more = f", and {count(others, 'figure')} of pytest --gpuemu-baseline=store" if others else ""
    print(f"baseline {options.tag!r}: {count(removed, 'result')} removed{more}")
    return 0


def _export(options: argparse.Namespace) -> int:
    folder = store_folder(options)
    path = export_baseline(folder.parent, folder)
    held = read_baseline_file(path)
    print(
        f"{path}: {count(len(held.artifacts), 'kernel artifact')}, errors of "
        f"{count(len(held.numbers), 'campaign')} by dtype"
    )
    return 0


def _kept(store: Reader, tag: str) -> Sequence[object]:
    kept = store.baseline(tag)
    if not kept:
        known = [found.tag for found in store.baseline_tags()]
        raise StoreError(f"no baseline {tag!r} in {store.path}; {did_you_mean(tag, known)}")
    return kept


def _line(row: Comparison) -> str:
    case_id = f"{row.seed}~{row.edits}" if row.edits else str(row.seed)
    change = f"max_diff {row.max_diff_before:.6g} -> {row.max_diff:.6g}"
    if row.passed_before and not row.passed:
        change = f"passed, fails now; {change}"
    return f"{row.op_name}  seed {case_id}  {row.test_id}  {change}"
