"""`gpuemu init`: a commented gpuemu.toml, and a first test for the operators named to it.

Here: what is written, and that nothing is overwritten. Elsewhere: the template (gpuemu.toml beside this
module, which is also the one at the root of the repository), the operators (engine/ops/).
"""

from __future__ import annotations

import argparse
import keyword
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gpuemu.commands import Parsers, add_command
from pytest_gpuemu.engine.config import FILE_NAME, Config, load_config
from pytest_gpuemu.engine.errors import ConfigError, UnknownOpError, did_you_mean

if TYPE_CHECKING:
    from pytest_gpuemu.engine.op import Op

TEST_FILE = "test_gpuemu.py"


def add(commands: Parsers) -> None:
    """Declare `init`."""
    parser = add_command(
        commands,
        "init",
        _init,
        "write a commented gpuemu.toml and a first test",
        "A file that is there already is left as it is.",
    )
    parser.add_argument(
        "ops",
        nargs="*",
        metavar="OP[=MODULE:FUNCTION]",
        help="an op to write a test for: softmax, and the kernel to test: softmax=my_kernels.fused:softmax",
    )


def _init(options: argparse.Namespace) -> int:
    folder = Path.cwd()
    config = load_config(folder)
    tests = _test_file([_asked(text, config) for text in options.ops]) if options.ops else None
    settings = _write(folder / FILE_NAME, _template(), config if config.root == folder else None)
    written = [settings]
    if tests is not None:
        written.append(_write(folder / TEST_FILE, tests, None))
        if written[-1]:
            print(f"run it: pytest {TEST_FILE}")
    return 0 if any(written) else 1


def _write(path: Path, text: str, config: Config | None) -> bool:
    """Write a new file, and say so; False where it is there, or where config is told somewhere else."""
    if config is not None and config.path is not None and config.path != path.resolve():
        print(f"{path.name} is not written: {config.path} has [tool.gpuemu]")
        return False
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        print(f"{path.name} is there already, and is left as it is")
        return False
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    print(f"wrote {path.name}")
    return True


def _template() -> str:
    return (resources.files("pytest_gpuemu.commands") / FILE_NAME).read_text(encoding="utf-8")


def _asked(text: str, config: Config) -> tuple[Op, str | None]:
    """The op that an argument names, and the "module:function" of its kernel. Raises ConfigError."""
    from pytest_gpuemu.engine.ops import BUILTIN_OPS
    from pytest_gpuemu.engine.resolve import resolve_op

    name, _, kernel = text.partition("=")
    module, _, function = kernel.partition(":")
    if "=" in text and not (
        all(map(_is_name, module.split("."))) and _is_name(function) and not keyword.iskeyword(function)
    ):
        raise ConfigError(f"{text!r}: the kernel is named as MODULE:FUNCTION: {name}=my_kernels:{name}")
    try:
        return resolve_op(name, {}, config), kernel or None
    except UnknownOpError:
        known = [*BUILTIN_OPS, *(entry.name for entry in config.ops)]
        raise UnknownOpError(
            f"{name!r} is neither a built-in op nor one of gpuemu.toml; {did_you_mean(name, known)}\n"
            "  an op of your own needs a reference and a schema: write it under [[ops]] in gpuemu.toml, like "
            "the commented example there, and run this again"
        ) from None


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _test_file(asked: list[tuple[Op, str | None]]) -> str:
    imports = sorted(
        {f"from {m} import {f}" for m, _, f in ((kernel or "").partition(":") for _, kernel in asked) if f}
    )
    stubs = any(kernel is None for _, kernel in asked)
    parts = [
        '"""The first tests of my kernels: each runs on many cases of its op, judged against float64."""\n'
    ]
    parts.append("import pytest\n")
    if imports:
        parts[-1] += "\n" + "\n".join(imports) + "\n"
    for op, kernel in asked:
        parts.append("\n" + _test_of(op, kernel))
    if stubs:
        parts[0] = parts[0].replace(
            '"""\n', '\n\nAn op whose kernel is not written yet counts as could-not-run.\n"""\n'
        )
    return "\n".join(parts)


def _test_of(op: Op, kernel: str | None) -> str:
    name = op.name if _is_name(op.name) else "".join(c if c.isalnum() else "_" for c in op.name)
    function = kernel.partition(":")[2] if kernel else f"{name}_kernel"
    test = (
        f'@pytest.mark.gpuemu_op("{op.name}")\ndef test_{name}(fuzz_case):\n    fuzz_case.run({function})\n'
    )
    if kernel is not None:
        return test
    taken = [*(x.name for x in op.inputs), *(f"{p.name}={p.choices[0]!r}" for p in op.params)]
    outputs = " and ".join(x.name for x in op.outputs)
    return (
        f"def {function}({', '.join(taken)}):\n"
        f'    """Call your kernel here, and return its {outputs}."""\n'
        f'    pytest.skip("write the kernel of {op.name} into {TEST_FILE}")\n\n\n' + test
    )
