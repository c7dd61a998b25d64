"""The tables of gpuemu.toml beside `[[ops]]`: their keys, and what each may hold.

Here: the keys of each section; a section that names dtypes is made by a function, since the names load NumPy.
Elsewhere: `[[ops]]` and tolerances (op_keys.py), reading (read.py), JSON Schema (json_schema.py).
"""

from __future__ import annotations

from pytest_gpuemu.engine.config.kinds import (
    Anything,
    Either,
    Flag,
    ListOf,
    MapOf,
    Number,
    Text,
    Whole,
)
from pytest_gpuemu.engine.config.settings import (
    ArtifactChecks,
    CiSettings,
    FuzzSettings,
    KernelEntry,
    Policies,
    Project,
    Validation,
)
from pytest_gpuemu.engine.config.table import Key, Table

SECTIONS = ("project", "validation", "ops", "kernels", "policies", "ci", "fuzz")
MAX_SEED = 2**64 - 1
_SECONDS = "a number of seconds > 0"
_COUNT = "a whole number >= 0"

PROJECT = Table(
    (Key("name", Text(), "the project's name"), Key("version", Text(), "the project's version")),
    "What the project is called; decides nothing.",
    record=Project,
)
FUZZ = Table(
    (
        Key("cases", Whole("a whole number >= 0 (0 = no campaigns)"), "cases a marked test"),
        Key(
            "seed",
            Whole("a whole number from 0 to 2**64 - 1", maximum=MAX_SEED),
            "the campaigns' master seed",
        ),
        Key("time", Number(_SECONDS, exclusive=True), "seconds a campaign", field="time_s"),
        Key("known_seeds", Whole(_COUNT), "known failing seeds that are collected first, a test"),
        Key("max_bytes", Whole("a whole number of bytes >= 1", minimum=1), "what one case may take"),
    ),
    "Defaults of the campaigns; options on the command line win.",
    record=FuzzSettings,
)
POLICIES = Table(
    (
        Key("fail_on_regression", Flag(), "whether what got worse than the baseline fails"),
        Key("warn_threshold", Number(), "the growth that is called worse: 0.1 is a tenth more"),
    ),
    "What happens when results are compared with a baseline.",
    record=Policies,
)
ARTIFACT_CHECKS = Table(
    (
        Key("max_registers", Whole(_COUNT), "registers of a thread, as ptxas counts them"),
        Key("max_spills", Whole(_COUNT), "spills: 32-bit values stored to and loaded from local memory"),
        Key("max_local_bytes", Whole(_COUNT), "bytes of a thread's stack frame"),
        Key("max_shared_bytes", Whole(_COUNT), "bytes of shared memory of a block"),
        Key("max_instructions", Whole(_COUNT), "instructions in the PTX"),
        Key(
            "min_occupancy",
            Number("a share from 0 to 1", maximum=1.0),
            "the share of warps that can be resident",
        ),
        Key(
            "require",
            ListOf(Text(), "a list of texts", at_least=0),
            "patterns or instructions that must be there: vector_load, mma.sync",
        ),
        Key(
            "forbid",
            ListOf(Text(), "a list of texts", at_least=0),
            "patterns or instructions that must not be there",
        ),
    ),
    "What the compiler may have made of the kernel.",
    record=ArtifactChecks,
)


def kernel_table() -> Table:
    """`[[kernels]]`."""
    from pytest_gpuemu.engine.config.op_keys import INVARIANTS, REFERENCE, OwnTolerances

    return Table(
        (
            Key("name", Text("the kernel's name"), "the name that tests and requests use", required=True),
            Key("source", Text("the path of its source"), ".cu, .ptx, or file.py:kernel", required=True),
            Key("entry", Text(), "the kernel's name in the source, where that is not name"),
            Key(
                "arch",
                ListOf(Text('an architecture "sm_80"', pattern="sm_[0-9]+[af]?"), "a list of architectures"),
                "the architectures that it is compiled for",
            ),
            Key("options", ListOf(Text(), "a list of texts", at_least=0), "options of CUDA C's compiler"),
            Key(
                "signature",
                Either(
                    (Text(), MapOf(Text(), "types by argument")),
                    'Numba\'s signature "void(f4[::1])", or the '
                    'types of Triton\'s arguments { x = "*fp32", n = "i32" }',
                ),
                "the argument types of a Numba or Triton kernel",
            ),
            Key(
                "constants",
                MapOf(Anything(), "a table of values by argument"),
                "a Triton kernel's constexpr arguments, num_warps and num_stages",
            ),
            Key(
                "threads",
                Whole("a whole number from 1 to 1024", 1, 1024),
                "threads of a block, for occupancy",
            ),
            Key("reference", REFERENCE, "the float64 reference of the op that it implements, of its name"),
            Key("tolerances", OwnTolerances(), "tolerances of that op"),
            Key("invariants", INVARIANTS, "invariants of that op"),
            Key("artifact_checks", ARTIFACT_CHECKS, "what the compiler may have made of it"),
        ),
        "A kernel whose compiled form is checked.",
        record=KernelEntry,
    )


def validation_table() -> Table:
    """`[validation]`."""
    from pytest_gpuemu.engine.config.op_keys import TOLERANCES

    return Table(
        (
            Key("tolerances", TOLERANCES, "tolerances by dtype, for every op; left out, they are derived"),
            Key(
                "reference_timeout_s",
                Number(_SECONDS, exclusive=True),
                "seconds that a reference of this file may take in the daemon",
            ),
            Key(
                "reference_memory_mb",
                Whole("a whole number >= 1", minimum=1),
                "MiB that a reference of this file may take in the daemon",
            ),
            Key(
                "op_timeout_s",
                Number(_SECONDS, exclusive=True),
                "seconds that one run of an op of this file may take in the daemon",
            ),
            Key(
                "op_memory_mb",
                Whole("a whole number >= 1", minimum=1),
                "MiB that the process of an op of this file may hold in the daemon",
            ),
        ),
        "How outputs are judged.",
        record=Validation,
    )


def ci_table() -> Table:
    """`[ci]`."""
    from pytest_gpuemu.engine.config.op_keys import DTYPE_LIST

    return Table(
        (
            Key("quick_dtypes", DTYPE_LIST, "the dtypes of a quick run"),
            Key(
                "thorough_timeout",
                Whole("a whole number of seconds >= 1", minimum=1),
                "seconds of a thorough run",
            ),
            Key("parallel_jobs", Whole("a whole number >= 1", minimum=1), "ops at a time"),
        ),
        "For scripts of your own: read and checked, and decides nothing here.",
        record=CiSettings,
    )
