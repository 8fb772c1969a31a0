# `make run` starts everything on this machine; `make test` runs every test. Each target first
# installs what it needs into .venv. CONTRIBUTING.md says how long each one takes.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PYTEST := -m pytest --numprocesses 4 --dist loadscope --no-loadscope-reorder

.PHONY: run build wheel test test-fast coverage chaos check bench lock clean

run: $(VENV)/installed
	@exec $(BIN)/harvester up $(ARGS)

# The runtime of bundles, which takes half a minute the first time, and the bundles.
build: $(VENV)/installed
	@$(BIN)/harvester plugins runtime
	@$(BIN)/harvester plugins pack

# Every plugin as a component of its own, too.
.PHONY: components
components: $(VENV)/installed
	@$(BIN)/harvester plugins build

# The whole product in one file: dist/harvester_edge-*.whl.
wheel: $(VENV)/installed
	@$(BIN)/python -m build --wheel --no-isolation

test: test-needs
	@$(BIN)/python $(PYTEST) --durations 40 $(ARGS)

# Every test, and ten times the examples where a test tries many.
.PHONY: test-thorough
test-thorough: export HARVESTER_THOROUGHNESS := 10
test-thorough: test

# No component is built and no browser is started.
test-fast: $(VENV)/installed
	@$(BIN)/python $(PYTEST) -m 'not slow' $(ARGS)

# Every test; fails below the floor in pyproject.toml.
coverage: test-needs
	@$(BIN)/coverage erase
	@$(BIN)/coverage run $(PYTEST) $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --skip-covered

.PHONY: test-needs
test-needs: build
	@tests/install-system-packages
	@$(BIN)/python tests/install-pi-libraries

# A hundred faults to a running system, some 15 minutes: ARGS="--seed 7 --broker mosquitto".
chaos: build
	@$(BIN)/python -m tests.chaos $(ARGS)

# Machines with systemd in containers: needs root, systemd-container and debootstrap.
.PHONY: test-machines
test-machines: wheel
	@$(BIN)/python -m pytest --override-ini python_files='check_*.py' --timeout 900 \
		--durations 20 $(if $(ARGS),$(ARGS),tests/machines --ignore tests/machines/check_arm64.py)

# The product on an emulated aarch64: needs also qemu-user-static and binfmt-support.
.PHONY: test-arm64
test-arm64: wheel
	@$(BIN)/python -m pytest --override-ini python_files='check_*.py' --timeout 2400 \
		--durations 20 tests/machines/check_arm64.py $(ARGS)

# Nodes of the version before at this hub, and the reverse; needs the repository's history.
.PHONY: test-versions
test-versions: build
	@$(BIN)/python -m pytest --override-ini python_files='check_*.py' --timeout 300 \
		$(if $(ARGS),$(ARGS),tests/versions)

# Home Assistant itself, in two versions, against a hub and simulated nodes; the first run installs
# them into .harvester/home-assistant.
.PHONY: test-homeassistant
test-homeassistant: build
	@tests/install-system-packages
	@$(BIN)/python -m tests.home_assistant.install
	@$(BIN)/python -m pytest tests/home_assistant/check_house.py $(ARGS)

# Clients of other people (MQTT.js, Node-RED, aiomqtt, gmqtt, Mosquitto's, a browser) at the hub's
# broker; the first run installs them into .harvester/clients. Needs Node.js and npm.
.PHONY: test-clients
test-clients: $(VENV)/installed
	@tests/install-system-packages
	@$(BIN)/python -m tests.clients.install
	@$(BIN)/python -m pytest --override-ini python_files='check_*.py' --timeout 300 tests/clients $(ARGS)

check: $(VENV)/installed
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

# Fetches axe-core from the npm registry, for tests/hub_app/page/test_axe.py.
.PHONY: axe
axe:
	@mkdir -p .harvester/axe
	@cd .harvester/axe && npm pack --silent axe-core >/dev/null && tar -xzf axe-core-*.tgz
	@cp .harvester/axe/package/axe.min.js .harvester/axe/
	@rm -rf .harvester/axe/package .harvester/axe/axe-core-*.tgz

# The page's icons, drawn like favicon.svg.
.PHONY: icons
icons: $(VENV)/installed
	@$(BIN)/python -m tests.hub_app.page.icons

# Pictures of every view of a running system into docs/screenshots; needs Chromium.
.PHONY: screenshots
screenshots: build
	@$(BIN)/python -m tests.screenshots

bench: build components
	@$(BIN)/python -m bench.agent_memory
	@$(BIN)/python -m bench.publish_to_dom
	@$(BIN)/python -m bench.chart
	@$(BIN)/python -m bench.overview
	@$(BIN)/python -m bench.viewers
	@$(BIN)/python -m bench.page_memory
	@$(BIN)/python -m bench.stalled_browsers
	@$(BIN)/python -m bench.plugins
	@$(BIN)/python -m bench.bundles
	@$(BIN)/python -m bench.delivery
	@$(BIN)/python -m bench.recorder
	@$(BIN)/python -m bench.pizero_memory
	@$(BIN)/python -m bench.broker
	@$(BIN)/python -m bench.fleet --nodes 300 1000
	@$(BIN)/python -m bench.fleet_database
	@$(BIN)/python -m bench.broker_rates

# The newest versions that pyproject.toml allows, into constraints.txt.
lock:
	@.ci/lock

$(VENV)/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "python3 is not installed" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .harvester build dist *.egg-info
	find plugins examples tests/components \( -name '*.wasm*' -o -name '*.bundle' \) -delete
