"""Options and ini keys of the plugin, and what they come to.

Here: their declaration, their check, and the order command line, ini, gpuemu.toml's [fuzz], default.
Elsewhere: reading gpuemu.toml (engine/config/). Imports nothing heavy.
"""

from __future__ import annotations

import argparse
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_gpuemu.engine.config import FuzzSettings

MARKER_HELP = (
    "gpuemu_op(name, *, reference, schema, ...): fuzz the kernel in this test, which takes the fixture "
    "fuzz_case, over the domain of the operator `name`: a built-in one, one of gpuemu.toml, or the one that "
    "the keys define."
)
_MAX_SEED = 2**64 - 1
ALL = "all"
# Those of engine/minimize/search.py, which is too heavy to import here.
STRATEGIES = ("default", "binary-search-dims", "binary-search-values")
# Options that name a file: --gpuemu-report and so on.
REPORTS = ("report", "json", "sarif")
_AUTO_MINIMIZE_S = {"on": 2.0, "off": 0.0, "": 2.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What options, ini and gpuemu.toml come to.

    cases_forced is the number on the command line, which wins over a marker's `cases=`; time_s is each
    campaign's budget in seconds, known_seeds how many known failing seeds are collected for a test.
    reproduce holds the case ids of minimize, too. auto_minimize_s is what minimizing the first failure of a
    kind may take without being asked for, 0 for never.
    """

    cases: int
    cases_forced: int | None
    master_seed: int
    reproduce: tuple[str, ...]
    time_s: float | None
    socket: str | None
    known_seeds: int
    minimize: tuple[str, ...] = ()
    minimize_all: bool = False
    minimize_to: str | None = None
    strategy: str | None = None
    auto_minimize_s: float = 0.0

    def cases_for(self, marker: pytest.Mark) -> int:
        """How many cases the campaign of a test with this marker has."""
        if self.cases_forced is not None:
            return self.cases_forced
        own = marker.kwargs.get("cases")
        # A wrong value is named when the test is set up, together with every other wrong key.
        if isinstance(own, int) and not isinstance(own, bool) and own > 0 and self.cases:
            return own
        return self.cases


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("gpuemu", "fuzzing of GPU kernels (pytest-gpuemu)")
    group.addoption(
        "--gpuemu-fuzz",
        type=_count,
        metavar="N",
        help="cases per marked test (default 25; 0: only the known failing seeds run)",
    )
    group.addoption(
        "--gpuemu-seed",
        type=_seed,
        metavar="N",
        help="master seed of the campaigns, from 0 to 2**64-1 (default: a fresh one, which is printed)",
    )
    group.addoption(
        "--gpuemu-reproduce",
        action="append",
        default=[],
        metavar="SEED",
        help="run only this case: in the test that failed with it, else in every selected marked test; "
        "may be given several times",
    )
    group.addoption(
        "--gpuemu-minimize",
        action="append",
        default=[],
        metavar="SEED|all",
        help="run this case as --gpuemu-reproduce does, or all known failing ones, and find the smallest "
        "case that still fails in the same way",
    )
    group.addoption(
        "--gpuemu-minimize-to",
        metavar="PATH",
        help="folder, or .py file, for the stand-alone scripts of --gpuemu-minimize (default: "
        ".gpuemu/minimized beside gpuemu.toml)",
    )
    group.addoption(
        "--gpuemu-minimize-strategy",
        choices=STRATEGIES,
        metavar="NAME",
        help=f"what --gpuemu-minimize tries: {', '.join(STRATEGIES)}",
    )
    group.addoption(
        "--gpuemu-time",
        type=_seconds,
        metavar="SECONDS",
        help="time budget of each campaign; what it leaves out is printed",
    )
    group.addoption(
        "--gpuemu-socket",
        metavar="PATH",
        help="socket of a running daemon to store results with (default: one is started for the session)",
    )
    group.addoption(
        "--gpuemu-report",
        metavar="PATH",
        help="write what the session found as one HTML file that needs no network "
        "(pip install 'pytest-gpuemu[report]')",
    )
    group.addoption(
        "--gpuemu-json",
        metavar="PATH",
        help="write what the session found as JSON (its schema: docs/reports.md)",
    )
    group.addoption(
        "--gpuemu-sarif",
        metavar="PATH",
        help="write the failures as SARIF 2.1.0, for code scanning",
    )
    parser.addini("gpuemu_fuzz", "cases per marked test, as --gpuemu-fuzz", default=None)
    parser.addini(
        "gpuemu_known_seeds",
        "how many of its known failing seeds are collected for a test (default 50)",
        default=None,
    )
    parser.addini(
        "gpuemu_auto_minimize",
        "whether the first failure of each kind is minimized at once: on, off, or for how many seconds "
        "(default 2)",
        default=None,
    )


def wants_report(config: pytest.Config) -> bool:
    """Whether a file with all that is known of each failure was asked for."""
    return any(config.getoption(f"gpuemu_{kind}") for kind in REPORTS)


def check_options(config: pytest.Config) -> None:
    """Raise UsageError for a wrong ini value or case id, before anything is collected."""
    _ini_count(config, "gpuemu_fuzz")
    _ini_count(config, "gpuemu_known_seeds")
    _auto_minimize_s(config)
    for option in ("strategy", "to"):
        given = config.getoption(f"gpuemu_minimize_{option}")
        if given is not None and not config.getoption("gpuemu_minimize"):
            raise pytest.UsageError(
                f"--gpuemu-minimize-{option}={given} says how to minimize, but not what: "
                "add --gpuemu-minimize=SEED, or =all"
            )
    for option in ("reproduce", "minimize"):
        for text in config.getoption(f"gpuemu_{option}"):
            if (option, text) != ("minimize", ALL):
                _check_case_id(f"--gpuemu-{option}", text)


def _check_case_id(option: str, text: str) -> None:
    from pytest_gpuemu.engine.errors import SeedError
    from pytest_gpuemu.engine.plan import parse_case_id

    try:
        parse_case_id(text)
    except SeedError as error:
        raise pytest.UsageError(f"{option}={text}: {error}") from None


def read_settings(config: pytest.Config, project: FuzzSettings, master_seed: int | None = None) -> Settings:
    """Merge command line, ini, the project's [fuzz] and the defaults.

    master_seed is the one that xdist's controller chose, if this is a worker.
    """
    forced = config.getoption("gpuemu_fuzz")
    minimize = tuple(dict.fromkeys(config.getoption("gpuemu_minimize")))
    minimize_all = ALL in minimize
    if minimize_all:  # the known failing seeds, and no campaigns
        forced, minimize = 0, ()
    given_seed = config.getoption("gpuemu_seed")
    return Settings(
        cases=_first(forced, _ini_count(config, "gpuemu_fuzz"), project.cases),
        cases_forced=forced,
        # Below 2**48: short to read and to type.
        master_seed=_first(master_seed, given_seed, project.seed, secrets.randbits(48)),
        reproduce=tuple(dict.fromkeys([*config.getoption("gpuemu_reproduce"), *minimize])),
        time_s=config.getoption("gpuemu_time") or project.time_s,
        socket=config.getoption("gpuemu_socket"),
        known_seeds=_first(_ini_count(config, "gpuemu_known_seeds"), project.known_seeds),
        minimize=minimize,
        minimize_all=minimize_all,
        minimize_to=config.getoption("gpuemu_minimize_to"),
        strategy=config.getoption("gpuemu_minimize_strategy"),
        auto_minimize_s=_auto_minimize_s(config),
    )


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _count(text: str) -> int:
    return _whole(text, "write a whole number of cases such as 200, or 0 to run no campaigns")


def _seed(text: str) -> int:
    number = _whole(text, "write a whole number from 0 to 2**64-1")
    if number > _MAX_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is too large: write a whole number from 0 to 2**64-1")
    return number


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: write seconds above 0, such as 60")
    return seconds


def _whole(text: str, way_out: str) -> int:
    # str.isdecimal alone accepts digits of other scripts, and int() accepts "1_0".
    if not (text.isascii() and text.isdecimal()):
        kind = "is negative" if text[:1] == "-" and text[1:].isdecimal() else "is not a whole number"
        raise argparse.ArgumentTypeError(f"{text!r} {kind}: {way_out}")
    return int(text)


def _auto_minimize_s(config: pytest.Config) -> float:
    text = str(config.getini("gpuemu_auto_minimize") or "").strip().lower()
    if text in _AUTO_MINIMIZE_S:
        return _AUTO_MINIMIZE_S[text]
    try:
        return _seconds(text)
    except argparse.ArgumentTypeError:
        raise pytest.UsageError(
            f"ini option gpuemu_auto_minimize: {text!r} is neither on, off nor a number of seconds above 0"
        ) from None


def _ini_count(config: pytest.Config, key: str) -> int | None:
    text = config.getini(key)
    if text is None or text == "":
        return None
    try:
        return _whole(str(text).strip(), "write a whole number such as 50, or 0")
    except argparse.ArgumentTypeError as error:
        raise pytest.UsageError(f"ini option {key}: {error}") from None
