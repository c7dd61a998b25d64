"""Where NVIDIA's tools are looked for."""

import importlib
import sys
from pathlib import Path

import pytest

from pytest_gpuemu.engine.artifacts import tools
from pytest_gpuemu.engine.artifacts.tools import find_tools
from pytest_gpuemu.engine.errors import ArtifactError


def program(path: Path, release: str = "12.9") -> Path:
    """A program that says it is of a release."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'Cuda compilation tools, release {release}, V{release}.1'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """The only folder that Python finds the packages nvidia and triton in, with what a test puts there."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    for package in ("nvidia", "triton"):
        (tmp_path / package).mkdir()
        monkeypatch.delitem(sys.modules, package, raising=False)
    importlib.invalidate_caches()
    return tmp_path


def test_the_variable_is_the_only_ptxas_where_it_is_set(packages):
    program(packages / "nvidia/cuda_nvcc/bin/ptxas")
    own = program(packages / "mine/ptxas-12.3", "12.3")

    found = find_tools({"GPUEMU_PTXAS": str(own), "PATH": ""})

    assert [(str(tool), tool.path) for tool in found.ptxas] == [("ptxas 12.3", own)]


def test_wheels_come_before_triton_and_triton_before_the_path(packages):
    expected = [
        program(packages / "nvidia/cuda_nvcc/bin/ptxas"),
        program(packages / "nvidia/cu13/bin/ptxas", "13.0"),
        program(packages / "triton/backends/nvidia/bin/ptxas"),
        program(packages / "triton/backends/nvidia/bin/ptxas-blackwell", "13.4"),
        program(packages / "bin/ptxas", "11.8"),
    ]

    found = find_tools({"PATH": str(packages / "bin")})

    assert [tool.path for tool in found.ptxas] == expected
    assert [tool.version for tool in found.ptxas] == ["12.9", "13.0", "12.9", "13.4", "11.8"]


def test_nothing_is_found_where_nothing_is(packages):
    (packages / "nvidia/cuda_nvcc/bin").mkdir(parents=True)
    (packages / "nvidia/cuda_nvcc/bin/ptxas").write_text("not executable")

    assert find_tools({"PATH": ""}) == tools.Tools()


@pytest.mark.parametrize("name", ["ptxas", "nvdisasm", "cuobjdump"])
def test_a_variable_that_names_no_program_is_an_error(packages, name):
    with pytest.raises(ArtifactError, match=rf"GPUEMU_{name.upper()} = '/no/such' is no program"):
        find_tools({f"GPUEMU_{name.upper()}": "/no/such", "PATH": ""})


def test_a_program_that_does_not_end_is_an_error(packages, monkeypatch):
    monkeypatch.setattr(tools, "TIMEOUT_S", 0.2)
    slow = program(packages / "slow")
    tool = find_tools({"GPUEMU_PTXAS": str(slow), "PATH": ""}).ptxas[0]
    slow.write_text("#!/bin/sh\nexec sleep 60\n")

    with pytest.raises(ArtifactError, match="did not end within"):
        tool.run("-v")
