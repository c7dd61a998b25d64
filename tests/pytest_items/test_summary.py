"""The terminal's lines, from values."""

from __future__ import annotations

from pytest_gpuemu.engine.coverage import Coverage
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Tolerance
from pytest_gpuemu.engine.plan import plan_case
from pytest_gpuemu.engine.worth import Worth
from pytest_gpuemu.pytest_items import grouping, summary


def tally(**changes):
    return {
        "op": "softmax",
        "test_id": "t.py::test",
        "counts": {"passed": 197, "failed": 3},
        "reasons": {},
        "out_of_time": 0,
        "seconds": 3.0,
        "first_s": 1.0,
        "covered": {
            "dtypes": {"float16": 100, "float32": 100},
            "layouts": {"contiguous": 90, "strided": 60, "offset": 40, "reversed": 5, "transposed": 5},
            "values": {"uniform": 200},
        },
        "possible": {
            "dtypes": ["float16", "float32"],
            "layouts": ["contiguous", "strided", "transposed", "offset", "reversed", "broadcast"],
            "values": ["uniform"],
        },
        **changes,
    }


def line_of(*tallies):
    total = summary.OpTally("softmax")
    for each in tallies:
        total.add_campaign(each)
    return summary.op_line(total)


def test_an_op_has_one_line():
    assert line_of(tally()) == (
        "softmax: 200 cases, 3 failed; 100 cases/s; first call 1.0 s; dtypes float16 float32; "
        "layouts 5 of 6 (not broadcast); distributions uniform"
    )


def test_the_rate_leaves_out_the_first_call_of_each_campaign():
    """199 cases in 2 s after a first call of 1 s, twice."""
    assert "400 cases, 6 failed; 100 cases/s" in line_of(tally(), tally())


def test_what_was_not_judged_is_counted_and_explained():
    line = line_of(
        tally(
            counts={"passed": 5, "undetermined": 2, "could not run": 1, "skipped": 4, "unchecked": 3},
            reasons={"could not run: no GPU": 1},
            out_of_time=10,
        )
    )

    assert line.startswith(
        "softmax: 15 cases, 0 failed, 2 undetermined, 1 could not run here, 4 skipped, 3 never checked, "
        "10 left out (--gpuemu-time)"
    )
    assert line.endswith("\n  1 could not run: no GPU")


def test_one_case_alone_has_no_rate():
    assert "cases/s" not in line_of(tally(counts={"passed": 1}))


SOFTMAX = define_op(
    "softmax", reference=lambda x: x, schema="x[M] -> [M]", values=["uniform", "tiny"], dtypes=["float32"]
)


def coverage_of(seeds):
    coverage = Coverage(SOFTMAX)
    for seed in seeds:
        coverage.add(plan_case(SOFTMAX, seed))
    return coverage.plain()


def test_what_was_not_met_is_one_line_below():
    one, pairs = line_of(tally(coverage=coverage_of([1]))).splitlines()

    assert one.startswith("softmax: 200 cases")
    # 1 of 7 sizes, 5 layouts and 2 distributions: three pairs of 35 + 14 + 10
    assert pairs.startswith("  coverage 3 of 59 pairs; not met: size of M 1 ")
    assert "; layout of x " in pairs
    assert "; values of x " in pairs


def test_coverage_adds_up_over_campaigns_and_is_silent_where_all_was_met():
    lines = line_of(
        tally(coverage=coverage_of(range(150))), tally(coverage=coverage_of(range(150, 400)))
    ).splitlines()

    met, possible = (int(word) for word in lines[1].split() if word.isdigit())
    assert possible == 59
    assert met > 50  # a size of 1 has neither a reversed nor a broadcast layout
    assert "not met" not in lines[1]


