"""The main job on real kernels: correct ones pass their campaigns, every planted bug is found.

    python examples/demo.py                       make demo installs what the examples need first
    python examples/demo.py triton --cases=30     some libraries only, fewer cases

Each kernel's own test runs in pytest as a user would run it, first on the kernel as it stands and then
on its versions with a planted bug, with -x. Exits with 1 where a correct kernel fails or a bug is missed.
Here: running them side by side and the table. Elsewhere: the bugs (planted_bugs.py).
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from planted_bugs import EXAMPLES, PLANTED_BUGS, copy_kernel, plant

FOLDER = EXAMPLES.parent / "build" / "demo"
MASTER_SEED = 2024
CASES = 200
# A few tenths of a second a case: Numba's simulator starts a Python thread for each thread of a kernel,
# Triton's interpreter runs each program on its own, and Pallas compiles each new shape.
SLOW = ("numba/numba_matmul", "triton/flash_attention", "triton/layer_norm", "jax/pallas_matmul")
MOST_CASES = dict.fromkeys(SLOW, 60)
# Longest first, so that the processes end together.
KERNELS = (
    "triton/flash_attention",
    "jax/pallas_matmul",
    "triton/layer_norm",
    "jax/pallas_softmax",
    "numba/numba_matmul",
    "triton/fused_add_rms_norm",
    "triton/matmul",
    "triton/softmax",
    "numba/numba_leaky_relu",
    "triton/swiglu",
    "numpy/tiled_logsumexp",
    "cupy/cupy_rms_norm",
)
SHOWN_BUG = ("triton/softmax", "tail filled with 0")


@dataclass(slots=True, eq=False)  # pytest keeps its plugins in sets
class Run:
    """What pytest said of one test file: a plugin that listens, and the numbers that it heard."""

    cases: int = 0
    failed: int = 0
    undetermined: int = 0
    seconds: float = 0.0
    skipped: str = ""
    failures: list[str] = field(default_factory=list)
    terminal: str = ""

    @property
    def passed(self) -> bool:
        return self.cases > 0 and not self.failures

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.skipped = _reason(report.longrepr)
        elif report.failed:
            self.failures.append(report.longreprtext)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # The campaign item's report carries what the terminal summary counts.
        campaign: dict[str, Any] | None = getattr(report, "gpuemu_campaign", None)
        if campaign is not None:
            self.cases = sum(campaign["counts"].values())
            self.failed = campaign["counts"].get("failed", 0)
            self.undetermined = campaign["counts"].get("undetermined", 0)
            self.seconds = campaign["seconds"]
        if report.skipped and not self.cases:
            self.skipped = _reason(report.longrepr)
        elif report.failed:
            self.failures.append(report.longreprtext)

    @property
    def mismatch(self) -> str:
        """What is wrong, in a line: `63 of 126 elements (50.0%) exceed their tolerance`."""
        if not self.failures:
            return ""
        lines = self.failures[0].splitlines()
        said = [line for line in lines if line.startswith("E ")] or lines[-1:]
        text = said[0].removeprefix("E ").strip()
        return text.partition(": ")[2].partition(": ")[2] if " fails for seed " in text else text


@dataclass(frozen=True, slots=True)
class KernelResult:
    """One kernel's campaign, and by name those of its versions with a bug."""

    kernel: str
    correct: Run
    bugs: dict[str, Run]


def _reason(longrepr: Any) -> str:
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return str(text).removeprefix("Skipped: ")


def run_pytest(test: Path, folder: Path, cases: int, *options: str) -> Run:
    """Run one test file in this process; its terminal output is kept, not shown."""
    run = Run()
    arguments = [
        str(test.relative_to(folder)),
        f"--rootdir={folder}",
        f"--gpuemu-fuzz={cases}",
        f"--gpuemu-seed={MASTER_SEED}",
        *("-p", "no:cacheprovider"),
        # It collects garbage several times a run, 0.3 s each where torch is loaded.
        *("-p", "no:unraisableexception"),
        *options,
    ]
    terminal = io.StringIO()
    with contextlib.redirect_stdout(terminal), contextlib.redirect_stderr(terminal):
        pytest.main(arguments, plugins=[run])
    run.terminal = terminal.getvalue()
    return run


