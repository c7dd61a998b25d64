"""GitHub's workflow commands."""

from __future__ import annotations

from pytest_gpuemu.report.annotations import annotation


def test_a_failure_is_one_line_with_its_place():
    assert annotation(file="tests/t.py", line=3, title="softmax fails", message="1 of 5 wrong") == (
        "::error file=tests/t.py,line=3,title=softmax fails::1 of 5 wrong"
    )


def test_what_would_end_a_property_or_the_line_is_escaped():
    line = annotation(file="a,b.py", line=1, title="t::x, y\n%", message="50%\r\n::warning::no")

    assert line == "::error file=a%2Cb.py,line=1,title=t%3A%3Ax%2C y%0A%25::50%25%0D%0A::warning::no"
    assert "\n" not in line
