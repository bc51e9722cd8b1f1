"""A finished run, in memory or out of its folder."""

import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from interpfer.errors import RunError

MANIFEST = "run.json"

_MICRO = ("pxap",)


def headline_group(metric: str) -> str:
    """Return the group of rows whose value stands for a metric."""
    return "micro" if metric in _MICRO else "macro"


@dataclass(frozen=True, repr=False)
class Run:
    """A finished score.

    Attributes:
        scores: map, layer, metric, group, value, ci_low, ci_high, n.
        per_image: image, label, predicted, map, layer, then one column per metric.
        confusion: rows true class, columns predicted class, counts.
        manifest: what run.json holds.
        path: the run folder, or None.
        au_profile: how the energy of maps spreads over action units; see ``interpfer.metrics.au_profile``.
    """

    scores: pd.DataFrame
    per_image: pd.DataFrame
    confusion: pd.DataFrame
    manifest: dict[str, Any]
    path: Path | None = None
    au_profile: pd.DataFrame | None = None

    @property
    def summary(self) -> pd.DataFrame:
        """One line per map and layer with the headline value of each metric, baselines last, as ``score`` prints it."""
        groups = self.scores["metric"].map(headline_group)
        rows = self.scores[self.scores["group"] == groups]
        order = list(dict.fromkeys(zip(rows["map"], rows["layer"], strict=True)))
        order.sort(key=lambda key: key[1] == "-")
        table = rows.pivot(index=["map", "layer"], columns="metric", values="value")
        return table.loc[order, list(dict.fromkeys(rows["metric"]))].rename_axis(columns=None)

    @property
    def title(self) -> str:
        """What was scored, how, and how well it classifies, on one line."""
        facts, counts = self.manifest["arguments"], self.manifest["counts"]
        return (
            f"{facts['model']} on {facts['dataset']} {facts['split']}, protocol {facts['protocol']}: accuracy "
            f"{self.manifest['classification']['accuracy']:.3f}, {counts['scored']} of {counts['images']} images scored"
        )

    def __repr__(self) -> str:
        return f"Run: {self.title}\n{self.summary.to_string(float_format='{:.3f}'.format)}"

    def _repr_html_(self) -> str:
        """Return the summary for a notebook."""
        return f"<p>{html.escape(self.title)}</p>{self.summary.to_html(float_format='{:.3f}'.format)}"

    def score(self, map_name: str, metric: str = "cosine", group: str = "macro", layer: str | None = None) -> float:
        """Return one value of ``scores``; without a layer, that of the first one."""
        table = self.scores
        rows = table[(table["map"] == map_name) & (table["metric"] == metric) & (table["group"] == group)]
        if layer is not None:
            rows = rows[rows["layer"] == layer]
        if rows.empty:
            raise RunError(f"the run has no {metric} of {map_name} for {group}.")
        return float(rows["value"].iloc[0])


def load_run(path: Path) -> Run:
    """Read a finished run folder.

    Raises:
        RunError: there is no folder, or it holds no finished run.
    """
    manifest = path / MANIFEST
    if not path.is_dir():
        raise RunError(f"there is no run folder {path}; name the --out of a score.")
    if not manifest.is_file():
        raise RunError(f"{path} holds no finished run (no {MANIFEST}); finish it with --resume.")
    return Run(
        pd.read_csv(path / "scores.csv"),
        pd.read_csv(path / "per_image.csv", keep_default_na=False, na_values=[""]),
        pd.read_csv(path / "confusion.csv", index_col=0),
        json.loads(manifest.read_text(encoding="utf-8")),
        path,
        pd.read_csv(profile, dtype={"au": str}) if (profile := path / "au_profile.csv").is_file() else None,
    )
