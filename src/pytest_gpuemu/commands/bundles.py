"""`gpuemu export` and `gpuemu import`: failures taken to another machine in one file.

Here: which failures, what goes with them, and where they arrive. Elsewhere: the file (engine/bundle.py), the
sources that a failure needs (project_files.py).
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from pytest_gpuemu.commands import Parsers, add_command, again, count, shown
from pytest_gpuemu.commands.project import add_store_option, store_folder, stored
from pytest_gpuemu.engine.config import Config, load_config
from pytest_gpuemu.engine.errors import BundleError, CannotRunHere, ConfigError, StoreError
from pytest_gpuemu.engine.store import Reader, Store, StoredFailure


def add(commands: Parsers) -> None:
    """Declare `export` and `import`."""
    export = add_command(
        commands,
        "export",
        _export,
        "write failures to one file, for another machine",
        "The file has the failures, their inputs, and the sources that they need: the tests, what these "
        "import of the project, and gpuemu.toml.",
    )
    export.add_argument("file", type=Path, help="the file to write; one that is there is left as it is")
    export.add_argument("seeds", nargs="*", metavar="SEED", help="seeds or case ids (default: every failure)")
    export.add_argument("--op", help="only of this op")
    export.add_argument("--no-files", action="store_true", help="leave the sources out")
    add_store_option(export)
    take = add_command(
        commands,
        "import",
        _import,
        "store the failures of such a file here",
        "Nothing of the file is run. Its failures are then known as if they had been found here.",
    )
    take.add_argument("file", type=Path, help="the file that export wrote")
    take.add_argument(
        "--files",
        type=Path,
        metavar="FOLDER",
        help="also write its sources to this folder, which must be new or empty",
    )
    add_store_option(take)


def _export(options: argparse.Namespace) -> int:
    from pytest_gpuemu.commands.project_files import project_files
    from pytest_gpuemu.engine.bundle import Bundle, BundledFailure, write_bundle

    config = load_config(Path.cwd())
    with stored(options) as store:
        rows = _chosen(store, options)
        root = store.path.parent.parent
    bundled = []
    for row in rows:
        inputs, why = (row.inputs, None) if row.inputs is not None else _rebuilt(row, config)
        if why is not None:
            print(f"without its inputs, which the seed rebuilds: {row.case_id} of {row.op}: {why}")
        notes = tuple(row.body["result"].get("notes", ()))
        bundled.append(
            BundledFailure(failure=row, notes=notes, inputs=inputs, own_inputs=row.inputs is not None)
        )
    files = {}
    if not options.no_files:
        files = project_files(root, config, {row.test_id for row in rows}, {row.op for row in rows})
    version = metadata.version("pytest-gpuemu")
    write_bundle(options.file, Bundle(written_by=version, failures=tuple(bundled), files=files))
    print(f"{count(len(rows), 'failure')} and {count(len(files), 'file')} of source: {options.file}")
    for name in sorted(files):
        print(f"  {name}")
    print(f"on the other machine: gpuemu import {options.file.name}")
    return 0


def _chosen(store: Reader, options: argparse.Namespace) -> list[StoredFailure]:
    from pytest_gpuemu.engine.plan import parse_case_id

    if not options.seeds:
        rows = store.failures(-1, op=options.op)  # SQLite's way to say without a limit
        if not rows:
            raise StoreError(f"there is no failure to export in {store.path}")
        return rows
    rows = []
    for text in options.seeds:
        seed, edits = parse_case_id(text)
        found = store.failure(seed, options.op, edits or None)
        if found is None:
            raise StoreError(f"no failure of seed {text} in {store.path}; gpuemu failures lists them")
        rows.append(found)
    return rows


def _rebuilt(row: StoredFailure, config: Config) -> tuple[bytes | None, str | None]:
    """The inputs that a failure's seed gives, or why they cannot be had here."""
    from pytest_gpuemu.engine.jobs.cases import wire_case
    from pytest_gpuemu.engine.plan import GENERATOR_VERSION
    from pytest_gpuemu.engine.protocol import framing
    from pytest_gpuemu.engine.requested_ops import requested_op
    from pytest_gpuemu.engine.wire_arrays import to_tensor

    if row.body["generator"] != GENERATOR_VERSION:
        return None, f"drawn by version {row.body['generator']} of the case generator"
    try:
        op = requested_op(row.op, row.body["fuzz_config"], config, row.seed)
        case = wire_case(op, row.seed, row.edits)
    except (ConfigError, CannotRunHere) as error:
        return None, str(error).splitlines()[0]
    first = next(iter(case.originals.values()), None)
    if first is None or list(first.shape) != row.body["shape"] or str(first.dtype) != row.body["dtype"]:
        return None, f"the test defines an op of its own called {row.op!r}"
    inputs = {name: to_tensor(array) for name, array in case.originals.items()}
    return framing.encode({"inputs": inputs}, 2), None


def _import(options: argparse.Namespace) -> int:
    from pytest_gpuemu.engine.bundle import read_bundle, result_of

    bundle = read_bundle(options.file)
    if options.files is not None:
        _write_files(options.files, bundle.files)
        print(f"{count(len(bundle.files), 'file')} written to {options.files}")
    config = load_config(Path.cwd() if options.files is None else options.files)
    store = Store(_target(options))
    try:
        for found in bundle.failures:
            row = found.failure
            if found.inputs is not None and (found.own_inputs or not _is_drawn_here(row, config)):
                row = dataclasses.replace(row, inputs=found.inputs)
            store.add_failure(row, result_of(row))
    finally:
        store.close()
    print(f"stored in {shown(store.path)}: {count(len(bundle.failures), 'failure')} of {options.file}")
    for found in bundle.failures:
        row = found.failure
        print(f"  {row.case_id}  {row.op}  {row.test_id}  {again(row)}")
    if options.files is None and bundle.files:
        print(f"{count(len(bundle.files), 'file')} of source are in it: --files FOLDER writes them too")
    return 0


def _target(options: argparse.Namespace) -> Path:
    """The sources that come along have a store of their own, beside them."""
    if options.files is not None and options.store is None:
        return Path(options.files) / ".gpuemu"
    return store_folder(options)


def _is_drawn_here(row: StoredFailure, config: Config) -> bool:
    """Whether the daemon draws these inputs from the seed: the op has a name that it knows. Only names are
    looked at: nothing that came in the file is imported."""
    from pytest_gpuemu.engine.ops import BUILTIN_OPS
    from pytest_gpuemu.engine.plan import GENERATOR_VERSION

    known = row.op in BUILTIN_OPS or config.op_entry(row.op) is not None
    return known and row.body["generator"] == GENERATOR_VERSION


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the sources below a folder that has nothing in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BundleError(f"{folder} is not empty, and is left as it is; give a new folder")
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(data)
    except OSError as error:
        raise BundleError(f"{folder}: cannot be written: {error.strerror}: {error.filename}") from error
