"""Kernels of gpuemu.toml as items of their own, and kernel_artifact in tests, by a real ptxas."""

from __future__ import annotations

import pytest
from kernel_sources import CONFIG, COPY, COPY_SCALAR, TABLE

from pytest_gpuemu.engine.artifacts.tools import find_tools

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.skipif(not find_tools().ptxas, reason="no ptxas here")


@pytest.fixture
def project(pytester):
    pytester.makefile(".toml", gpuemu=CONFIG)
    pytester.makefile(".ptx", copy=COPY, table=TABLE)
    return pytester


def lint(pytester, *options):
    return pytester.runpytest_inprocess("--gpuemu-lint", *options)


class TestItems:
    def test_each_architecture_of_a_kernel_is_an_item(self, project):
        project.makefile(".toml", gpuemu=CONFIG.replace('["sm_80"]', '["sm_80", "sm_90"]'))

        result = lint(project, "-v")

        result.assert_outcomes(passed=2)
        result.stdout.fnmatch_lines(
            ["gpuemu.toml::kernel[[]copy-sm_80[]] PASSED*", "gpuemu.toml::kernel[[]copy-sm_90[]] PASSED*"]
        )

    def test_without_the_option_there_are_none(self, project):
        project.makepyfile("def test_one(): pass")

        project.runpytest_inprocess().assert_outcomes(passed=1)

    def test_they_come_also_where_pytest_is_told_of_another_folder(self, project):
        project.mkdir("tests").joinpath("test_one.py").write_text("def test_one(): pass")

        lint(project, "tests").assert_outcomes(passed=2)

    def test_they_come_once_where_pytest_is_told_of_both(self, project):
        lint(project, ".", "gpuemu.toml").assert_outcomes(passed=1)

    @pytest.mark.parametrize("option", [[], ["--gpuemu-lint"]])
    def test_the_node_id_runs_one_item_with_and_without_the_option(self, project, option):
        project.makefile(".toml", gpuemu=CONFIG.replace('["sm_80"]', '["sm_80", "sm_90"]'))

        result = project.runpytest_inprocess(*option, "gpuemu.toml::kernel[copy-sm_90]", "-v")

        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(["*kernel[[]copy-sm_90[]] PASSED*"])

    def test_keywords_and_collection_alone_know_them(self, project):
        both = CONFIG + CONFIG.replace("copy", "table")
        project.makefile(".toml", gpuemu=both)

        result = lint(project, "--collect-only", "-q")
        chosen = lint(project, "-k", "copy")

        assert result.outlines[:2] == ["gpuemu.toml::kernel[copy-sm_80]", "gpuemu.toml::kernel[table-sm_80]"]
        chosen.assert_outcomes(passed=1, deselected=1)

    def test_xdist_and_junit_see_them_as_they_see_tests(self, project):
        both = CONFIG + CONFIG.replace("copy", "table")
        project.makefile(".toml", gpuemu=both)

        result = project.runpytest_subprocess("--gpuemu-lint", "-n", "1", "--junitxml=found.xml")

        result.assert_outcomes(passed=1, failed=1)
        found = (project.path / "found.xml").read_text()
        assert '<testcase classname="gpuemu.toml" name="kernel[copy-sm_80]"' in found
        assert 'tests="2"' in found

    def test_a_failing_one_shows_limit_value_and_the_lines_responsible(self, project):
        project.makefile(".toml", gpuemu=CONFIG.replace("copy", "table"))

        result = lint(project)

        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                "kernel table fails for sm_80: 1 limit",
                "  max_local_bytes: 64 bytes of a thread's stack on sm_80, at most 0 allowed (ptxas *)",
                "    PTX line 7: .local .align 4 .b8 kept[[]64[]];",
                "    /src/table.cu:13",
                "      PTX line *: st.local.u32 [[]%rd6[]], %r1;",
                "  compiled from table.ptx; PTX kernel table",
                "FAILED gpuemu.toml::kernel[[]table-sm_80[]] - *",
            ]
        )
        assert "Traceback" not in result.stdout.str()

    def test_its_own_limits_hold(self, project):
        limits = 'artifact_checks = { max_local_bytes = 64, forbid = ["st.local"] }\n'
        project.makefile(".toml", gpuemu=CONFIG.replace("copy", "table") + limits)

        result = lint(project)

        result.stdout.fnmatch_lines(
            ["kernel table fails for sm_80: 1 limit", "  forbidden: st.local is in the PTX 1 times"]
        )

    def test_broken_ptx_shows_line_and_column(self, project):
        project.makefile(".ptx", copy=COPY.replace("ret;", "ret"))

        result = lint(project)

        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*copy.ptx: PTX line 16, column 1: *"])

    def test_a_kernel_that_is_not_there_is_named_with_those_that_are(self, project):
        project.makefile(".toml", gpuemu=CONFIG + 'entry = "cpy"\n')

        lint(project).stdout.fnmatch_lines(
            [
                "*copy.ptx holds no kernel named 'cpy': write as entry the name of one of its kernels: copy",
            ]
        )

    @pytest.mark.parametrize(
        ("config", "words"),
        [
            ("", "*gpuemu.toml has no [[][[]kernels]]; write [[][[]kernels]] with name*"),
            (CONFIG + "sorce = 1", "*'sorce' (= 1); did you mean 'source'*"),
            (CONFIG.replace("sm_80", "ampere"), "*expected an architecture*sm_80*"),
        ],
    )
    def test_a_config_that_would_check_nothing_is_an_error(self, project, config, words):
        project.makefile(".toml", gpuemu=config)

        result = lint(project)

        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([words])

    @pytest.fixture
    def old_ptxas(self, project, monkeypatch):
        """The only ptxas is one that knows no PTX as new as this."""
        program = project.path / "ptxas"
        program.write_text(
            "#!/bin/sh\n"
            "echo \"ptxas fatal : Unsupported .version 8.0; current version is '6.0'\" >&2; exit 255\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("GPUEMU_PTXAS", str(program))

    @pytest.mark.usefixtures("old_ptxas")
    def test_without_a_ptxas_that_fits_nothing_is_claimed(self, project):

        result = lint(project, "-rs")

        result.assert_outcomes(skipped=1)
        result.stdout.fnmatch_lines(["*no limit of kernel copy could be checked: *ptxas*"])

    @pytest.mark.usefixtures("old_ptxas")
    def test_without_a_ptxas_that_fits_what_the_ptx_says_is_still_checked(self, project):
        project.makefile(".toml", gpuemu=CONFIG + 'artifact_checks = { require = ["vector_load"] }\n')

        result = lint(project)

        result.assert_outcomes(passed=1, warnings=3)
        result.stdout.fnmatch_lines(["*kernel copy for sm_80: max_registers is not checked: *"])


class TestFixture:
    def test_a_test_reads_the_figures_and_checks_the_limits(self, project):
        project.makepyfile(
            """
            import pytest

            @pytest.mark.gpuemu_kernel("copy", arch=["sm_80", "sm_90"], max_registers=16)
            def test_copy(kernel_artifact):
                assert kernel_artifact.archs == ("sm_80", "sm_90")
                assert kernel_artifact.name == "copy"
                assert "ld.global.v4.f32" in kernel_artifact.ptx["sm_80"]
                assert kernel_artifact.metrics["sm_90"].register_count <= 16
                assert kernel_artifact.reports["sm_90"].limits.max_registers == 16
                kernel_artifact.check()
            """
        )

        project.runpytest_inprocess().assert_outcomes(passed=1)

    def test_a_limit_of_the_marker_fails_the_test(self, project):
        project.makepyfile(
            """
            import pytest

            @pytest.mark.gpuemu_kernel("table", source="table.ptx", arch="sm_80")
            def test_table(kernel_artifact):
                kernel_artifact.check()
            """
        )

        result = project.runpytest_inprocess()

        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            ["E *LintFailure: kernel table fails for sm_80: 1 limit", "E *max_local_bytes: 64 bytes*"]
        )

    def test_a_path_is_relative_to_the_test_or_to_the_config(self, project):
        folder = project.mkdir("tests")
        folder.joinpath("beside.ptx").write_text(COPY)
        folder.joinpath("test_paths.py").write_text(
            "import pytest\n"
            "@pytest.mark.gpuemu_kernel('a', source='beside.ptx', arch='sm_80')\n"
            "def test_a(kernel_artifact): kernel_artifact.check()\n"
            "@pytest.mark.gpuemu_kernel('b', source='copy.ptx', arch='sm_80')\n"
            "def test_b(kernel_artifact): kernel_artifact.check()\n"
        )

        project.runpytest_inprocess().assert_outcomes(passed=2)

    @pytest.mark.parametrize(
        ("marker", "words"),
        [
            ('"cpy"', "*no source is given, and no [[][[]kernels]] entry has the name 'cpy'*"),
            ('"copy", max_regs=3', "*unknown key 'max_regs' (= 3); did you mean 'max_registers'*"),
            ('"copy", max_registers="3"', "*gpuemu_kernel(\"copy\"): max_registers = '3'*"),
            ("max_registers=3", "*does not name its kernel*"),
            ('"copy", arch=["sm_70"]', "*sm_80*sm_70*"),
        ],
    )
    def test_a_marker_that_is_wrong_is_told_so(self, project, marker, words):
        project.makepyfile(
            f"import pytest\n@pytest.mark.gpuemu_kernel({marker})\n"
            "def test_it(kernel_artifact): kernel_artifact.check()\n"
        )

        result = project.runpytest_inprocess()

        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines([words])

    def test_a_test_that_looks_at_nothing_is_told_so(self, project):
        project.makepyfile(
            """
            import pytest

            @pytest.mark.gpuemu_kernel("copy")
            def test_copy(kernel_artifact): pass
            """
        )

        result = project.runpytest_inprocess()

        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines(["*looked at nothing of the kernel: call kernel_artifact.check()*"])

    def test_a_marker_without_the_fixture_and_the_fixture_without_a_marker_fail(self, project):
        project.makepyfile(
            """
            import pytest

            @pytest.mark.gpuemu_kernel("copy")
            def test_marked(): pass

            def test_unmarked(kernel_artifact): pass
            """
        )

        result = project.runpytest_inprocess()

        result.assert_outcomes(errors=2)
        result.stdout.fnmatch_lines(
            ["*but not the fixture kernel_artifact*", "*but has no marker that names its kernel*"]
        )


