PYTHONS ?= python3.11 python3.12 python3.13

.PHONY: help check format test pythons docs bench table1 wheel

help:    ## Show this list
	@grep -E '^[a-z0-9]+: *##' $(MAKEFILE_LIST) | sed 's/: *## */\t/'

check:   ## Lint and type-check
	ruff check . && ruff format --check . && mypy

format:  ## Fix what the linter can fix, and format
	ruff check --fix . && ruff format .

test:    ## Run all tests
	python -m pytest

pythons: ## Run all tests on each of PYTHONS that is on the PATH, each in an environment under .venvs/
	.ci/pythons $(PYTHONS)

docs:    ## Build the documentation into .site, and check that its pages load nothing from elsewhere
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict && python docs/check_site.py .site

bench:   ## Run the benchmarks; only an otherwise idle machine gives comparable numbers
	python -m benchmarks.au_maps && python -m benchmarks.score && python -m benchmarks.profile && python -m benchmarks.metrics && python -m benchmarks.faithfulness

table1:  ## Train every method of the paper's table on drawn faces, without and with action units; half an hour on two cores
	python -m benchmarks.table1 drawn --workers 2 --work .table1

wheel:   ## Build sdist and wheel into dist/, install the wheel in a fresh environment, and run its demo
	.ci/wheel
