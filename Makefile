# What a developer and CI do. `make` alone lists it.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
# The first Python that is new enough; `make PYTHON=…` chooses another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

# Checks read the settings without a database or a broker.
OFFLINE := DEBUG=true DATABASE_URL=sqlite://:memory: EXTRA_APPS=
# And once as production would.
PRODUCTION := DEBUG=false DATABASE_URL=sqlite://:memory: REDIS_URL=redis://localhost ALLOWED_HOSTS=example.com \
	FRONTEND_HOST=https://example.com SECRET_KEY=$$(head -c 48 /dev/urandom | base64 -w0)

.PHONY: help up shell manage test check format bench chaos screenshots docs requirements clean reset

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/.runtime ## Run the whole system on embedded parts; Ctrl-C stops it
	@exec $(BIN)/python -m project.embedded

shell: $(VENV)/.runtime ## Open a Python shell on what `make up` runs
	@exec $(BIN)/python manage.py shell

manage: $(VENV)/.runtime ## Run a command of Django or Nightshift: make manage ARGS="jobs list"
	@exec $(BIN)/python manage.py $(ARGS)

test: $(VENV)/.dev ## Run every test, those of the engine on SQLite too
	@tests/system-packages
	@tests/all

check: $(VENV)/.dev ## Check format, lint, types, migrations, production settings, container files and documents
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(OFFLINE) $(BIN)/mypy .
	@$(OFFLINE) $(BIN)/python manage.py makemigrations --check
	@$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
	@$(BIN)/python -m pytest --quiet tests/docs

format: $(VENV)/.dev ## Format the code and mend what can be mended by itself
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

chaos: $(VENV)/.dev ## Kill, cut and wipe for minutes, account for every job, write docs/CHAOS.md
	@$(BIN)/python -m tests.chaos --write

bench: $(VENV)/.dev ## Measure beside plain Celery (PEERS=1: Dramatiq and Huey too) and the naive ways; write bench/*.md
	@$(BIN)/python -m bench $(if $(PEERS),--peers) $(ARGS)
	@$(BIN)/python -m bench.work
	@$(BIN)/python -m bench.ledger
	@$(BIN)/python -m bench.streams

screenshots: $(VENV)/.dev ## Photograph every page into docs/screenshots
	@tests/system-packages
	@$(BIN)/python -m tests.browser.screenshots $(ARGS)

docs: $(VENV)/.dev ## Build the documents as a site in var/docs, with pages made of the code; a link that leads nowhere fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "Open var/docs/index.html"

requirements: $(VENV)/.dev ## Pin what requirements*.in ask for in requirements*.txt
	@for name in requirements requirements-dev bench/peers/requirements; do \
		$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-emit-index-url --no-emit-find-links \
			--no-emit-trusted-host $(ARGS) --output-file $$name.txt $$name.in; done

clean: ## Remove the environment and caches; the data of `make up` stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis staticfiles
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

reset: ## Remove the data of `make up`
	rm -rf var

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed and was not found: install it, or say make PYTHON=/path/to/python." >&2; exit 1; fi
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment: install its venv module (Debian: apt install python3-venv)." >&2; exit 1; }

$(VENV)/.runtime: requirements.txt | $(BIN)/python
	@echo "Installing requirements.txt …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	@echo "Installing requirements-dev.txt …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@
