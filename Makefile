# `make book` and `make test` do all their own set-up; they need Python 3.11 or newer and make.
#   make book PROFILE=smoke              a small run of everything
#   make book DATA=/path/to/real/tiles   on a real set in the Kaggle layout
#   make book EXTERNAL=/path/to/others   also judge the networks by another real set

PROFILE ?= laptop
DATA ?=
EXTERNAL ?=
CORES ?= 1
SWEEP ?=
SEEDS ?=
PORT ?= 8000
PYTHON ?= python3

BIN := .venv/bin
READY := .venv/ready
# Where a process of the tests dies, all end: another in its place would never be done.
TESTS := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder \
	--max-worker-restart 0
# Folders go to the shell as variables, so that it takes nothing in a name for a command.
STUDY := --profile $(PROFILE) $(if $(DATA),--data "$$DATA") \
	$(if $(EXTERNAL),--external "$$EXTERNAL") --cores $(CORES)

export DATA EXTERNAL

export TF_CPP_MIN_LOG_LEVEL ?= 3
# TensorFlow leaves these kernels off on processors without AVX-512, where they help most.
export TF_ENABLE_ONEDNN_OPTS ?= 1

.DEFAULT_GOAL := help
.PHONY: help book run sweep test coverage mutants check sync lock audit bench pdf serve clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

book: $(READY) ## run the study (PROFILE=laptop, DATA=, EXTERNAL=) and render _build/html
	@$(BIN)/birads study --book $(STUDY)

run: $(READY) ## run the study without rendering the book
	@$(BIN)/birads study $(STUDY)

sweep: $(READY) ## train and compare other ways (SWEEP=ablations, SEEDS=5; else all, as sweeps.yml says)
	@$(BIN)/birads sweep $(SWEEP) $(STUDY) $(if $(SEEDS),--seeds $(SEEDS))

test: $(READY) ## run all tests, two files at a time
	@$(TESTS)

coverage: $(READY) ## run all tests and name the branches of birads_lib that none of them takes
	@mkdir -p _build
	@$(TESTS) --cov --cov-report=term-missing:skip-covered --cov-report=json:_build/coverage.json \
		--cov-fail-under=90 && $(BIN)/python tests/branches.py

mutants: $(READY) ## change what each number goes through and count what no test notices (hours)
	@# Not among the locked: pip's hash mode cannot resolve what it needs beside jupytext.
	@test -x $(BIN)/mutmut || { echo "mutmut 3.8: not installed; add it to .venv by hand" >&2; exit 1; }
	@$(BIN)/mutmut run && $(BIN)/python tests/mutants.py

check: $(READY) ## lint, format and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

sync: $(READY) ## make the paired .ipynb from notebooks/*.py
	@$(BIN)/jupytext --quiet --sync notebooks/*.py

lock: $(READY) ## pin all dependencies of pyproject.toml anew
	@# Extras stay named: the pip of Python 3.11 refuses "a[b]" where the lock pins "a" alone.
	@$(BIN)/uv pip compile pyproject.toml --no-strip-extras --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-header --quiet --upgrade -o requirements.lock

audit: ## look the locked packages up in a database of known weaknesses (needs pip-audit)
	@command -v pip-audit > /dev/null || { echo "pip-audit: not installed; install it apart, with pipx or the like" >&2; exit 1; }
	@pip-audit --requirement requirements.lock --require-hashes --disable-pip

bench: $(READY) ## measure the speeds the study states (ONLY=merge, SIZE=full)
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(SIZE),--size $(SIZE))

pdf: $(READY) ## print the book that was built as _build/book.pdf (needs Chromium)
	@$(BIN)/python -m birads_lib.study.pdf

serve: $(READY) ## show the book at http://localhost:8000 (PORT=)
	@$(BIN)/birads serve --port $(PORT)

clean: ## remove everything that was built; the environment stays
	@rm -rf _build .snakemake

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11, 3.12 or 3.13 is needed; set PYTHON=")'
	@echo "installing the study's environment into .venv (a few minutes, once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m birads_lib.study.web > /dev/null
	@touch $(READY)
