"""The lint on real PTX by real tools, and on a machine that has none."""

from pathlib import Path

import pytest

from pytest_gpuemu.engine.artifacts.data import KernelMetrics, Limits, LintReport
from pytest_gpuemu.engine.artifacts.lint import lint
from pytest_gpuemu.engine.artifacts.ptxas import assemble
from pytest_gpuemu.engine.artifacts.sass import disassemble
from pytest_gpuemu.engine.artifacts.tools import Tools, find_tools
from pytest_gpuemu.engine.errors import ArtifactError, ConfigError, PtxParseError

DATA = Path(__file__).parent / "data"
VECTOR_ADD = (DATA / "nvrtc_vector_add.ptx").read_text()
LOCAL_ARRAY = (DATA / "nvrtc_local_array.ptx").read_text()
NO_TOOLS = Tools()
NO_LIMITS = Limits(max_registers=None, max_spills=None, max_local_bytes=None)


@pytest.fixture(scope="module")
def installed() -> Tools:
    return find_tools()


@pytest.fixture(scope="module")
def tools(installed: Tools) -> Tools:
    """ptxas alone: a disassembler takes most of a lint's time."""
    if not installed.ptxas:
        pytest.skip("no ptxas is installed")
    return Tools(ptxas=installed.ptxas)


@pytest.fixture(scope="module")
def disassembler(installed: Tools) -> Tools:
    if not (installed.ptxas and installed.nvdisasm):
        pytest.skip("no ptxas or no nvdisasm is installed")
    return installed


def pressure(values: int, directives: str = "", target: str = "sm_80") -> str:
    """A kernel that holds this many float32 values at once, across a barrier, and 32-bit registers only for
    them: so many registers it needs, whatever the compiler does, or it spills."""
    loads = "\n".join(f"ld.global.f32 %f{i}, [%rd1+{4 * i}];" for i in range(values))
    stores = "\n".join(f"st.global.f32 [%rd1+{4 * (values - 1 - i)}], %f{i};" for i in range(values))
    return (
        f".version 7.8\n.target {target}\n.address_size 64\n.visible .entry hold(.param .u64 p)\n"
        f"{directives}\n{{\n.reg .f32 %f<{values}>;\n.reg .b64 %rd<2>;\nld.param.u64 %rd1, [p];\n{loads}\n"
        f"bar.sync 0;\n{stores}\nret;\n}}\n"
    )


def one(ptx: str, arch: str = "sm_80", **given) -> LintReport:
    (report,) = lint(ptx, archs=[arch], **given)
    return report


def figures(metrics: KernelMetrics) -> tuple:
    return (
        metrics.register_count,
        metrics.spill_count,
        metrics.local_memory_bytes,
        metrics.shared_memory_bytes,
        metrics.hardware_barriers,
    )


# ---- real figures ---------------------------------------------------------------------------------

# Registers, spills, bytes of stack and of shared memory, barriers: read from what `ptxas -v` of CUDA 12.9
# printed for these files.
BY_HAND = {
    ("nvrtc_vector_add", "add_vec4", "sm_80"): (18, 0, 0, 0, 0),
    ("nvrtc_vector_add", "add_vec4", "sm_90"): (22, 0, 0, 0, 0),
    ("nvrtc_vector_add", "add_scalar", "sm_80"): (12, 0, 0, 0, 0),
    ("nvrtc_vector_add", "add_scalar", "sm_90"): (12, 0, 0, 0, 0),
    ("nvrtc_local_array", "histogram", "sm_80"): (16, 0, 128, 0, 0),
    ("nvrtc_local_array", "powers", "sm_80"): (10, 0, 0, 1024, 1),
    ("nvrtc_local_array", "powers", "sm_90"): (9, 0, 0, 1024, 1),
    ("triton_row_max", "row_max", "sm_80"): (12, 0, 0, 0, 1),
    ("triton_row_max", "row_max", "sm_90"): (12, 0, 0, 0, 1),
}


@pytest.mark.parametrize("key", BY_HAND, ids="-".join)
def test_the_figures_are_those_that_ptxas_gave_by_hand(key, tools):
    file, kernel, arch = key
    own = [tool for tool in tools.ptxas if tool.version == "12.9"]
    if not own:
        pytest.skip("another release of ptxas allocates in another way")

    (report,) = lint((DATA / f"{file}.ptx").read_text(), kernel, archs=[arch], tools=Tools(ptxas=tuple(own)))

    assert figures(report.metrics) == BY_HAND[key]
    assert report.metrics.sources["register_count"] == "ptxas 12.9: registers of a thread"


