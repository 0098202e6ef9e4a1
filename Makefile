# One command each: `make demo` shows the whole loop against the emulator, `make test` passes the checks and the tests.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: help demo test test-long coverage lint schemas bench clean

help:
	@echo "make demo       the whole loop on the emulator: apply, empty plan, edit, diff, apply, destroy (about a minute)"
	@echo "make test       ruff, mypy, import contracts and the tests"
	@echo "make test-long  the long suites: faults and kills, hostile input"
	@echo "make coverage   branch coverage of what decides, sends and remembers; fails below 100 %"
	@echo "make bench      the benchmarks; writes benchmarks/README.md's table to the terminal"
	@echo "make schemas    write the JSON Schemas below specs/"

$(VENV)/.run: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[emulator]'
	@touch $@

$(VENV)/.dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(VENV)/.run $@

demo: $(VENV)/.run
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) -m 'not long'

test-long: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS)

coverage: $(VENV)/.dev
	$(BIN)/python -m coverage run -m pytest -m 'not long' tests/unit tests/ledger tests/laws tests/scenarios
	$(BIN)/python -m coverage report

schemas: $(VENV)/.dev
	$(BIN)/python -m reconciler.render.schemas specs
	$(BIN)/reconciler schema > specs/manifest.schema.json

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) .witness .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info
