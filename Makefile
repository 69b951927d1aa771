# Everything runs inside .venv, which `setup` makes; the second time it costs nothing.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
ARGS ?=

.PHONY: help setup verify test figures lint bench readme clean force

help:
	@echo "make verify | test | figures | lint | bench | readme | setup | clean    (ARGS='...' is passed on)"

setup: .venv/.installed

# The list of packages changes the file only when it changes itself.
.venv/.packages: force
	@test -d .venv || $(PYTHON) -m venv .venv
	@find theory simulations paper_checks figures -name __init__.py | LC_ALL=C sort > .venv/.packages.new
	@cmp -s .venv/.packages.new $@ || cp .venv/.packages.new $@

.venv/.installed: pyproject.toml constraints.txt .venv/.packages
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	@touch $@

verify: setup
	$(BIN)/closedform verify $(ARGS)

test: setup
	$(BIN)/python -m pytest -n 2 $(ARGS)

figures: setup
	$(BIN)/closedform figures $(ARGS)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m benchmarks $(ARGS)

readme: setup
	$(BIN)/python docs/readme.py $(ARGS)

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
