"""Which config and which store a command means: those of the working folder, unless it is told others.

Here: the search. Elsewhere: reading them (engine/config/, engine/store/).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_gpuemu.engine.config import Config, load_config
from pytest_gpuemu.engine.errors import StoreError
from pytest_gpuemu.engine.store import FILE_NAME, Reader, reading

_FOLDER = ".gpuemu"


def add_store_option(parser: argparse.ArgumentParser) -> None:
    """Declare --store."""
    parser.add_argument(
        "--store",
        metavar="FOLDER",
        type=Path,
        help="the store (default: .gpuemu beside gpuemu.toml, else the nearest from here upward, else "
        "~/.gpuemu)",
    )


def store_of(config: Config) -> Path:
    """The store that the daemon of a config writes: beside its file, else ~/.gpuemu."""
    return (config.root if config.path is not None else Path.home()) / _FOLDER


def store_folder(options: argparse.Namespace) -> Path:
    """The folder of the store that a command means, whether or not it is there."""
    if options.store is not None:
        given: Path = options.store.expanduser()
        return given.parent if given.name == FILE_NAME else given
    config = load_config(Path.cwd())
    if config.path is not None:
        return store_of(config)
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / _FOLDER / FILE_NAME).is_file():
            return folder / _FOLDER
    return store_of(config)


@contextmanager
def stored(options: argparse.Namespace) -> Iterator[Reader]:
    """The store that a command means, to be read. Raises StoreError where there is none."""
    folder = store_folder(options)
    with reading(folder) as reader:
        if reader is None:
            raise StoreError(
                f"there is no store in {folder}: it is made by the first run of a test marked gpuemu_op, or "
                "by the daemon; --store names another folder"
            )
        yield reader
