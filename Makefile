.PHONY: help check test bench format

help:    ## Show this list
	@grep -E '^[a-z]+: *##' $(MAKEFILE_LIST) | sed 's/: *## */\t/'

check:   ## Lint and type-check
	ruff check . && ruff format --check . && mypy

format:  ## Put the code into shape
	ruff check --fix . && ruff format .

test:    ## Run all tests
	python -m pytest

bench:   ## Run the benchmarks (an otherwise idle machine gives honest numbers)
	python -m benchmarks.au_maps && python -m benchmarks.score && python -m benchmarks.metrics
