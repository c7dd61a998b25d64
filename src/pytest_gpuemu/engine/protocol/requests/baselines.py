"""Requests about baselines.

Here: their fields. Elsewhere: the answers (engine/service/baselines.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_gpuemu.engine.protocol.requests.fields import Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreBaseline:
    tag: Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareBaseline:
    """The results of now beside those kept under a tag. Answered by BaselineComparison."""

    tag: Tag


REQUESTS = (StoreBaseline, CompareBaseline)
