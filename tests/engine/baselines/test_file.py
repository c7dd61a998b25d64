"""The file of a baseline: stable text that gives back what was written, and errors that name their place."""

from __future__ import annotations

import json

import pytest
from baseline_samples import artifact, number

from pytest_gpuemu.engine.baselines.file import baseline_text, read_baseline_file
from pytest_gpuemu.engine.errors import ConfigError


def test_what_was_written_is_read_again(tmp_path):
    artifacts = [artifact(), artifact(arch="sm_90", register_count=None, occupancy=None)]
    numbers = [number(), number(dtype="float32")]
    (tmp_path / "b.json").write_text(baseline_text(artifacts, numbers))

    read = read_baseline_file(tmp_path / "b.json")

    assert list(read.artifacts.values()) == artifacts
    assert list(read.numbers.values()) == numbers


def test_the_text_does_not_depend_on_the_order_and_a_change_is_a_line():
    artifacts = [artifact(), artifact("scale")]
    text = baseline_text(artifacts, [])

    assert text == baseline_text(artifacts[::-1], [])
    grown = baseline_text([artifact(register_count=33), artifact("scale")], [])
    changed = [
        (old, new) for old, new in zip(text.splitlines(), grown.splitlines(), strict=True) if old != new
    ]
    assert [(old.strip(), new.strip()) for old, new in changed] == [
        ('"register_count": 20,', '"register_count": 33,')
    ]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda whole: whole.update(format=2), "is no baseline of format 1 (found 2)"),
        (lambda whole: whole.pop("kernels"), ": kernels = None: expected a table"),
        (
            lambda whole: whole["kernels"]["saxpy"]["sm_80"].pop("patterns_found"),
            "kernels.saxpy.sm_80 holds no complete metrics ('patterns_found')",
        ),
        (
            lambda whole: whole["kernels"]["saxpy"]["sm_80"].update(register_count="many"),
            "kernels.saxpy.sm_80: register_count = 'many' is no such figure",
        ),
        (
            lambda whole: whole["kernels"]["saxpy"]["sm_80"].update(ptx_digest=3),
            "kernels.saxpy.sm_80: ptx_digest = 3: expected a text",
        ),
        (
            lambda whole: whole["tests"]["test_k.py::test_softmax"]["softmax"]["float16"].update(cases=-1),
            "tests.test_k.py::test_softmax.softmax.float16: cases = -1: expected a int",
        ),
        (
            lambda whole: whole["tests"]["test_k.py::test_softmax"].update(softmax=[]),
            "tests.test_k.py::test_softmax.softmax = []: expected a table",
        ),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place(tmp_path, spoil, words):
    whole = json.loads(baseline_text([artifact()], [number()]))
    spoil(whole)
    path = tmp_path / "b.json"
    path.write_text(json.dumps(whole))

    with pytest.raises(ConfigError) as raised:
        read_baseline_file(path)

    assert str(raised.value).startswith(str(path))
    assert words in str(raised.value)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\ufeff{}", "3"])
def test_what_is_no_json_object_is_refused(tmp_path, text):
    (tmp_path / "b.json").write_text(text)

    with pytest.raises(ConfigError, match="is no baseline"):
        read_baseline_file(tmp_path / "b.json")
