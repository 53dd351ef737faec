# Kinfold. `make help` lists what there is; README.md has the raw lines for machines without make.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help run test bench crash fuzz lint clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: .venv/run.stamp ## set everything up and serve Kinfold; Ctrl-C stops it
	@exec $(BIN)/flask --app wsgi:app serve

test: .venv/test.stamp ## set everything up and run the tests (a few minutes)
	$(BIN)/pytest -n 2 --dist worksteal -q

bench: .venv/test.stamp ## measure what the README promises, as ratios
	$(BIN)/python -m tests.bench

crash: .venv/test.stamp ## kill -9 everything 200 times during an ingest, and look for what was lost
	$(BIN)/python -m tests.crash

fuzz: .venv/test.stamp ## 20,000 damaged files of every format against the decoder (minutes)
	$(BIN)/python -m tests.fuzz --count 20000

lint: .venv/test.stamp ## ruff, mypy, import contracts, template lint
	.ci/run lint types arch

clean: ## forget the virtual environment, not your data
	rm -rf .venv

.venv/run.stamp: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Kinfold needs Python 3.11 or newer; name it with: make run PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.venv/test.stamp: .venv/run.stamp .ci/dev.lock .ci/chromium
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .ci/dev.lock
	@.ci/chromium
	@touch $@
