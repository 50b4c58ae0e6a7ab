# Each target does all of its own set-up; nothing is needed but Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS ?= dev
# What pip installs of torch. Where this is not the CPU build, which spares gigabytes: make run TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
ARGS ?= task=pick_place method=ppo

.PHONY: run test test-slow test-long check golden lock readme tasks tuning ablations studies study asked results performance clean

run: $(VENV)/ready  ## adapt the shipped policy to a new task and print what it forgot
	$(BIN)/razorbench $(ARGS)

test: $(VENV)/ready check  ## style, types, and the default suite
	$(BIN)/python -m pytest -n auto -m "not slow and not cluster"

test-slow: $(VENV)/ready  ## what takes minutes, and, with EXTRAS=dev,slurm,ray and Debian's slurm-wlm and munge, sweeps on a real Slurm and a real Ray
	$(BIN)/python -m pytest -n auto -m "slow and not timed and not long"
	$(BIN)/python -m pytest -m "(timed or cluster) and not long"

test-long: $(VENV)/ready  ## what takes ten minutes and more: a fault at every operation on files, hundreds of kills, memory over hundreds of runs
	$(BIN)/python -m pytest -m long

check: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build/types && mkdir -p build/types/razorbench
	cp -r razorbench/* envs baselines conf build/types/razorbench/
	rm -r build/types/razorbench/baselines/results build/types/razorbench/baselines/ladder
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml -p razorbench

golden: $(VENV)/ready  ## golden trajectories anew, after a wanted change of physics
	$(BIN)/python -m razorbench.golden envs/golden.npz

lock: $(VENV)/ready  ## what code each version stands for anew, if golden trajectories and pinned runs are what they were
	$(BIN)/python -m razorbench.lock razorbench/lock.json tests/pins envs/golden.npz

readme: $(VENV)/ready  ## what README says that a run prints, and the page of base policies anew, from a committed record and the shipped cards
	$(BIN)/python -m razorbench.readme README.md docs/bases.md docs/first_run.json

tasks: $(VENV)/ready  ## the page of tasks anew: gallery, styles, spec sheets
	$(BIN)/razorbench video --gallery --out build/gallery --format gif
	cp build/gallery/contact_sheet.png docs/gallery.png
	$(BIN)/python -m razorbench.envs.styles docs/tasks.md

tuning: $(VENV)/ready  ## the search for every method's defaults anew, its records, and its table; hours
	$(BIN)/razorbench tune --results build/tuning
	$(BIN)/python -m razorbench.tuning tuning docs/methods.md baselines/results/tuning.jsonl.gz build/tuning

ablations: $(VENV)/ready  ## what sft_cf, dagger, simpo, our own methods and the law depend on, anew: runs, records, tables; two or three hours
	for each in sft_cf:methods sft_cf_far:methods dagger:methods dagger_tokens:methods own:methods limits:methods simpo:methods law:findings; do \
	  study=$${each%:*} page=docs/$${each#*:}.md && $(BIN)/razorbench tune --study $$study --results build/$$study && \
	  $(BIN)/python -m razorbench.tuning $$study $$page baselines/results/$$study.jsonl.gz build/$$study || exit 1; done

studies: $(VENV)/ready  ## the pages of the controlled studies anew; five minutes
	for study in parity projection; do \
	  $(BIN)/razorbench study=$$study results=build && mkdir -p docs/studies/$$study && \
	  cp build/studies/$$study/*.png docs/studies/$$study/ && cp build/studies/$$study/report.md docs/studies/$$study/README.md || exit 1; done
	mkdir -p baselines/results/studies/projection && cp build/studies/projection/distance.csv baselines/results/studies/projection/

HOURS ?= 2.5
EXPERIMENT ?= razor_core
KEPT ?= baselines/results
STUDY ?= build/study
study: $(VENV)/ready  ## the next HOURS of a reference study (EXPERIMENT), made in STUDY and kept in KEPT, in order of value; again and again until it is done
	$(BIN)/python -m razorbench.reference restore $(KEPT) $(STUDY)
	$(BIN)/razorbench -m +experiment=$(EXPERIMENT) --hours $(HOURS) hydra/launcher=joblib results=$(STUDY)
	$(BIN)/python -m razorbench.reference keep $(STUDY) $(KEPT)

asked: $(VENV)/ready  ## how far the policies in STUDY moved where their bases go when asked for old skills; for those whose policies are there
	$(BIN)/python -m razorbench.asked $(STUDY) baselines/results/asked.csv

results: $(VENV)/ready  ## the README's findings, the table of all runs, the pages of the reference study and of the law, and the board anew, from the runs that the repository keeps
	$(BIN)/python -m razorbench.reporting.reference baselines/results README.md docs/reference
	rm -rf docs/board
	$(BIN)/razorbench leaderboard baselines/results/entries/* --levels baselines/results/levels --out docs/board

performance: $(VENV)/ready  ## the performance page's figures anew, on this machine; PEERS=--peers=PYTHON adds the peers
	$(BIN)/razorbench bench --out build/bench $(PEERS)
	cp build/bench/bench.json docs/performance.json
	cp build/bench/bench.png docs/performance.png
	$(BIN)/python -m razorbench.bench_report docs/performance.md docs/performance.json

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q $(TORCH)
	$(BIN)/pip install -q -c constraints.txt -e ".[$(EXTRAS)]"
	touch $@
