# `make` shows the words. Everything is installed into .venv; a second call of a word installs nothing again.
# Wanted of the machine: python3 (3.11 or newer) with its venv module, and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two more than there are cores: tests on the emulated cluster, and of studies that run, wait much of their time.
WORKERS ?= $(shell expr $$(nproc 2>/dev/null || echo 2) + 2)
# Only the tests of examples/torch_cnn want it; without a network or a build for this Python they are left out.
TORCH ?= torch==2.13.0
SHARE ?= 1
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check install

.DEFAULT_GOAL := help
.PHONY: help demo setup test soak check format lint types rules docs benchmarks clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

demo: $(VENV)/.runtime ## tune a small network on scikit-learn's digits and show the best parameters
	@. $(BIN)/activate && hpo run config/digits.yaml

setup: $(VENV)/.development ## install what tests and checks need

test: $(VENV)/.development ## run all tests that this machine allows, and list what was left out
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadgroup $(TESTS)

soak: $(VENV)/.development ## the long versions of tests, hours; SHARE=0.1 for a tenth, TESTS="tests/store" for some
	HPO_SOAK=$(SHARE) nice -n 19 $(BIN)/python -m pytest -m soak --capture=no --verbose $(TESTS)

check: format lint types rules ## formatting, lint and types

format: $(VENV)/.development
	$(BIN)/ruff format --check .

lint: $(VENV)/.development
	$(BIN)/ruff check .

types: $(VENV)/.development
	$(BIN)/mypy

rules: $(VENV)/.development
	$(BIN)/snakefmt --check --compact-diff Snakefile hpo_workflow/rules
	$(BIN)/python -m pytest --quiet tests/test_snakefile.py

docs: $(VENV)/.development ## build the site, build/site/index.html; a warning is an error
	$(BIN)/python -m sphinx -q -W --keep-going -c docs -d build/doctrees . build/site

benchmarks: $(VENV)/.development ## measure what all this costs, docs/benchmarks.md; PARTS="startup slots" for some
	$(BIN)/python -m benchmarks $(PARTS)
	$(BIN)/python -m benchmarks table

clean: ## remove the virtual environment and what tools leave behind
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$$($(PYTHON) --version 2>&1) is too old or absent: 3.11 is wanted, for example make PYTHON=python3.12 demo" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "no virtual environment: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }
	@touch $@

# What users install, and scikit-learn for the demo. It takes a minute where nothing is cached.
$(VENV)/.runtime: pyproject.toml $(VENV)/.created
	@echo "installing into $(VENV) ..."
	@$(PIP) --editable '.[examples]'
	@touch $@

$(VENV)/.development: pyproject.toml $(VENV)/.created
	@echo "installing into $(VENV), with what the tests need ..."
	@$(PIP) '$(TORCH)' || echo "$(TORCH) is not installed: its tests will be left out" >&2
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.runtime
