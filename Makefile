# make demo    a virtual environment, and the main job on the example kernels
# make test    a virtual environment, and every test that runs without a GPU
# make lint    ruff and mypy --strict
# make test-lowest   the tests on the lowest versions that are allowed (Python 3.10)
# make detection     hours: the detection benchmark beside its rivals, written to docs/detection.md
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOWEST_PYTHON ?= python3.10
JOBS ?= 2

.PHONY: demo test lint format test-lowest detection clean

$(VENV)/base: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/test: $(VENV)/base requirements/test.txt
	$(PIP) --requirement requirements/test.txt
	touch $@

$(VENV)/lint: $(VENV)/base requirements/lint.txt
	$(PIP) --requirement requirements/lint.txt
	touch $@

demo: $(VENV)/test
	$(BIN)/python examples/demo.py

test: $(VENV)/test
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -p no:randomly

lint: $(VENV)/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

detection: $(VENV)/test
	$(BIN)/python -m benchmarks.detection --masters 20 --further-cases 40 --detectors all --jobs $(JOBS) --write docs/detection.md

test-lowest:
	$(LOWEST_PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --requirement requirements/lowest.txt --editable .
	.venv-lowest/bin/python -m pytest

clean:
	rm -rf $(VENV) .venv-lowest build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
