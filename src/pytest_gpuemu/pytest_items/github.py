"""In a workflow of GitHub Actions: an annotation for each kind of failure, at the line of its test.

Here: when, and which file. Elsewhere: the form of the line (report/annotations.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_gpuemu.pytest_items.display import grouped
from pytest_gpuemu.report.annotations import annotation

_OTHER_PLUGIN = "pytest_github_actions_annotate_failures"


def is_wanted(config: pytest.Config, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether pytest runs in a workflow, and no other plugin annotates its failures."""
    return environment.get("GITHUB_ACTIONS") == "true" and not config.pluginmanager.has_plugin(_OTHER_PLUGIN)


def annotated(config: pytest.Config, failed: Sequence[Any]) -> Iterator[str]:
    """The lines for these failed reports, those of other tests left out."""
    ours = [report for report in failed if hasattr(report, "gpuemu_failure")]
    for report in grouped(ours):
        told = getattr(report, "gpuemu_failure", None)
        path, line, _ = report.location
        if told is None:  # it stands for several
            title, message = str(report.nodeid), str(report.longrepr)
        else:
            smallest = getattr(report, "gpuemu_smallest", None)
            found = [] if smallest is None else [f"smallest failing case: {smallest['text']}"]
            title = f"{told['op']} fails for seed {told['case_id']}"
            message = "\n".join([told["headline"], *found, f'pytest "{report.nodeid}"'])
        yield annotation(
            file=_from_workspace(config.rootpath / path), line=(line or 0) + 1, title=title, message=message
        )


def _from_workspace(path: Path) -> str:
    """Relative to the checked out repository, as GitHub wants it."""
    workspace = os.environ.get("GITHUB_WORKSPACE")
    if workspace is not None and path.is_relative_to(workspace):
        path = path.relative_to(workspace)
    return path.as_posix()
