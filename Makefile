# Two commands: `make demo` and `make test`. Both set up .venv by themselves, with ROS 2 as wheels.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The distribution whose wheels are installed, jazzy or kilted: README.md says why.
ROS ?= jazzy
READY := $(VENV)/.ready-$(ROS)
EXTRAS := node,sim,train,report,lerobot,benchmarks,test,check,docs
# Pinned: README.md says how to choose another build.
TORCH ?= torch==2.13.0
# Pins all else; `make CONSTRAINTS=/dev/null` takes the newest of everything.
CONSTRAINTS ?= constraints.txt
# More for pytest, such as PYTEST='-k latent -x'.
PYTEST ?=

.PHONY: demo test test-fast check docs docs-links setup constraints clean

demo: $(READY) ## replay the bundled bag into the live node and write out/demo/report.html
	$(BIN)/python -m smvae_ros.cli.demo

test: $(READY) ## run all tests, as many at a time as there are processors
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal $(PYTEST)

test-fast: $(READY) ## without those over DDS and those that train
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal -m "not dds and not training" $(PYTEST)

check: $(READY) ## style, imports, types and Dockerfiles
	$(BIN)/hadolint docker/*.Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

docs: $(READY) ## the documentation as a site: out/docs/index.html
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs out/docs

docs-links: $(READY) ## follow the documentation's links to other sites
	$(BIN)/sphinx-build --builder linkcheck --quiet docs out/docs-links

setup: $(READY) ## only set up .venv

constraints: ## pin the newest of everything anew, for each Python and distribution (needs uv)
	for ros in jazzy kilted; do \
		printf '%s\n' "$(TORCH)" colcon-common-extensions ".[$$ros,$(EXTRAS),landmarks,rerun]" \
			| uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header \
				--no-annotate --no-emit-package smvae-ros --output-file constraints.$$ros - || exit 1; \
	done
	# Not torch, with all of CUDA that it brings, and of ROS only what names a distribution.
	sort --unique constraints.jazzy constraints.kilted | grep -vP \
		'^(ros-(?!jazzy-|kilted-)|(torch|triton|nvidia|cuda|setuptools|colorama)(-|==))' > constraints.txt
	rm constraints.jazzy constraints.kilted

$(READY): setup.py $(CONSTRAINTS)
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --constraint $(CONSTRAINTS) "$(TORCH)" --editable ".[$(ROS),$(EXTRAS)]"
	touch $@

clean:
	rm -rf $(VENV) build install log out docs/reference/api
