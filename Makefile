# `make demo` and `make test` do all their set-up themselves, in .venv. PYTHON=... picks another interpreter.
# Wanted is 3.10 to 3.12: mediapipe for newer ones comes without its models (docs/dependencies.md).
PYTHON ?= $(or $(shell for p in python3 python3.12 python3.11 python3.10; do \
  $$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$p && break; \
  done), python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check unit wheel bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	mkdir -p out
	$(BIN)/talkhead animate examples/face.jpg examples/speech.wav -o out/demo.mp4 --overwrite
	@echo "The video is here: $(CURDIR)/out/demo.mp4"

test: check unit wheel

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

unit: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q

# Builds the wheel and uses it from a clean environment, far from the checkout.
wheel: $(VENV)/.installed-dev
	bash scripts/try_wheel.sh $(BIN)/python

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.run

clean:
	rm -rf build dist out .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.installed: pyproject.toml scripts/install.sh
	bash scripts/install.sh $(PYTHON) $(VENV) .
	touch $@

$(VENV)/.installed-dev: pyproject.toml scripts/install.sh
	bash scripts/install.sh $(PYTHON) $(VENV) ".[dev]"
	touch $(VENV)/.installed $@
