# `make check` before each commit (under 2 minutes), `make test` before each merge, `make docs` for the site in build/site.
.PHONY: check lint types quick test docs format

check: lint types quick

lint:
	ruff check .
	ruff format --check .

types:
	basedpyright

quick:
	pytest -m "not slow"

test:
	pytest

docs:
	sphinx-build -W -q docs build/site

format:
	ruff check --fix .
	ruff format .
