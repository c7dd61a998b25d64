"""gpuemu.toml: which file counts, what it gives, and the text of each error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_gpuemu.engine.config import ArtifactChecks, load_config
from pytest_gpuemu.engine.errors import ConfigError

WHOLE = """
[project]
name = "kernels"

[fuzz]
cases = 7
seed = 18446744073709551615
time = 2.5
known_seeds = 3
max_bytes = 4096

[validation]
reference_timeout_s = 2
reference_memory_mb = 512

[validation.tolerances]
float16 = 1e-3
float32 = { atol = 1e-6, rtol = 1e-5 }

[[ops]]
name = "twice"
reference = "refs:twice"
schema = "x[N] -> y[N]"
dims = { N = { min = 1, max = 9 } }
frameworks = ["torch"]
[ops.tolerances]
atol = 0.5

[[kernels]]
name = "k"
source = "k.cu"
arch = ["sm_90a"]
artifact_checks = { max_registers = 32, require = ["mma.sync"] }

[policies]
warn_threshold = 0.2

[ci]
parallel_jobs = 2
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "gpuemu.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_section_is_read(tmp_path):
    path = write(tmp_path, WHOLE)

    config = load_config(tmp_path, {})

    assert (config.path, config.root, config.project) == (path, tmp_path, "kernels")
    assert (config.fuzz.cases, config.fuzz.seed, config.fuzz.time_s) == (7, 2**64 - 1, 2.5)
    assert (config.fuzz.known_seeds, config.fuzz.max_bytes) == (3, 4096)
    assert (config.reference_timeout_s, config.reference_memory_mb) == (2.0, 512)
    assert config.tolerances == {"float16": {"atol": 1e-3}, "float32": {"atol": 1e-6, "rtol": 1e-5}}
    (op,) = config.ops
    assert (op.name, op.reference, op.frameworks) == ("twice", "refs:twice", ("torch",))
    assert op.keys == {"schema": "x[N] -> y[N]", "dims": {"N": {"min": 1, "max": 9}}}
    assert op.tolerances == {"": {"atol": 0.5}}
    (kernel,) = config.kernels
    assert (kernel.name, kernel.source, kernel.arch) == ("k", "k.cu", ("sm_90a",))
    assert kernel.artifact_checks == ArtifactChecks(
        max_registers=32, max_local_bytes=0, require=("mma.sync",)
    )
    assert (config.policies.fail_on_regression, config.policies.warn_threshold) == (True, 0.2)
    assert (config.ci.parallel_jobs, config.ci.quick_dtypes) == (2, ("float32",))


def test_the_nearest_file_upward_counts(tmp_path):
    outer = write(tmp_path, "[fuzz]\ncases = 1")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert load_config(inner, {}).path == outer

    nearer = write(tmp_path / "a", "[fuzz]\ncases = 2")
    assert load_config(inner, {}).path == nearer


def test_without_a_file_the_defaults_hold_and_root_is_the_start(tmp_path):
    config = load_config(tmp_path, {})

    assert (config.path, config.root, config.fuzz.cases) == (None, tmp_path, 25)


def test_gpuemu_config_names_the_file(tmp_path):
    write(tmp_path, "[fuzz]\ncases = 1")
    other = tmp_path / "other.toml"
    other.write_text("[fuzz]\ncases = 9", encoding="utf-8")

    assert load_config(tmp_path, {"GPUEMU_CONFIG": str(other)}).fuzz.cases == 9
    with pytest.raises(ConfigError, match=r"GPUEMU_CONFIG = 'nowhere\.toml' is no file"):
        load_config(tmp_path, {"GPUEMU_CONFIG": "nowhere.toml"})


def test_pyproject_may_hold_the_table(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.gpuemu.fuzz]\ncases = 4\n", encoding="utf-8")

    assert load_config(tmp_path, {}).fuzz.cases == 4


def test_a_pyproject_of_somebody_else_is_passed_over(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "pyproject.toml").write_text('[project]\nname = "gpuemu-user"\n', encoding="utf-8")
    outer = write(tmp_path, "")

    assert load_config(tmp_path / "a", {}).path == outer


