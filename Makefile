# `make` or `make help` lists everything; `make check` is what CI runs.
VENV ?= .venv
BIN = $(VENV)/bin
export NADG_VENV = $(VENV)

.DEFAULT_GOAL := help
.PHONY: help setup run up test chaos sandbox-matrix check soak lint format types imports locks clean

help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

setup: ## Make or bring up to date the environment, tests' needs included
	@./quick-start.sh setup test

run: ## Run the example job
	@./quick-start.sh

up: ## Keep a grid of local workers in the foreground
	@./quick-start.sh up

test: ## Run all tests (ARGS="tests/cli -k help" for some)
	@./quick-start.sh test $(ARGS)

chaos: setup ## Kill, pause and cut everything while runs go on, and see that nothing is lost (ARGS="--short")
	@$(BIN)/python -m tests.chaos $(ARGS)

sandbox-matrix: setup ## Every threat in every sandbox tier that this machine allows, as a table
	@$(BIN)/python -m tests.support.sandbox_matrix $(ARGS)

check: ## Everything CI runs: lint, types, import rules, tests
	@.ci/run $(ARGS)

soak: setup ## Attack a worker 20,000 times and see whether anything is left (ARGS="--attempts 1000")
	@$(BIN)/python benchmarks/sandbox_soak.py $(ARGS)

lint: setup ## Style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: setup ## Bring the sources into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: setup ## Static types
	@$(BIN)/mypy

imports: setup ## Who may import whom
	@$(BIN)/lint-imports --no-logo

locks: ## Compute the locks in requirements/ anew (needs uv)
	@requirements/compile.sh

clean: ## Remove the environment and all caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
