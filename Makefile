# Two commands matter: `make demo` and `make test`. Each sets up .venv when that is missing or out of date.
SHELL  := bash
PYTHON ?= python3
BIN    := .venv/bin
STAMP  := .venv/.installed
PIP    := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e
OUT    ?= out

# Where the real-speech check finds corpora, tasks and an encoder (see CONTRIBUTING.md).
SHARED   ?= ../shared
CORPORA  ?= $(SHARED)/corpora
PROTOCOL ?= $(SHARED)/protocol/clser12.json
MODEL    ?= $(SHARED)/models/whisper-base-encoder
METHODS  ?= sere,logistic_regression,full_labels
SEEDS    ?= 0-9

# Notebooks are tested side by side, and so are the files of tests; each torch keeps to one core then.
WORKERS  ?= 2
TESTING  := OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 PYTHONHASHSEED=0 PATH="$(CURDIR)/$(BIN):$$PATH"
comma    := ,
section   = @printf '\n\033[1m== %s\033[0m\n' "$(1)"

.DEFAULT_GOAL := help
# Tests that take a few seconds each; the rest is for make test.
FAST     := tests/test_house.py tests/test_pages.py tests/test_readme.py tests/test_tric.py tests/test_circumstances.py

.PHONY: help setup demo check package test gpu soak lab docs clean-nbs readme picture samples bench numbers speed growth

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  PYTHON=python3.12 chooses another Python (3.11 or newer); OUT=folder another place for results."

setup: $(STAMP) ## make .venv with everything in it (the others do this by themselves)

$(STAMP): constraints.txt settings.ini setup.py pyproject.toml
	$(call section,Setting up .venv (some minutes the first time; about 7 GB on Linux))
	@$(BIN)/python -c '' 2>/dev/null || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "sere_nb needs Python 3.11 or newer, but '$(PYTHON)' is: $$($(PYTHON) --version 2>&1 || true). Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }; \
	  $(PYTHON) -m venv --clear .venv; }
	@set -o pipefail; $(PIP) '.[dev]' | grep -E --line-buffered 'Downloading|Building|Installing'
	@touch $@

demo: $(STAMP) ## the main job on data_samples, offline; results in out/demo
	$(BIN)/sere demo --out $(OUT)/demo

check: clean-nbs ## before a commit, in under a minute: export, clean, ruff, links, pictures, fast tests
	@$(BIN)/ruff check --quiet
	@$(TESTING) $(BIN)/python tests/check_notebooks.py --quick
	@$(TESTING) $(BIN)/python -m pytest -q --durations=0 --durations-min=5 $(FAST)

package: $(STAMP) ## sdist and wheel of what is committed, built and tried in a fresh environment
	@PYTHON=$(BIN)/python .ci/package

test: export CUDA_VISIBLE_DEVICES =
test: $(STAMP) ## everything that must hold: notebooks, docs, code (on the processor: a GPU adds in another order each time)
	$(call section,Notebooks$(comma) modules$(comma) README and docs in step)
	@$(TESTING) $(BIN)/python tests/check_notebooks.py --workers $(WORKERS)
	$(call section,Sure errors)
	@$(BIN)/ruff check --quiet
	$(call section,Notebooks as tests)
	@$(TESTING) $(BIN)/nbdev_test --n_workers $(WORKERS) --timing
	$(call section,Tests beside the notebooks)
	@$(TESTING) $(BIN)/python -m pytest tests -n $(WORKERS) --dist loadfile

gpu: $(STAMP) ## on a machine with a GPU: the tests of the fit there and, where real speech is at hand, how fast encoding and a fit are
	@CUDA_VISIBLE_DEVICES=0 $(BIN)/python -m pytest tests/test_device.py -rs
	@[ ! -e "$(MODEL)" ] || $(BIN)/python tests/benchmark_speed.py --encoder $(MODEL) --corpora $(CORPORA) --protocol $(PROTOCOL) --cache $(OUT)/cache --parts gpu --out nbs/tutorials/results/speed.csv

soak: $(STAMP) ## the long checks of what is promised, with a table of cases tried, survived, lost (about an hour)
	@$(TESTING) $(BIN)/python tests/soak.py --out nbs/about/soak.csv

