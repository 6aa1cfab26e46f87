# The two commands of the README need python3 and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: quickstart test lint conformance sweeps environment development clean

quickstart: environment
	$(BIN)/harness run experiments/quickstart.yaml

test: development
	$(BIN)/python -m tests.fashion_mnist
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

# Layers, operations, losses, optimizers, imports and exports against stock Keras and plain PyTorch, with every sweep
# (`make test` takes a part of the sweeps: HARNESS_SWEEP), then the table by layer class: reports/conformance/table.md.
# HARNESS_RANDOM_MODELS=500 make conformance: 500 random trainings instead of 42 (about four seconds each).
CONFORMANCE := tests/conformance tests/exchange
conformance: development
	HARNESS_SWEEP=all $(BIN)/python -m pytest $(CONFORMANCE) --timeout 3600 -n $(WORKERS) --dist loadgroup
	$(BIN)/python -m tests.conformance.table

# Every sweep there is: those of `make conformance`, planted faults and ports, all programs of the tuned tier, FLOPs.
sweeps: development
	HARNESS_SWEEP=all $(BIN)/python -m pytest -m sweep --timeout 3600 -n $(WORKERS) --dist loadgroup

lint: development
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

environment: $(VENV)/.installed
development: $(VENV)/.developed

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.developed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist *.egg-info
