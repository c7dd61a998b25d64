"""`[[ops]]`, tolerances and all else that names a dtype: the keys, and what each may hold.

Here: every key of the marker as gpuemu.toml may write it, and those that only the file has. Elsewhere: the
other tables (sections.py), what the keys mean and what only the op can tell, such as whether a dim is one of
its own (read_keys.py, read_tensors.py). Imported where a file has such a table: the names load NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_gpuemu.engine import op
from pytest_gpuemu.engine.config.kinds import (
    Anything,
    Either,
    Flag,
    Kind,
    ListOf,
    MapOf,
    Number,
    OneOf,
    Text,
    Whole,
)
from pytest_gpuemu.engine.config.settings import OpEntry
from pytest_gpuemu.engine.config.table import Key, Rule, Table
from pytest_gpuemu.engine.dtypes import DTYPES
from pytest_gpuemu.engine.errors import ConfigError, SchemaError
from pytest_gpuemu.engine.read_keys import LAYOUT_ALIASES
from pytest_gpuemu.engine.schema import parse_schema

EXECUTION_MODES = ("client_side", "daemon_orchestrated", "script_based")
FRAMEWORKS = ("numpy", "torch", "pytorch", "cupy", "jax", "tensorflow", "triton", "numba")

# Not \w, which JavaScript and Python read differently; what is no identifier the import tells.
_DOTTED = r"[^\s.:/]+(?:\.[^\s.:/]+)*"
REFERENCE = Text(
    'a script\'s path "refs/softmax.py" or "package.module:function"',
    pattern=rf"[^\n]+\.py|{_DOTTED}:{_DOTTED}",
)
DTYPE = OneOf("a dtype", DTYPES)
DTYPE_LIST = ListOf(DTYPE, "a list of dtypes")
_NAMES = ListOf(Text("a name"), "a list of names", at_least=0)
_SCALAR = Either((Flag(), Number("a number", minimum=None), Text()), "a number, a text, true or false")
_LAYOUTS = ListOf(OneOf("a layout", op.LAYOUTS, (*LAYOUT_ALIASES,)), "a list of layouts")
_WRITABLE = ListOf(
    OneOf(
        "a layout of an output, none of whose elements share memory",
        [name for name in op.LAYOUTS if name != "broadcast"],
        (*LAYOUT_ALIASES,),
    ),
    "a list of layouts",
)
_VALUES = ListOf(OneOf("a distribution of values", op.VALUES), "a list of distributions of values")
_SIZE = Whole("a size, a whole number >= 0")
_SIZES = ListOf(_SIZE, "a list of sizes")
_BOUND = Either((Number("a number", minimum=None), Text("a dim")), "a number or a dim")
_DIM = Either((_SIZE, Text("a dim")), 'a size or a dim such as "N+1"')
_DOMAIN = ListOf(Number("a number", minimum=None), "[lowest, highest]", at_least=2, at_most=2)

TOLERANCE = Table(
    (
        Key("atol", Number(), "the error that any element may have"),
        Key("rtol", Number(), "the error as a share of the reference"),
        Key("ulp", Number(), "the error in units in the last place of the output's dtype"),
        Key(
            "fraction",
            Number("a share from 0 to 1", maximum=1.0),
            "the share of elements that must be within",
        ),
    ),
    "How far an output may lie from its reference. Left out, it is derived for each element.",
)
TOLERANCES = MapOf(
    Either((Number("a number >= 0"), TOLERANCE), "an atol, or a table with atol, rtol, ulp, fraction"),
    "a table of dtype to tolerance",
    names=DTYPE,
)


@dataclass(frozen=True, slots=True)
class OwnTolerances:
    """`[ops.tolerances]`: by dtype, or one for every dtype, which is read under the name ""."""

    expected: str = "a table of dtype to tolerance, or one of atol, rtol, ulp, fraction"

    def has_type_of(self, value: Any) -> bool:
        return isinstance(value, Mapping)

    def read(self, place: str, value: Any) -> dict[str, dict[str, float]]:
        if isinstance(value, Mapping) and any(key.name in value for key in TOLERANCE.keys):
            return {"": TOLERANCE.read(place, value)}
        return read_tolerances(place, value)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [TOLERANCES.schema(), TOLERANCE.schema()]}


def read_tolerances(place: str, value: Any) -> dict[str, dict[str, float]]:
    """Tolerances by dtype; a number is an atol."""
    found = TOLERANCES.read(place, value)
    return {dtype: given if isinstance(given, dict) else {"atol": given} for dtype, given in found.items()}


@dataclass(frozen=True, slots=True)
class SchemaText(Text):
    """A schema as text, which is read so that a wrong one is told with its file and key."""

    def read(self, place: str, value: Any) -> str:
        text = Text.read(self, place, value)
        try:
            parse_schema(text)
        except SchemaError as error:
            raise ConfigError(f"{place}: {str(error).removeprefix('schema: ')}") from None
        return text


_INPUT = Table(
    (
        Key("kind", OneOf("a kind of input", op.INPUT_KINDS), "values, or integers that mean places"),
        Key("dtype", DTYPE, "its own dtype; left out, the case's"),
        Key("low", _BOUND, "the lowest value: a number, or a dim"),
        Key("high", _BOUND, "the highest value (not reached by integers): a number, or a dim"),
        Key("of", _DIM, "the dim that an index, offsets or lengths stay within"),
        Key("ignore", Whole("a whole number", minimum=None), "an index that means none"),
        Key("nonzero", Flag(), "whether 0 is left out"),
        Key("layouts", _LAYOUTS, "the layouts that it is drawn in"),
        Key("values", _VALUES, "the distributions that it is drawn from"),
    ),
)
_OUTPUT = Table(
    (
        Key("dtype", DTYPE, "its dtype; left out, that of the first floating input"),
        Key("layouts", _WRITABLE, "the layouts that a buffer of fuzz_case.outputs may have"),
    ),
)
_TENSOR = Table(
    (
        Key("name", Text("a name"), "the tensor's name", required=True),
        Key(
            "dims",
            ListOf(_DIM, "a list of dims", at_least=0),
            "its dims: names, sizes, H*G, N+1",
            required=True,
        ),
    ),
)
_SCHEMA_OUTPUT = Table((Key("name", Text("a name"), "the tensor's name"), _TENSOR.keys[1]))
_PARAM = Either(
    (
        _SCALAR,
        ListOf(Either((_SCALAR, ListOf(_SCALAR, "a list", at_least=0)), "a value"), "a list of values"),
    ),
    "a value, or a list of values to draw from",
)
PARAMS = MapOf(_PARAM, "a table of param to a value, or a list of values to draw from")
SCHEMA_TABLE = Table(
    (
        Key("name", Text(), "a name of the schema"),
        Key(
            "dims",
            ListOf(
                Table(
                    (
                        Key("name", Text("a name"), "the dim's name", required=True),
                        Key("candidates", _SIZES, "the sizes to draw from", required=True),
                    )
                ),
                'a list of tables { name = "M", candidates = [1, 16] }',
                at_least=0,
            ),
            "the sizes that dims are drawn from",
        ),
        Key(
            "inputs",
            ListOf(_TENSOR, 'a list of tables { name = "a", dims = ["M", "K"] }'),
            "the inputs, in order",
            required=True,
        ),
        Key("output", _SCHEMA_OUTPUT, "the only output"),
        Key(
            "outputs", ListOf(_SCHEMA_OUTPUT, 'a list of tables { name = "y", dims = ["M"] }'), "the outputs"
        ),
        Key("params", PARAMS, "as params of the op"),
        Key("domains", MapOf(_DOMAIN, "a table of input to [lowest, highest]"), "low and high of the inputs"),
    ),
    "A schema as tables; the text says the same shorter.",
    exactly_one=("output", "outputs"),
)

INVARIANTS = ListOf(Text('an invariant "within(0, 1)"'), 'a list such as ["within(0, 1)", "finite"]')
# As far as a file can write them: references and invariants that are functions are the marker's alone.
OP_KEYS: dict[str, tuple[Kind, str]] = {
    "schema": (
        Either(
            (SchemaText('a schema "a[M,K], b[K,N] -> [M,N]"'), SCHEMA_TABLE),
            'a schema "a[M,K], b[K,N] -> [M,N]"',
        ),
        'the shapes of inputs and outputs: "a[M,K], b[K,N] -> [M,N]"',
    ),
    "dims": (
        MapOf(
            Either(
                (
                    _SIZE,
                    _SIZES,
                    Table(
                        (
                            Key("min", _SIZE, "the smallest size", required=True),
                            Key("max", _SIZE, "the largest size", required=True),
                        )
                    ),
                ),
                "a size, a list of sizes, or a range { min = 1, max = 300 }",
            ),
            "a table of dim to a list of sizes, or a range { min = 1, max = 300 }",
        ),
        "by dim: the sizes to draw from, or a range { min = 1, max = 300 }",
    ),
    "where": (
        Either(
            (Text('a comparison "S <= T"'), ListOf(Text(), "a list of texts", at_least=0)),
            'a list such as ["S <= T"]',
        ),
        'what every case fulfils: ["S <= T"]',
    ),
    "inputs": (MapOf(_INPUT, "a table of input to its keys"), "by input: its dtype, domain and kind"),
    "outputs": (MapOf(_OUTPUT, "a table of output to its keys"), "by output: its dtype and layouts"),
    "params": (PARAMS, "by param: a value, or a list of values to draw from"),
    "dtypes": (DTYPE_LIST, "the dtypes of the floating inputs"),
    "layouts": (_LAYOUTS, "the layouts that cases are drawn in"),
    "values": (_VALUES, "the distributions that values are drawn from"),
    "library": (OneOf("an array library", op.LIBRARIES), "what inputs and outputs arrive as"),
    "max_bytes": (Whole("a whole number of bytes >= 1", minimum=1), "what one case may take"),
    "tolerance": (
        Table(TOLERANCE.keys, TOLERANCE.text, at_least=1),
        "how far an output may lie from its reference; left out, it is derived",
    ),
    "compute": (OneOf("a compute type", op.COMPUTE_TYPES), "what the kernel may compute in"),
    "rounding": (OneOf("a rounding", op.ROUNDINGS), "how the kernel rounds to the output's dtype"),
    "scale": (OneOf("a scale", op.SCALES), "what errors are measured against: the element, or its row"),
    "invariants": (INVARIANTS, 'what holds for every output: ["within(0, 1)", "finite"]'),
    "checks": (
        Either(
            (
                ListOf(OneOf("a check", op.CHECKS), "a list of checks"),
                MapOf(Flag(), "a table of check to true or false", names=OneOf("a check", op.CHECKS)),
            ),
            "a list of the only checks, or a table such as { deterministic = false }",
        ),
        "the only checks, or a table that switches some",
    ),
    "configs": (
        ListOf(Anything(), "a list of configurations"),
        "kernel configurations, each run under one seed",
    ),
    "inplace": (
        Either(
            (
                Text("an input"),
                ListOf(Text("an input"), "a list of inputs", at_least=0),
                MapOf(Text("an input"), "a table of output to the input that it overwrites"),
            ),
            "a list of inputs, or a table of output to input",
        ),
        "the inputs that the outputs overwrite",
    ),
    "cases": (Whole("a whole number >= 1", minimum=1), "cases of a campaign"),
}

OP = Table(
    (
        Key("name", Text("the op's name"), "the name that markers and requests use", required=True),
        Key(
            "reference",
            REFERENCE,
            'the float64 reference: "package.module:function", or the path of a script',
        ),
        Key(
            "module",
            Text(
                'a module "package.module", or a function of it "package.module:function"',
                pattern=rf"{_DOTTED}(?::{_DOTTED})?",
            ),
            "the op under test that the daemon calls: a function, or a module with one of the op's name",
        ),
        Key("op_script", Text("a script's path"), "the script that runs the op under test"),
        Key(
            "input_names", _NAMES, "the inputs of an op without a schema, each of shape [batch, seq, hidden]"
        ),
        Key("execution_mode", OneOf("an execution mode", EXECUTION_MODES), "who runs the op under test"),
        Key(
            "frameworks",
            ListOf(OneOf("a framework", FRAMEWORKS), "a list of frameworks", at_least=0),
            "what the op under test is written in; decides nothing",
        ),
        Key("tolerances", OwnTolerances(), "tolerances by dtype, or { atol, rtol, ulp, fraction } for all"),
        *(Key(name, kind, text) for name, (kind, text) in OP_KEYS.items()),
    ),
    "An operator: its reference and schema, or a built-in one narrowed.",
    record=OpEntry,
    rules=(
        Rule(
            "execution_mode",
            ("script_based",),
            ("op_script",),
            'op_script, the script that runs the op under test; write op_script = "run_op.py", or '
            'execution_mode = "client_side"',
        ),
        Rule(
            "execution_mode",
            ("daemon_orchestrated",),
            ("module", "op_script"),
            'module, the function under test; write module = "package.module:function", or '
            'execution_mode = "client_side"',
        ),
    ),
)
