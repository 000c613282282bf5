# Needs make and Python 3.11 or newer; whatever else is needed is installed into .venv.

PYTHON ?= python3
# Most tests wait most of the time.
WORKERS ?= $(shell expr 3 '*' $$(getconf _NPROCESSORS_ONLN))
MINUTES ?= 1

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PACKAGES := conformance examples/qcore-sqlite

# The tests start thousands of processes, each of which would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 12

.PHONY: setup
setup: $(READY) ## Make .venv with the project and every tool in it

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "qcore needs Python 3.11 or newer: make setup PYTHON=/path/to/python3.12" >&2; exit 1; }
	@# Debian's Python has venv but not always the pip that it would put inside.
	$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
	  $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	  $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }

$(READY): pyproject.toml $(PACKAGES:=/pyproject.toml) constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt \
	  --editable '.[all,docs]' --group dev $(addprefix --editable ./,$(PACKAGES))
	@touch $@

.PHONY: demo
demo: setup ## Watch jobs survive the death of their worker
	@$(BIN)/qcore demo

.PHONY: test
test: setup ## Run every test, and the snippets of the pages
	$(BIN)/pytest --numprocesses $(WORKERS) $(ARGS)

.PHONY: conformance
conformance: setup ## Hold every adapter to the contract, as far as a healthy machine lasts
	$(BIN)/pytest --numprocesses $(WORKERS) conformance/tests/suite $(ARGS)

.PHONY: mutants
mutants: setup ## Try the suite on adapters that are broken on purpose: ARGS=one-of-them
	$(BIN)/python -m conformance.tests.mutants.whole $(ARGS)

.PHONY: conformance-full
conformance-full: setup ## Hold every adapter to everything, on every server, and publish it: hours
	$(BIN)/python tools/full.py --tier 4 --workers $(WORKERS) $(ARGS)

.PHONY: torture
torture: setup ## Break workers, replies and servers under load: MINUTES=10 for longer
	@for design in list streams; do \
	  folder=$$(mktemp -d) && echo "redis+$$design" && \
	  $(BIN)/qcore torture "redis+$$design+embedded://$$folder" --minutes $(MINUTES) $(ARGS); \
	  code=$$?; rm -rf "$$folder"; [ $$code = 0 ] || exit $$code; \
	done

.PHONY: test-oldest
test-oldest: setup ## Run the tests with the oldest versions that the dependencies allow
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/oldest
	VIRTUAL_ENV=$(VENV)/oldest $(BIN)/uv pip install --quiet --resolution lowest-direct --editable '.[all]'
	VIRTUAL_ENV=$(VENV)/oldest $(BIN)/uv pip install --quiet --group test \
	  $(addprefix --editable ./,$(PACKAGES))
	$(VENV)/oldest/bin/pytest --numprocesses $(WORKERS) $(ARGS)

.PHONY: check
check: layout rules mypy pyright layers sizes ## Run the six checks below

.PHONY: layout
layout: setup ## Check the layout of the code
	$(BIN)/ruff format --check .

.PHONY: rules
rules: setup ## Check the code against the rules
	$(BIN)/ruff check .

.PHONY: mypy
mypy: setup ## Check the types with mypy
	$(BIN)/mypy .

.PHONY: pyright
pyright: setup ## Check the types with pyright
	$(BIN)/pyright

.PHONY: layers
layers: setup ## Check who imports whom
	$(BIN)/lint-imports --no-logo

.PHONY: sizes
sizes: setup ## Check that nothing grows too large
	$(BIN)/python tools/sizes.py

.PHONY: format
format: setup ## Format the code and repair what can be repaired
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: bench
bench: setup ## Measure how fast jobs go in and out, beside bare loops
	@$(BIN)/python bench/throughput.py $(ARGS)

.PHONY: fairness
fairness: setup ## Measure how long small tenants wait beside a large one
	@$(BIN)/python bench/fairness.py $(ARGS)

.PHONY: docs
docs: setup ## Build the pages into docs/_build/html
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs docs/_build/html

.PHONY: promises
promises: setup ## Write the table of promises into the pages that show it
	$(BIN)/python tools/promises.py

.PHONY: changelog
changelog: setup ## Show what the next release will say
	@$(BIN)/towncrier build --draft --version next

.PHONY: lock
lock: setup ## Write down the versions of .venv as the ones that setup installs
	{ sed -n '/^#/p' constraints.txt; $(BIN)/python -m pip freeze --exclude-editable; } > constraints.new
	mv constraints.new constraints.txt

.PHONY: clean
clean: ## Remove what the other targets made
	rm -rf $(VENV) docs/_build .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
