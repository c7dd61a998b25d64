"""A failure bundle: failures with all that reproduces them, in one file that goes to another machine.

Here: the file's format, writing it, and reading what a stranger may have written. Elsewhere: which files of
a project belong to a failure (commands/project_files.py), the commands (commands/bundles.py), the store.

The file is a zip: bundle.json with the failures, inputs/N.bin with the arrays of the N-th in the form of
protocol 2, and files/ with sources. Reading checks every field, runs nothing, and writes nowhere.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_gpuemu.engine.errors import BundleError, ProtocolError
from pytest_gpuemu.engine.protocol import framing
from pytest_gpuemu.engine.protocol.requests import read_request
from pytest_gpuemu.engine.protocol.results import repro_info, result_body
from pytest_gpuemu.engine.protocol.tensor import Tensor
from pytest_gpuemu.engine.store import StoredFailure, StoredResult

FORMAT = 1
_INDEX = "bundle.json"
_MAX_BYTES = 2**30
_CASE_FIELDS = ("generator", "shape", "strides", "dtype", "layout", "values", "fuzz_config")
_FINDING_FIELDS = ("findings", "stats", "text", "duration_ms")
# A zip may say any date; this one makes equal bundles equal bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledFailure:
    """A failure and its inputs. own_inputs: they were a caller's arrays, which no seed rebuilds."""

    failure: StoredFailure
    notes: tuple[str, ...] = ()
    inputs: bytes | None = None
    own_inputs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """files: the text of each, by its path from the project's folder, with `/` between the parts."""

    written_by: str
    failures: tuple[BundledFailure, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)


def write_bundle(path: Path, bundle: Bundle) -> None:
    """Write a bundle to a file that does not exist yet. Raises BundleError."""
    try:
        with path.open("xb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            entries = []
            for number, found in enumerate(bundle.failures):
                name = None if found.inputs is None else f"inputs/{number}.bin"
                entries.append(_entry(found, name))
                if name is not None and found.inputs is not None:
                    _write(archive, name, found.inputs)
            index = {"format": FORMAT, "written_by": bundle.written_by, "failures": entries}
            _write(archive, _INDEX, json.dumps(index, indent=1).encode())
            for name, data in bundle.files.items():
                _write(archive, f"files/{name}", data)
    except FileExistsError:
        raise BundleError(f"{path} is there already, and is left as it is; give another name") from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be written: {error.strerror}") from error


def _write(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    archive.writestr(entry, data)


def _entry(found: BundledFailure, inputs: str | None) -> dict[str, Any]:
    row = found.failure
    return {
        "test_id": row.test_id,
        "op_name": row.op,
        "seed": row.seed,
        "edits": row.edits,
        "timestamp": row.timestamp,
        **{key: row.body[key] for key in (*_CASE_FIELDS, *_FINDING_FIELDS)},
        "notes": list(found.notes),
        "inputs": inputs,
        "own_inputs": found.own_inputs,
    }


def read_bundle(path: Path) -> Bundle:
    """Read a bundle. Raises BundleError for what is none, with what is wrong with it."""
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
            if total > _MAX_BYTES:
                raise BundleError(f"{path}: holds {total} bytes; at most {_MAX_BYTES} are read")
            index = _index(path, archive)
            failures = tuple(
                _failure(path, archive, f"failures[{i}]", entry) for i, entry in enumerate(index["failures"])
            )
            names = [name for name in archive.namelist() if name.startswith("files/")]
            files = {_checked_name(path, name): archive.read(name) for name in names}
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise BundleError(f"{path}: is no failure bundle: {error}") from None
    return Bundle(written_by=str(index["written_by"]), failures=failures, files=files)


def _index(path: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        index = json.loads(archive.read(_INDEX))
    except (KeyError, ValueError, RecursionError) as error:
        raise BundleError(f"{path}: is no failure bundle: {_INDEX}: {error}") from None
    if not isinstance(index, dict) or not isinstance(index.get("failures"), list):
        raise BundleError(f"{path}: is no failure bundle: {_INDEX} has no list of failures")
    if index.get("format") != FORMAT:
        raise BundleError(
            f"{path}: has bundle format {index.get('format')!r}, this pytest-gpuemu reads format {FORMAT}; "
            f"it was written by pytest-gpuemu {index.get('written_by')}"
        )
    return {**index, "written_by": index.get("written_by", "unknown")}


def _failure(path: Path, archive: zipfile.ZipFile, place: str, entry: Any) -> BundledFailure:
    """One failure: its fields are those of a RecordFailure request, and are checked as such."""
    if not isinstance(entry, dict):
        raise BundleError(f"{path}: {place} is not a JSON object")
    fields = {key: entry[key] for key in entry if key not in ("notes", "inputs", "own_inputs")}
    notes = entry.get("notes", [])
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise BundleError(f"{path}: {place}.notes = {notes!r}: expected a list of texts")
    try:
        request = read_request({"type": "RecordFailure", **fields})
        inputs = None if entry.get("inputs") is None else archive.read(str(entry["inputs"]))
        if inputs is not None:
            _check_inputs(framing.decode(inputs))
    except ProtocolError as error:
        raise BundleError(f"{path}: {place}: {error}") from None
    except KeyError:
        raise BundleError(f"{path}: {place}.inputs = {entry['inputs']!r} is not in the bundle") from None
    body = {key: fields.get(key) for key in (*_CASE_FIELDS, *_FINDING_FIELDS)}
    result = result_body(
        passed=False,
        status="failed",
        test_id=request.test_id,
        op_name=request.op_name,
        seed=request.seed,
        edits=request.edits,
        findings=request.findings,
        stats=request.stats,
        timestamp=request.timestamp,
        duration_ms=request.duration_ms,
        repro_info=repro_info(
            seed=request.seed, edits=request.edits, **{key: fields[key] for key in _CASE_FIELDS}
        ),
        notes=notes,
        text=request.text,
    )
    return BundledFailure(
        failure=StoredFailure(
            test_id=request.test_id,
            op=request.op_name,
            seed=request.seed,
            edits=request.edits,
            timestamp=request.timestamp,
            body={**body, "result": result},
        ),
        notes=tuple(notes),
        inputs=inputs,
        own_inputs=entry.get("own_inputs") is True,
    )


def result_of(failure: StoredFailure) -> StoredResult:
    """The result that a failure is stored beside."""
    return StoredResult(
        test_id=failure.test_id,
        op=failure.op,
        seed=failure.seed,
        edits=failure.edits,
        passed=False,
        timestamp=failure.timestamp,
        body=failure.body["result"],
    )


def _check_inputs(message: Mapping[str, Any]) -> None:
    inputs = message.get("inputs")
    if not isinstance(inputs, dict) or not all(isinstance(found, Tensor) for found in inputs.values()):
        raise ProtocolError("its inputs are not arrays by name")


def _checked_name(path: Path, name: str) -> str:
    """The path of a bundled file. It stays below the folder that it is written to, on any system."""
    inner = name.removeprefix("files/")
    parts = PurePosixPath(inner).parts
    if not parts or ".." in parts or PurePosixPath(inner).is_absolute() or any(c in inner for c in "\\:\0"):
        raise BundleError(f"{path}: holds a file {inner!r}, which would lie outside its folder")
    return "/".join(parts)
