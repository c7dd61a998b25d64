"""A tree and its text: either gives the other back, and no text makes the parser fail in another way."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_gpuemu.engine.artifacts.ptx import tree
from pytest_gpuemu.engine.artifacts.ptx.declarations import TYPES
from pytest_gpuemu.engine.artifacts.ptx.parse import parse
from pytest_gpuemu.engine.artifacts.ptx.render import render
from pytest_gpuemu.engine.errors import PtxParseError

DATA = Path(__file__).parents[1] / "data"
REAL = sorted(DATA.glob("*.ptx"))
SMALL = (DATA / "nvrtc_vector_add.ptx").read_text()

# ---- modules that the grammar allows --------------------------------------------------------------

PLAIN = st.from_regex(r"[A-Za-z_$][A-Za-z0-9_$]{0,5}", fullmatch=True).filter(
    lambda name: name not in ("function_name", "inlined_at", "call")
)
REGISTER = st.from_regex(r"%[A-Za-z0-9_$]{1,4}", fullmatch=True)
NAME = PLAIN | REGISTER
MODIFIER = st.from_regex(r"[A-Za-z0-9_]{1,6}(::[A-Za-z0-9_]{1,4})?", fullmatch=True)
NUMBER = st.builds(
    lambda value, form: form.format(value),
    st.integers(0, 2**31),
    st.sampled_from(["{}", "{}U", "{:#x}", "{:#b}", "0f{:08X}", "0d{:016x}", "{}.5", "{}e-3"]),
).map(tree.Literal)
REFERENCE = st.builds(tree.Name, NAME, st.just("") | st.sampled_from(["x", "w", "h1", "b0"]))
WHOLE = st.integers(0, 999)
STRING = st.from_regex(r"([ !#-\[\]-~]|\\.){0,6}", fullmatch=True).filter(lambda text: "\n" not in text)


def operators(inner: st.SearchStrategy) -> st.SearchStrategy:
    return (
        st.builds(tree.Unary, st.sampled_from(["-", "+", "~", "!", ".s64", ".u64"]), inner)
        | st.builds(
            tree.Binary, st.sampled_from(["+", "-", "*", "/", "<<", ">>", "<", "==", "&", "||"]), inner, inner
        )
        | st.builds(tree.Conditional, inner, inner, inner)
        | st.builds(tree.Call, PLAIN, st.tuples(inner))
    )


def several(element: st.SearchStrategy, most: int = 3, least: int = 0) -> st.SearchStrategy:
    return st.lists(element, min_size=least, max_size=most).map(tuple)


EXPRESSION = st.recursive(NUMBER | REFERENCE, operators, max_leaves=4)
SIMPLE = (
    EXPRESSION | st.builds(tree.Pair, REFERENCE, REFERENCE) | st.builds(tree.Subscript, PLAIN, EXPRESSION)
)
VECTOR = st.builds(tree.Vector, several(SIMPLE))
OPERAND = SIMPLE | VECTOR | st.builds(tree.Address, several(SIMPLE | VECTOR, least=1))
ARGUMENTS = st.builds(tree.Arguments, several(SIMPLE))
PREDICATE = st.none() | st.builds(tree.Predicate, NAME, st.booleans())
INSTRUCTION = st.builds(
    tree.Instruction,
    opcode=PLAIN.filter(lambda name: name[0] != "$"),
    modifiers=several(MODIFIER),
    operands=several(OPERAND),
    predicate=PREDICATE,
) | st.builds(
    tree.Instruction,
    opcode=st.just("call"),
    modifiers=several(MODIFIER),
    operands=several(ARGUMENTS | OPERAND),
)
VALUES = st.recursive(EXPRESSION, lambda inner: st.builds(tree.Vector, several(inner)), max_leaves=4)
DECLARATOR = st.builds(
    tree.Declarator,
    NAME,
    st.none() | WHOLE,
    several(st.none() | EXPRESSION, 2),
    st.none() | VALUES | st.builds(tree.Text, STRING),
)


def variables(spaces: list[str], names: int = 2, **more) -> st.SearchStrategy:
    return st.builds(
        tree.Variable,
        space=st.sampled_from(spaces),
        type=st.sampled_from(TYPES),
        declarators=several(DECLARATOR, names, least=1),
        attributes=st.sampled_from([(), (".managed",), (".managed", ".unified(1, 2)")]),
        align=st.none() | EXPRESSION,
        vector=st.sampled_from([1, 2, 4, 8]),
        **more,
    )


POINTER = st.builds(tree.Pointer, st.sampled_from(["", "global", "shared"]), st.none() | EXPRESSION)
PARAMETERS = several(variables(["param", "reg"], 1, pointer=st.none() | POINTER), 2)
DIRECTIVES = several(
    st.builds(tree.Directive, st.sampled_from(["maxntid", "noreturn", "reqntid"]), several(EXPRESSION))
    | st.builds(tree.Directive, st.just("pragma"), st.tuples(st.builds(tree.Text, STRING))),
    2,
)
PLACE = st.tuples(WHOLE, WHOLE, WHOLE)
LOC = st.builds(
    tree.Loc,
    file=WHOLE,
    source_line=WHOLE,
    source_column=WHOLE,
    function=st.none() | EXPRESSION,
    inlined_at=st.none() | PLACE,
)
LABEL = st.builds(tree.Label, name=NAME)
PRAGMA = st.builds(tree.Pragma, texts=several(STRING, 2, least=1))
FILE = st.builds(tree.File, index=WHOLE, name=STRING, stamps=several(WHOLE, 2))
SECTION = st.builds(
    tree.Section,
    name=st.sampled_from(["debug_info", "debug_loc"]),
    lines=several(
        LABEL
        | st.builds(
            tree.SectionData,
            st.sampled_from(["b8", "b32", "b64"]),
            several(NUMBER | st.builds(tree.Name, NAME | st.just(".debug_line")), least=1),
        )
    ),
)
STATEMENT = st.recursive(
    INSTRUCTION
    | LABEL
    | LOC
    | PRAGMA
    | FILE
    | SECTION
    | variables(["reg", "local", "shared::cta", "param"])
    | st.builds(
        tree.Targets,
        directive=st.sampled_from(["branchtargets", "calltargets"]),
        names=several(NAME, least=1),
    )
    | st.builds(tree.Prototype, returns=PARAMETERS, name=PLAIN, params=PARAMETERS, directives=DIRECTIVES),
    lambda inner: st.builds(tree.Block, statements=several(inner)),
    max_leaves=6,
)
LINKAGE = st.sampled_from([(), ("visible",), ("extern",), ("weak",), ("common",)])
BODY = st.none() | st.builds(tree.Block, statements=several(STATEMENT, 5))
FUNCTION = st.builds(
    tree.Function,
    kind=st.sampled_from(["entry", "func"]),
    name=PLAIN,
    returns=PARAMETERS,
    params=PARAMETERS,
    linkage=LINKAGE,
    attributes=st.sampled_from([(), (".unified(1, 2)",)]),
    directives=DIRECTIVES,
    body=BODY,
)
MODULE = st.builds(
    tree.Module,
    version=st.sampled_from(["1.0", "8.8", "12.75"]),
    targets=several(PLAIN, 2, least=1),
    address_size=st.sampled_from([None, 32, 64]),
    items=several(
        FUNCTION
        | variables(["global", "const", "shared", "tex"], linkage=LINKAGE)
        | FILE
        | SECTION
        | PRAGMA
        | LOC
        | st.builds(tree.Alias, name=PLAIN, of=PLAIN),
        4,
    ),
)

# ---- the properties -------------------------------------------------------------------------------


def in_a_body(statement: tree.Statement) -> tree.Module:
    body = tree.Block(statements=(statement,))
    kernel = tree.Function(kind="entry", name="k", body=body)
    return tree.Module(version="8.0", targets=("sm_80",), address_size=64, items=(kernel,))


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(INSTRUCTION)
def test_an_instruction_is_parsed_from_its_own_text(instruction):
    """Alone, since a module of a few drawn items shows few of the forms that an instruction has."""
    assert parse(render(in_a_body(instruction))) == in_a_body(instruction)


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(STATEMENT)
def test_a_statement_is_parsed_from_its_own_text(statement):
    assert parse(render(in_a_body(statement))) == in_a_body(statement)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(MODULE)
def test_a_module_is_parsed_from_its_own_text(module):
    assert parse(render(module)) == module


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_ptx_is_the_same_tree_after_a_round_trip(path):
    module = parse(path.read_text())

    assert parse(render(module)) == module


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_nothing_of_real_ptx_is_dropped(path):
    """Every word of the text comes back in its order, comments aside; spacing and grouping may differ."""

    def words(text: str) -> list[str]:
        text = re.sub(r"//[^\n]*", "", text)
        return re.findall(r'"[^"\n]*"|[^\s{}()\[\],;:<>|"]+', re.sub(r"\+\s*-?", " ", text))

    text = path.read_text()
    written = [word.replace("-", "") for word in words(text)]

    assert [word.replace("-", "") for word in words(render(parse(text)))] == written


def parses_or_refuses(text: str) -> None:
    """Parsing ends in a module, or in an error whose place lies within the text."""
    error = None
    try:
        parse(text)
    except PtxParseError as raised:
        error = raised
    lines = text.split("\n")
    if error is not None:
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1


def test_real_ptx_cut_at_any_byte_parses_or_is_refused_with_its_place():
    for end in range(len(SMALL)):
        parses_or_refuses(SMALL[:end])


@settings(max_examples=150)
@given(st.integers(0, len(SMALL)), st.integers(0, 40), st.text(st.characters(codec="utf-8"), max_size=8))
def test_real_ptx_with_a_hole_or_garbage_parses_or_is_refused(at, cut, garbage):
    parses_or_refuses(SMALL[:at] + garbage + SMALL[at + cut :])


@given(st.text())
@example(".version 8.0 .target sm_80 .entry k() { /")
def test_garbage_is_refused(text):
    parses_or_refuses(text)
