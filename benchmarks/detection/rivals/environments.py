"""Environments of their own for the rivals that are packages, and running the corpus inside one."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest_gpuemu

OWN_ENVIRONMENT = {"gpucheck": "gpucheck==0.1.0", "numguard-ci": "numguard-ci==1.1.0"}
CORPUS_NEEDS = ["numpy", "scipy", "ml_dtypes"]


def python_of(name: str, folder: Path) -> Path:
    """The interpreter of the environment, which is made where it is not there yet."""
    python = folder / name / "bin" / "python"
    if not python.exists():
        venv.create(folder / name, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, OWN_ENVIRONMENT[name], *CORPUS_NEEDS], check=True)
    return python


def run_in_own_environment(name: str, arguments: argparse.Namespace) -> None:
    """The same command in the rival's environment, for that rival alone, into the same results."""
    python = python_of(name, arguments.environments)
    source = Path(pytest_gpuemu.__file__).parents[1]
    root = Path(__file__).parents[3]
    command = [str(python), "-m", "benchmarks.detection.rivals.environments", "--detectors", name]
    for option in ("cases", "first_master", "only", "results"):
        command += [f"--{option.replace('_', '-')}={getattr(arguments, option)}"]
    if arguments.jobs:
        command.append(f"--jobs={arguments.jobs}")
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": f"{source}:{root}"})


def main() -> None:
    """What runs inside: the jobs of the rival, without a report."""
    from benchmarks.detection.__main__ import run_jobs

    parser = argparse.ArgumentParser()
    parser.add_argument("--detectors", type=lambda text: [text])
    parser.add_argument("--results", type=Path)
    parser.add_argument("--only", default="")
    for option in ("--cases", "--first-master", "--jobs"):
        parser.add_argument(option, type=int, default=None)
    arguments = parser.parse_args(sys.argv[1:])
    run_jobs(argparse.Namespace(**vars(arguments), masters=1))


if __name__ == "__main__":
    main()
