"""A conftest.py to copy beside your kernel tests; each part stands on its own, so keep what you need.

Nothing here is required: the plugin is active as soon as it is installed. A test is
    @pytest.mark.gpuemu_op("softmax")
    def test_softmax(fuzz_case):
        fuzz_case.check(my_softmax(**fuzz_case.inputs))
and `pytest --gpuemu-fuzz=200` runs it on 200 cases.
"""

from __future__ import annotations

import os
import shutil

import pytest

# Triton and Numba read these when they are imported, so they are set before any test module is.
# Where there is a GPU, the same kernels are compiled for it.
if shutil.which("nvidia-smi") is None:
    os.environ.setdefault("TRITON_INTERPRET", "1")
    os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with the marker `gpu` are skipped where there is no GPU."""
    if shutil.which("nvidia-smi") is None:
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no GPU here"))


@pytest.fixture
def on_device(fuzz_case):
    """Hand a case over as torch tensors on the best device that is here.

    A function, since a fixture is set up once for all the cases of a campaign:

        @pytest.mark.gpuemu_op("softmax", library="torch")
        def test_softmax(on_device):
            case = on_device()
            case.check(my_softmax(**case.inputs))
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return lambda: fuzz_case.to("torch", device)
