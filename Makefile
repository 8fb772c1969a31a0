# `make run` starts everything on this machine; `make test` runs every test. Both set up what they
# need in .venv first.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test chaos check build bench clean

run: $(VENV)/installed
	@exec $(BIN)/harvester up $(ARGS)

build: $(VENV)/installed
	@$(BIN)/harvester plugins build

test: $(VENV)/installed
	@tests/install-system-packages
	@$(BIN)/python tests/install-pi-libraries
	@$(BIN)/harvester plugins build
	@$(BIN)/pytest --numprocesses 3 --dist loadscope --no-loadscope-reorder --durations 40 $(ARGS)

# A hundred faults to a running system, some 15 minutes: ARGS="--seed 7 --broker mosquitto".
chaos: build
	@$(BIN)/python -m tests.chaos $(ARGS)

check: $(VENV)/installed
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

bench: build
	@$(BIN)/python -m bench.agent_memory
	@$(BIN)/python -m bench.publish_to_dom
	@$(BIN)/python -m bench.plugins
	@$(BIN)/python -m bench.pizero_memory
	@$(BIN)/python -m bench.broker

$(VENV)/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "python3 is not installed" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .harvester build *.egg-info
	find plugins examples tests/components -name '*.wasm*' -delete