def test_verbose_names_pairs_and_fakes_that_live():
    total = summary.OpTally("softmax")
    total.add_campaign(
        tally(coverage=coverage_of([1]), worth={"killed": ["zeros"], "survived": ["halved"], "notes": []})
    )
    lines = summary.op_line(total, verbose=True).splitlines()

    assert sum(line.startswith("    not met: ") and " with " in line for line in lines) == 8
    assert lines[-1] == "  not killed: halved"
    assert len(summary.op_line(total).splitlines()) == 2


def test_the_weakest_of_several_tests_tells_what_they_are_worth():
    strict = {"killed": ["a", "b", "zeros"], "survived": [], "notes": []}
    loose = {"killed": ["a", "b"], "survived": ["zeros"], "notes": ["zeros would pass"]}

    assert line_of(tally(worth=strict)).endswith("; kills 3 of 3")
    lines = line_of(tally(worth=strict), tally(worth=loose), tally(worth=loose)).splitlines()
    assert lines[0].endswith("; kills 2 of 3")
    assert lines[1:] == ["  warning: zeros would pass"]


def test_notes_say_what_is_odd_and_where_the_tolerance_was_given():
    worth = Worth(loose={"y": 340.2}, trivial={"zeros": "5", "ones": "7"}, ignored=["mask"])

    assert summary.worth_notes(worth, Tolerance(atol=0.5, rtol=0.25)) == [
        "the tolerance given by hand (atol=0.5, rtol=0.25, marker) is 340 times looser than the derived "
        "one for y",
        "under the tolerance given by hand (atol=0.5, rtol=0.25, marker), zeros would pass seed=5 "
        "(and 1 such output more)",
        "the reference ignores the input mask: other values of it change nothing",
    ]
    assert summary.worth_notes(Worth(), None) == []


def header(**changes):
    keys = {
        "config_file": "gpuemu.toml",
        "daemon": "/tmp/x/gpuemu.sock",
        "store": ".gpuemu",
        "note": None,
        "master_seed": 7,
        "generator": 1,
        **changes,
    }
    return summary.header_lines(**keys)


def test_the_header_names_config_seed_daemon_and_store():
    assert header() == [
        "gpuemu: config gpuemu.toml, master seed 7 (--gpuemu-seed=7), generator 1",
        "gpuemu: daemon at /tmp/x/gpuemu.sock, store .gpuemu",
    ]


def test_the_header_says_what_is_unusual():
    lines = header(
        config_file=None,
        note="no room",
        crashed=[("t.py::test", "5")],
        left_out=3,
        shadowing=["softmax"],
        other_gpuemu="0.1.0",
    )

    assert lines[0].startswith("gpuemu: config none (defaults), ")
    assert lines[1:4] == [
        "gpuemu: nothing is stored: no room",
        "gpuemu: an earlier run died at seed=5 of t.py::test; it is run again, first",
        "gpuemu: 3 known failing seeds are above gpuemu_known_seeds and were not collected",
    ]
    assert lines[4] == "gpuemu: [[ops]] replaces the built-in softmax"
    assert "the distribution gpuemu 0.1.0 is installed too" in lines[5]


def raised_at_one_place(message):
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


def test_errors_are_alike_by_type_and_place_and_not_by_text():
    first, second = raised_at_one_place("1 of 5"), raised_at_one_place("3 of 7")
    try:
        raise ValueError("1 of 5")
    except ValueError as error:
        elsewhere = error

    assert grouping.alike(first) == grouping.alike(second)
    assert grouping.alike(first) != grouping.alike(elsewhere)


def test_the_pointer_is_one_line_with_what_differs():
    text = "Traceback ...\nsoftmax fails for seed 5: 3 of 7 exceed\n  worst ..."

    assert grouping.pointer(text, "t.py::test[seed=1]") == (
        "softmax fails for seed 5: 3 of 7 exceed (fails like t.py::test[seed=1], which has the full report)"
    )
    assert grouping.pointer("Traceback\n  frames\nValueError: bad", "x").startswith(
        "ValueError: bad (fails like x"
    )
