"""A failure bundle: it comes back as it was, and one that somebody else made does no harm."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from command_rows import failed

from pytest_gpuemu.engine.bundle import Bundle, BundledFailure, read_bundle, write_bundle
from pytest_gpuemu.engine.errors import BundleError
from pytest_gpuemu.engine.protocol import framing
from pytest_gpuemu.engine.wire_arrays import to_tensor

INPUTS = framing.encode({"inputs": {"input": to_tensor(np.float32([[1, 2, 3], [4, 5, np.nan]]))}}, 2)


@pytest.fixture
def written(tmp_path):
    """A bundle of one failure with inputs and of one without."""
    path = tmp_path / "f.zip"
    first, second = (failed(seed, edits="rows=1")[0] for seed in (2**64 - 1, 5))
    bundle = Bundle(
        written_by="0.1.0",
        failures=(
            BundledFailure(failure=first, inputs=INPUTS, own_inputs=True),
            BundledFailure(failure=second),
        ),
        files={"tests/test_k.py": b"x = 1\n", "gpuemu.toml": b""},
    )
    write_bundle(path, bundle)
    return path, bundle


def changed(path: Path, **entries: bytes | None) -> Path:
    """The bundle with some members replaced, added or (None) left out."""
    with zipfile.ZipFile(path) as archive:
        members: dict[str, bytes | None] = {name: archive.read(name) for name in archive.namelist()}
    members.update({name.replace("__", "/"): data for name, data in entries.items()})
    other = path.with_name("changed.zip")
    with zipfile.ZipFile(other, "w") as archive:
        for name, data in members.items():
            if data is not None:
                archive.writestr(name, data)
    return other


def index_with(path: Path, **fields: object) -> Path:
    """The bundle whose first failure has other fields."""
    with zipfile.ZipFile(path) as archive:
        index = json.loads(archive.read("bundle.json"))
    index["failures"][0].update(fields)
    return changed(path, **{"bundle.json": json.dumps(index).encode()})


def test_a_bundle_comes_back_as_it_was_written(written):
    path, bundle = written

    assert read_bundle(path) == bundle


def test_equal_bundles_are_equal_bytes(written, tmp_path):
    path, bundle = written
    write_bundle(tmp_path / "again.zip", bundle)

    assert (tmp_path / "again.zip").read_bytes() == path.read_bytes()


def test_a_file_that_is_there_is_left_as_it_is(written):
    path, bundle = written
    path.write_bytes(b"mine")

    with pytest.raises(BundleError, match="is there already, and is left as it is"):
        write_bundle(path, bundle)
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize(
    "name", ["../out.py", "a/../../out.py", "/etc/out.py", "C:\\out.py", "a\\..\\out.py"]
)
def test_a_file_that_would_lie_outside_its_folder_is_refused(written, name):
    path, _ = written
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        with zipfile.ZipFile(path) as old:
            archive.writestr("bundle.json", old.read("bundle.json"))
            archive.writestr("inputs/0.bin", INPUTS)
        archive.writestr(f"files/{name}", b"")
    path.with_name("evil.zip").write_bytes(data.getvalue())

    with pytest.raises(BundleError, match="would lie outside its folder"):
        read_bundle(path.with_name("evil.zip"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seed": -1}, r"failures\[0\]: RecordFailure.seed = -1: expected a whole number"),
        ({"seed": 2**64}, r"failures\[0\]: RecordFailure.seed = 18446744073709551616"),
        ({"shape": "big"}, r"failures\[0\]: RecordFailure.shape = 'big': expected a list"),
        ({"code": "import os"}, r"failures\[0\]: RecordFailure: unknown field 'code'"),
        ({"notes": [1]}, r"failures\[0\].notes = \[1\]: expected a list of texts"),
        ({"inputs": "inputs/9.bin"}, r"failures\[0\].inputs = 'inputs/9.bin' is not in the bundle"),
    ],
)
def test_a_wrong_field_is_named(written, fields, message):
    with pytest.raises(BundleError, match=message):
        read_bundle(index_with(written[0], **fields))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"bundle.json": None}, "is no failure bundle: bundle.json"),
        ({"bundle.json": b"{"}, "is no failure bundle: bundle.json"),
        ({"bundle.json": b"[]"}, "has no list of failures"),
        (
            {"bundle.json": b'{"format": 9, "failures": [], "written_by": "7.1"}'},
            "bundle format 9.* by pytest-gpuemu 7.1",
        ),
        ({"inputs__0.bin": b"\0GE2\xff"}, r"failures\[0\]: the message begins with"),
        ({"inputs__0.bin": framing.encode({"inputs": {"x": 1}}, 2)}, "its inputs are not arrays by name"),
    ],
)
def test_what_is_no_bundle_is_said(written, entries, message):
    with pytest.raises(BundleError, match=message):
        read_bundle(changed(written[0], **entries))


def test_other_files_are_no_bundle(tmp_path):
    (tmp_path / "text").write_text("no zip", encoding="utf-8")

    for name, message in (
        ("text", "is no failure bundle: File is not a zip file"),
        ("nowhere", "cannot be read: No such file or directory"),
        (".", "cannot be read: Is a directory"),
    ):
        with pytest.raises(BundleError, match=message):
            read_bundle(tmp_path / name)


def test_a_bundle_that_unpacks_to_gigabytes_is_not_unpacked(written, monkeypatch):
    monkeypatch.setattr("pytest_gpuemu.engine.bundle._MAX_BYTES", 1000)

    with pytest.raises(BundleError, match="at most 1000 are read"):
        read_bundle(written[0])