@pytest.mark.parametrize("path", sorted(DATA.glob("*.ptx")), ids=lambda path: path.stem)
def test_registers_and_stack_are_those_that_the_cubin_itself_names(path, tools, installed, tmp_path):
    """cuobjdump reads them from the machine code's own headers, and knows nothing of ptxas' log."""
    if not installed.cuobjdump:
        pytest.skip("no cuobjdump is installed")
    ptx = path.read_text()
    cubin = tmp_path / "kernel.cubin"
    cubin.write_bytes(assemble(ptx, "sm_80", tools.ptxas).cubin)
    printed = installed.cuobjdump[0].run("-res-usage", str(cubin)).stdout

    for report in lint(ptx, archs=["sm_80"], tools=tools):
        usage = printed.split(f"Function {report.kernel_name}:")[1].split("\n")[1]
        numbers = dict(word.split(":") for word in usage.split())
        assert report.metrics.register_count == int(numbers["REG"])
        assert report.metrics.local_memory_bytes == int(numbers["STACK"])
        assert report.metrics.shared_memory_bytes == int(numbers["SHARED"])


def test_a_kernel_that_holds_a_hundred_values_has_more_registers_than_the_default_allows(tools):
    report = one(pressure(100), tools=tools)

    (violation,) = report.violations
    assert not report.passed
    assert (violation.limit, violation.allowed) == ("max_registers", 64)
    assert violation.found == report.metrics.register_count >= 100
    assert "registers of a thread on sm_80, at most 64 allowed" in violation.message
    # The hundred values are all live behind the last load, and at the barrier.
    assert [line.ptx_text for line in violation.lines] == ["ld.global.f32 %f99, [%rd1+396];", "bar.sync 0;"]


def test_a_kernel_that_holds_few_values_passes(tools):
    report = one(pressure(20), tools=tools)

    assert report.passed
    assert 20 < report.metrics.register_count <= 64
    assert (report.unchecked, report.metrics.spill_count) == ({}, 0)


def test_registers_that_do_not_suffice_are_spilled_and_the_spills_are_red(tools):
    """60 values in 32 registers: at least 28 are stored and loaded again."""
    report = one(pressure(60, ".maxnreg 32"), tools=tools)

    metrics = report.metrics
    assert metrics.register_count <= 32
    assert metrics.spill_count >= 2 * 28
    assert 4 * metrics.spill_count == metrics.spill_store_bytes + metrics.spill_load_bytes
    assert metrics.declared_local_bytes == 0
    assert {violation.limit for violation in report.violations} == {"max_spills", "max_local_bytes"}


def test_spills_are_counted_as_the_machine_code_shows_them(disassembler):
    """In a kernel without local arrays, every access to local memory is a spill."""
    ptx = pressure(60, ".maxnreg 32")
    built = assemble(ptx, "sm_80", disassembler.ptxas)
    code = disassemble(built.cubin, disassembler).functions["hold"]
    words = {"": 1, "64": 2, "128": 4}
    spills = sum(
        words[next((word for word in instruction.opcode.split(".") if word in words), "")]
        for instruction in code
        if instruction.opcode.startswith(("LDL", "STL"))
    )

    assert one(ptx, tools=disassembler).metrics.spill_count == spills > 0


def test_a_spill_leads_to_the_ptx_that_needs_the_registers(disassembler):
    ptx = pressure(60, ".maxnreg 32")

    (spills,) = (v for v in one(ptx, tools=disassembler).violations if v.limit == "max_spills")

    assert spills.lines
    for line in spills.lines:
        assert line.ptx_text == ptx.split("\n")[line.ptx_line - 1]
        assert line.ptx_text.startswith(("ld.global", "st.global", "bar.sync"))


@pytest.mark.parametrize("disassembled", [True, False])
def test_a_local_array_leads_to_its_declaration_and_to_the_source(tools, installed, disassembled):
    """The array of local_array.cu is declared on line 2; lines 3 to 5 write and read it."""
    if disassembled and not installed.nvdisasm:
        pytest.skip("no nvdisasm is installed")
    report = lint(LOCAL_ARRAY, "histogram", archs=["sm_80"], tools=installed if disassembled else tools)[0]

    (violation,) = report.violations
    assert (violation.limit, violation.found, violation.allowed) == ("max_local_bytes", 128, 0)
    declaration, *uses = violation.lines
    assert declaration.ptx_text.startswith(".local .align 16 .b8")
    assert {line.file for line in uses} == {"local_array.cu"}
    assert {line.line for line in uses} <= {3, 4, 5}


def test_machine_code_is_counted_without_the_filling(disassembler):
    metrics = lint(VECTOR_ADD, "add_vec4", archs=["sm_80"], tools=disassembler)[0].metrics

    assert metrics.sass_instruction_mix["global_load"] == 2
    assert metrics.sass_instruction_mix["global_store"] == 1
    assert metrics.sass_instruction_mix["float32"] == 4
    assert metrics.sass_instruction_count == sum(metrics.sass_instruction_mix.values())
    assert "other" not in metrics.sass_instruction_mix