lab: $(STAMP) ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab nbs

docs: quarto $(STAMP) ## the website, in _docs (needs Quarto)
	@touch README.md  # it comes from make readme; newer than the index, nbdev leaves it alone
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/nbdev_docs
	@$(BIN)/python tests/check_pages.py --built _docs
	@echo "Open _docs/index.html"

clean-nbs: $(STAMP) ## export the notebooks, strip what git need not see, renew README.md
	@$(BIN)/nbdev_export
	@$(BIN)/python .ci/stored_outputs.py
	@$(BIN)/nbdev_clean
	@$(BIN)/python .ci/readme.py
	@$(BIN)/python .ci/house.py

picture: $(STAMP) ## the README's picture of the explorer (needs Chromium)
	@$(BIN)/python .ci/picture.py

readme: $(STAMP) ## README.md from nbs/index.ipynb
	@$(BIN)/python .ci/readme.py

samples: espeak-ng $(STAMP) ## make data_samples again (needs espeak-ng)
	@$(PIP) '.[dev,samples]' --quiet
	SERE_MAKE_SAMPLES=1 $(BIN)/jupyter execute --inplace nbs/tutorials/make_data_samples.ipynb
	@$(BIN)/nbdev_clean

bench: speech $(STAMP) ## the 12 real-speech tasks: make bench CORPORA=folder MODEL=folder PROTOCOL=file
	$(BIN)/sere bench --protocol $(PROTOCOL) --corpora $(CORPORA) --encoder $(MODEL)+acoustic --methods $(METHODS) --seeds $(SEEDS) --out $(OUT)/bench
	@$(BIN)/python tests/check_bench.py $(OUT)/bench/results.csv

numbers: speech $(STAMP) ## time and memory of the explorer and of the main steps on real speech, printed (about 12 minutes)
	@$(BIN)/python tests/benchmark_explore.py
	@$(BIN)/python tests/benchmark.py --protocol $(PROTOCOL) --corpora $(CORPORA) --encoder $(MODEL)+acoustic
	@$(BIN)/python tests/benchmark_highlights.py --protocol $(PROTOCOL) --corpora $(CORPORA) --encoder $(MODEL)+acoustic

speed: speech $(STAMP) ## times against the usual ways (about 10 minutes; with RECALL=1 also the bench, two hours)
	@$(PIP) '.[dev,speed]' --quiet
	@$(BIN)/python tests/benchmark_speed.py --encoder $(MODEL) --corpora $(CORPORA) --protocol $(PROTOCOL) --parts starting,encoding,sound,files,process,fitting,coding,using$(if $(RECALL),$(comma)rounding$(comma)recall) --out nbs/tutorials/results/speed.csv

growth: $(STAMP) ## time and memory at 1,000 to 1,000,000 made-up clips (about an hour and a half); with MODEL=folder also of encoding
	@[ ! -e "$(MODEL)" ] || $(BIN)/python tests/benchmark_growth.py --sizes 1000,10000 --encode $(MODEL)+acoustic --out nbs/tutorials/results/growth_encoding.csv
	@$(BIN)/python tests/benchmark_growth.py --parts-of 10000 --out nbs/tutorials/results/growth_parts.csv
	@$(BIN)/python tests/benchmark_growth.py --out nbs/tutorials/results/growth.csv

# What some commands need that pip cannot bring: asked for first, before minutes of setting up.
.PHONY: quarto espeak-ng speech
quarto:
	@command -v quarto >/dev/null || { echo "The website is built by Quarto, which is not installed. Get it from https://quarto.org/docs/get-started/ and run make docs again." >&2; exit 2; }
espeak-ng:
	@command -v espeak-ng >/dev/null || { echo "The sample voices come from espeak-ng, which is not installed. Install it (apt install espeak-ng, brew install espeak-ng) and run make samples again." >&2; exit 2; }
speech:
	@for f in "$(CORPORA)" "$(MODEL)" "$(PROTOCOL)"; do [ -e "$$f" ] || { \
	  echo "No $$f. Say where things are: make bench CORPORA=folder MODEL=folder PROTOCOL=file (CONTRIBUTING.md says what they hold)." >&2; exit 2; }; done
