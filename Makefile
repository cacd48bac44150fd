# Wavetank's everyday commands. Each sets up what it needs first.
KEEP ?= on-failure
TOPOLOGY ?= standard
CHECKS ?=
PYTEST_ARGS ?=
BIN := .venv/bin
PICKED := $(if $(CHECKS),-k '$(CHECKS)')
# Who picks tests may pick none of one half: pytest calls that 5.
SOME := $(if $(PYTEST_ARGS),|| [ $$? -eq 5 ])
# Files side by side, in the order of tests/conftest.py: one more than there are cores, for many tests wait.
ABREAST := -n $(shell expr $$(nproc) + 1) --dist loadfile --no-loadscope-reorder

# Python keeps what it has compiled, here as it does anywhere: a shell that forbids it, as those of many container images
# do, makes each of thousands of processes compile all that it imports, and each test process rewrite every assertion.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup compose images test test-fast test-app coverage lint wheel local local-vm bench-up bench-scan bench-enforce bench-failover bench-judge0 bench-generator clean clean-images
.NOTPARALLEL:

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  KEEP=on-failure|always|never (now $(KEEP))   TOPOLOGY=$(TOPOLOGY) (of topologies/)"
	@echo "  CHECKS='isolation or end_to_end': only those, as pytest's -k; PYTEST_ARGS: for make test"

setup: ## Install what is missing: engine, tools, virtual environment
	@harness/setup.sh

images: setup ## Build the emulator's images that are missing
	@$(BIN)/python -m emulator.docker.images > /dev/null
	@$(BIN)/python -m harness.compose > /dev/null

compose: setup ## See that there is a Docker Compose that reads compose files
	@$(BIN)/python -m harness.compose > /dev/null

local: images ## Stand the topology up here, deploy, check, report, take it down
	$(BIN)/wavetank run --target local --topology topologies/$(TOPOLOGY).yaml --keep $(KEEP) $(PICKED)

local-vm: images ## The same in a virtual machine whose kernel lacks nothing: half an hour (TOPOLOGY=swarm)
	@harness/setup.sh --vm
	nice $(BIN)/python -m harness.vm --topology $(if $(filter file,$(origin TOPOLOGY)),swarm,$(TOPOLOGY)) $(PICKED)

test: images ## Run the project's tests
	@harness/setup.sh --tests
	$(BIN)/python -m pytest tests/unit tests/contract $(ABREAST) $(PYTEST_ARGS) $(SOME)
	$(BIN)/python -m pytest tests/emulator $(ABREAST) $(PYTEST_ARGS) $(SOME)

test-fast: compose ## Run the tests that are quick and need no engine: for every edit
	$(BIN)/python -m pytest tests/unit tests/contract -m 'not slow' $(ABREAST) $(PYTEST_ARGS)

test-app: images ## Deploy a repository as it stands, seed faults, follow the tutorial (make test does it too)
	@harness/setup.sh --tests
	$(BIN)/python -m pytest tests/emulator/test_editor.py tests/emulator/test_editor_swarm.py $(ABREAST) $(PYTEST_ARGS)

coverage: images ## Run the tests and show which lines none of them reaches: takes twice as long
	@harness/setup.sh --tests
	$(BIN)/python -m pytest tests/unit tests/contract $(ABREAST) --cov --cov-report= $(PYTEST_ARGS)
	$(BIN)/python -m pytest tests/emulator $(ABREAST) --cov --cov-append --cov-report=term:skip-covered $(PYTEST_ARGS)

wheel: setup ## Build the wheel, install it into a fresh environment, and use it in an empty directory
	$(BIN)/python -m pytest tests/wheel --timeout 900 $(PYTEST_ARGS) $(SOME)

lint: setup ## Check style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench-up: images ## Measure how long standing up and taking down last
	$(BIN)/python -m tests.bench.up

bench-scan: images ## Measure the scan beside nmap and masscan, accuracy included
	$(BIN)/python -m tests.bench.scan

bench-enforce: images ## Measure how soon a change of rules is enforced
	$(BIN)/python -m tests.bench.enforce

bench-failover: images ## Measure how a swarm takes the loss of worker nodes, 20 times
	$(BIN)/python -m tests.bench.failover

bench-judge0: images ## Measure the reference Judge0: creates, queue, CPU
	$(BIN)/python -m tests.bench.judge0

bench-generator: setup ## Measure the load generator beside wrk, hey and Locust
	$(BIN)/python -m tests.bench.generator

clean: ## Remove everything that can be made again (not the engine, not the images)
	rm -rf .venv .tox .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-images: ## Remove the images that no machine uses
	-docker image ls --format '{{.Repository}}:{{.Tag}}' 'wavetank/*' | xargs -r docker image rm
