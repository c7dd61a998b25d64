"""The HTML page as text: complete without a network, and no text of the user's is markup."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from documents import NASTY, failure, op, session

pytest.importorskip("bokeh")
pytest.importorskip("jinja2")

from pytest_gpuemu.report.html import MAX_FAILURES, page


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text outside scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self._inside = [], "", ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside not in ("script", "style"):
            self.text += data


def test_the_page_says_what_was_found():
    text = re.sub(r"\s+", " ", Elements(page(session())).text)

    for said in (
        "1 failing case of 1 kind, 3 cases of 1 op",
        "5 of 9",
        "the reference ignores x",
        "the tail is not masked",
        "at column 32 of 33",
        "x float32 [1, 1, 33] (9 kernel runs)",
        "pytest one",
        "pytest anywhere",
        "pytest shrink",
        "pytest smallest",
    ):
        assert said in text


def test_nothing_is_loaded_from_anywhere():
    elements = Elements(page(session())).elements

    assert not [attrs for _, attrs in elements if "src" in attrs]
    assert not [attrs for tag, attrs in elements if tag == "link"]
    links = [attrs["href"] for tag, attrs in elements if tag == "a"]
    assert links
    assert all(link.startswith("#") for link in links)


def test_no_text_of_the_users_is_markup():
    nasty = failure(
        headline=NASTY,
        text=NASTY,
        test_id=NASTY,
        kind=NASTY,
        file=NASTY,
        config=NASTY,
        hints=[NASTY],
        params={NASTY: NASTY},
        commands={"rerun": NASTY, "anywhere": NASTY, "shrink": NASTY},
    )
    nasty["outputs"][0]["name"] = NASTY
    nasty["inputs"][0]["name"] = NASTY
    nasty["diagnosis"]["where"][0]["text"] = NASTY
    plain = [
        tag
        for tag, _ in Elements(
            page(session(failures=[failure(hints=["a"], config="b", params={"c": "d"})]))
        ).elements
    ]

    report = session(ops=[op(name=NASTY, reasons={NASTY: 1})], failures=[nasty], note=NASTY)
    found = Elements(page(report))

    assert not [tag for tag, attrs in found.elements if tag == "img" or "onerror" in attrs]
    # The two notes and the reason are the only elements more.
    assert len(found.elements) - len(plain) == 2
    assert found.text.count("<img src=x") > 12


def test_the_data_is_json_that_no_name_can_leave():
    nasty = failure()
    nasty["outputs"][0]["name"] = NASTY

    text = page(session(failures=[nasty]))

    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert json.loads(data)["failures"][0][0]["name"] == NASTY


def test_a_session_without_failures_is_a_page_too():
    text = Elements(page(session(ops=[], failures=[], master_seed=None))).text

    assert "No failing case" in text
    assert "No campaign ran." in text


def test_an_interrupted_session_says_so():
    assert "The session was interrupted" in Elements(page(session(is_interrupted=True))).text


def test_of_very_many_failures_some_are_left_to_the_json():
    one = failure()
    many = [{**one, "node_id": f"t[seed={seed}]", "case_id": str(seed)} for seed in range(MAX_FAILURES + 5)]

    text = Elements(page(session(failures=many))).text

    assert "5 more failing cases are not shown here" in text
