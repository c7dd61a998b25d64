"""The HTML page in a browser: plots, sliders, keyboard, copying, dark and light, wide and narrow."""

from __future__ import annotations

import pytest
from browser import CHROMIUM, Browser
from documents import NASTY, failure, op, session

pytest.importorskip("bokeh")
pytest.importorskip("jinja2")
if CHROMIUM is None:
    pytest.skip("no Chromium is installed (apt-get install chromium)", allow_module_level=True)

from pytest_gpuemu.report.html import page

DRAWN = "[...document.querySelectorAll('.plot')].every((plot) => plot.childElementCount)"
READOUT = "document.querySelector('[data-readout]').textContent"


@pytest.fixture(scope="module")
def browser():
    opened = Browser()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A session with three failures, one of them full of markup."""
    nasty = failure(11, kind=NASTY, headline=NASTY, hints=["x" * 300])
    nasty["outputs"][0]["name"] = NASTY
    report = session(
        ops=[op(), op(name=NASTY + "n" * 200)], failures=[failure(7), failure(9, is_first=False), nasty]
    )
    written = tmp_path_factory.mktemp("report") / "report.html"
    written.write_text(page(report), encoding="utf-8")
    return written


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1200, 320])
def test_the_page_is_drawn_without_a_complaint_and_never_wider_than_the_window(browser, path, width, dark):
    browser.open(path, width=width, height=6000, dark=dark)
    browser.value("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    browser.until(DRAWN)

    assert browser.value("document.documentElement.scrollWidth <= innerWidth")
    assert browser.complaints == []
    ground = browser.value("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in ground.strip("rgb()").split(","))
    assert brightness < 200 if dark else brightness > 600


def test_plots_follow_a_change_between_dark_and_light(browser, path):
    browser.open(path, height=3000)
    browser.until(DRAWN.replace("every", "some"))
    colour = "Bokeh.documents[0].roots()[0].background_fill_color"
    light = browser.value(colour)

    browser.scheme(dark=True)

    assert light == "#ffffff"
    browser.until(f"{colour} === '#181c22'")


def test_a_slider_shows_any_slice_and_answers_to_the_keyboard(browser, path):
    browser.open(path, height=3000)
    browser.until("document.querySelector('[data-controls] input')")
    first = browser.value(READOUT)
    assert first == "y[:, 0, :]: 1 of 132 elements exceed; a cell is one element"

    browser.value("document.querySelector('[data-controls] input').focus()")
    browser.press("ArrowRight", 39)
    assert browser.value(READOUT).startswith("y[:, 1, :]: 1 of 132 ")

    browser.value(
        "(() => { const rows = document.querySelectorAll('[data-controls] select')[2];"
        " rows.value = '1'; rows.dispatchEvent(new Event('change')); })()"
    )
    assert browser.value(READOUT).startswith("y[0, :, :]: 0 of 198 ")
    browser.value("document.querySelector('[data-controls] input').focus()")
    browser.press("End", 35)
    browser.press("ArrowLeft", 37)
    assert browser.value(READOUT).startswith("y[2, :, :]: 6 of 198 ")


def test_another_output_of_the_case_can_be_chosen(browser, path):
    browser.open(path, height=3000)
    browser.until("document.querySelector('[data-controls] select')")

    browser.value(
        "(() => { const output = document.querySelector('[data-controls] select');"
        " output.value = 'total'; output.dispatchEvent(new Event('change')); })()"
    )

    assert browser.value(READOUT) == "total[:]: 0 of 4 elements exceed; a cell is one element"
    assert browser.complaints == []


def test_every_control_is_reached_by_tab_and_has_a_name(browser, path):
    browser.open(path, height=3000)
    browser.until("document.querySelector('[data-controls] select')")
    wanted = {"A", "SUMMARY", "BUTTON", "SELECT", "INPUT", "DIV", "PRE"}

    reached = set()
    for _ in range(60):
        browser.press("Tab", 9)
        reached.add(browser.value("document.activeElement.tagName"))

    assert wanted - {"PRE"} <= reached
    nameless = (
        "[...document.querySelectorAll('button, select, input')].filter((each) => "
        "!(each.tagName === 'BUTTON' && each.textContent.trim()) && "
        "!each.labels?.[0]?.textContent.trim()).length"
    )
    assert browser.value(nameless) == 0


def test_a_command_is_copied_by_the_keyboard(browser, path):
    browser.open(path, height=3000)
    browser.send("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    browser.value("document.querySelector('[data-copy]').focus()")

    browser.press("Enter", 13, "\r")

    browser.until("document.querySelector('[data-copy]').textContent === 'Copied'")
    assert browser.value("document.getElementById('said').textContent") == "Copied to the clipboard"


def test_a_link_to_an_operator_opens_it(browser, path):
    browser.open(path)
    browser.value("document.getElementById('op-2').open = false")

    browser.value("location.hash = '#op-2'")

    browser.until("document.getElementById('op-2').open")
