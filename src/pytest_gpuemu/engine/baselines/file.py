"""The baseline as a file that is committed, and whose changes are read in a review.

Here: `gpuemu-baseline.json`: sorted, indented, without times, so that the same baseline is the same text.
Elsewhere: which baseline holds (loading.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_gpuemu.engine.artifacts.plain_reports import metrics_body, read_metrics
from pytest_gpuemu.engine.baselines.data import ArtifactBaseline, Baseline, NumericalBaseline
from pytest_gpuemu.engine.errors import ArtifactError, ConfigError, shortened

FILE_NAME = "gpuemu-baseline.json"
_FORMAT = 1
_NUMBERS = {
    "master_seed": int,
    "generator": int,
    "cases": int,
    "max_abs": float,
    "max_ulp": float,
    "tolerance_used": float,
    "tolerance": str,
}


def baseline_text(artifacts: Iterable[ArtifactBaseline], numbers: Iterable[NumericalBaseline]) -> str:
    """The text of the file."""
    kernels: dict[str, dict[str, Any]] = {}
    for artifact in artifacts:
        body = {"ptx_digest": artifact.ptx_digest, **metrics_body(artifact.metrics)}
        kernels.setdefault(artifact.kernel, {})[artifact.arch] = body
    tests: dict[str, dict[str, Any]] = {}
    for number in numbers:
        body = {name: getattr(number, name) for name in _NUMBERS}
        tests.setdefault(number.test_id, {}).setdefault(number.op, {})[number.dtype] = body
    whole = {"format": _FORMAT, "kernels": kernels, "tests": tests}
    return json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def read_baseline_file(path: Path) -> Baseline:
    """The baseline of a file. Raises ConfigError with the file and the place in it."""
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # no JSON, or no UTF-8
        raise ConfigError(f"{path}: is no baseline: {error}; export it again") from None
    if not isinstance(whole, Mapping) or whole.get("format") != _FORMAT:
        found = shortened(whole.get("format") if isinstance(whole, Mapping) else whole)
        raise ConfigError(
            f"{path}: is no baseline of format {_FORMAT} (found {found}); export it again, or update "
            "pytest-gpuemu"
        )
    artifacts = {(entry.kernel, entry.arch): entry for entry in _artifacts(path, whole.get("kernels"))}
    numbers = {(entry.test_id, entry.op, entry.dtype): entry for entry in _numbers(path, whole.get("tests"))}
    return Baseline(origin=str(path), artifacts=artifacts, numbers=numbers)


def _artifacts(path: Path, kernels: Any) -> Iterator[ArtifactBaseline]:
    for kernel, archs in _table(f"{path}: kernels", kernels).items():
        for arch, body in _table(f"{path}: kernels.{kernel}", archs).items():
            place = f"{path}: kernels.{kernel}.{arch}"
            digest = _table(place, body).get("ptx_digest")
            if not isinstance(digest, str):
                raise ConfigError(
                    f"{place}: ptx_digest = {shortened(digest)}: expected a text; export it again"
                )
            try:
                metrics = read_metrics(place, body)
            except ArtifactError as error:
                raise ConfigError(str(error)) from None
            yield ArtifactBaseline(kernel=kernel, arch=arch, ptx_digest=digest, metrics=metrics)


def _numbers(path: Path, tests: Any) -> Iterator[NumericalBaseline]:
    for test_id, ops in _table(f"{path}: tests", tests).items():
        for op, dtypes in _table(f"{path}: tests.{test_id}", ops).items():
            for dtype, body in _table(f"{path}: tests.{test_id}.{op}", dtypes).items():
                place = f"{path}: tests.{test_id}.{op}.{dtype}"
                yield read_number(place, _table(place, body), test_id=test_id, op=op, dtype=dtype)


def number_body(number: NumericalBaseline) -> dict[str, Any]:
    """What is kept of a campaign's errors beside their key, as plain values."""
    return {name: getattr(number, name) for name in _NUMBERS}


def read_number(
    place: str, body: Mapping[str, Any], *, test_id: str, op: str, dtype: str
) -> NumericalBaseline:
    """The errors that number_body gave. Raises ConfigError, beginning with place."""
    given: dict[str, Any] = {}
    for name, kind in _NUMBERS.items():
        value = body.get(name)
        is_right = isinstance(value, (int, float) if kind is float else kind) and not isinstance(value, bool)
        if not is_right or (kind is not str and not value >= 0):  # type: ignore[operator]
            raise ConfigError(
                f"{place}: {name} = {shortened(value)}: expected a {kind.__name__}; export it again"
            )
        given[name] = kind(value)
    return NumericalBaseline(test_id=test_id, op=op, dtype=dtype, **given)


def _table(place: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{place} = {shortened(value)}: expected a table; export it again")
    return value
