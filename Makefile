# Every target that a person calls carries a line after two hashes; `make help` prints them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PORT ?= 8000
N ?= 20000
WORKERS ?= 2
DATA ?= data
FOLDER ?= .data
BIN := .venv/bin
STAMP := .venv/.installed
# The first interpreter here that is new enough.
PYTHON ?= $(firstword $(foreach name,python3.11 python3 python3.12 python3.13,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))

.PHONY: help setup run up test test-long check bench bench-scale faults fuzz soak replay events requirements format clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s%s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP) ## make .venv with everything pinned, if it is missing or older than its pins

$(STAMP): requirements/dev.txt pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "jicai needs Python 3.11 or newer, and none was found on the PATH." >&2; exit 1; fi
	@[ -x $(BIN)/python ] || echo "Making .venv with $(PYTHON): some seconds."
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@echo "Installing what requirements/dev.txt pins, PostgreSQL and a Java runtime among it: one to three minutes, this once."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--config-settings editable_mode=compat --editable .
	@touch $@

run: setup ## the whole platform in one process, on PORT=8000, with its own PostgreSQL in FOLDER=.data
	$(BIN)/jicai run --port $(PORT) --data "$(FOLDER)"

up: setup ## the five services as ten processes, APIs on the five ports after PORT=8000, with their own PostgreSQL and Kafka in FOLDER=.data
	$(BIN)/jicai up --port $(PORT) --data "$(FOLDER)"

test: setup ## every test, on real servers, by WORKERS=2 processes side by side
	$(BIN)/python -m pytest -n $(WORKERS)

test-long: setup ## the tests that take minutes: real faults under load, one by one
	$(BIN)/python -m pytest -m long

fuzz: setup ## ask the five services made-up things for MINUTES=30; seeds and findings go to .data/fuzz
	MINUTES=$(or $(MINUTES),30) $(BIN)/python -m tests.fuzz

soak: setup ## place orders for MINUTES=10 at 80 % of the measured rate; memory, connections and p99 go to .data/soak.json
	MINUTES=$(or $(MINUTES),10) $(BIN)/python -m tests.bench.soak

check: setup ## formatting, lint, types, the direction of imports, generated files, contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/jicai events --check
	$(BIN)/jicai access --check
	$(BIN)/jicai errors --check
	$(BIN)/jicai openapi --check
	$(BIN)/python -m pytest tests/test_tidy.py
	$(BIN)/python -m tests.lint

bench: setup ## measure, and compare with the floors
	$(BIN)/python -m tests.bench

bench-scale: setup ## measure what takes long: 10,000,000 rows, an hour of waiting events, a worker over 1,000,000 events
	N=1000000 $(BIN)/python -m tests.bench growth catching-up memory

faults: setup ## kill, stop and confuse everything while about N=20000 events are made, then count
	$(BIN)/python -m tests.faults $(N)

replay: setup ## play the sheets in the folder DATA=data through the platform in FOLDER=.data
	$(BIN)/jicai replay --data $(FOLDER) $(DATA)

events: setup ## write docs/events from the contract
	$(BIN)/jicai events

format: setup ## put the sources in their normal form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

requirements: ## pin requirements/*.in again, with hashes and without any address; UPGRADE=1 takes newer versions
	@[ -x .venv/pin/bin/uv ] || { $(PYTHON) -m venv .venv/pin && .venv/pin/bin/python -m pip install --quiet uv; }
	cd requirements && for name in run dev; do \
		../.venv/pin/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
			$(if $(UPGRADE),--upgrade) $$name.in -o $$name.txt; done

clean: ## remove what can be made again; .data stays
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find shared services deploy tests -name __pycache__ -type d -prune -exec rm -rf {} +
