# Every target works in the virtual environment .venv, which `setup` makes once.
.DEFAULT_GOAL := help
.PHONY: help setup fmt fmt-check lint types imports test check bench bench-training run train-debug corpus-packages clean

BIN := .venv/bin
READY := .venv/.ready
DEBUG_RUN := build/train-debug
# Set on the command line: FILES, samples for `make run`; TESTS, what `make test` runs;
# PYTHON, the interpreter for .venv; PIP_ARGS, more options for pip.
TESTS ?= tests

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv and install all that is missing, system libraries included

$(READY): pyproject.toml constraints.txt setup/make_environment.sh setup/install_system_libraries.sh
	@sh setup/make_environment.sh .venv
	@touch $@

run: setup ## open the program with FILES; without a display, export the demo instrument
	@$(BIN)/python -m app $(FILES)

test: setup ## run the tests
	@sh setup/install_system_libraries.sh judges
	$(BIN)/python -m pytest $(TESTS)

check: fmt-check lint types imports test ## all that a change must pass

fmt: setup ## format the sources
	$(BIN)/ruff format .

fmt-check: setup ## complain about unformatted sources
	$(BIN)/ruff format --check .

lint: setup ## look for mistakes, style and dead code
	$(BIN)/ruff check .
	$(BIN)/vulture

types: setup ## check types
	$(BIN)/mypy

imports: setup ## check which package may import which
	$(BIN)/lint-imports

bench: setup ## measure speed; ends with 1 where a bar is missed
	$(BIN)/python -m tests.benchmarks

bench-training: setup ## measure the speed of training; needs a corpus
	$(BIN)/python -m tests.benchmarks.training

train-debug: setup ## run every training stage on a tiny corpus and render with the result
	rm -rf $(DEBUG_RUN)
	$(BIN)/python -m training all --config resources/configs/debug.toml --run-dir $(DEBUG_RUN)
	$(BIN)/hyperganstrument render resources/samples/bell.wav --notes C4 --root C4 \
		--model $(DEBUG_RUN)/bundle/hyperganstrument.safetensors --out $(DEBUG_RUN)/rendered

corpus-packages: ## install the large soundfonts of the full training corpus (Debian)
	sh setup/install_system_libraries.sh corpus

clean: ## remove .venv and everything that was built
	rm -rf .venv build *.egg-info
