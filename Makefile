# Two commands on a fresh machine: `make demo` and `make test`. Both set up all they need.
PYTHON ?= python3
DEMO ?= demo
UV := .tools/bin/uv
RUN := $(UV) run --frozen
# Some machines forbid Python to keep what it compiled; then each of some thousand starts compiles all again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test check fuzz lint bench clean

demo: .venv/.ready
	$(RUN) passersby demo $(DEMO)

test: .venv/.ready
	$(RUN) pytest -n 2 --dist worksteal

check: .venv/.ready
	$(RUN) pytest -n 2 --dist worksteal -m "not slow"

# 100,000 spoiled inputs for every parser of foreign bytes, some hours; `make test` tries a tenth or less.
fuzz: .venv/.ready
	PASSERSBY_FUZZ=100000 $(RUN) pytest -n 2 --dist worksteal --timeout 0 -k "many" \
	  tests/trustlog/test_fuzz.py tests/disclosure/test_order_fuzz.py tests/sources/test_suppliers_fuzz.py

lint: .venv/.ready
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) lint-imports

bench: .venv/.ready
	$(RUN) python benchmarks/run.py

clean:
	rm -rf .venv .tools dist

# uv reads the lock file; it lives in an environment of its own, so that nothing is installed outside
# this folder.
.tools/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Passersby needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check "uv>=0.12,<1"

.venv/.ready: pyproject.toml uv.lock | .tools/bin/uv
	$(UV) sync --frozen --quiet
	touch $@
