# Everything a person needs is `make demo` and `make test`; both set up what they use.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
SEEDS  ?= 1000

.DEFAULT_GOAL := help
.PHONY: help demo up test test-slow test-kafka test-chaos kill-rounds sim explore mutants bench day whole kafka lint types imports format schemas lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tocsin needs Python 3.11 or newer; set PYTHON=python3.x"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv is missing: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## plays a large incident end to end on this machine, then verifies the log
	$(BIN)/tocsin demo

up: $(STAMP) ## broker, sandboxes and all rooms, until Ctrl-C
	$(BIN)/tocsin up --sandbox

test: $(STAMP) ## the tests, on the embedded broker
	$(BIN)/pytest -n 2 --dist loadfile

test-slow: $(STAMP) ## the longer tests
	$(BIN)/pytest -m slow --timeout 900

test-chaos: $(STAMP) ## kill -9 and friends, on the embedded broker
	$(BIN)/pytest -m chaos --timeout 900

kill-rounds: $(STAMP) ## kill -9 of every process at lines that are drawn (ROUNDS=50 SEED=1), a minute a round or less
	KILL_ROUNDS=$(or $(ROUNDS),50) KILL_SEED=$(or $(SEED),1) $(BIN)/pytest -m chaos -s tests/chaos/test_rounds.py

sim: $(STAMP) ## worlds in which everything breaks, where nobody has looked before (SEEDS=1000)
	$(BIN)/python -m tests.sim --seeds $(SEEDS) --within 1200

explore: $(STAMP) ## the property tests with examples never tried before, as often as you like
	$(BIN)/pytest -m "hypothesis and not kafka and not chaos" --hypothesis-profile explore --timeout 900

mutants: $(STAMP) ## breaks what decides on purpose, line by line: a test must notice (an hour or two)
	PYTHONPATH=. $(BIN)/mutmut run
	PYTHONPATH=. $(BIN)/mutmut results

bench: $(STAMP) ## measures it beside other people's tools, into build/bench.json (postfix, stunnel4)
	$(BIN)/tocsin bench

day: $(STAMP) ## ten incidents of a day to SUBSCRIBERS people (1000), what became of all, memory: build/day.json, day.svg
	$(BIN)/python -m pipeline.bench.day $(INCIDENTS) --subscribers $(or $(SUBSCRIBERS),1000)

whole: $(STAMP) ## every incident of INCIDENTS to SUBSCRIBERS people (10000), rooms killed on the way; its log replayed twice
	$(BIN)/python -m pipeline.bench.whole record $(INCIDENTS) --subscribers $(or $(SUBSCRIBERS),10000)
	$(BIN)/python -m pipeline.bench.whole replay

kafka: $(STAMP) ## Apache Kafka in KRaft mode on this machine, without Docker (Java 17 and Maven)
	$(BIN)/tocsin kafka

test-kafka: $(STAMP) ## on Apache Kafka: the broker, several workers of which one is killed, the figures (Java 17 and Maven)
	$(BIN)/pytest -m kafka --timeout 900

lint: $(STAMP)
	$(BIN)/ruff format --check . && $(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

schemas: $(STAMP) ## writes the JSON Schemas and the AsyncAPI document anew
	$(BIN)/tocsin schema export

lock: $(STAMP) ## resolves the dependencies anew, with hashes
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url -o requirements.lock --upgrade
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url -o requirements-dev.lock --upgrade

clean:
	rm -rf $(VENV) build mutants .mypy_cache .ruff_cache .pytest_cache
