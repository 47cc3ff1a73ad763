# make demo    the tour: seal, publish, load, roll back, tamper (no server, no account)
# make test    every test
# make check   formatting, lint, types, import contracts, limits
# make campaign   the long forms of tests, then a table of their figures (CAMPAIGN='mutants race' for some of them)
# make bench   every promised figure, as ratios of one run against its peer (docs/benchmarks.md)
# make example the example repository at top level made anew, with new keys
# make servers the servers that the tests of the stores need and PyPI does not have: Consul, etcd, ZooKeeper
# make lock    requirements/*.txt anew
#
# Needs Python >= 3.11 with venv, git and make (tests also strace: apt-get install strace); everything else is installed into .venv at locked versions.
# With Node >= 18 and npm, `make test` runs the second reader of the formats too. A test whose server is not
# here is skipped and says what brings it.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
PYTEST_ARGS ?=
# One more than there are cores: many tests wait for a server.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
# The second reader of the formats runs on Node; its test is skipped, and says so, where there is no npm.
SECOND_READER := $(if $(shell command -v npm),tests/another/node_modules/.package-lock.json)
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
CAMPAIGN ?=
.PHONY: demo test check campaign bench example servers lock format clean

demo: $(VENV)/.runtime
	$(BIN)/sealpipe demo $(DEMO_ARGS)

test: $(VENV)/.dev $(SECOND_READER)
	$(BIN)/pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/zizmor --offline --persona auditor --no-progress --quiet .github pipeline/sealpipe/github/templates
	$(BIN)/pytest -n auto tests/test_limits.py tests/test_architecture.py tests/docs

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

campaign: $(VENV)/.dev $(SECOND_READER)
	$(BIN)/python campaign/table.py $(CAMPAIGN)

bench: $(VENV)/.bench
	$(BIN)/python bench/run.py --python $(VENV)/bench/bin/python

example: $(VENV)/.runtime
	$(BIN)/python scripts/make_example.py

# Into a folder outside the tree, $SEALPIPE_SERVERS or the user's cache; fails when one could not be brought.
servers: | $(BIN)/python
	scripts/servers

lock: $(VENV)/.dev
	scripts/lock --upgrade

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "error: no Python >= 3.11 with venv found (Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The build back end comes from the lock, so that nothing is fetched without a hash.
$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt pyproject.toml | $(BIN)/python
	$(PIP) -r requirements/runtime.txt -r requirements/build.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	$(PIP) -r requirements/dev.txt
	@touch $@

tests/another/node_modules/.package-lock.json: tests/another/package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --prefix tests/another
	@touch $@

# Start-up is measured on an installed wheel: an editable install reads one more .pth at each start. The pip
# that old Pythons bring writes a script that imports `re`, which is a third of what --version costs.
$(VENV)/.bench: $(shell find pipeline -name '*.py') requirements/pip.txt requirements/stores.txt $(VENV)/.runtime
	rm -rf $(VENV)/bench $(VENV)/wheel
	$(PYTHON) -m venv $(VENV)/bench
	$(VENV)/bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/pip.txt
	$(VENV)/bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/stores.txt
	$(BIN)/python -m hatchling build --target wheel --directory $(VENV)/wheel
	$(VENV)/bench/bin/python -m pip install --quiet --disable-pip-version-check --no-deps $(VENV)/wheel/*.whl
	@touch $@
