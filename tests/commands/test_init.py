"""gpuemu init: what it writes runs, and nothing is overwritten."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_gpuemu.commands.init import _asked, _test_file
from pytest_gpuemu.engine.config import (
    ArtifactChecks,
    CiSettings,
    Config,
    Policies,
    Validation,
    load_config,
    read_config,
)
from pytest_gpuemu.engine.ops import BUILTIN_OPS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
KERNELS = "import numpy as np\n\ndef relu(input):\n    return np.maximum(input, 0)\n"


def pytest_run(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "--gpuemu-fuzz=5", "--gpuemu-seed=1"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout


def test_the_first_test_of_a_kernel_runs_and_passes(gpuemu, project):
    (project / "gpuemu.toml").unlink()
    (project / "my_kernels.py").write_text(KERNELS, encoding="utf-8")

    status, out, _ = gpuemu("init", "relu=my_kernels:relu", "softmax")

    assert (status, out) == (
        0,
        "wrote gpuemu.toml\nwrote test_gpuemu.py\nrun it: pytest test_gpuemu.py\n",
    )
    ran = pytest_run(project)
    assert "relu: 5 cases, 0 failed" in ran
    assert "5 skipped: write the kernel of softmax into test_gpuemu.py" in ran
    assert "1 passed, 1 skipped" in ran


def test_what_is_there_is_left_as_it_is(gpuemu, project):
    (project / "gpuemu.toml").write_text("[fuzz]\ncases = 3\n", encoding="utf-8")
    (project / "test_gpuemu.py").write_text("mine", encoding="utf-8")

    status, out, _ = gpuemu("init", "relu")

    assert (status, out) == (
        1,
        "gpuemu.toml is there already, and is left as it is\n"
        "test_gpuemu.py is there already, and is left as it is\n",
    )
    assert (project / "gpuemu.toml").read_text(encoding="utf-8") == "[fuzz]\ncases = 3\n"
    assert (project / "test_gpuemu.py").read_text(encoding="utf-8") == "mine"


def test_settings_in_pyproject_are_not_contradicted(gpuemu, project):
    (project / "gpuemu.toml").unlink()
    (project / "pyproject.toml").write_text("[tool.gpuemu.fuzz]\ncases = 3\n", encoding="utf-8")

    status, out, _ = gpuemu("init", "relu")

    assert status == 0
    assert (
        out.splitlines()[0] == f"gpuemu.toml is not written: {project / 'pyproject.toml'} has [tool.gpuemu]"
    )
    assert load_config(project, {}).fuzz.cases == 3


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("sofmax", "'sofmax' is neither a built-in op nor one of gpuemu.toml; did you mean 'softmax'"),
        (
            "relu=my_kernels",
            "'relu=my_kernels': the kernel is named as MODULE:FUNCTION: relu=my_kernels:relu",
        ),
        ("relu=a b:c", "'relu=a b:c': the kernel is named as MODULE:FUNCTION"),
    ],
)
def test_a_wrong_name_writes_nothing(gpuemu, project, asked, said):
    (project / "gpuemu.toml").unlink()

    status, _, err = gpuemu("init", asked)

    assert status == 1
    assert err.startswith(f"gpuemu: {said}")
    assert list(project.iterdir()) == []


def test_a_test_can_be_written_for_every_built_in_op():
    """Guards: a param whose default has no literal, or an op whose name is no identifier."""
    config = Config(path=None, root=ROOT)
    for name in BUILTIN_OPS:
        compile(_test_file([_asked(name, config)]), "test_gpuemu.py", "exec")


def test_an_op_of_the_config_can_be_named(gpuemu, project):
    (project / "refs.py").write_text("def twice(x):\n    return 2 * x\n", encoding="utf-8")
    (project / "gpuemu.toml").write_text(
        '[[ops]]\nname = "my-twice"\nreference = "refs:twice"\nschema = "x[N] -> y[N]"\n', encoding="utf-8"
    )

    assert gpuemu("init", "my-twice")[0] == 0

    text = (project / "test_gpuemu.py").read_text(encoding="utf-8")
    assert 'gpuemu_op("my-twice")\ndef test_my_twice(fuzz_case):' in text
    assert "def my_twice_kernel(x):" in text


def test_the_template_is_the_file_at_the_root_of_the_repository():
    template = ROOT / "src" / "pytest_gpuemu" / "commands" / "gpuemu.toml"

    assert template.read_text(encoding="utf-8") == (ROOT / "gpuemu.toml").read_text(encoding="utf-8")


def test_what_the_template_shows_as_a_comment_is_right():
    """Guards: an example in a comment that is refused as soon as it is uncommented."""
    text = (ROOT / "gpuemu.toml").read_text(encoding="utf-8")
    # The example of [ops.tolerances] belongs to an entry above it.
    lines = text.partition("# [ops.tolerances]")[0].splitlines()
    written = "\n".join(re.sub(r"^# (?=\[|\w+ = )", "", line) for line in lines)

    config = read_config(tomllib.loads(written), ROOT / "gpuemu.toml")

    assert [op.name for op in config.ops] == ["scaled_residual", "softmax"]
    assert config.kernels[0].artifact_checks == ArtifactChecks()
    for shown, default in (
        (config.policies, Policies()),
        (config.ci, CiSettings()),
        (config.reference_timeout_s, Validation().reference_timeout_s),
        (config.op_memory_mb, Validation().op_memory_mb),
    ):
        assert shown == default
