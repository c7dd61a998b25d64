"""What user code gives or raises is captured; what pytest and the interpreter raise is not."""

from __future__ import annotations

import pytest

from pytest_gpuemu.engine.user_code import MAX_SUMMARY, MAX_TRACEBACK, call


def test_a_value_comes_back():
    called = call(lambda a, b: a + b, 1, b=2)
    assert (called.value, called.error, called.summary) == (3, None, "")


def test_an_error_comes_with_the_traceback_of_the_user_s_frames_alone():
    def kernel():
        raise ValueError("bad block size")

    called = call(kernel)

    assert isinstance(called.error, ValueError)
    assert called.summary == "ValueError: bad block size"
    assert 'raise ValueError("bad block size")' in called.traceback
    assert "engine/user_code.py" not in called.traceback


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, pytest.skip.Exception])
def test_what_is_no_exception_of_the_kernel_s_passes_through(raised):
    def kernel():
        raise raised

    with pytest.raises(raised):
        call(kernel)


def test_a_message_of_any_size_is_kept_in_part():
    """Guards: a message that holds an array of megabytes, stored with every failure of a campaign."""

    def kernel():
        raise ValueError("x" * 10**6)

    called = call(kernel)

    assert MAX_SUMMARY < len(called.summary) < MAX_SUMMARY + 100
    assert called.summary.startswith("ValueError: xxx")
    assert called.summary.endswith("more characters)")
    assert MAX_TRACEBACK < len(called.traceback) < MAX_TRACEBACK + 100


def test_what_is_no_text_of_a_message_is_escaped():
    """Guards: the daemon refuses lone surrogates, and the failure was lost with its campaign."""

    def kernel():
        raise OSError("\udcff.cubin is missing")

    called = call(kernel)

    assert called.summary == "OSError: \\udcff.cubin is missing"
    assert called.traceback.endswith("OSError: \\udcff.cubin is missing")
