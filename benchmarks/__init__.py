"""Speed against peers, and experiments; run one with `python -m benchmarks.NAME`."""
