# Each target does all of its own set-up; nothing is needed but Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS ?= dev
# What pip installs of torch. Where this is not the CPU build, which spares gigabytes: make run TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
ARGS ?= task=pick_place method=ppo

.PHONY: run test test-slow check clean

run: $(VENV)/ready  ## adapt the shipped policy to a new task and print what it forgot
	$(BIN)/razorbench $(ARGS)

test: $(VENV)/ready check  ## style, types, and the default suite
	$(BIN)/python -m pytest -n auto -m "not slow and not cluster and not pages"

test-slow: $(VENV)/ready  ## what takes minutes, and, with EXTRAS=dev,slurm,ray and Debian's slurm-wlm and munge, sweeps on a real Slurm and a real Ray
	$(BIN)/python -m pytest -n auto -m "(slow or pages) and not timed and not long"
	$(BIN)/python -m pytest -m "(timed or cluster) and not long"

check: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build/types && mkdir -p build/types/razorbench
	cp -r razorbench/* envs baselines conf build/types/razorbench/
	rm -r build/types/razorbench/baselines/results build/types/razorbench/baselines/ladder
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml -p razorbench
	MYPYPATH=build/types:docs/make:examples $(BIN)/mypy --config-file pyproject.toml docs/make/*.py examples/*.py

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q $(TORCH)
	$(BIN)/pip install -q -c constraints.txt -e ".[$(EXTRAS)]"
	touch $@
