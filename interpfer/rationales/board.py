"""The row of a leaderboard for a file of rationales."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from interpfer.reports.leaderboard.rows import append_rows
from interpfer.results.metric_facts import DECIMALS, DEFINITIONS, EMPTY, LOWER

TRUTH = "rationales"
"""Truth of the rows, so that texts are never ranked together with maps."""


def append_row(path: str | Path, headline: Mapping[str, Mapping[str, float]], manifest: Mapping[str, Any]) -> None:
    """Append a row with the values of the texts.

    Raises:
        RunError: the file is not a leaderboard, or cannot be written.
    """
    options = manifest["options"]
    row: dict[str, Any] = {
        "model": manifest["name"],
        "dataset": manifest["dataset"],
        "split": manifest["split"],
        "protocol": "",
        "n": manifest["counts"]["scored"],
        "map": "text",
        "layer": "-",
    }
    row |= {name: value["value"] for name, value in headline.items()}
    row |= {"date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"), "version": manifest["versions"]["interpfer"]}
    row |= {"checkpoint_sha256": manifest["file_sha256"], "dataset_digest": "", "seed": options["seed"]}
    row |= {"target": "", "truth": TRUTH, "codebook": Path(options["codebook"]).name, "geometry": options["geometry"]}
    row |= {"align": "", LOWER: EMPTY, DECIMALS: EMPTY, DEFINITIONS: EMPTY, "dataset_name": manifest["dataset"]}
    row |= dict.fromkeys(("landmarks", "landmarks_digest", "architecture", "parameters", "lineage", "same_as"), "")
    append_rows(path, pd.DataFrame([row]))