class TestBaseline:
    """The store is in the project's folder: these sessions start a daemon."""

    @pytest.fixture(autouse=True)
    def has_store(self, pytester):
        pytester.path.joinpath(".gpuemu").unlink()

    def test_a_kernel_that_lost_its_vector_loads_fails_and_one_that_is_as_it_was_passes(self, project):
        stored = lint(project, "--gpuemu-baseline=store")
        same = lint(project, "--gpuemu-baseline=compare")
        project.makefile(".ptx", copy=COPY_SCALAR)
        worse = lint(project, "--gpuemu-baseline=compare")

        stored.assert_outcomes(passed=1)
        stored.stdout.fnmatch_lines(
            ["stored 1:", "  kernel copy for sm_80", "gpuemu baseline export writes it*"]
        )
        same.assert_outcomes(passed=1)
        same.stdout.fnmatch_lines(["compared with .gpuemu (tag 'default'): 1 unchanged"])
        worse.assert_outcomes(failed=1)
        worse.stdout.fnmatch_lines(
            [
                "kernel copy fails for sm_80: * against .gpuemu (tag 'default')",
                "  baseline: regression: *vector_load*",
            ]
        )

    def test_a_kernel_of_other_semantics_and_equal_ptx_figures_is_green(self, project):
        lint(project, "--gpuemu-baseline=store")
        project.makefile(".ptx", copy=COPY.replace("[%rd4], {%f1, %f2,", "[%rd4], {%f2, %f1,"))

        lint(project, "--gpuemu-baseline=compare").assert_outcomes(passed=1)

    def test_the_policy_lets_a_regression_pass_and_tells_of_it(self, project):
        lint(project, "--gpuemu-baseline=store")
        project.makefile(".ptx", copy=COPY_SCALAR)
        project.makefile(".toml", gpuemu=CONFIG + "[policies]\nfail_on_regression = false\n")

        result = lint(project, "--gpuemu-baseline=compare")

        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(
            ["compared with *: 1 regression", "  kernel copy for sm_80: regression: *"]
        )

    def test_the_committed_file_holds_and_a_new_kernel_is_told(self, project):
        from pytest_gpuemu.engine.baselines.loading import export_baseline

        lint(project, "--gpuemu-baseline=store")
        export_baseline(project.path, project.path / ".gpuemu")
        (project.path / ".gpuemu" / "gpuemu.db").unlink()
        project.makefile(
            ".toml",
            gpuemu=CONFIG + CONFIG.replace("copy", "table") + "artifact_checks = { max_local_bytes = 64 }",
        )

        result = lint(project, "--gpuemu-baseline=compare")

        result.assert_outcomes(passed=2)
        result.stdout.fnmatch_lines(
            [
                "gpuemu: baseline gpuemu-baseline.json: 1 kernels, errors of 0 campaigns by dtype",
                "compared with gpuemu-baseline.json: 1 unchanged, 1 without a baseline",
                "  kernel table for sm_80",
            ]
        )

    def test_xdist_workers_store_and_compare_alike(self, project):
        stored = project.runpytest_subprocess("--gpuemu-lint", "--gpuemu-baseline=store", "-n1")
        compared = project.runpytest_subprocess("--gpuemu-lint", "--gpuemu-baseline=compare", "-n1")

        stored.stdout.fnmatch_lines(["stored 1:", "  kernel copy for sm_80"])
        compared.stdout.fnmatch_lines(["compared with .gpuemu (tag 'default'): 1 unchanged"])

    def test_a_marked_test_stores_and_compares_too(self, project):
        project.makepyfile(
            """
            import pytest

            @pytest.mark.gpuemu_kernel("copy")
            def test_copy(kernel_artifact):
                kernel_artifact.check()
            """
        )
        project.runpytest_inprocess("--gpuemu-baseline=store").stdout.fnmatch_lines(
            ["  kernel copy for sm_80"]
        )
        project.makefile(".ptx", copy=COPY_SCALAR)

        result = project.runpytest_inprocess("--gpuemu-baseline=compare")

        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["E *baseline: regression: *vector_load*"])

    def test_nothing_to_compare_with_is_an_error(self, project):
        result = lint(project, "--gpuemu-baseline=compare")

        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            ["*--gpuemu-baseline=compare: there is neither *gpuemu-baseline.json nor*"]
        )
