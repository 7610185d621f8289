# `make check` before each commit (under 2 minutes), `make test` before each merge, `make docs` for the site in build/site.
# `make browser` tests the pages in Node and Chromium. `make faults` injects faults into the command, in about 12 minutes.
.PHONY: check lint types quick test browser faults docs format

check: lint types quick

lint:
	ruff check .
	ruff format --check .

types:
	basedpyright

quick:
	pytest tests/house_test.py tests/specs tests/checks_test.py tests/command tests/statistics tests/report tests/results_test.py

test:
	pytest

browser:
	pytest browser -n 0

faults:
	pytest faults

docs:
	sphinx-build -W -q docs build/site

format:
	ruff check --fix .
	ruff format .
