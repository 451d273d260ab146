# The whole project from a bare machine: Python 3.11, make and git. `make help` lists the targets.
PYTHON ?= python3.11
# Processes that test side by side, each with a Valkey of its own, all with one Kafka: more than cores, as some wait.
PYTEST_WORKERS ?= 4
PYTEST = $(BIN)/python -m pytest --numprocesses=$(PYTEST_WORKERS) --dist=loadfile --no-loadscope-reorder
# Without compiled modules on disk each of the hundreds of processes that the tests start would compile them anew.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)

.PHONY: help setup tools check test demo wheel docs lint format lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

setup: $(VENV)/.installed ## make .venv and install the locked dependencies

$(VENV)/.installed: requirements-dev.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x "$(UV)" || $(BIN)/python -m pip install --quiet uv
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

# What comes from no package index, each with the program that it brings; tests without it are skipped, and say so. A
# service that the packages bring stays off.
TOOLS = chromium:chromium promtool:prometheus javac:openjdk-17-jdk-headless node:nodejs npm:npm
tools: ## install from Debian what some tests drive: Chromium, Prometheus, a JDK, Node and npm (as root; else it says how)
	@missing=""; for tool in $(TOOLS); do command -v $${tool%%:*} >/dev/null || missing="$$missing $${tool#*:}"; done; \
	if [ -z "$$missing" ]; then echo "tools: all there"; \
	elif [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "tools: missing are$$missing; as root: apt-get install --no-install-recommends$$missing"; \
	else apt-get update -qq; for package in $$missing; do \
		RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$package >/dev/null \
		&& echo "tools: installed $$package" || echo "tools: no $$package; the tests that need it are skipped"; done; fi

check: lint ## the fast loop: lint, types, and every test that needs no server
	$(PYTEST) -m "not server"

test: lint ## lint, types, and every test, against a real Kafka and a real Valkey
	$(PYTEST)

demo: setup $(if $(WHEEL),wheel) ## run the main job end to end on MovieLens (QUICK=1: the short form; WHEEL=1: from the wheel)
	$(if $(WHEEL),cd build/wheel && environment/bin/reelstream,$(BIN)/reelstream) demo $(if $(QUICK),--quick)

# Its environment sees the libraries of .venv by a path file. Python does not read the path files it finds there, so
# the editable installation of this folder cannot answer in the wheel's place.
wheel: setup ## build the wheel and install it into build/wheel/environment
	rm -rf build/wheel build/lib build/bdist.*
	$(UV) build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir build/wheel
	$(BIN)/python -m venv --without-pip build/wheel/environment
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> $$(build/wheel/environment/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/libraries.pth
	$(UV) pip install --quiet --no-deps --python build/wheel/environment/bin/python build/wheel/*.whl

docs: setup ## build the documentation as a site, in build/docs/site
	$(BIN)/python -m docs.site.build build/docs

lint: setup ## lint and type-check only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

RESOLVE = $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	--python-version 3.11 pyproject.toml

# The others are held to the versions of the first, so that what is tested is what the images run. The last, of the image
# that trains, lacks triton, which torch needs for `torch.compile` only: 688 MB.
lock: ## resolve the dependencies anew: everything, and of it what serving needs, and what training needs
	$(RESOLVE) --all-extras --group dev -o requirements-dev.lock
	$(RESOLVE) --extra large --extra web --extra trace --constraints requirements-dev.lock -o requirements.lock
	$(RESOLVE) --extra large --extra web --extra trace --extra train --constraints requirements-dev.lock \
		--no-emit-package triton -o requirements-train.lock

clean: ## remove .venv and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build *.egg-info
