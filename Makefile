# `make localserve` and `make test` do everything from a fresh checkout on Debian 12.
# The system's Python, where it will do: it gets security updates with the system, and is a fifth
# faster than one that was built without a profile, as by pyenv.
PYTHON ?= $(shell for python in /usr/bin/python3 python3; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && exit; done; echo python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NPM := $(VENV)/npm

.PHONY: help venv localserve test unit e2e soak fuzz bench lint format check lock conf clean tools

help:
	@echo "make localserve   run a mail server for development on ports 1025, 1143, …"
	@echo "make test         everything CI runs: lint, unit and end-to-end tests"
	@echo "make venv         .venv/ with mox and all it needs (.venv/bin/mox)"
	@echo "make lint format unit e2e soak fuzz bench lock conf clean"

$(STAMP): requirements/dev.lock setup.py pyproject.toml
	contrib/install-debian-packages build
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

venv: $(STAMP)

localserve: $(STAMP)
	$(BIN)/mox localserve $(ARGS)

# What the end-to-end tests drive mox with: real clients from Debian.
tools: $(NPM)/.installed
	contrib/install-debian-packages build test

$(NPM)/.installed: tests/support/npm/package-lock.json
	contrib/install-debian-packages build test
	mkdir -p $(NPM)
	cp tests/support/npm/package.json tests/support/npm/package-lock.json $(NPM)
	npm ci --prefix $(NPM) --silent --no-audit --no-fund --ignore-scripts
	touch $@

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

unit: $(STAMP)
	$(BIN)/pytest -m "not e2e and not slow"

e2e: $(STAMP) tools
	$(BIN)/pytest -m "e2e and not slow"

test: $(STAMP) tools lint
	$(BIN)/pytest -m "not slow"

# The long forms: 200 rounds of kill -9 under load, and an hour of fuzzing.
soak: $(STAMP) tools
	$(BIN)/pytest -m "slow" --timeout 7200

# atheris has no wheel for every Python: without one only the property tests run.
FUZZ_S ?= 600
fuzz: $(STAMP)
	if $(BIN)/pip install --quiet --only-binary :all: --target $(VENV)/fuzz atheris==3.0.0; then \
	  for target in imap webapi; do \
	    mkdir -p $(VENV)/fuzz/inputs/$$target && \
	    PYTHONPATH=$(VENV)/fuzz $(BIN)/python -m tests.fuzz.$$target -max_total_time=$(FUZZ_S) \
	      -max_len=4000 -artifact_prefix=$(VENV)/fuzz/ $(VENV)/fuzz/inputs/$$target || exit 1; \
	  done; \
	fi
	MOX_FUZZ=1 $(BIN)/pytest -m "not e2e" --timeout 7200 $(ARGS)

bench: $(STAMP) tools
	$(BIN)/python -m tests.bench $(ARGS)

check: lint unit

conf: $(STAMP)
	$(BIN)/mox config describe-static > conf/mox.conf
	$(BIN)/mox config describe-domains > conf/domains.conf

# Newer dependencies, pinned with hashes by pip-tools.
LOCK = $(VENV)-lock/bin/pip-compile --quiet --upgrade --generate-hashes --no-emit-index-url \
	--no-emit-trusted-host --no-emit-find-links --no-header --strip-extras --allow-unsafe
lock:
	test -x $(VENV)-lock/bin/pip-compile || \
	  ($(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/pip install --quiet pip-tools)
	$(LOCK) -o requirements/run.lock setup.py
	$(LOCK) --extra dev -o requirements/dev.lock setup.py

clean:
	rm -rf $(VENV) $(VENV)-lock build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
