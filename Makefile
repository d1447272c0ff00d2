# Every command works on a fresh clone with Python 3.11+ and make. See README.md.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
RUN    := $(BIN)/python -m singlewindow.services run --
WORKERS ?= 2
ONLY   ?=

.PHONY: setup demo run test test-fast soak lint bench services services-stop requirements browser format

setup: $(VENV)/.installed

$(VENV)/.installed: requirements/dev.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

demo: setup
	@$(RUN) $(BIN)/python manage.py demo

run: setup
	@$(RUN) $(BIN)/python manage.py run

test: setup
	@$(RUN) $(BIN)/pytest -n $(WORKERS) --dist loadgroup $(ARGS)

test-fast: setup
	@$(RUN) $(BIN)/pytest -n $(WORKERS) --dist loadgroup -m "not slow and not browser and not processes" $(ARGS)

# Fourteen provinces, ten minutes of trouble; the last line is the tally as JSON. SOAK="--seed 7" repeats a run.
soak: setup
	@$(BIN)/python -m tests.faults $(SOAK)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(RUN) $(BIN)/python manage.py makemigrations --check --dry-run
	@$(RUN) $(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	@$(RUN) $(BIN)/python -m benchmarks $(ONLY)

services: setup
	@$(BIN)/python -m singlewindow.services start

services-stop:
	@$(BIN)/python -m singlewindow.services stop

# Debian's Chromium and CJK fonts, for the browser tests and the PDF documents.
browser:
	apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk

requirements:
	uv pip compile -q --generate-hashes --python-version 3.11 requirements/base.in -o requirements/base.txt
	uv pip compile -q --generate-hashes --python-version 3.11 requirements/dev.in -c requirements/base.txt -o requirements/dev.txt
