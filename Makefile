# make run      set up and carry out the quickstart     make run RECIPE=path   any recipe
# make test     set up with the development tools, then lint, types, tests, docs
# make docs     the site of docs/, in site/; a broken link or anchor fails
# make package  wheel and sdist in dist/, checked; the wheel installed and called under PYTHON
PYTHON ?= $(shell command -v python3.11 || command -v python3)
RECIPE ?= recipes/quickstart.yaml
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: run test test-slow docs package setup setup-dev lint

run: setup
	$(BIN)/evergrow run $(RECIPE)

test: setup-dev lint
	OMP_NUM_THREADS=2 $(BIN)/pytest -m "not slow"

test-slow: setup-dev
	OMP_NUM_THREADS=2 $(BIN)/pytest -m slow

docs: setup-dev
	$(BIN)/zensical build --strict --clean --config-file mkdocs.yml

package: setup-dev
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	.ci/install $(PYTHON) dist/*.whl

lint: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright

setup: $(VENV)/installed
setup-dev: $(VENV)/installed-dev

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) -e ".[dev,docs]"
	touch $@
