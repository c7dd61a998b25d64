"""README.md and docs/ say what is so: every example in them runs, and prints what stands there.

A page is played from top to bottom in an empty folder of its own. A block whose first line is a comment
with a file name (`# test_softmax.py`, `// scale.cu`) is that file; in a `console` block each `$ ` line is run
by bash, and its output is the lines below, where a line `...` stands for any lines and times and rates may
differ.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"^(?:#|//) (?P<name>[\w./-]+\.(?:py|toml|cu|ini))$")
# A page that needs a library which need not be there says so in its first line.
RUNS_WITH = re.compile(r"\A<!-- runs with (?P<library>\w+) -->$", re.MULTILINE)
# Times, rates, versions and folders differ between machines and runs; everything else is the same.
VARIES = [
    (re.compile(r"\d+(\.\d+)?s\b"), "#s"),
    (re.compile(r"[\d,.]+ cases/s"), "# cases/s"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d\b"), "#-#-# #:#"),
    (re.compile(r"\bprocess \d+\b"), "process #"),
    (re.compile(r"\bptxas \d+\.\d+"), "ptxas #"),
    (re.compile(r"=+(?= )|(?<= )=+"), "="),
    (re.compile(r"_+(?= )|(?<= )_+"), "_"),
    (re.compile(r"-{3,}(?= )|(?<= )-{3,}"), "-"),
]


@dataclass(frozen=True)
class Command:
    line: str
    output: list[str]


def console(body: str) -> list[Command]:
    """The commands of a console block, each with the output that stands below it."""
    commands: list[Command] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            commands.append(Command(line[2:], []))
        else:
            commands[-1].output.append(line)
    return commands


def masked(line: str) -> str:
    for pattern, mask in VARIES:
        line = pattern.sub(mask, line)
    return line.rstrip()


def matches(shown: list[str], printed: list[str]) -> bool:
    """Whether the printed lines are the shown ones, a shown `...` standing for any number of lines."""
    if not shown:
        return not printed
    if shown[0] == "...":
        return any(matches(shown[1:], printed[skip:]) for skip in range(len(printed) + 1))
    return bool(printed) and shown[0] == printed[0] and matches(shown[1:], printed[1:])


def play(page: Path, folder: Path) -> list[str]:
    """Run a page in a folder; return a message for each command that printed something else."""
    # The page's own pytest sees neither this test session's options nor an outer daemon.
    hidden = ("PYTEST_", "GPUEMU_", "COV_", "TRITON_INTERPRET")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
    for name in ("CI", "BUILD_NUMBER"):  # where pytest's short summary holds whole messages
        environment.pop(name, None)
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "110",
        "HOME": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_ADDOPTS": "-p no:randomly -p no:asyncio",
    }
    wrong = []
    for block in BLOCK.finditer(page.read_text()):
        body = block["body"]
        named = FILE_NAME.match(body.split("\n", 1)[0])
        if named:
            path = folder / named["name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
        for command in console(body) if block["language"] == "console" else ():
            done = subprocess.run(
                ["bash", "-c", command.line],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=300,
            )
            shown, printed = (
                [masked(line) for line in lines] for lines in (command.output, done.stdout.splitlines())
            )
            if not matches(shown, printed):
                wrong.append(f"$ {command.line}\n" + "\n".join(printed))
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_prints_what_it_shows(page, tmp_path):
    needed = RUNS_WITH.match(page.read_text())
    if needed:
        pytest.importorskip(needed["library"])

    assert "\n\n".join(play(page, tmp_path)) == ""


def test_a_wrong_output_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```console\n$ echo one; echo two\none\n...\nthree\n```\n")

    assert play(page, tmp_path) == ["$ echo one; echo two\none\ntwo"]