def test_cuobjdump_stands_in_for_nvdisasm(disassembler):
    if not disassembler.cuobjdump:
        pytest.skip("no cuobjdump is installed")
    without = Tools(ptxas=disassembler.ptxas, cuobjdump=disassembler.cuobjdump)

    one_way, other_way = (
        lint(LOCAL_ARRAY, "powers", archs=["sm_80"], tools=tools)[0].metrics
        for tools in (disassembler, without)
    )

    assert other_way.sources["sass_instruction_count"].startswith("cuobjdump ")
    assert other_way.sass_instruction_mix == one_way.sass_instruction_mix


# ---- without tools --------------------------------------------------------------------------------


def test_without_ptxas_virtual_registers_are_never_compared_with_the_limit():
    """Guards: 200 virtual registers taken for real ones turn a good kernel red."""
    report = one(pressure(200), tools=NO_TOOLS)

    assert report.metrics.virtual_registers == 202
    assert (report.metrics.register_count, report.metrics.spill_count) == (None, None)
    assert report.violations == ()


def test_without_ptxas_the_report_says_what_is_not_checked_and_what_to_install():
    report = one(pressure(200), tools=NO_TOOLS, limits=Limits(min_occupancy=0.5))

    assert set(report.unchecked) == {"max_registers", "max_spills", "max_local_bytes", "min_occupancy"}
    assert "install nvidia-cuda-nvcc-cu12" in report.unchecked["max_registers"]
    assert report.notes[0].startswith("only virtual figures are known, those of the PTX")


def test_without_ptxas_what_the_ptx_says_is_still_judged():
    limits = Limits(max_shared_bytes=1000, max_instructions=10, forbidden_patterns=("atomic",))

    (report,) = lint(LOCAL_ARRAY, "powers", archs=["sm_80"], tools=NO_TOOLS, limits=limits)

    found = {violation.limit: violation for violation in report.violations}
    assert set(found) == {"max_shared_bytes", "max_instructions", "forbidden_patterns"}
    assert found["max_shared_bytes"].found == 1024
    assert ".shared .align 4 .b8" in found["max_shared_bytes"].lines[0].ptx_text
    assert [line.line for line in found["forbidden_patterns"].lines] == [18]  # atomicAdd


def test_limits_that_are_not_set_are_neither_judged_nor_listed():
    report = one(pressure(200), tools=NO_TOOLS, limits=NO_LIMITS)

    assert (report.passed, report.unchecked) == (True, {})


def test_a_ptx_too_new_for_every_ptxas_is_not_checked_and_says_which_one(tools):
    ptx = pressure(10).replace(".version 7.8", ".version 77.0")

    report = one(ptx, tools=tools)

    assert report.metrics.register_count is None
    assert "Unsupported .version" in report.unchecked["max_registers"]
    assert str(tools.ptxas[0].path) in report.unchecked["max_registers"]


# ---- patterns and occupancy -----------------------------------------------------------------------


def test_a_required_pattern_that_is_nowhere_is_red():
    limits = Limits(required_patterns=("vector_load", "mma.sync"))

    report = lint(VECTOR_ADD, "add_vec4", archs=["sm_80"], tools=NO_TOOLS, limits=limits)[0]

    assert [violation.message for violation in report.violations] == [
        "required: mma.sync is nowhere in the PTX"
    ]


def test_a_pattern_that_nobody_knows_is_an_error():
    with pytest.raises(ConfigError, match="'vectr_load' is no pattern"):
        lint(VECTOR_ADD, tools=NO_TOOLS, limits=Limits(forbidden_patterns=("vectr_load",)))


def test_occupancy_is_judged_at_the_size_of_the_block(tools):
    """33 to 40 registers and 1,024 threads: 1,280 registers a warp, one block of 32 warps."""
    ptx = pressure(34, ".maxnreg 40")

    report = one(ptx, tools=tools, limits=Limits(min_occupancy=0.6, block_threads=1024))

    (violation,) = report.violations
    assert (violation.limit, violation.found) == ("min_occupancy", 0.5)
    assert "32 of 64 warps, 1 blocks of 1024 threads" in violation.message
    assert "limited by registers" in violation.message


def test_occupancy_is_that_of_the_registers_of_ptxas_and_not_of_the_virtual_ones(tools):
    """62 virtual registers in 32: two blocks of 1,024 threads, and by the virtual ones one."""
    report = one(pressure(60, ".maxnreg 32"), tools=tools, limits=Limits(block_threads=1024))

    assert (report.metrics.virtual_registers, report.metrics.occupancy.blocks) == (62, 2)


