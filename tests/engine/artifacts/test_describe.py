"""The report of a kernel that fails: what it says, with paths as the user writes them."""

from __future__ import annotations

from pathlib import Path

from baseline_samples import metrics

from pytest_gpuemu.engine.artifacts.changes import compare
from pytest_gpuemu.engine.artifacts.data import Limits, LintReport, SourceLine, Violation
from pytest_gpuemu.engine.artifacts.describe import changes, describe_lint
from pytest_gpuemu.engine.config import Policies

ROOT = Path("/src/kernels")
LINES = (
    SourceLine(ptx_line=20, ptx_text="\tst.local.f32 [%rd1], %f1;", file="/src/kernels/a.cu", line=7),
    SourceLine(
        ptx_line=21,
        ptx_text="ld.local.f32 %f2, [%rd1];",
        file="/usr/include/h.cuh",
        line=3,
        inlined_at=(("/src/kernels/a.cu", 9),),
    ),
    SourceLine(ptx_line=22, ptx_text="ld.local.f32 %f3, [%rd2];"),
)


def report(**changed) -> LintReport:
    violation = Violation(
        limit="max_spills",
        allowed=0,
        found=12,
        unit="spills",
        message="max_spills: 12, at most 0",
        lines=LINES,
    )
    return LintReport(
        **{
            "kernel_name": "_Z1aPf",
            "arch": "sm_80",
            "origin": "cuda",
            "source": "/src/kernels/a.cu",
            "metrics": metrics(),
            "limits": Limits(),
            "violations": (violation,),
            "unchecked": {"max_registers": "no ptxas"},
            "notes": ("a debug build",),
            "ptx_digest": "d",
            **changed,
        }
    )


def read_line(file: str, line: int) -> str:
    return "  window[k] = x;\n" if (file, line) == ("/src/kernels/a.cu", 7) else ""


def described(found: LintReport, comparison=None) -> list[str]:
    return describe_lint("a", found, comparison, root=ROOT, read_line=read_line, baseline="b.json")


def test_a_violation_shows_the_source_the_ptx_and_where_it_was_inlined():
    assert described(report()) == [
        "kernel a fails for sm_80: 1 limit",
        "  max_spills: 12, at most 0",
        "    a.cu:7: window[k] = x;",
        "      PTX line 20: st.local.f32 [%rd1], %f1;",
        "    /usr/include/h.cuh:3",
        "      inlined at a.cu:9",
        "      PTX line 21: ld.local.f32 %f2, [%rd1];",
        "    PTX line 22: ld.local.f32 %f3, [%rd2];",
        "  not checked: max_registers: no ptxas",
        "  note: a debug build",
        "  compiled from a.cu; PTX kernel _Z1aPf",
    ]


def test_many_lines_are_cut_and_counted():
    violation = Violation(
        limit="max_spills", allowed=0, found=12, unit="spills", message="too many", lines=LINES[2:] * 8
    )

    assert described(report(violations=(violation,)))[7] == "    and 3 more"


def test_a_regression_is_told_with_the_others_behind_it():
    comparison = compare(
        metrics(), metrics(spill_count=3, instruction_count=41, patterns_found=()), Policies()
    )

    lines = described(report(violations=()), comparison)

    assert lines[0] == "kernel a fails for sm_80: 2 regressions against b.json"
    verdicts = [line.split(": ")[1] for line in lines if line.startswith("  baseline: ")]
    assert verdicts[:2] == ["regression", "regression"]
    assert "spill_count" in "\n".join(lines)
    assert "vector_load" in "\n".join(lines)


def test_what_cannot_be_compared_is_said():
    comparison = compare(metrics(register_count=None), metrics(), Policies())

    assert [line for line in changes(comparison) if line.startswith("register_count: not compared: ")]
