"""Patterns: each by a line that trips it and the nearest one that does not."""

import pytest

from pytest_gpuemu.engine.artifacts.patterns import PATTERNS, found_patterns, matcher
from pytest_gpuemu.engine.artifacts.ptx.parse import parse
from pytest_gpuemu.engine.artifacts.ptx.tree import Instruction
from pytest_gpuemu.engine.artifacts.ptx.walk import SourceLines, instructions
from pytest_gpuemu.engine.errors import ConfigError


def one(text: str) -> Instruction:
    (found,) = instructions(parse(f".version 8.0 .target sm_80 .entry k() {{ {text} }}").kernels[0])
    return found


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_a_pattern_is_tripped_by_its_example_only(pattern):
    assert pattern.matches(one(pattern.example))
    assert not pattern.matches(one(pattern.counterexample))


@pytest.mark.parametrize(
    "load", ["ld.global.v2.f32 {a,b}, [p];", "ld.global.b128 a, [p];", "ld.v4.u8 {a,b,c,d}, [p];"]
)
def test_several_elements_or_sixteen_bytes_are_a_vector_load(load):
    assert matcher("vector_load")(one(load))


@pytest.mark.parametrize(
    "load", ["ld.global.f64 a, [p];", "ld.param.v4.f32 {a,b,c,d}, [p];", "ld.shared.v4.f32 {a,b,c,d}, [p];"]
)
def test_one_element_or_another_space_is_no_vector_load(load):
    assert not matcher("vector_load")(one(load))


def test_an_instruction_is_named_by_its_beginning():
    """Guards: "mma.s" or "mma.sync.al" must not match in the middle of a word."""
    product = one("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {a}, {b}, {c}, {d};")

    assert matcher("mma")(product)
    assert matcher("mma.sync")(product)
    assert not matcher("mma.sy")(product)
    assert not matcher("mma.sync.row")(product)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("vectr_load", "did you mean 'vector_load'"),
        ("frobnicate.sync", "known: assertion"),
    ],
)
def test_a_name_that_nobody_knows_is_an_error(name, says):
    """Guards: a forbidden pattern with a typo is never found, and so never red."""
    with pytest.raises(ConfigError, match=f"'{name}' is no pattern") as caught:
        matcher(name)

    assert says in str(caught.value)


def test_patterns_are_counted_with_their_widest_access_and_lines():
    text = (
        ".version 8.0\n.target sm_80\n.entry k() {\n ld.global.v2.f32 {a,b}, [p];\n add.f32 a, a, b;\n"
        " ld.global.v4.f32 {a,b,c,d}, [p];\n}"
    )
    module = parse(text)

    (found,) = found_patterns(instructions(module.kernels[0]), SourceLines(module, text))

    assert (found.name, found.count, found.width_bytes) == ("vector_load", 2, 16)
    assert [line.ptx_line for line in found.lines] == [4, 6]
