.PHONY: help check test bench docs format

help:    ## Show this list
	@grep -E '^[a-z]+: *##' $(MAKEFILE_LIST) | sed 's/: *## */\t/'

check:   ## Lint and type-check
	ruff check . && ruff format --check . && mypy

format:  ## Put the code into shape
	ruff check --fix . && ruff format .

test:    ## Run all tests
	python -m pytest

docs:    ## Build the documentation into .site, and check that its pages ask nobody
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict && python docs/check_site.py .site

bench:   ## Run the benchmarks (an otherwise idle machine gives honest numbers)
	python -m benchmarks.au_maps && python -m benchmarks.score && python -m benchmarks.metrics
