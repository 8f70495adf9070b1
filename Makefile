# Needs make and Python 3.11 or later; everything else goes into $(VENV), from hash-pinned files.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --quiet --require-hashes

# Who compiles must not show in the pins: no index, mirror or wheel folder of the machine's own pip settings.
COMPILE := env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL -u PIP_INDEX_URL PIP_CONFIG_FILE=/dev/null \
	CUSTOM_COMPILE_COMMAND="make requirements" \
	$(BIN)/python -m piptools compile --quiet --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links $(UPGRADE)

.DELETE_ON_ERROR:
.PHONY: help demo docs test tapes lint format bench bench-guards fuzz soak audit requirements changelog clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

# A key on the command line of make is a wish to use it; one that happens to be in the environment is not.
given = $(filter command,$(foreach name,$1,$(origin $(name))))
ASKED = $(firstword $(if $(call given,ANTHROPIC_API_KEY),anthropic) \
	$(if $(call given,OPENAI_API_KEY OPENAI_BASE_URL),openai) $(if $(call given,OLLAMA_HOST OLLAMA_BASE_URL),ollama))

demo: $(VENV)/.runtime ## diagnose a failed run over HTTP; TRACE=file for another canonical trace, ANTHROPIC_API_KEY=, OPENAI_API_KEY= or OLLAMA_HOST= for a model
	@$(BIN)/python examples/demo.py $(ASKED:%=--ask=%) $(if $(TRACE),"$(TRACE)")

docs: $(VENV)/.test ## the pages of docs/ as a site in build/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

test: $(VENV)/.test ## every test, then the coverage gate; ARGS='-k name' is passed to pytest (and skips the gate)
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='vstack_proto/*' --omit='vstack_proto/patterns/*' --fail-under=100
endif

tapes: $(VENV)/.test ## record the golden exchanges anew, where today's code differs from them
	$(BIN)/python -m pytest -q tests/replay --vstack-record

lint: $(VENV)/.dev ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## put imports and layout in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test ## the whole table of benchmarks/README.md (several minutes)
	$(BIN)/python -m benchmarks

bench-guards: $(VENV)/.test ## only the ratios that must hold
	$(BIN)/python -m benchmarks guards

SECONDS ?= 3600
FUZZED ?= build/fuzz

fuzz: $(VENV)/.test ## an hour of atheris for each entry of strangers' bytes, at once; SECONDS=20 for less
	@mkdir -p $(FUZZED)
	@for target in wire json mcp; do \
		( $(BIN)/python -m tests.fuzz.entries $$target $(FUZZED)/$$target -max_total_time=$(SECONDS) -max_len=8192 \
			-artifact_prefix=$(FUZZED)/$$target- -print_final_stats=1 >$(FUZZED)/$$target.log 2>&1 \
			|| { tail -n 40 $(FUZZED)/$$target.log; exit 1; } ) & pids="$$pids $$!"; \
	done; code=0; for pid in $$pids; do wait $$pid || code=1; done; \
	grep -H -E '^Done|average_exec' $(FUZZED)/*.log; exit $$code

MINUTES ?= 30

soak: $(VENV)/.test ## half an hour of mixed traffic, ten minutes for each runtime; MINUTES=3 for less
	$(BIN)/python -m tests.soak.run --minutes $(MINUTES) $(if $(RUNTIME),--runtime $(RUNTIME))

audit: $(VENV)/.dev ## code and dependencies: bandit, known vulnerabilities, and the bill of materials in build/
	@mkdir -p build
	$(BIN)/bandit --quiet --recursive --severity-level medium --confidence-level medium vstack_proto vstack_runtime vstack_mcp
	$(BIN)/cyclonedx-py requirements requirements/container.txt --pyproject pyproject.toml --output-reproducible \
		--output-file build/vstack.cdx.json
	$(BIN)/python -m deploy.audit requirements/container.txt requirements/dev.txt

# Each file builds on the pins of the one before, so that they agree. Existing pins stay; UPGRADE=--upgrade moves them.
requirements: $(VENV)/.dev ## pin pyproject.toml's ranges again
	$(COMPILE) pyproject.toml -o requirements/runtime.txt
	$(COMPILE) pyproject.toml --extra otel,redis,sentry,speed -c requirements/runtime.txt -o requirements/container.txt
	$(COMPILE) pyproject.toml --extra otel,redis,sentry,speed,test -c requirements/container.txt -c requirements/runtime.txt -o requirements/test.txt
	$(COMPILE) pyproject.toml --extra otel,redis,sentry,speed,test,dev -c requirements/test.txt -o requirements/dev.txt
	$(COMPILE) requirements/build.in -c requirements/dev.txt -o requirements/build.txt

changelog: $(VENV)/.dev ## show what the fragments of changes/ would add to the change log
	$(BIN)/towncrier build --draft

clean: ## remove the environment and everything generated
	rm -rf $(VENV) build dist .coverage .coverage.* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: repeating make installs nothing until the file named here changes.
$(VENV)/.venv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vstack needs Python 3.11 or later; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt pyproject.toml | $(VENV)/.venv
	$(INSTALL) -r requirements/build.txt -r requirements/runtime.txt
	$(PIP) install --quiet --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.runtime
	$(INSTALL) -r requirements/test.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.test
	$(INSTALL) -r requirements/dev.txt
	@touch $@
