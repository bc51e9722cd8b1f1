"""Tables of a run with occlusions, and reading them again."""

import io
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpfer.occlusion import CLEAN
from interpfer.results.metric_facts import HOLE

COLUMN = "occlusion"
"""Column of scores.csv and per_image.csv."""

OCCLUSION_FILE = "occlusion.csv"
EXAMPLES_FILE = "occlusion.npz"


@dataclass(frozen=True)
class OccludedTables:
    """Tables of a run with occlusions.

    Attributes:
        scores: rows of scores.csv with the column ``occlusion``, "clean" first.
        per_image: rows of per_image.csv, likewise.
        summary: one line per occlusion and quantity: its value, that of the same faces as they are, their difference
            with interval and test.
        examples: occlusion -> (5, side, side) bytes: a covered face, its map before and after; none without pictures.
    """

    scores: pd.DataFrame
    per_image: pd.DataFrame
    summary: pd.DataFrame
    examples: dict[str, NDArray[np.uint8]]

    def examples_bytes(self) -> bytes:
        """Return the content of ``EXAMPLES_FILE``."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **self.examples)
        return buffer.getvalue()


def split_clean(
    path: str | Path, scores: pd.DataFrame, per_image: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, OccludedTables | None]:
    """Return the rows of the clean faces as a run without occlusions has them, and the tables of all.

    Args:
        path: the run folder.
        scores: content of scores.csv.
        per_image: content of per_image.csv.
    """
    if COLUMN not in scores:
        return scores, per_image, None
    path = Path(path)
    summary, examples = path / OCCLUSION_FILE, dict[str, NDArray[np.uint8]]()
    if (path / EXAMPLES_FILE).is_file():
        with np.load(path / EXAMPLES_FILE) as arrays:
            examples = {name: arrays[name] for name in arrays.files}
    lines = pd.read_csv(summary, keep_default_na=False, na_values=[""]) if summary.is_file() else pd.DataFrame()
    tables = OccludedTables(scores, per_image, lines, examples)
    return clean_rows(scores), clean_rows(per_image), tables


def clean_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the clean faces without what is known of covered ones alone."""
    rows = table[table[COLUMN] == CLEAN].drop(columns=COLUMN).reset_index(drop=True)
    return rows.drop(columns=[name for name in HOLE if name in rows])


def occlusion_lines(occluded: OccludedTables) -> tuple[list[str], list[list[str]], str]:
    """Return headings, one line per occlusion, and a note: accuracy beside the clean faces, leak and shift of a map.

    The map is the first one of the classifier in the tables.
    """
    table = occluded.summary
    maps = table[table["layer"] != "-"][["map", "layer"]].drop_duplicates().to_dict("records")
    key = (str(maps[0]["map"]), str(maps[0]["layer"])) if maps else ("-", "-")
    columns = ["occlusion", "faces", "hidden", "accuracy", "clean", "change", "p (Holm)", "flips", "leak", "leak skill",
               "map similarity"]  # fmt: skip
    lines = []
    for name in dict.fromkeys(map(str, table["occlusion"])):
        rows = {(row["metric"], row["map"], row["layer"]): row for row in _records(table, name)}

        def cell(metric: str, what: str = "value", of: tuple[str, str] = ("-", "-"), rows: Any = rows) -> str:
            row = rows.get((metric, *of))
            return "–" if row is None or row[what] != row[what] else f"{row[what]:.3f}"

        own = "accuracy" if ("accuracy", "-", "-") in rows else "accuracy_area"
        row = rows.get((own, "-", "-"), {})
        ends = f" [{row['ci_low']:.3f}, {row['ci_high']:.3f}]" if row and row["ci_low"] == row["ci_low"] else ""
        title = name if own == "accuracy" else f"{name}, area under the curve"
        line = [title, str(row.get("n", "–")), cell("area"), cell(own) + ends, cell(own, "clean")]
        line += [cell(own, "difference"), cell(own, "p_holm"), cell("flips")]
        lines.append([*line, *(cell(metric, of=key) for metric in HOLE)])
    note = (
        f"leak: share of {key[0]} at {key[1]} inside the hole (0 is right, a uniform map leaks the hidden area); map "
        "similarity: cosine with the clean map; p-values are paired and corrected over all lines of occlusion.csv"
    )
    return columns, lines, note


def _records(table: pd.DataFrame, name: str) -> list[dict[Hashable, Any]]:
    return table[table["occlusion"] == name].to_dict("records")
