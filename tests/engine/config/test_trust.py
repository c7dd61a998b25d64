"""Whose gpuemu.toml is read: it names code to run, so one that is found must be the user's own."""

from __future__ import annotations

import os

import pytest

from pytest_gpuemu.engine.config import load_config
from pytest_gpuemu.engine.errors import ConfigError

SOMEBODY = 12345
NAMES = ["gpuemu.toml", "pyproject.toml"]
TEXTS = {"gpuemu.toml": "[fuzz]\ncases = 7\n", "pyproject.toml": "[tool.gpuemu.fuzz]\ncases = 7\n"}


@pytest.fixture(params=NAMES)
def file(request, tmp_path):
    path = tmp_path / request.param
    path.write_text(TEXTS[request.param], encoding="utf-8")
    return path


@pytest.fixture
def of_somebody(file):
    if os.geteuid() != 0:
        pytest.skip("only root gives a file to another user")
    os.chown(file, SOMEBODY, SOMEBODY)
    return file


def test_a_file_that_everybody_may_write_is_refused_when_found(file):
    file.chmod(0o666)

    with pytest.raises(ConfigError) as caught:
        load_config(file.parent, {})

    assert str(caught.value) == (
        f"{file}: every user of this machine can write to it: refused, since a config names code to run; "
        f"chmod o-w {file}, or if you trust it, name it: GPUEMU_CONFIG={file}"
    )


def test_a_file_of_another_user_is_refused_when_found_also_from_a_folder_below(of_somebody):
    below = of_somebody.parent / "a"
    below.mkdir()

    for start in (of_somebody.parent, below):
        with pytest.raises(ConfigError) as caught:
            load_config(start, {})

        assert str(caught.value) == (
            f"{of_somebody}: belongs to user {SOMEBODY}, you are user 0: refused, since a config names code "
            f"to run; if you trust it, name it: GPUEMU_CONFIG={of_somebody}"
        )


def test_a_file_that_is_named_is_trusted(file):
    file.chmod(0o666)

    assert load_config(file.parent, {"GPUEMU_CONFIG": str(file)}).fuzz.cases == 7


def test_a_file_that_is_named_is_trusted_whosever_it_is(of_somebody):
    assert load_config(of_somebody.parent, {"GPUEMU_CONFIG": str(of_somebody)}).fuzz.cases == 7


def test_in_pytests_rootdir_it_is_as_trusted_as_conftest(of_somebody):
    """A container's root runs a checkout of the host's user: pytest runs its conftest.py anyway."""
    folder = of_somebody.parent

    assert load_config(folder, {}, trusted=folder).fuzz.cases == 7


def test_above_pytests_rootdir_nothing_is_trusted(of_somebody):
    rootdir = of_somebody.parent / "project"
    rootdir.mkdir()

    with pytest.raises(ConfigError, match="belongs to user"):
        load_config(rootdir, {}, trusted=rootdir)


def test_the_group_may_write(file):
    file.chmod(0o664)

    assert load_config(file.parent, {}).fuzz.cases == 7


def test_a_pyproject_without_our_table_may_be_anybodys(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "gpuemu-user"\n', encoding="utf-8")
    (tmp_path / "pyproject.toml").chmod(0o666)

    assert load_config(tmp_path, {}).path is None