def test_both_in_one_folder_is_an_error_that_names_both(tmp_path):
    own = write(tmp_path, "")
    project = tmp_path / "pyproject.toml"
    project.write_text("[tool.gpuemu]\n", encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path, {})

    assert str(caught.value) == (
        f"{own} and [tool.gpuemu] in {project} both configure gpuemu: keep one and remove the other"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fuz]\ncases = 3", "unknown section 'fuz' (= {'cases': 3}); did you mean 'fuzz'?"),
        ("[fuzz]\ncase = 3", "[fuzz]: unknown key 'case' (= 3); did you mean 'cases'?"),
        ("[fuzz]\ncases = -1", "[fuzz]: cases = -1: expected a whole number >= 0 (0 = no campaigns)"),
        ("[fuzz]\ncases = true", "[fuzz]: cases = True: expected a whole number >= 0 (0 = no campaigns)"),
        (f"[fuzz]\nseed = {2**64}", f"[fuzz]: seed = {2**64}: expected a whole number from 0 to 2**64 - 1"),
        ("[fuzz]\ntime = 0", "[fuzz]: time = 0: expected a number of seconds > 0"),
        ("[ops]\nname = 'x'", "[ops] is one table: write [[ops]], with two brackets"),
        ("[[ops]]\nreference = 'a:b'", "[[ops]]: name is missing: expected the op's name"),
        (
            "[[ops]]\nname = 'x'\nshema = ''",
            "[[ops]] 'x': unknown key 'shema' (= ''); did you mean 'schema'?",
        ),
        (
            "[[ops]]\nname = 'x'\nreference = 'refs'",
            "[[ops]] 'x': reference = 'refs': expected a script's path \"refs/softmax.py\" "
            'or "package.module:function"',
        ),
        (
            "[[ops]]\nname = 'x'\nexecution_mode = 'daemon'",
            "[[ops]] 'x': execution_mode = 'daemon': expected an execution mode; known: client_side, "
            "daemon_orchestrated, script_based",
        ),
        (
            "[[ops]]\nname = 'x'\nexecution_mode = 'script_based'",
            "[[ops]] 'x': execution_mode = 'script_based' needs op_script, the script that runs the op under "
            'test; write op_script = "run_op.py", or execution_mode = "client_side"',
        ),
        (
            "[[ops]]\nname = 'x'\n[[ops]]\nname = 'x'",
            "[[ops]] 'x': the name 'x' stands in two [[ops]]; rename one",
        ),
        (
            "[[ops]]\nname = 'x'\nschema = 'x[N -> [N]'",
            "[[ops]] 'x': schema: expected ']', found '->'",
        ),
        (
            "[validation.tolerances]\nfloat61 = 1e-3",
            "[validation]: tolerances: 'float61' is not a dtype; did you mean 'float64' or 'float16'",
        ),
        (
            "[validation.tolerances]\nfloat16 = { atol = -1 }",
            "[validation]: tolerances.float16: atol = -1: expected a number >= 0",
        ),
        (
            "[ci]\nquick_dtypes = ['f32']",
            "[ci]: quick_dtypes[0] = 'f32': expected a dtype; did you mean 'float32'?",
        ),
        ("a = [", "not valid TOML: "),
    ],
)
def test_an_error_names_file_key_value_and_what_was_expected(tmp_path, text, message):
    path = write(tmp_path, text)

    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path, {})

    assert str(caught.value).startswith(f"{path}: {message}")


def test_reading_settings_loads_no_numpy(tmp_path):
    write(tmp_path, "[fuzz]\ncases = 3")
    code = (
        "import sys; from pathlib import Path; from pytest_gpuemu.engine.config import load_config;"
        "load_config(Path(sys.argv[1]), {}); sys.exit('numpy' in sys.modules)"
    )

    assert subprocess.call([sys.executable, "-c", code, str(tmp_path)]) == 0
