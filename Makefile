# Every target prepares its own environment: only Python 3.11+ and make are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
LATEST := .venv-latest
OLDEST := .venv-oldest
UPDATE := .venv-update
PRICES := .venv-prices
DOCS := .venv-docs
PIP := python -m pip install --quiet --disable-pip-version-check
PYTHONS := 3.11 3.12 3.13 3.14
# The tests that run clients which need a newer botocore than our floor.
NO_CLIENTS := -m "not newer_botocore" --ignore tests/compat/test_aws_cli.py --ignore tests/compat/test_langchain_aws.py
COMPILE := $(UPDATE)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --custom-compile-command "make update" requirements/build.in

# The rooms whose tests take about half of the time: `make test` runs them beside all others.
HALF := $(addprefix tests/,clients policies parity stores property telemetry jobs cli compat documents doctor rules)

# $(call locked,VENV,LOCK): an environment of exactly what the lock names, and this package, built by the locked back end.
define locked
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/it"; exit 1; }
	@[ -x $(1)/bin/python ] || $(PYTHON) -m venv $(1)
	@$(1)/bin/$(PIP) --require-hashes -r $(2)
	@$(1)/bin/$(PIP) --no-deps --no-build-isolation --editable .
endef

.DEFAULT_GOAL := help
.PHONY: help demo test docs redis prometheus lint types imports index prices surface bench faults stress update test-latest test-oldest test-matrix wheel clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.demo: pyproject.toml requirements/demo.txt
	@echo "Preparing $(VENV) for the demo, from requirements/demo.txt …"
	$(call locked,$(VENV),requirements/demo.txt)
	@touch $@

$(VENV)/.ready: pyproject.toml requirements/test.txt requirements/demo.txt
	@echo "Preparing $(VENV) for the tests, from requirements/test.txt …"
	$(call locked,$(VENV),requirements/test.txt)
	@touch $(VENV)/.demo $@

$(PEERS)/.ready: pyproject.toml requirements/peers.txt
	@echo "Preparing $(PEERS), the clients we compare with, from requirements/peers.txt (their botocore is older than ours) …"
	$(call locked,$(PEERS),requirements/peers.txt)
	@touch $@

$(DOCS)/.ready: pyproject.toml requirements/docs.txt
	@echo "Preparing $(DOCS) for the site, from requirements/docs.txt …"
	$(call locked,$(DOCS),requirements/docs.txt)
	@touch $@

demo: $(VENV)/.demo ## Run the main job against the built-in simulator, plain boto3 beside this package
	@$(BIN)/bedrock demo

test: lint types imports docs redis prometheus $(PEERS)/.ready ## Check style, types, import direction and the site, then run every test
	@echo "Running the tests, in two processes …"
	@$(BIN)/python -m pytest -q $(HALF) > .test-half.log 2>&1 & half=$$!; trap "kill $$half" INT TERM; \
	  $(BIN)/python -m pytest -q $(addprefix --ignore=,$(HALF)); others=$$?; \
	  wait $$half; half=$$?; cat .test-half.log; exit $$((others | half))

test-latest: redis prometheus $(PEERS)/.ready ## Run the tests with the newest release of everything
	@$(PYTHON) -m venv --clear $(LATEST)
	@$(LATEST)/bin/$(PIP) --upgrade "pip>=25.1"
	@$(LATEST)/bin/$(PIP) --editable . --group dev -r requirements/build.in
	@$(LATEST)/bin/python -m pytest -q

test-oldest: redis prometheus $(PEERS)/.ready ## Run the tests with the oldest run-time dependencies that pyproject.toml allows
	@$(PYTHON) -m venv --clear $(OLDEST)
	$(call locked,$(OLDEST),requirements/oldest.txt)
	@$(OLDEST)/bin/python -m pytest -q $(NO_CLIENTS)

test-matrix: redis prometheus $(PEERS)/.ready ## Run the tests with each Python from 3.11 to 3.14 that is here, and say which are not
	@missing=""; for version in $(PYTHONS); do \
	  if command -v python$$version > /dev/null && python$$version -c "" 2> /dev/null; then \
	    $(MAKE) --no-print-directory VENV=.venv-$$version PYTHON=python$$version .venv-$$version/.ready && \
	    echo "Python $$version:" && .venv-$$version/bin/python -m pytest -q || exit 1; \
	  else missing="$$missing $$version"; fi; done; \
	[ -z "$$missing" ] || echo "Not tried, because not installed: Python$$missing"

