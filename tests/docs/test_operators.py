"""docs/operators.md is what its script prints."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_operators_is_current():
    page = runpy.run_path(str(DOCS / "print_operators.py"))["page"]()
    assert (DOCS / "operators.md").read_text("utf-8") == page, (
        "renew it: python docs/print_operators.py > docs/operators.md"
    )
