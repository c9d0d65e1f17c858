# Each line calls a public tool; what a target does is in the tool's own settings.
SOURCES ?= complete_journey
AS_OF ?=
DSEGMENT_HOME ?= $(CURDIR)/.dsegment
export DSEGMENT_SOURCES := $(SOURCES)
export DSEGMENT_AS_OF := $(AS_OF)
export DSEGMENT_HOME
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: run dev test check bench

run: .venv/ready  ## land what is new and make everything that follows from it
	@$(BIN)/dsegment run

dev: .venv/ready  ## the Dagster UI on http://localhost:3000
	@$(BIN)/dsegment dev

check: .venv/ready  ## static: style, SQL, layers, imports, definitions
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/ty check
	$(BIN)/dsegment prepare
	$(BIN)/sqlfluff lint --quiet dbt/models dbt/tests dbt/macros
	$(BIN)/lint-imports
	$(BIN)/dagster definitions validate -w workspace.yaml
	$(BIN)/python -m pytest -q tests/contract

test: check  ## check, the tests, and a full build on fixtures
	$(BIN)/python -m pytest -n auto --dist loadgroup

bench: .venv/ready  ## what the orchestration costs beside the bare work
	$(BIN)/python -m benchmarks.orchestration_tax

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
