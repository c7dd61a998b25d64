"""The examples: each kernel passes a small campaign, and each planted bug is found by the same test.

They run through examples/demo.py, as `make demo` runs them with more cases: in processes of their own,
since Triton and Numba read the environment when they are imported.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_gpuemu.engine.config import Config, load_config

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
LIBRARIES = ("numpy", "triton", "numba", "jax", "cupy")


def planted_bugs():
    """The module examples/planted_bugs.py, without its folder on sys.path, which would hide libraries."""
    spec = importlib.util.spec_from_file_location("planted_bugs", EXAMPLES / "planted_bugs.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


PLANTED = planted_bugs()


def run_demo(folder, *arguments):
    """Run folder/demo.py with 12 cases a kernel."""
    command = [sys.executable, "demo.py", "--cases=12", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_kernel_passes_and_every_planted_bug_is_found(library, tmp_path):
    for module in {"triton": ("torch", "triton")}.get(library, (library,)):
        pytest.importorskip(module)
    if library == "cupy" and not sys.modules["cupy"].is_available():
        pytest.skip("CuPy finds no GPU")
    kernels = len(list((EXAMPLES / library).glob("test_*.py")))
    bugs = sum(bug.kernel.startswith(f"{library}/") for bug in PLANTED.PLANTED_BUGS)

    demo = run_demo(EXAMPLES, library, f"--folder={tmp_path / 'demo'}")

    said = f"{kernels} of {kernels} correct kernels passed, {bugs} of {bugs} planted bugs were found"
    assert said in demo.stdout, demo.stdout + demo.stderr
    assert demo.returncode == 0


@pytest.mark.parametrize(
    ("file", "right", "wrong", "said"),
    [
        ("numpy/tiled_logsumexp.py", "(np.log(", "(2 * np.log(", "0 of 1 correct kernels passed, 4 of 4"),
        ("planted_bugs.py", "cols - LANES + 1, 1)", "cols, 1)", "1 of 1 correct kernels passed, 3 of 4"),
    ],
    ids=["a kernel that is wrong", "a bug that is none"],
)
def test_the_demo_fails_for(file, right, wrong, said, tmp_path):
    shutil.copytree(EXAMPLES / "numpy", tmp_path / "numpy")
    for name in ("demo.py", "planted_bugs.py", "pytest.ini"):
        shutil.copy(EXAMPLES / name, tmp_path)
    source = (tmp_path / file).read_text()
    assert right in source
    (tmp_path / file).write_text(source.replace(right, wrong))

    demo = run_demo(tmp_path, "numpy", f"--folder={tmp_path / 'demo'}")

    assert f"{said} planted bugs were found" in demo.stdout, demo.stdout + demo.stderr
    assert demo.returncode == 1


def test_the_examples_run_where_they_lie():
    """Guards: the configuration of this repository's own tests held for them too, and hid their modules."""
    command = [sys.executable, "-m", "pytest", "-q", "examples/numpy", "--gpuemu-fuzz=3"]
    done = subprocess.run(
        command, cwd=EXAMPLES.parent, capture_output=True, text=True, timeout=300, check=False
    )
    assert "1 passed" in done.stdout, done.stdout


def test_every_kernel_has_planted_bugs_and_every_bug_its_place():
    """Guards: a reformatted kernel would leave a bug that changes nothing."""
    kernels = {
        f"{library}/{path.stem[5:]}" for library in LIBRARIES for path in (EXAMPLES / library).glob("test_*")
    }

    assert {bug.kernel for bug in PLANTED.PLANTED_BUGS} == kernels
    for bug in PLANTED.PLANTED_BUGS:
        assert (EXAMPLES / f"{bug.kernel}.py").read_text().count(bug.right) == 1, bug


def test_a_bug_whose_place_is_gone_is_an_error(tmp_path):
    bug = PLANTED.PlantedBug("numpy/tiled_logsumexp", "gone", "no such text", "x")

    with pytest.raises(ValueError, match=r"numpy/tiled_logsumexp\.py holds 'no such text' 0 times, not once"):
        PLANTED.plant(bug, tmp_path)


def test_the_gpuemu_toml_to_copy_sets_nothing_but_the_defaults():
    config = load_config(ROOT, {})
    plain = Config(path=config.path, root=config.root, project=config.project)

    assert config.path == ROOT / "gpuemu.toml"
    assert config == plain


def test_what_gpuemu_toml_comments_out_is_valid_too(tmp_path):
    """Guards: a user who removes the # before a key gets an error."""
    lines = [line.removeprefix("# ") for line in (ROOT / "gpuemu.toml").read_text().splitlines()]
    (tmp_path / "gpuemu.toml").write_text("\n".join(line for line in lines if is_toml(line)))

    config = load_config(tmp_path, {})

    assert (config.fuzz.seed, config.fuzz.time_s) == (7, 60)
    assert [entry.name for entry in config.ops] == ["scaled_residual", "softmax"]
    assert config.ops[1].tolerances == {"float16": {"ulp": 2.0}}
    assert [kernel.name for kernel in config.kernels] == ["saxpy"]
    assert set(config.tolerances) == {"float16", "float32"}


def is_toml(line):
    key, equals, _ = line.partition("=")
    return line.startswith("[") or (equals != "" and key.strip().isidentifier())
