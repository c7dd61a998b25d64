"""Artifacts and baselines in the store: the newest of a kernel, and what a tag keeps of it."""

from __future__ import annotations

import sqlite3

from baseline_samples import metrics

from pytest_gpuemu.engine.artifacts.plain_reports import metrics_body
from pytest_gpuemu.engine.baselines.data import DEFAULT_TAG
from pytest_gpuemu.engine.baselines.file import FILE_NAME
from pytest_gpuemu.engine.baselines.loading import export_baseline, load_baseline, stored_baseline
from pytest_gpuemu.engine.store import Store, reading
from pytest_gpuemu.engine.store import artifacts as rows


def stored(kernel="saxpy", arch="sm_80", registers=20) -> rows.StoredArtifact:
    return rows.StoredArtifact(
        kernel=kernel,
        arch=arch,
        ptx_digest=f"digest {registers}",
        origin="cuda",
        source="saxpy.cu",
        timestamp=1.5,
        metrics=metrics_body(metrics(register_count=registers)),
        ptx=".version 8.0",
    )


def numbers(used=0.5) -> rows.KeptNumbers:
    body = {
        "master_seed": 2**64 - 1, "generator": 1, "cases": 25, "max_abs": 1.0, "max_ulp": 2.0,
        "tolerance_used": used, "tolerance": "derived",
    }  # fmt: skip
    return rows.KeptNumbers(test_id="t.py::test", op="softmax", dtype="float16", timestamp=1.5, body=body)


def test_the_newest_artifact_of_a_kernel_and_architecture_is_kept(tmp_path):
    store = Store(tmp_path)
    for artifact in (stored(), stored(arch="sm_90"), stored(registers=30), stored("scale")):
        rows.add_artifact(store, artifact)

    assert rows.artifacts(store, 10) == [stored("scale"), stored(registers=30), stored(arch="sm_90")]
    assert rows.artifacts(store, 10, kernel="saxpy", arch="sm_80") == [stored(registers=30)]
    assert rows.artifacts(store, 1) == [stored("scale")]
    store.close()


def test_a_tag_keeps_metrics_until_it_is_stored_again(tmp_path):
    store = Store(tmp_path)
    for artifact in (stored(), stored("scale")):
        rows.add_artifact(store, artifact)
    assert rows.keep_artifacts(store, "v1") == 2
    rows.add_artifact(store, stored(registers=30))

    def kept():
        return {row.kernel: row.metrics["register_count"] for row in rows.kept_artifacts(store, "v1")}

    assert kept() == {"saxpy": 20, "scale": 20}
    assert rows.keep_artifacts(store, "v1", kernel="saxpy", arch="sm_80") == 1
    assert kept() == {"saxpy": 30, "scale": 20}
    assert rows.kept_artifacts(store, "v2") == []
    assert rows.remove_kept(store, "v1") == 2
    assert kept() == {}
    store.close()


def test_a_store_of_an_older_version_has_no_artifacts_and_gets_their_tables(tmp_path):
    store = Store(tmp_path)
    store.close()
    with sqlite3.connect(tmp_path / "gpuemu.db") as connection:
        for table in ("artifacts", "artifact_baselines", "numerical_baselines"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version = 2")
    connection.close()

    with reading(tmp_path) as reader:
        assert reader is not None
        assert (
            rows.artifacts(reader, 10)
            == rows.kept_artifacts(reader, "v1")
            == rows.kept_numbers(reader, "v1")
            == []
        )
    store = Store(tmp_path)
    rows.add_artifact(store, stored())
    assert len(rows.artifacts(store, 10)) == 1
    store.close()


def test_an_exported_baseline_holds_instead_of_the_stores(tmp_path):
    folder = tmp_path / ".gpuemu"
    store = Store(folder)
    rows.add_artifact(store, stored())
    rows.keep_artifacts(store, DEFAULT_TAG)
    rows.keep_numbers(store, DEFAULT_TAG, numbers())
    before = stored_baseline(folder)
    assert load_baseline(tmp_path, folder) == before

    path = export_baseline(tmp_path, folder)

    rows.keep_numbers(store, DEFAULT_TAG, numbers(used=0.9))
    held = load_baseline(tmp_path, folder)
    assert path == tmp_path / FILE_NAME
    assert held.origin == str(path)
    assert (held.artifacts, held.numbers) == (before.artifacts, before.numbers)
    assert held.artifacts["saxpy", "sm_80"].metrics == metrics()
    assert held.numbers["t.py::test", "softmax", "float16"].master_seed == 2**64 - 1
    assert stored_baseline(folder).numbers["t.py::test", "softmax", "float16"].tolerance_used == 0.9
    store.close()


def test_where_nothing_is_kept_the_baseline_is_empty(tmp_path):
    assert load_baseline(tmp_path, tmp_path / ".gpuemu").is_empty
    assert not (tmp_path / ".gpuemu").exists()
