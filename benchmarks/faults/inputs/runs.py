"""Configurations, and the folders of earlier runs."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults.inputs.seed import Seed


def runs_and_configs() -> Sequence[Seed]:
    from interpfer.config import read_config
    from interpfer.results.run import load_run

    config = b"dataset: csv\ndata-root: faces\nmaps: [gradcam, attention]\nbatch_size: 8\nseed: 0\n"
    old = Path(__file__).parents[3] / "tests/results/old_run"
    run = {path.name: path.read_bytes() for path in sorted(old.iterdir()) if path.suffix in (".json", ".csv")}
    return [
        Seed({"config.yaml": config}, "config.yaml", lambda folder: read_config(folder / "config.yaml")),
        *(Seed(run, name, lambda folder: load_run(folder)) for name in run),
    ]