@pytest.mark.parametrize(
    ("directives", "limits", "threads", "source"),
    [
        (".reqntid 8, 4, 2", Limits(), 64, ".reqntid"),
        (".maxntid 128, 1, 1", Limits(), 128, ".maxntid"),
        (".maxntid 128, 1, 1", Limits(block_threads=96), 96, "given"),
        ("", Limits(min_occupancy=0.1), 256, "assumed"),
    ],
)
def test_the_size_of_the_block_is_given_declared_or_assumed(directives, limits, threads, source, tools):
    report = one(pressure(10, directives), tools=tools, limits=limits)

    assert report.metrics.occupancy.block_threads == threads
    assert report.metrics.occupancy.block_threads_source == source
    assert any("nobody says how many" in note for note in report.notes) == (source == "assumed")


def test_dynamic_shared_memory_of_the_launch_counts_for_occupancy(tools):
    limits = Limits(block_threads=128, dynamic_shared_bytes=80 * 1024)

    report = one(pressure(10), tools=tools, limits=limits)

    assert report.metrics.occupancy.blocks == 2  # 81 KiB each, of 164 KiB
    assert report.metrics.occupancy.limited_by == ("shared memory",)
    assert report.metrics.shared_memory_bytes == 0


# ---- kernels and architectures --------------------------------------------------------------------


def test_each_kernel_is_judged_on_each_default_architecture():
    reports = lint(VECTOR_ADD, tools=NO_TOOLS)

    assert [(report.kernel_name, report.arch) for report in reports] == [
        ("add_vec4", "sm_80"),
        ("add_vec4", "sm_90"),
        ("add_scalar", "sm_80"),
        ("add_scalar", "sm_90"),
    ]


@pytest.mark.parametrize(
    ("target", "archs"),
    [
        ("sm_70", ["sm_80", "sm_90"]),
        ("sm_86", ["sm_90"]),
        ("sm_90a", ["sm_90"]),
        ("sm_100f", ["sm_100f"]),
        ("sm_120", ["sm_120"]),
    ],
)
def test_the_default_architectures_are_those_that_the_ptx_can_run_on(target, archs):
    ptx = pressure(4, target=target)

    assert [report.arch for report in lint(ptx, tools=NO_TOOLS)] == archs


@pytest.mark.parametrize(
    ("target", "arch"), [("sm_90", "sm_80"), ("sm_90a", "sm_100"), ("sm_100f", "sm_120")]
)
def test_an_architecture_that_the_ptx_cannot_run_on_is_an_error(target, arch):
    with pytest.raises(ArtifactError, match=f"the PTX is for {target} and cannot run on '{arch}'"):
        lint(pressure(4, target=target), archs=[arch], tools=NO_TOOLS)


def test_ptx_for_sm_90a_is_linted_for_sm_90(tools):
    """Guards: Triton asks for sm_90 and writes PTX for sm_90a, which ptxas assembles for nothing else."""
    report = one(pressure(10, target="sm_90a").replace("7.8", "8.0"), "sm_90", tools=tools)

    assert (report.arch, report.unchecked) == ("sm_90", {})
    assert report.metrics.register_count > 10
    assert report.metrics.occupancy is not None


def test_an_architecture_that_does_not_exist_is_an_error():
    with pytest.raises(ArtifactError, match="arch 'ampere' is no architecture"):
        lint(VECTOR_ADD, archs=["ampere"], tools=NO_TOOLS)


def test_a_kernel_that_is_not_there_is_an_error_that_names_its_neighbour():
    with pytest.raises(ArtifactError, match="no kernel 'add_vec' in the PTX: did you mean 'add_vec4'"):
        lint(VECTOR_ADD, "add_vec", tools=NO_TOOLS)


def test_ptx_without_a_kernel_is_an_error():
    with pytest.raises(ArtifactError, match="holds no kernel"):
        lint(".version 8.0 .target sm_80 .func f () { ret; }", tools=NO_TOOLS)


@pytest.mark.parametrize("text", ["", "\0garbage", VECTOR_ADD[: len(VECTOR_ADD) // 2]])
def test_what_is_no_ptx_is_an_error_with_its_place(text, tools):
    with pytest.raises(PtxParseError, match=r"^PTX line \d+, column \d+: "):
        lint(text, tools=tools)


def test_ptx_that_ptxas_refuses_is_an_error_with_its_log(tools):
    """It parses: the parser keeps opcodes that it does not know."""
    ptx = pressure(4).replace("bar.sync 0;", "frobnicate.b32 %f1, %f2;")

    with pytest.raises(ArtifactError, match=r"refuses the PTX for sm_80:\n(.|\n)*line \d+.*frobnicate"):
        one(ptx, tools=tools)


def test_a_debug_build_is_said_to_be_one():
    report = one((DATA / "nvcc_debug.ptx").read_text(), tools=NO_TOOLS)

    assert any("the PTX is a debug build" in note for note in report.notes)
