"""A session's document as one HTML page that needs no network: texts and tables here, plots by BokehJS in it.

Here: putting the page together. Jinja2 escapes every text, since op names, messages and node ids are the
user's. BokehJS comes from the bokeh wheel: 1.4 MB in the page, where plotly.js is 4.8 MB. Elsewhere: what the
page says (page.html), how it looks (page.css), its plots (page.js).
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping
from typing import Any

import jinja2

from pytest_gpuemu.engine.ulps import UlpHistogram

# Of more failures, the page names the rest: the JSON has them all.
MAX_FAILURES = 200
_SCRIPTS = ("bokeh.min.js", "bokeh-api.min.js")


def page(report: Mapping[str, Any]) -> str:
    """The page. report is the document of document.py."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text_of),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["short"] = _short
    environment.filters["ulp_line"] = lambda fields: UlpHistogram.from_plain(fields).line
    kinds = _by_kind(report["failures"])
    shown = [failure for alike in kinds for failure in alike][:MAX_FAILURES]
    text: str = environment.get_template("page.html").render(
        report=report,
        kinds=kinds,
        place={failure["node_id"]: at for at, failure in enumerate(shown)},
        left_out=len(report["failures"]) - len(shown),
        total=sum(sum(op["counts"].values()) for op in report["ops"]),
        style=_text_of("page.css"),
        script=_text_of("page.js"),
        libraries=[_bokeh(name) for name in _SCRIPTS],
        data={
            "ops": [op["cases"] for op in report["ops"]],
            "failures": [
                [
                    {key: output[key] for key in ("name", "dtype", "grid", "shown", "ulps")}
                    for output in failure["outputs"]
                ]
                for failure in shown
            ],
        },
    )
    return text


def _by_kind(failures: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The failures of each kind of a test, the one that is told in full first."""
    kinds: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for failure in failures:
        kinds.setdefault((failure["test_id"], failure["kind"]), []).append(failure)
    return [sorted(alike, key=lambda failure: not failure["is_first"]) for alike in kinds.values()]


def _text_of(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _bokeh(name: str) -> str:
    script = importlib.resources.files("bokeh") / "server" / "static" / "js" / name
    # A literal "</script" would end the element that holds the script.
    return script.read_text(encoding="utf-8").replace("</script", "<\\/script")


def _short(value: Any) -> str:
    """A number with at most four digits; other values as they are."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
