# Each target sets up what it needs; nothing but Python 3.11+ must be there before.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DASH   := service/dashboard
# One more than cores: many tests wait for processes that they started, or killed.
WORKERS = $(shell $(PYTHON) -c 'import os; print(min((os.cpu_count() or 1) + 1, 6))')

# Some machines forbid Python to keep what it compiled; here thousands of processes would each compile torch anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup data demo test check interop serve bench dashboard screenshots clean
.DEFAULT_GOAL := setup

setup: $(VENV)/.installed service/static/index.html  ## the virtual environment and the dashboard

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo "installing dependencies (a minute or two) ..."
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(DASH)/node_modules/.installed: $(DASH)/package.json $(DASH)/package-lock.json $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm ci --prefix $(DASH) --no-audit --no-fund --loglevel=error
	@touch $@

# The types of the API, from its own description; what describes it is Python.
$(DASH)/openapi.json: $(VENV)/.installed $(shell find service search/spec.py search/samplers spaces -name '*.py' 2>/dev/null)
	$(BIN)/python -m service.openapi $@ && touch $@

$(DASH)/src/api/schema.ts: $(DASH)/openapi.json $(DASH)/node_modules/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm run --prefix $(DASH) --silent types > /dev/null

service/static/index.html: $(DASH)/src/api/schema.ts $(shell find $(DASH)/src $(DASH)/index.html $(DASH)/*.ts $(DASH)/tsconfig.json -type f 2>/dev/null)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm run --prefix $(DASH) --silent build

dashboard: service/static/index.html

data: $(VENV)/.installed  ## images, texts and the encoder of the larger built-in workloads
	$(BIN)/python -m evaluators.workloads.fetching

demo: setup  ## the main job: service, search, front, recipe, verification
	$(BIN)/tauten demo

test: setup check  ## every test, browser and PostgreSQL ones included
	$(BIN)/python -m tests.browser
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm run --prefix $(DASH) --silent test
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

check: $(VENV)/.installed $(DASH)/src/api/schema.ts  ## lint, types, import order
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm run --prefix $(DASH) --silent check

screenshots: setup  ## the pictures in docs/, from a real search
	$(BIN)/python -m tests.browser
	$(BIN)/python -m tests.screenshots

interop: $(VENV)/.installed  ## converted recipes tried by tools in environments of their own (gigabytes, minutes)
	$(BIN)/python -m tests.interop

serve: setup
	$(BIN)/tauten serve

bench: setup
	$(BIN)/python -m benchmarks.claims --quick

clean:
	rm -rf $(VENV) $(DASH)/node_modules service/static build *.egg-info
