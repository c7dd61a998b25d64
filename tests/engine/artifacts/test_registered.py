"""Kernels that a marker or gpuemu.toml registers: which source, limits and entry they come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_gpuemu.engine.artifacts.data import Limits
from pytest_gpuemu.engine.artifacts.registered import entry_of, lint_kernel, mangled_names, of_entry, of_keys
from pytest_gpuemu.engine.config import ArtifactChecks, KernelEntry
from pytest_gpuemu.engine.errors import ArtifactError, ConfigError

ROOT = Path("/project")
ENTRY = KernelEntry(
    name="scale",
    place="gpuemu.toml: [[kernels]] 'scale'",
    source="scale.cu",
    arch=("sm_80",),
    options=("-DTILE=8",),
    threads=128,
    artifact_checks=ArtifactChecks(max_registers=40, require=("vector_load",)),
)
HEADER = ".version 8.0\n.target sm_80\n.address_size 64\n"
EMPTY = "() { ret; }\n"


def registered(entry=ENTRY, folder=ROOT, **keys):
    return of_keys("scale", keys, place='gpuemu_kernel("scale")', entry=entry, root=ROOT, folder=folder)


def ptx(*names: str) -> str:
    return HEADER + "".join(f".visible .entry {name}{EMPTY}" for name in names)


def test_an_entry_of_the_config_is_taken_as_it_is():
    kernel = of_entry(ENTRY, ROOT)

    assert (kernel.source.given, kernel.source.root, kernel.source.options) == (
        "scale.cu",
        ROOT,
        ("-DTILE=8",),
    )
    assert kernel.archs == ("sm_80",)
    assert kernel.limits == Limits(max_registers=40, required_patterns=("vector_load",), block_threads=128)


def test_the_keys_of_a_marker_win_over_the_entry_of_its_name():
    kernel = registered(max_registers=24, arch=("sm_86", "sm_90"), threads=64)

    assert kernel.archs == ("sm_86", "sm_90")
    assert kernel.limits == Limits(max_registers=24, required_patterns=("vector_load",), block_threads=64)
    assert kernel.source.given == "scale.cu"
    assert kernel.place == 'gpuemu_kernel("scale")'


def test_a_marker_alone_has_the_default_limits_and_architectures():
    kernel = registered(entry=None, source=print, arch="sm_80")

    assert (kernel.archs, kernel.limits) == (("sm_80",), Limits())
    assert kernel.source.given is print
    assert registered(entry=None, source="a.cu").archs == ("sm_80", "sm_90")


def test_a_path_is_looked_up_beside_the_test_and_then_in_the_root(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "scale.ptx").touch()

    def root_of(source):
        return of_keys(
            "k", {"source": source}, place="m", entry=None, root=tmp_path, folder=tmp_path / "tests"
        ).source.root

    assert root_of("scale.ptx") == tmp_path
    (tmp_path / "tests" / "scale.ptx").touch()
    assert root_of("scale.ptx") == tmp_path / "tests"


def test_a_signature_may_be_a_tuple_of_types():
    assert registered(signature=(int, float)).source.signature == (int, float)
    assert registered(signature={"x": "*fp32"}, constants={"BLOCK": 8}).source.constants == {"BLOCK": 8}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"max_register": 3}, "unknown key 'max_register' (= 3); did you mean 'max_registers'"),
        ({"max_registers": -1}, 'gpuemu_kernel("scale"): max_registers = -1: expected a whole number >= 0'),
        ({"arch": "volta"}, "arch[0] = 'volta': expected an architecture"),
        ({"min_occupancy": 80}, "min_occupancy = 80: expected a share from 0 to 1"),
    ],
)
def test_a_wrong_key_or_value_is_named(keys, words):
    with pytest.raises(ConfigError) as raised:
        registered(**keys)

    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("names", "wanted", "likely", "found"),
    [
        (("a",), None, "anything", "a"),
        (("a", "b"), "b", "a", "b"),
        (("a", "b"), None, "a", "a"),
        (("_Z5scalefPf", "_Z6scale2fPf"), None, "scale", "_Z5scalefPf"),
        (("_ZN4mine5scaleEPf", "b"), "scale", "b", "_ZN4mine5scaleEPf"),
        (("_Z4fillIfEvPT_", "_Z5scalePf"), "fill", "x", "_Z4fillIfEvPT_"),
    ],
)
def test_a_kernel_is_found_by_its_name_as_written_or_mangled(names, wanted, likely, found):
    assert entry_of(ptx(*names), wanted, likely, "k.cu") == found


@pytest.mark.parametrize(
    ("names", "wanted", "words"),
    [
        ((), None, "k.cu holds no kernel: in CUDA C, a kernel is a __global__ function"),
        (
            ("a", "b"),
            None,
            "holds no kernel named 'scale': write as entry the name of one of its kernels: a, b",
        ),
        (("a",), "b", "holds no kernel named 'b'"),
        (("_Z5scalePf", "_Z5scalePd"), "scale", "holds 2 kernels named 'scale'"),
    ],
)
def test_a_kernel_that_cannot_be_told_is_an_error_that_lists_them(names, wanted, words):
    text = ptx(*names) if names else HEADER + ".func f() { ret; }"

    with pytest.raises(ArtifactError) as raised:
        entry_of(text, wanted, "scale", "k.cu")

    assert words in str(raised.value)


def test_a_mangled_name_says_its_length():
    assert mangled_names(["_Z5scalePf", "_Z6scaledPf", "_Z15xxxxxxxxxxscalePf", "scale"], "scale") == [
        "_Z5scalePf"
    ]


def test_a_source_is_compiled_and_linted_under_the_name_of_its_origin(tmp_path):
    (tmp_path / "k.ptx").write_text(ptx("a"))
    entry = KernelEntry(name="k", place="x", source="k.ptx", arch=("sm_80",))

    found = lint_kernel(of_entry(entry, tmp_path), "sm_80")

    assert (found.report.kernel_name, found.report.arch, found.report.origin) == ("a", "sm_80", "ptx")
    assert found.report.source == str(tmp_path / "k.ptx")
    assert found.report.metrics.instruction_count == 1
