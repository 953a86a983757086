# Every target prepares its own environment: only Python 3.11+ and make are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers

.DEFAULT_GOAL := help
.PHONY: help demo test redis lint types imports index bench clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(VENV)/.ready: pyproject.toml
	@echo "Preparing $(VENV) (once; again when pyproject.toml changes) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/it"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

$(PEERS)/.ready: bench/requirements-peers.txt
	@echo "Preparing $(PEERS), the clients we compare with (their botocore is older than ours) …"
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(PEERS)/bin/python -m pip install --quiet -r $< --editable .
	@touch $@

demo: $(VENV)/.ready ## Run the main job against the built-in simulator, plain boto3 beside this package
	@$(BIN)/bedrock demo

test: lint types imports redis $(PEERS)/.ready ## Check style, types and import direction, then run every test
	@echo "Running the tests …"
	@$(BIN)/python -m pytest -q

redis: ## Check that there is a server for tests to start, redis-server or valkey-server; install it where apt-get may
	@command -v redis-server valkey-server > /dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && echo "Installing redis-server, which some tests start …" && \
	  { apt-get install -qq redis-server || { apt-get update -qq && apt-get install -qq redis-server; }; } > /dev/null; } || { \
	  echo "Some tests start redis-server or valkey-server, and neither is here. Install one, for example:"; \
	  echo "  apt-get install redis-server   or   dnf install valkey   or   brew install valkey"; exit 1; }

lint: $(VENV)/.ready ## Check style
	@echo "Checking style …"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .

types: $(VENV)/.ready ## Check types
	@echo "Checking types …"
	@$(BIN)/mypy

imports: $(VENV)/.ready ## Check that imports point one way
	@echo "Checking the direction of imports …"
	@$(BIN)/lint-imports --no-cache > .lint-imports.log 2>&1 || { cat .lint-imports.log; exit 1; }

index: $(VENV)/.ready ## Write what the package reads of the errors' catalogue and of botocore's models, and docs/errors.md
	@$(BIN)/python -m aws_bedrock_inference.knowledge.build
	@$(BIN)/python -m aws_bedrock_inference.knowledge.modelled
	@$(BIN)/bedrock errors --markdown > docs/errors.md

bench: $(VENV)/.ready $(PEERS)/.ready ## Measure, beside the peers
	@$(PEERS)/bin/python bench/overhead.py
	@$(PEERS)/bin/python bench/admission.py
	@$(PEERS)/bin/python bench/waiting.py
	@$(PEERS)/bin/python bench/scale.py
	@$(PEERS)/bin/python bench/scale_store.py
	@$(PEERS)/bin/python bench/transport.py
	@$(BIN)/python bench/knowing.py
	@$(BIN)/python bench/scan.py
	@$(BIN)/python bench/resilient.py

clean: ## Remove the environments and caches
	rm -rf $(VENV) $(PEERS) .mypy_cache .ruff_cache .pytest_cache .hypothesis
