"""Artifacts through the daemon: lints, stored PTX, baselines, and the wire's codes for what goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_gpuemu.client import Client
from pytest_gpuemu.client.launch import start_daemon
from pytest_gpuemu.engine.artifacts.tools import find_tools
from pytest_gpuemu.engine.errors import ClientError

KERNELS = """
.version 8.0
.target sm_80
.address_size 64
.visible .entry copy(.param .u64 a, .param .u64 b)
{
    .reg .b64 %rd<3>;
    .reg .b32 %r<5>;
    ld.param.u64 %rd1, [a];
    ld.param.u64 %rd2, [b];
    ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd1];
    st.global.v4.u32 [%rd2], {%r1, %r2, %r3, %r4};
    ret;
}
.visible .entry _Z5emptyPf(.param .u64 a) { ret; }
"""
SCALAR = KERNELS.replace(
    "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd1];",
    "".join(f"ld.global.u32 %r{i + 1}, [%rd1+{4 * i}];\n" for i in range(4)),
).replace(
    "st.global.v4.u32 [%rd2], {%r1, %r2, %r3, %r4};",
    "".join(f"st.global.u32 [%rd2+{4 * i}], %r{i + 1};\n" for i in range(4)),
)
CONFIG = """
[[kernels]]
name = "empty"
source = "empty.cu"
arch = ["sm_86"]
artifact_checks = { max_instructions = 0 }
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "gpuemu.toml").write_text(CONFIG, encoding="utf-8")
    running = start_daemon(folder, folder / ".gpuemu", config=folder / "gpuemu.toml")
    with Client(running.socket_path) as connected:
        yield connected
    running.stop()


def code_of(call) -> str | None:
    with pytest.raises(ClientError) as raised:
        call()
    return raised.value.code


def test_a_kernel_that_nobody_registered_has_the_default_limits_and_architectures(client):
    results = client.lint_kernel(KERNELS, "copy")

    assert [(result["kernel_name"], result["arch"]) for result in results] == [
        ("copy", "sm_80"),
        ("copy", "sm_90"),
    ]
    found = results[0]
    assert found["passed"] is True
    assert found["violations"] == []
    assert isinstance(found["timestamp"], int)
    metrics = found["metrics"]
    assert {
        "register_count", "spill_count", "local_memory_bytes", "shared_memory_bytes", "instruction_count",
        "patterns_found", "source", "virtual_registers",
    } <= set(metrics)  # fmt: skip
    assert metrics["instruction_count"] == 5
    assert [pattern["name"] for pattern in metrics["patterns_found"]] == ["vector_load", "vector_store"]


@pytest.mark.skipif(not find_tools().ptxas, reason="no ptxas here")
def test_real_figures_say_which_tool_gave_them(client):
    metrics = client.lint_kernel(KERNELS, "copy", arch="sm_80")[0]["metrics"]

    assert 4 <= metrics["register_count"] <= 16
    assert (metrics["spill_count"], metrics["local_memory_bytes"], metrics["shared_memory_bytes"]) == (
        0,
        0,
        0,
    )
    assert metrics["source"]["register_count"].startswith("ptxas ")
    assert metrics["source"]["register_count"].endswith(": registers of a thread")


def test_without_a_name_every_kernel_of_the_ptx_is_linted(client):
    names = [result["kernel_name"] for result in client.lint_kernel(KERNELS, arch="sm_80")]

    assert names == ["copy", "_Z5emptyPf"]


def test_a_registered_kernel_has_its_own_limits_also_under_its_mangled_name(client):
    for name in ("empty", "_Z5emptyPf"):
        (found,) = client.lint_kernel(KERNELS, name)
        assert (found["kernel_name"], found["arch"], found["passed"]) == ("_Z5emptyPf", "sm_86", False)
        (violation,) = found["violations"]
        assert (violation["limit"], violation["allowed"], violation["found"]) == ("max_instructions", 0, 1)


@pytest.mark.parametrize(
    ("ptx", "name", "code"),
    [
        ("", None, "PtxParseError"),
        ("no ptx", None, "PtxParseError"),
        (KERNELS[: len(KERNELS) // 2], None, "PtxParseError"),
        (KERNELS, "cpy", "KernelNotFound"),
        (KERNELS.replace("sm_80", "sm_12345"), None, "InvalidRequest"),
    ],
)
def test_what_is_wrong_has_the_wires_code(client, ptx, name, code):
    assert code_of(lambda: client.lint_kernel(ptx, name)) == code


def test_broken_ptx_is_told_with_line_and_column(client):
    with pytest.raises(ClientError, match="PTX line 14, column 1"):
        client.lint_kernel(KERNELS.replace("    ret;\n}", "    ret\n}"))


def test_artifacts_are_stored_and_found_by_kernel_and_architecture(client):
    stored = client.store_artifact(KERNELS, "copy")

    assert [(artifact["kernel_name"], artifact["arch"]) for artifact in stored] == [
        ("copy", "sm_80"),
        ("copy", "sm_90"),
    ]
    found = client.get_artifact("copy", "sm_80")
    assert found["ptx_content"] == KERNELS
    assert found["metrics"]["instruction_count"] == 5
    assert [artifact["arch"] for artifact in client.list_artifacts(kernel_name="copy")] == ["sm_90", "sm_80"]
    assert len(client.list_artifacts(limit=1)) == 1
    assert "ptx_content" not in client.list_artifacts()[0]
    assert code_of(lambda: client.get_artifact("cpy")) == "ArtifactNotFound"
    assert code_of(lambda: client.get_artifact("copy", "sm_75")) == "ArtifactNotFound"


def test_a_later_artifact_is_compared_with_what_a_tag_keeps(client):
    client.store_artifact(KERNELS, "copy", arch="sm_80")
    assert client.store_artifact_baseline("v1", "copy", "sm_80") == 1
    (same,) = client.diff_artifact_baseline("v1")
    client.store_artifact(SCALAR, "copy", arch="sm_80")
    (worse,) = client.diff_artifact_baseline("v1", "copy")

    assert (same["same_ptx"], same["changes"], same["fails"], same["regressions"]) == (True, [], False, 0)
    assert (worse["kernel_name"], worse["arch"], worse["same_ptx"], worse["fails"]) == (
        "copy",
        "sm_80",
        False,
        True,
    )
    regressions = [change["figure"] for change in worse["changes"] if change["verdict"] == "regression"]
    assert any("vector_load" in figure for figure in regressions)
    assert code_of(lambda: client.diff_artifact_baseline("v2")) == "BaselineNotFound"
    assert code_of(lambda: client.store_artifact_baseline("v2", "absent")) == "ArtifactNotFound"


def test_machine_code_needs_a_disassembler(client, tmp_path, monkeypatch):
    client.store_artifact(KERNELS, "copy", arch="sm_80")
    tools = find_tools()
    if tools.ptxas and (tools.nvdisasm or tools.cuobjdump):
        code = client.get_artifact("copy", "sm_80", with_sass=True)["sass"]["copy"]
        assert any(opcode.startswith("LDG") for opcode in code)
    for name in ("GPUEMU_NVDISASM", "GPUEMU_CUOBJDUMP"):
        monkeypatch.setenv(name, "/bin/false")  # a disassembler that reads nothing
    bare = start_daemon(Path(tmp_path), tmp_path / ".gpuemu")
    try:
        with Client(bare.socket_path) as connected:
            connected.store_artifact(KERNELS, "copy", arch="sm_80")
            wrong = code_of(lambda: connected.get_artifact("copy", with_sass=True))
    finally:
        bare.stop()
    assert wrong == "CuobjdumpNotAvailable"
