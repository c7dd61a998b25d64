"""Which baseline holds, and writing it to the file that is committed.

Here: `gpuemu-baseline.json` beside gpuemu.toml where it is there, else what the store keeps under the tag.
Elsewhere: the file's form (file.py), the store (engine/store/artifacts.py).
"""

from __future__ import annotations

from pathlib import Path

from pytest_gpuemu.engine.artifacts.plain_reports import read_metrics
from pytest_gpuemu.engine.baselines.data import DEFAULT_TAG, ArtifactBaseline, Baseline
from pytest_gpuemu.engine.baselines.file import FILE_NAME, baseline_text, read_baseline_file, read_number
from pytest_gpuemu.engine.errors import ConfigError
from pytest_gpuemu.engine.store import artifacts as rows
from pytest_gpuemu.engine.store import reading


def load_baseline(root: Path, store: Path, tag: str = DEFAULT_TAG) -> Baseline:
    """The baseline of a project: its file in root, else what its store keeps under the tag, which may be
    nothing. Raises ConfigError and StoreError."""
    file = root / FILE_NAME
    return read_baseline_file(file) if file.is_file() else stored_baseline(store, tag)


def stored_baseline(store: Path, tag: str = DEFAULT_TAG) -> Baseline:
    """What a store, by its folder, keeps under a tag."""
    origin = f"{store} (tag {tag!r})"
    with reading(store) as reader:
        if reader is None:
            return Baseline(origin=origin)
        artifacts = [
            ArtifactBaseline(
                kernel=kept.kernel,
                arch=kept.arch,
                ptx_digest=kept.ptx_digest,
                metrics=read_metrics(f"{origin}: {kept.kernel} {kept.arch}", kept.metrics),
            )
            for kept in rows.kept_artifacts(reader, tag)
        ]
        numbers = [
            read_number(
                f"{origin}: {kept.test_id}", kept.body, test_id=kept.test_id, op=kept.op, dtype=kept.dtype
            )
            for kept in rows.kept_numbers(reader, tag)
        ]
    return Baseline(
        origin=origin,
        artifacts={(entry.kernel, entry.arch): entry for entry in artifacts},
        numbers={(entry.test_id, entry.op, entry.dtype): entry for entry in numbers},
    )


def export_baseline(root: Path, store: Path, tag: str = DEFAULT_TAG) -> Path:
    """Write what the store keeps under a tag to the project's baseline file, and return its path.

    Raises ConfigError where nothing is kept, or the file cannot be written.
    """
    kept = stored_baseline(store, tag)
    if kept.is_empty:
        raise ConfigError(
            f"{kept.origin} keeps no baseline: run pytest --gpuemu-baseline=store (and --gpuemu-lint) first"
        )
    path = root / FILE_NAME
    try:
        path.write_text(baseline_text(kept.artifacts.values(), kept.numbers.values()), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    return path
