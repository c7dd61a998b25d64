"""Which cases a marked test is collected with: known failing seeds, requested ones, the campaign.

Here: parametrizing fuzz_case, `[seed=N]` node ids of the command line, and --gpuemu-reproduce.
Elsewhere: reading the known seeds (recording.py), running what was collected (runner.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_gpuemu.pytest_items.ids import MARKER, CaseParam, Fuzz, Seed, param_of, test_id, test_id_of
from pytest_gpuemu.pytest_items.session import FuzzSession


def generate_tests(metafunc: pytest.Metafunc, session: FuzzSession) -> None:
    """Parametrize fuzz_case with the test's known and requested seeds, then with its campaign.

    The seeds are those of every parametrization of the function; own_seeds_only drops the others'.
    """
    params: list[CaseParam]
    if session.settings.reproduce:
        params = [Seed(case_id) for case_id in session.settings.reproduce]
    else:
        function = str(metafunc.definition.nodeid)
        tests = [test for test in session.known if test == function or test.startswith(f"{function}[")]
        known = [case_id for test in tests for case_id in session.known_of(test)]
        asked = [case_id for _, case_id in _asked_for(metafunc.definition, session)]
        marker = metafunc.definition.get_closest_marker(MARKER)
        assert marker is not None
        params = [Seed(case_id) for case_id in dict.fromkeys([*known, *asked])]
        params.append(Fuzz(session.settings.cases_for(marker)))
    metafunc.parametrize("fuzz_case", params, indirect=True, ids=[param.id for param in params])


def own_seeds_only(made: list[Any], session: FuzzSession) -> list[Any]:
    """The items without those whose seed belongs to another parametrization of their function.

    The others can be chosen by `-k seed:N`: `=` is not allowed there.
    """
    kept = []
    for item in made:
        param = param_of(item)
        if isinstance(param, Seed):
            if not session.settings.reproduce and not _is_own(item, session):
                continue
            item.extra_keyword_matches.add(f"seed:{param.case_id}")
        kept.append(item)
    return kept


def _is_own(item: pytest.Function, session: FuzzSession) -> bool:
    param = param_of(item)
    assert isinstance(param, Seed)
    return param.case_id in session.known_of(test_id_of(item)) or (
        item.callspec.id,
        param.case_id,
    ) in _asked_for(item, session)


def select_reproduced(config: pytest.Config, items: list[pytest.Item], session: FuzzSession) -> None:
    """Keep only --gpuemu-reproduce's cases: in the tests that failed with them, if any is collected."""
    by_case: dict[str, list[pytest.Item]] = {}
    for item in items:
        param = param_of(item)
        if isinstance(param, Seed):
            by_case.setdefault(param.case_id, []).append(item)
    kept: set[int] = set()
    for case_id, candidates in by_case.items():
        failed = [item for item in candidates if case_id in session.known.get(test_id_of(item), ())]
        kept.update(id(item) for item in failed or candidates)
    left_out = [item for item in items if id(item) not in kept]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if id(item) in kept]


def _asked_for(node: Any, session: FuzzSession) -> list[tuple[str, str]]:
    """The `[...seed=N]` of the command line that name this function: (text in the brackets, case id).

    Compared by resolved path and names, not by node id, which depends on rootdir and working folder.
    """
    names = _names(node)
    return [
        (brackets, case_id)
        for path, asked_names, brackets, case_id in _arguments(session.config)
        if asked_names == names and _is_file(path, node.path, session.config)
    ]


def _arguments(config: pytest.Config) -> Iterator[tuple[str, list[str], str, str]]:
    """Path, names, text in the brackets and case id of each argument that names a case."""
    for argument in config.args:
        place, bracket, inside = str(argument).partition("[")
        brackets = inside.rpartition("]")[0]
        before, separator, case_id = brackets.rpartition("seed=")
        if bracket and separator and (not before or before.endswith("-")) and case_id[:1].isdecimal():
            path, *names = place.split("::")
            yield path, names, brackets, case_id


def _names(node: Any) -> list[str]:
    """The names below the file: classes, then the function without its brackets."""
    names = [getattr(node, "originalname", None) or node.name]
    parent = node.parent
    while parent is not None and not isinstance(parent, pytest.Module):
        names.append(parent.name)
        parent = parent.parent
    return names[::-1]


def _is_file(argument: str, path: Path, config: pytest.Config) -> bool:
    if config.getoption("pyargs") and not argument.endswith(".py"):
        return path.with_suffix("").parts[-argument.count(".") - 1 :] == tuple(argument.split("."))
    return (config.invocation_params.dir / argument).resolve() == path.resolve()


def left_out_seeds(items: Sequence[pytest.Item], session: FuzzSession) -> int:
    """How many known failing seeds of the collected tests are above the cap."""
    tests = {test_id(str(item.nodeid)) for item in items}
    return sum(len(session.known.get(test, ())) - len(session.known_of(test)) for test in tests)
