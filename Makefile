# Everything runs in a virtual environment of its own, made from nothing but Python 3.11 or newer.
#
#   make serve                  a broker on localhost:9092   (make serve ARGS="--port 9093 --data-dir data")
#   make test                   linters, types and all tests
#   make interop                real clients on kpy, on disk and in memory, and on Apache Kafka
#   make interop-kpy            real clients on kpy alone    (make interop-kpy ARGS="-k consumer")
#   make conformance SUITE=DIR  a suite of precise questions on kpy, if you have one (see interop_tests/conformance)
#   make interop-kpy-interpreted   kafka-python on kpy with the reference codec
#   make soak                   the random tests for long, with seeds and examples of their own (SOAK=4, FROM=1000)
#   make bench                  kpy and Apache Kafka compared, as a table
#   make lint, make format      what `make test` begins with; what mends most of it
#   make docs                   docs/configuration.md from the tables of options, docs/protocol.md from the declarations,
#                               docs/conformance.md from the list of differences
#   make clean                  back to the clone

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ARGS ?=
SOAK ?= 4
FROM ?= 1000

.PHONY: serve test lint format interop interop-kpy interop-kpy-memory interop-kpy-interpreted interop-kafka conformance soak bench docs clean

serve: $(VENV)/.serve
	$(BIN)/kpy serve $(ARGS)

test: lint
	$(BIN)/pytest $(ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

interop: interop-kpy interop-kpy-memory interop-kafka

interop-kpy: $(VENV)/.interop
	$(BIN)/pytest interop_tests $(ARGS)

interop-kpy-memory: $(VENV)/.interop
	$(BIN)/pytest interop_tests --storage memory $(ARGS)

interop-kpy-interpreted: $(VENV)/.interop
	KPY_CODEC=interpreted $(BIN)/pytest interop_tests --storage memory -k kafka_python $(ARGS)

interop-kafka: $(VENV)/.interop
	$(BIN)/pytest interop_tests --broker kafka $(ARGS)

conformance: $(VENV)/.interop
	$(BIN)/python -m interop_tests.conformance $(SUITE) $(ARGS)

soak: $(VENV)/.interop
	KPY_SOAK=$(SOAK) KPY_SOAK_FROM=$(FROM) $(BIN)/pytest -q -n 2 tests/groups tests/storage tests/protocol tests/cluster tests/inspect $(ARGS)
	KPY_SOAK=$(SOAK) $(BIN)/pytest -q interop_tests/test_restart.py interop_tests/test_kill_loop.py $(ARGS)

bench: $(VENV)/.interop
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/.serve
	$(BIN)/python -m kpy.config.reference > docs/configuration.md
	$(BIN)/python -m kpy.server.protocol_reference > docs/protocol.md
	$(BIN)/python -m interop_tests.conformance.reference > docs/conformance.md

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis tests/java/target

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("kpy needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: pyproject.toml | $(BIN)/python
	$(PIP) --editable .
	$(BIN)/python -m compileall -q kpy
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[test]'
	@touch $@ $(VENV)/.serve

$(VENV)/.interop: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[test,interop]'
	@touch $@ $(VENV)/.test $(VENV)/.serve
