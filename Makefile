# Each target does all of its own set-up; nothing is needed but Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?= task=pick_place method=ppo

.PHONY: run test test-slow check wheel-types golden readme clean

run: $(VENV)/ready  ## adapt the shipped policy to a new task and print what it forgot
	$(BIN)/razorbench $(ARGS)

test: $(VENV)/ready  ## the default suite: everything but what is slow
	$(BIN)/python -m pytest -m "not slow" $(if $(shell $(BIN)/python -m razorbench.gl 2>/dev/null),,--deselect tests/test_video.py)
	$(MAKE) check

test-slow: $(VENV)/ready
	$(BIN)/python -m pytest -m slow

check: $(VENV)/ready  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m tests.types

golden: $(VENV)/ready  ## golden trajectories anew, after a wanted change of physics
	$(BIN)/python -m razorbench.golden envs/golden.npz

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip
	$(BIN)/pip install -q torch==2.13.0
	$(BIN)/pip install -q -c constraints.txt -e ".[dev]"
	touch $@
