"""The global generators: what a campaign leaves behind."""

from __future__ import annotations

import pytest

from pytest_gpuemu.pytest_items import generators


@pytest.fixture
def cuda_in_use(monkeypatch):
    """The states of two CUDA devices; torch's functions that read and write them, without a device."""
    torch = pytest.importorskip("torch")
    states = [torch.tensor([1, 2], dtype=torch.uint8), torch.tensor([3, 4], dtype=torch.uint8)]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: [s.fill_(seed % 256) for s in states])
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: [s.clone() for s in states])
    monkeypatch.setattr(
        torch.cuda, "set_rng_state_all", lambda new: [s.copy_(n) for s, n in zip(states, new, strict=True)]
    )
    return states


def test_the_generators_of_cuda_devices_are_put_back(cuda_in_use):
    with generators.kept():
        generators.seed_all(77)
        seeded = [state.tolist() for state in cuda_in_use]

    assert seeded == [[77, 77], [77, 77]]
    assert [state.tolist() for state in cuda_in_use] == [[1, 2], [3, 4]]


def test_the_generators_of_real_cuda_devices_are_put_back():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    torch.cuda.manual_seed_all(5)
    expected = torch.rand(3, device="cuda").tolist()
    torch.cuda.manual_seed_all(5)

    with generators.kept():
        generators.seed_all(77)
        torch.rand(3, device="cuda")

    assert torch.rand(3, device="cuda").tolist() == expected


def test_cuda_is_not_started_to_ask_for_its_generators(monkeypatch):
    torch = pytest.importorskip("torch")

    def asked(*_):
        raise AssertionError("CUDA was asked for its generators")

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", asked)
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", asked)
    before = torch.get_rng_state()

    with generators.kept():
        generators.seed_all(77)

    assert (torch.get_rng_state() == before).all()