docs: $(DOCS)/.ready ## Build the site into site/, and check it; open site/index.html in a browser
	@echo "Building the site …"
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict
	@$(DOCS)/bin/python tools/check_site.py site tests/surface/public.txt

redis: ## Check that there is a server for tests to start, redis-server or valkey-server; install it where apt-get may
	@command -v redis-server valkey-server > /dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && echo "Installing redis-server, which some tests start …" && \
	  { apt-get install -qq redis-server || { apt-get update -qq && apt-get install -qq redis-server; }; } > /dev/null; } || { \
	  echo "Some tests start redis-server or valkey-server, and neither is here. Install one, for example:"; \
	  echo "  apt-get install redis-server   or   dnf install valkey   or   brew install valkey"; exit 1; }

prometheus: ## Check that there is a Prometheus for tests to start; install it where apt-get may
	@command -v prometheus > /dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && echo "Installing prometheus, which some tests start …" && \
	  { apt-get install -qq --no-install-recommends prometheus || \
	    { apt-get update -qq && apt-get install -qq --no-install-recommends prometheus; }; } > /dev/null; } || { \
	  echo "Some tests start prometheus, and it is not here. Install it, for example:"; \
	  echo "  apt-get install prometheus   or   dnf install prometheus   or   brew install prometheus"; exit 1; }

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

prices: ## Write the table of prices from the newest genai-prices and tools/prices.toml
	@$(PYTHON) -m venv $(PRICES)
	@$(PRICES)/bin/$(PIP) --upgrade genai-prices
	@$(PRICES)/bin/python tools/prices.py

surface: $(VENV)/.ready ## Write the list of public names and signatures that a test holds
	@PYTHONPATH=tests $(BIN)/python -m support.public_surface > tests/surface/public.txt

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
	@$(BIN)/python bench/cache.py
	@$(BIN)/python bench/million.py

faults: $(VENV)/.ready $(PEERS)/.ready ## Measure for half an hour what callers get under each fault, beside the peers
	@$(BIN)/python bench/faults.py
	@$(BIN)/python bench/amplification.py

stress: $(VENV)/.ready redis ## Try for half an hour what tests can only touch: forks, the garbage collector, dead peers, kills
	@cd bench && ../$(BIN)/python -m stress

update: ## Renew the locks in requirements/ with the newest releases
	@[ -x $(UPDATE)/bin/uv ] || { $(PYTHON) -m venv $(UPDATE) && $(UPDATE)/bin/$(PIP) --require-hashes -r requirements/update.txt; }
	@$(COMPILE) pyproject.toml --extra otel --extra schema --extra simulator --extra valkey --group dev -o requirements/test.txt
	@$(COMPILE) pyproject.toml --extra simulator -c requirements/test.txt -o requirements/demo.txt
	@$(COMPILE) pyproject.toml requirements/docs.in -c requirements/test.txt -o requirements/docs.txt
	@$(COMPILE) pyproject.toml requirements/peers.in -o requirements/peers.txt
	@$(COMPILE) --resolution lowest-direct --no-header pyproject.toml --extra otel --extra schema --extra simulator --extra valkey -o $(UPDATE)/oldest.txt
	@$(COMPILE) -c $(UPDATE)/oldest.txt pyproject.toml --extra otel --extra schema --extra simulator --extra valkey --group test -o requirements/oldest.txt
	@$(subst requirements/build.in,requirements/update.in,$(COMPILE)) -o requirements/update.txt
	@git diff --stat requirements

wheel: $(VENV)/.ready ## Build the wheel, the same bytes each time, into dist/
	@$(BIN)/python -m hatchling build -t wheel

clean: ## Remove the environments and caches
	rm -rf $(VENV) $(PEERS) $(LATEST) $(OLDEST) $(UPDATE) $(PRICES) $(DOCS) site .venv-3.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