def run_kernel(kernel: str, *, cases: int, folder: Path) -> KernelResult:
    """Run a kernel's campaign and, where its library is here, those of its planted bugs."""
    os.chdir(folder)
    # The folders beside this file bear the names of libraries: `import jax` must not find examples/jax.
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != EXAMPLES.resolve()]
    correct = run_pytest(copy_kernel(kernel, folder), folder, min(cases, MOST_CASES.get(kernel, cases)))
    bugs = {}
    if not correct.skipped:
        for bug in PLANTED_BUGS:
            if bug.kernel == kernel:
                bugs[bug.name] = run_pytest(plant(bug, folder), folder, CASES, "-x")
    return KernelResult(kernel, correct, bugs)


def table(result: KernelResult) -> Iterator[str]:
    """The lines of one kernel."""
    run = result.correct
    if run.skipped:
        yield f"{result.kernel:28}  skipped: {run.skipped}"
        return
    verdict = "passed" if run.passed else "FAILED"
    details = f", {run.undetermined} undetermined" if run.undetermined else ""
    fewer = "  (fewer cases: interpreted, and slow)" if run.cases == MOST_CASES.get(result.kernel) else ""
    yield f"{result.kernel:28} {run.cases:4} cases {run.seconds:6.1f} s  {verdict}{details}{fewer}"
    for name, bug in result.bugs.items():
        if bug.failed:
            yield f"    {name:42} found at case {bug.cases:3}: {bug.mismatch}"
        else:
            yield f"    {name:42} MISSED in {bug.cases} cases  {bug.mismatch}"


def main() -> int:
    libraries = sorted({kernel.partition("/")[0] for kernel in KERNELS})
    parser = argparse.ArgumentParser(description="Correct kernels pass, planted bugs are found.")
    parser.add_argument("library", nargs="*", help=f"only these: {', '.join(libraries)}")
    parser.add_argument("--cases", type=int, default=CASES, help="cases for each correct kernel")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="what the tests are copied to; emptied")
    options = parser.parse_args()
    if unknown := set(options.library) - set(libraries):
        parser.error(f"no examples for {', '.join(unknown)}; there are {', '.join(libraries)}")
    kernels = [kernel for kernel in KERNELS if kernel.partition("/")[0] in (options.library or libraries)]
    folder = options.folder.resolve()
    started = time.perf_counter()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "gpuemu.toml").write_text("# Empty: with it, what the demo stores stays in this folder.\n")
    shutil.copy(EXAMPLES / "pytest.ini", folder)  # a project of its own, whatever folder it lies in
    print(
        f"{options.cases} cases a kernel, master seed {MASTER_SEED}; kernels and tests in {folder}\n",
        flush=True,
    )
    # Libraries with threads of their own do not survive a fork.
    context = multiprocessing.get_context("spawn")
    run = functools.partial(run_kernel, cases=options.cases, folder=folder)
    results = []
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 4), mp_context=context) as pool:
        for result in pool.map(run, kernels):
            results.append(result)
            print("\n".join(table(result)), flush=True)
    ran = [result for result in results if not result.correct.skipped]
    wrong = [result for result in ran if not result.correct.passed]
    missed = [name for result in ran for name, bug in result.bugs.items() if not bug.failed]
    for result in ran:
        if result.kernel == SHOWN_BUG[0] and result.bugs[SHOWN_BUG[1]].failed:
            print(f"\nOne failure report in full ({', '.join(SHOWN_BUG)}); to run it again: cd {folder}")
            print(result.bugs[SHOWN_BUG[1]].failures[0])
    for result in wrong:
        print(f"\n{result.kernel}, which is correct, failed:")
        print(result.correct.terminal)
    bugs = sum(len(result.bugs) for result in ran)
    print(
        f"\n{len(ran) - len(wrong)} of {len(ran)} correct kernels passed, "
        f"{bugs - len(missed)} of {bugs} planted bugs were found, in {time.perf_counter() - started:.0f} s"
    )
    return 1 if wrong or missed or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
