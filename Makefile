# Two commands are all that a newcomer needs: `make run` and `make test`.
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run demo test test-fast lint types arch check format requirements bench lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## create what is needed and start the server with the shipped examples on 127.0.0.1:8080
	@scripts/setup run
	@exec $(BIN)/runstead serve

demo: ## a first tour of all five capabilities against the running server
	@$(BIN)/runstead demo

test: ## install what the tests need and run the whole suite in parallel, with coverage
	@scripts/setup test
	@scripts/test

test-fast: ## the suite without set-up and coverage: for the inner loop
	@$(BIN)/pytest -q -n auto

check: lint types arch ## lint, types and the architecture contract

lint: ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: ## mypy, strict, on source and tests
	@$(BIN)/mypy

arch: ## the import contract: kernel <- platform <- capabilities <- bootstrap
	@$(BIN)/lint-imports

format: ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

requirements: ## the table of requirements and the tests that show them
	@$(BIN)/python scripts/requirements.py

bench: ## print every figure that we publish (takes minutes)
	@scripts/bench

lock: ## pin what is installed now in constraints.txt
	@scripts/lock

clean: ## remove what the commands above made, except your data
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* htmlcov dist build
