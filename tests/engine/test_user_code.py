"""What user code gives or raises is captured; what pytest and the interpreter raise is not."""

from __future__ import annotations

import pytest

from pytest_gpuemu.engine.user_code import call


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
