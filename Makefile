# Two commands do everything on a fresh machine: `make demo` and `make test`.
# (--no-compile: Python compiles what is imported when it is imported; that halves the installation)
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test

demo: .venv/installed
	$(BIN)/python evaluate.py experiment=demo
	$(BIN)/python compare.py study=demo

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pytest -n 2

.venv/installed: pyproject.toml
	@echo 'Building .venv from pyproject.toml; this takes a minute or two.'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-compile --editable '.[test]'
	touch $@
