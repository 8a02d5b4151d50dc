# make run   set up and carry out the quickstart     make run RECIPE=path   any recipe
# make test  set up with the development tools, then lint, types, tests, docs
PYTHON ?= $(shell command -v python3.11 || command -v python3)
RECIPE ?= recipes/quickstart.yaml
BIN := .venv/bin

.PHONY: run test test-slow setup setup-dev lint

run: setup
	$(BIN)/evergrow run $(RECIPE)

test: setup-dev lint
	OMP_NUM_THREADS=2 $(BIN)/pytest -m "not slow"

test-slow: setup-dev
	OMP_NUM_THREADS=2 $(BIN)/pytest -m slow

lint: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright

setup: .venv/installed
setup-dev: .venv/installed-dev

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@
