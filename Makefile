# The commands of this book. `make help` lists them.
# The first of these that runs: 3.11 is the one that is tested. PYTHON=... takes another.
PYTHON ?= $(or $(shell for p in python3.11 python3.12 python3.13; do $$p -c '' 2>/dev/null && echo $$p && break; done),python3.11)
PROFILE ?= laptop
VENV ?= .venv
PROFILES := $(basename $(notdir $(wildcard book/profiles/*.yml)))
READY := $(VENV)/.installed
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --disable-pip-version-check

# TORCH=cpu takes PyTorch from its own index of builds for CPUs, which bring no CUDA libraries (or TORCH=cu130, say).
# LOCKED=1 installs the releases that `make lock` wrote down, checked by their hashes; PyTorch's own builds are not in it,
# so with both, its releases are the locked ones and their hashes unchecked.
TORCH ?=
LOCKED ?=
LOCK := .ci/lock.txt
WHEELS = $(if $(LOCKED),--no-deps $(shell sed -nE 's/^(torch(vision)?==[^ ]*).*/\1/p' $(LOCK)),torch torchvision)
ASKED := $(strip $(if $(TORCH),TORCH=$(TORCH)) $(if $(LOCKED),LOCKED=$(LOCKED)))
ifneq ($(and $(ASKED),$(wildcard $(READY))),)
ifneq ($(shell cat $(READY)),$(ASKED))
$(error $(VENV) was installed with other options than $(ASKED): make distclean first, or name another with VENV=...)
endif
endif

# glibc gives large freed blocks back to the system and asks for them again: 4,800 page faults in every forward pass of a
# member, a fifth of its time. These settings let it keep them; other C libraries ignore them.
export MALLOC_MMAP_THRESHOLD_ := 33554432
export MALLOC_TRIM_THRESHOLD_ := 1073741824
export MALLOC_TOP_PAD_ := 67108864

.DEFAULT_GOAL := help
.PHONY: help install book pdf train test trained bench bench-scaling bench-rules bench-engines bench-book bench-explorer faults headline lock clean distclean profile

help:
	@echo 'make book  [PROFILE=laptop|smoke|paper]  execute the chapters, render _build/html/index.html'
	@echo 'make pdf   [PROFILE=laptop|smoke|paper]  the same book as one PDF (wants apt-get install chromium)'
	@echo 'make train [PROFILE=laptop|smoke|paper]  retrain the ensembles; interrupt it and it goes on'
	@echo 'make test                                run the test suite (wants apt-get install chromium)'
	@echo 'make bench [DEVICE=cuda]                 measure speed against a plain reference; on a GPU'
	@echo 'make bench-scaling                       measure how time and memory grow with members, samples, images'
	@echo 'make bench-rules                         try leaner rules for the Jacobian, and the adjoint'
	@echo 'make bench-engines                       time every engine that was tried for passes, tangents, training'
	@echo 'make bench-book                          time the laptop book: first, again, after a plot was edited'
	@echo 'make bench-explorer                      time the explorer of the book last built, in Chromium'
	@echo 'make faults                              damage files, kill processes, fill disks, at random: what comes of it'
	@echo 'make headline                            write the last run into the README'
	@echo 'make install [TORCH=cpu] [LOCKED=1]      only make the virtual environment in $(VENV); every command takes these two:'
	@echo '                                         no CUDA libraries; the exact releases of $(LOCK)'
	@echo 'make lock                                write the releases in $(VENV) into $(LOCK), with hashes'
	@echo 'make trained                             list what was trained on this machine; NAME=... deletes one'
	@echo 'make clean                               remove _build (weights, shipped or trained here, stay)'
	@echo 'make distclean                           remove $(VENV) as well'

# A wrong profile is refused before anything is installed.
profile:
	$(if $(filter-out 1,$(words $(PROFILE)))$(filter-out $(PROFILES),$(PROFILE)),$(error \
	unknown PROFILE '$(PROFILE)': expected one of $(PROFILES)))

install: $(READY)

$(READY): pyproject.toml $(if $(LOCKED),$(LOCK))
	@command -v $(PYTHON) >/dev/null || { \
	  echo "make: $(PYTHON) is not on PATH: install Python 3.11, 3.12 or 3.13, or name another with PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  echo "make: $(PYTHON) cannot make a virtual environment: apt-get install python3.11-venv" >&2; exit 1; }
	@echo 'installing into $(VENV): PyTorch is large, this takes minutes'
	$(if $(TORCH),$(PIP) --index-url https://download.pytorch.org/whl/$(TORCH) $(WHEELS))
	$(if $(LOCKED),awk '/^[a-z]/ { keep = !$(if $(TORCH),/^(torch|torchvision|triton|nvidia-.*|cuda-.*)==/,0) } keep' $(LOCK) > $(VENV)/locked.txt)
	$(if $(LOCKED),$(PIP) --no-deps --require-hashes -r $(VENV)/locked.txt)
	$(PIP) $(if $(LOCKED),--no-deps --no-build-isolation -e .,-e ".[book,imagenet,test]")
	@echo '$(ASKED)' > $@

book: profile $(READY)
	$(BIN)/python -m genens_book.press.build --profile $(PROFILE)

pdf: book
	$(BIN)/python -m genens_book.press.pdf --profile $(PROFILE)

train: profile $(READY)
	$(BIN)/python -m genens_book.press.train --profile $(PROFILE)

test: $(READY)
	$(BIN)/python -m pytest -n auto

trained: $(READY)
	@$(BIN)/python -m genens_book.press.train $(if $(NAME),--delete $(NAME),--list)

bench: $(READY)
	$(BIN)/python -m $(if $(filter cuda,$(DEVICE)),bench.gpu,bench)

bench-scaling: $(READY)
	$(BIN)/python -m bench.scaling

bench-rules: $(READY)
	$(BIN)/python -m bench.rules

bench-engines: $(READY)
	$(BIN)/python -m bench.engines
	$(BIN)/python -m bench.engines --avx2

bench-book: $(READY)
	$(BIN)/python -m bench.book

bench-explorer: $(READY)
	$(BIN)/python -m bench.explorer

faults: $(READY)
	$(BIN)/python -m bench.faults

headline: $(READY)
	$(BIN)/python -c "from genens import store; from genens_book.pages import ledger; ledger.write_headline(store.home() / 'README.md')"

lock: $(READY)
	$(PIP) --quiet uv
	$(BIN)/pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//' > $(VENV)/frozen.txt
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes --quiet \
	  --constraint $(VENV)/frozen.txt --no-annotate --custom-compile-command 'make lock' --output-file $(LOCK)

clean:
	rm -rf _build

distclean: clean
	rm -rf $(VENV) genens.egg-info
