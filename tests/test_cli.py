"""The gpuemu command as a whole: usage, help texts, and a reader that goes away."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from pytest_gpuemu.cli import main

COMMANDS = [
    ("init",),
    ("daemon", "start"),
    ("daemon", "stop"),
    ("daemon", "status"),
    ("daemon", "logs"),
    ("failures",),
    ("results",),
    ("campaigns",),
    ("baseline", "store"),
    ("baseline", "compare"),
    ("baseline", "list"),
    ("baseline", "remove"),
    ("export",),
    ("import",),
    ("schema",),
]


@pytest.mark.parametrize("arguments", [[], ["daemon"], ["daemon", "begin"], ["--nonsense"], ["baseline"]])
def test_wrong_usage_shows_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert caught.value.code == 2
    assert "usage: gpuemu" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_says_what_it_does(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])

    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: gpuemu {' '.join(command)}")
    assert len(said.split("\n\n")[1].split()) >= 3


def test_the_help_names_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])

    said = capsys.readouterr().out
    assert [command[0] for command in COMMANDS if not re.search(rf"\n    {command[0]}\s", said)] == []


def test_a_reader_that_has_seen_enough_is_no_error():
    process = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m pytest_gpuemu schema | head -c 10"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (process.returncode, process.stderr) == (0, "")
