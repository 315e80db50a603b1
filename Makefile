# `make run` starts nexus, `make test` tests it; both set up what they need first. `make run ARGS="--port 9000"` passes options on.

PYTHONS ?= python3.13 python3.12 python3.11 python3
BIN := .venv/bin
QUICK := tests/domain tests/offline tests/http tests/client tests/cli tests/jobs --ignore tests/cli/test_crash_test.py --ignore tests/cli/test_servers.py
UV := $(BIN)/uv
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv
# Where it is set, each process of the tests compiles all that it imports: 1.3 s for every server.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run setup peers test test-peers lowest check exam chaos fuzz model-check fuzz-api format docs stack stack-test chaos-stack stack-down bench clean

help:
	@echo "make run      set up what serving needs, then serve    (ARGS=\"--port 9000\")"
	@echo "make setup    set up everything that development needs"
	@echo "make test     run all tests: 5 minutes, more on a busy machine   (ARGS=\"tests/domain -k pause\")"
	@echo "make test-quick  without those of real processes, stores and crashes: up to 2 minutes"
	@echo "make test-peers  the contracts over redis-server, Dynoxide (for DynamoDB) and ElasticMQ (for SQS), which make peers fetches"
	@echo "make lowest   what a Python version and a kernel can break, under the lowest Python here, with namespaces and without"
	@echo "make check    formatting, lint, types, imports, architecture"
	@echo "make model-check  every state that a build can come to   (ARGS=\"--commands 4\")"
	@echo "make fuzz     what every reader of text costs, up to its limit   (ARGS=\"--few --only csv\")"
	@echo "make exam     what the offline model makes of questions by people who did not see its cards: a score"
	@echo "make chaos    kill it in every way, and look at what is left (SEED=7 RUNS=200 ARGS=\"--only e01,e09\")"
	@echo "make fuzz-api five minutes of generated calls of the API  (ARGS=\"--seconds 60 --seed 7\")"
	@echo "make format   format the code, and mend what can be mended"
	@echo "make docs     write the pages that are generated"
	@echo "make stack    two api and two worker processes behind nginx, with Redis, tables and queues, on this machine  (ARGS=\"--port 8080\")"
	@echo "make chaos-stack  break the stack in every way, and look at what is left (SEED=7 RUNS=10 ARGS=\"--only e01,e03\")"
	@echo "make bench    measure nexus beside a bare relay and its peers   (ARGS=\"--only nexus raw --rounds 3\")"
	@echo "make clean    remove .venv and caches; data stays"

run: .venv/.serving
	@exec $(BIN)/nexus serve $(ARGS)

setup: .venv/.development

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not peer" $(ARGS)

peers:
	@tests/peers/fetch

test-peers: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile -m peer -rs tests/contracts $(ARGS)

LOWEST ?= /usr/bin/python3.11 /usr/bin/python3 python3.11 python3
LOWEST_TESTS ?= tests/contracts/test_code*.py tests/contracts/test_confinement.py tests/contracts/test_no_namespaces.py tests/contracts/test_environment.py tests/contracts/test_modes.py tests/journeys/test_first_run.py
lowest: setup
	@set -e; found=; for python in $(LOWEST); do \
		if $$python -c "import sys; sys.exit(sys.version_info < (3, 11))" >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	echo "The lowest Python here: $$($$found --version)"; \
	UV_PROJECT_ENVIRONMENT=.venv-lowest $(UV) sync --quiet --frozen --all-extras --python $$found
	.venv-lowest/bin/python -m pytest -n 2 --dist loadfile $(LOWEST_TESTS)
	.venv-lowest/bin/python -m tests.without_namespaces -m pytest -n 2 --dist loadfile $(LOWEST_TESTS)

test-quick: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not peer" $(QUICK) $(ARGS)

check: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/architecture

model-check: setup
	$(BIN)/python -m tests.model $(ARGS)

exam: setup
	@$(BIN)/python -m tests.exam

fuzz: setup
	@$(BIN)/python -m tests.fuzz $(ARGS)

chaos: setup
	@$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(RUNS),--runs $(RUNS)) $(ARGS)

fuzz-api: setup
	@$(BIN)/python -m tests.http.fuzz $(ARGS)

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: setup
	$(BIN)/python -m tests.architecture.states

stack: setup
	@exec $(BIN)/python -m tests.stack $(ARGS)

stack-test: setup
	$(BIN)/python -m pytest -n 0 tests/stack $(ARGS)

chaos-stack: setup
	@$(BIN)/python -m tests.stack.chaos $(if $(SEED),--seed $(SEED)) $(if $(RUNS),--runs $(RUNS)) $(ARGS)

stack-down:
	@$(BIN)/python -m tests.stack.down

bench: setup
	-@bench/setup
	@$(BIN)/python -m bench.run $(ARGS)
	@$(BIN)/python -m bench.growth $(filter --quick --write,$(ARGS))

clean:
	rm -rf .venv .venv-lowest .peers .bench-venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# What is installed is what uv.lock says; these files tell that it has been done since that last changed.
.venv/.development: $(UV) pyproject.toml uv.lock
	$(UV) sync --quiet --frozen --all-extras --python $(BIN)/python
	@touch $@ .venv/.serving

.venv/.serving: $(UV) pyproject.toml uv.lock
	$(UV) sync --quiet --frozen --no-dev --inexact --python $(BIN)/python
	@touch $@

$(UV):
	@set -e; found=; lacks=; \
	for python in $(PYTHONS); do \
		if $$python -c "import sys; sys.exit(sys.version_info < (3, 11))" >/dev/null 2>&1; then \
			if $$python -c "import ensurepip, venv" >/dev/null 2>&1; then found=$$python; break; fi; \
			lacks="$$lacks $$python"; \
		fi; \
	done; \
	if [ -z "$$found" ] && [ -n "$$lacks" ]; then \
		echo "This Python cannot make virtual environments:$$lacks. On Debian or Ubuntu: apt install python3-venv" >&2; exit 1; \
	elif [ -z "$$found" ]; then \
		echo "Nexus needs Python 3.11 or later; none was found as: $(PYTHONS)." >&2; exit 1; \
	fi; \
	echo "Setting up .venv with $$($$found --version) …"; \
	$$found -m venv --clear .venv; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.8"
