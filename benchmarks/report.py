"""How a benchmark tells its numbers: a table on stdout, a CSV and a manifest in benchmarks/results."""

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import interpfer

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "numpy", "opencv-python", "grad-cam", "captum", "torchcam", "timm", "torchvision")


def write_results(name: str, rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> None:
    """Print rows, and write them as NAME.csv with the settings and versions beside them."""
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    RESULTS.mkdir(exist_ok=True)
    table.to_csv(RESULTS / f"{name}.csv", index=False)
    manifest = {
        "settings": dict(settings),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "versions": {"interpfer": interpfer.__version__} | dict(_versions()),
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(manifest, indent=2) + "\n")


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            yield package, version(package)
