# make demo: train, evaluate and draw, without any data set.   make test: the tests.   Both install first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Extras to install; `make install EXTRAS=test,export,cuda` on a machine with NVIDIA GPUs.
EXTRAS ?= test,export
DEMO := runs/demo

.PHONY: demo test test-all test-faults pretrained lint docs wheel install onednn clean

demo: install
	$(BIN)/python train.py --config=configs/synthetic.py --workdir=$(DEMO)
	$(BIN)/python evaluate.py --workdir=$(DEMO) --panels=8
	@echo "Look at the images in $(DEMO)/evaluation/val/, and at the curves in $(DEMO)/evaluation/curves.png."

test: install
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow"

# The slow tests as well, with all of XLA's optimisations. Some compare with PyTorch and TensorFlow: a few GB to install.
test-all:
	$(MAKE) install EXTRAS=test,export,docs,tfds,parity
	JAX_DISABLE_MOST_OPTIMIZATIONS=0 $(BIN)/pytest -n 2 --dist loadfile -m "not soak"

# Tests of faults: kills, full disks, broken data, several processes; then half an hour of training, alone. Prints a table.
FAULTS := .pytest_cache/faults
test-faults: install
	rm -rf $(FAULTS)
	$(BIN)/pytest -n 2 -vv -m "fault and not soak" --junitxml=$(FAULTS)/faults.xml; faults=$$?; \
	$(BIN)/pytest -vv -s -m soak --junitxml=$(FAULTS)/soak.xml; soak=$$?; \
	$(BIN)/python tests/faults/table.py $(FAULTS)/faults.xml $(FAULTS)/soak.xml; exit $$((faults + soak))

# Trains a pretrained model again: make pretrained MODEL=accurate CAMVID=folder, 40 minutes on two cores; then MODEL=fast,
# which starts from it. Copy the scores that it prints to gun_jax/weights/pretrained/MODEL/MODEL_CARD.md.
MODEL ?= accurate
CONFIG_accurate := camvid_lite0.py
CONFIG_fast := camvid_lite0.py:fast
CONFIG_camvid_narrow := camvid_narrow.py
RUN_accurate := runs/camvid_lite0
RUN_fast := runs/camvid_lite0_fast
RUN_camvid_narrow := runs/camvid_narrow
PRETRAINED = $(RUN_$(MODEL))
pretrained:
	$(MAKE) install EXTRAS=test,export,imagenet
	$(BIN)/python train.py --config=configs/$(CONFIG_$(MODEL)) --config.data.dir=$(CAMVID) --workdir=$(PRETRAINED)
	$(BIN)/python export.py --workdir=$(PRETRAINED) --format=weights
	$(BIN)/python evaluate.py --workdir=$(PRETRAINED)/export/weights --data_dir=$(CAMVID) --panels=8 --boundary_iou
	cp $(PRETRAINED)/export/weights/config.json $(PRETRAINED)/export/weights/weights.npz gun_jax/weights/pretrained/$(MODEL)/

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# docs/settings.md, and the API reference from the docstrings, in build/docs/index.html. A warning is an error.
docs:
	$(MAKE) install EXTRAS=docs
	$(BIN)/python docs/settings.py
	$(BIN)/python -W error::UserWarning -m pdoc --docformat google --no-show-source --output-directory build/docs \
	  gun_jax $(patsubst gun_jax/%/__init__.py,gun_jax.%,$(wildcard gun_jax/*/__init__.py)) gun_jax.configuration \
	  '!gun_jax.(programs|serving|export.(onnx|openvino|quiet)_)'

wheel: install
	rm -rf build/lib && $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

install: $(VENV)/installed-$(EXTRAS) $(VENV)/tried-onednn

$(VENV)/installed-$(EXTRAS): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gun_jax needs Python 3.11 or newer: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$(EXTRAS)]"
	touch $@

# gun_jax works without oneDNN, only slower, so a failure prints one line. `make onednn` tries again.
ONEDNN := $(wildcard onednn/*.* onednn/gun_jax_onednn/*) constraints.txt
NO_ONEDNN := oneDNN, with which gun_jax is faster on CPUs, is not installed

$(VENV)/tried-onednn: $(ONEDNN) | $(VENV)/installed-$(EXTRAS)
	@if test "$$(uname -sm)" != "Linux x86_64"; then echo "$(NO_ONEDNN): it needs Linux on x86-64"; \
	elif ! command -v $(CXX) > /dev/null; then echo "$(NO_ONEDNN): there is no C++ compiler ($(CXX))"; \
	elif ! $(MAKE) onednn > $@.log 2>&1; then echo "$(NO_ONEDNN): the build failed, see $@.log"; fi
	@touch $@

# oneDNN's convolutions, which make predictions and training faster on x86 CPUs. Needs Linux and a C++ compiler.
onednn: $(VENV)/installed-onednn

$(VENV)/installed-onednn: $(ONEDNN)
	test -x $(BIN)/python || $(MAKE) $(VENV)/installed-$(EXTRAS)
	rm -rf onednn/build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt onednn-devel-cpu-gomp setuptools
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps ./onednn
	touch $@

clean:
	rm -rf $(VENV) .venv-newest build dist *.egg-info onednn/build onednn/*.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
