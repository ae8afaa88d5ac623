# Needs make and Python 3.11 or newer; everything else, PostgreSQL included, is installed into .venv.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
PACKAGES := partitions metrics supervisor django_app
PYTEST_ARGS ?=
SEED ?= 1
EXAMPLES ?= 300
ARGS ?=
# The first that is new enough; `make PYTHON=/path/to/python3.12 ...` chooses another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/installed ## Replay 10,000 sample notifications into one-day digests, on an embedded PostgreSQL
	$(BIN)/pgsupervise replay django_app/replay/sample.csv.gz --window 1d --partitions 8 --channel inbox

# Bytecode is kept, whatever the environment says: the tests start hundreds of interpreters.
.PHONY: test
test: $(VENV)/installed ## Run the tests (PYTEST_ARGS="-k name"; PGSUPERVISE_TEST_DSN for a PostgreSQL of your own)
	PYTHONDEVMODE=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m "not replay" -n 4 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

.PHONY: replay
replay: $(VENV)/installed ## Check the published table in full (long)
	$(BIN)/python -m pytest -m replay $(PYTEST_ARGS)

.PHONY: chaos
chaos: $(VENV)/installed ## Tell new random histories for 4 minutes; then break processes and the database for 13, and audit
	PGSUPERVISE_TEST_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest tests/integration/test_notification_machine.py \
		tests/integration/test_worker_lives.py
	$(BIN)/python -m tests.chaos --seed $(SEED) --report tests/chaos/REPORT.md

.PHONY: chaos-sending
chaos-sending: $(VENV)/installed ## Kill workers while they send 50,000 digests, and count what arrived, for 15 minutes (ARGS="--digests 3000")
	$(BIN)/python -m tests.chaos.sending --seed $(SEED) --report tests/chaos/SENDING.md $(ARGS)

.PHONY: bench
bench: $(VENV)/installed-bench ## Measure beside other queues: 25 minutes (ARGS="--only pgsupervise,graphile-local --rounds 1")
	$(BIN)/python -m tests.bench $(ARGS)

.PHONY: lint
lint: $(VENV)/installed .ns ## Check style, formatting and the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=.ns $(BIN)/lint-imports

.PHONY: types
types: $(VENV)/installed .ns ## Check the types
	MYPYPATH=.ns $(BIN)/python -m mypy -p pgsupervise -p tests

.PHONY: clean
clean: ## Remove everything that make made
	rm -rf $(VENV) .ns .bench build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/installed: pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "pgsupervise needs Python 3.11 or newer, and found none: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(VENV)/installed-bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

# Static tools do not see the hook of an editable install: they get the packages under their import names as links.
.PHONY: .ns
.ns:
	@mkdir -p .ns/pgsupervise
	@for package in $(PACKAGES); do ln -sfn ../../$$package .ns/pgsupervise/$$package; done
