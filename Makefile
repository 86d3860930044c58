# One task runner: `make check`, `make test`, `make bench`. PYTHON chooses the environment.
PYTHON ?= python
ROOMS = core data models train quantize export runtime parity report pipeline search cli
TYPES = build/types

.PHONY: check lint names types test test-fast bench devices lock sbom audit site release

check: lint types

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

# A type checker sees the packages only under their own names: a folder of links gives it those.
types: names
	MYPYPATH=$(TYPES) $(PYTHON) -m mypy -p mnist_export

names:
	rm -rf $(TYPES) && mkdir -p $(TYPES)/mnist_export
	for file in api/*.py api/py.typed; do ln -s "$(CURDIR)/$$file" "$(TYPES)/mnist_export/"; done
	for room in $(ROOMS); do ln -s "$(CURDIR)/$$room" "$(TYPES)/mnist_export/$$room"; done

# The site, into build/site: a dead link, an unknown name or any other warning fails.
site: names
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict --quiet
	@echo "build/site/index.html; with its search: python -m http.server -d build/site"

test:
	$(PYTHON) -m pytest -n auto

# The inner loop: without the tests that take more than a few seconds.
test-fast:
	$(PYTHON) -m pytest -n auto -m "not slow" -q

bench:
	$(PYTHON) benchmarks/run.py

# LeNet-5 on the devices that this machine can have; prepares them, in the cache.
devices:
	$(PYTHON) .ci/devices.py

# The wheel's bill of materials (CycloneDX), beside the wheel.
sbom:
	$(PYTHON) tools/sbom.py -o dist/mnist-export.cdx.json

# Wheel, sdist and bill of materials, checked; publishes nothing.
release:
	$(PYTHON) tools/release.py

# Known vulnerabilities of what the lock file pins; needs pip-audit and the network.
audit:
	pip-audit --requirement requirements.lock --disable-pip --no-deps

# The versions that were tried together, with hashes: Python 3.11, Linux x86-64.
lock:
	uv pip compile pyproject.toml --extra convert --extra dev --extra docs --extra search --python-version 3.11 \
		--python-platform x86_64-manylinux_2_28 --generate-hashes --no-header -o requirements.lock
