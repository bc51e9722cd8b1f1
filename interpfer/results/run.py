"""A finished run, in memory or read from its folder."""

import html
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from interpfer.errors import RunError
from interpfer.files import parse_json
from interpfer.results.deferred import Deferrable, Table
from interpfer.results.image_table import read_images, read_shown_images
from interpfer.results.metric_facts import MetricFacts, primary_metric, read_metric_facts
from interpfer.results.occluded import COLUMN, OccludedTables, split_clean
from interpfer.truth.options import AU_HEATMAP, TruthOptions

MANIFEST = "run.json"
AU_RECALL_FILE = "au_recall.csv"

COMMAND = "command"
"""Key of run.json: words of the command that repeats the run, without ``--out``."""

TRUTH_NOUN = "truth_noun"
"""Key of run.json: what the truth is called on pages."""

SHARD = "shard"
"""Key of run.json of a shard: which share it is of how many, its batch size, its images and those of all shards."""

SUBJECT = "subject"
"""Column of per_image.csv with the person on an image; only where the data set knows any."""

CLIP, FRAME = "clip", "frame"
"""Columns of per_image.csv with the clip and the number of the frame in it; only where images are frames of clips."""

CLIPS_FILE = "clips.csv"
"""Table with one line per clip."""

CLIPS = "clips"
"""Key of run.json: WAR, UAR, and what became of the clips."""

GROUPS_FILE, GAPS_FILE = "groups.csv", "group_gaps.csv"
"""Tables of the groups of images by attributes of the data set, and of the largest gaps between them."""

GROUPS = "groups"
"""Key of run.json: the groups of images by attributes of the data set; only with ``--by``."""

UNLABELLED = "unlabelled"
"""Group in scores.csv of all images, where none has a label."""


@dataclass(frozen=True, repr=False)
class Run:
    """A finished score.

    Attributes:
        scores: map, layer, metric, group, value, ci_low, ci_high, n.
        per_image: image, label, predicted, subject (only where the data set knows any), the columns of ``--by``, map,
            layer, then one column per metric.
        confusion: counts, rows true class, columns predicted class.
        manifest: the content of run.json.
        path: the run folder, or None.
        au_profile: share of each map's energy per action unit; see ``interpfer.metrics.au_profile``.
        au_recall: how well the regions that a map uses agree with the coded action units of each face; see
            ``interpfer.results.au_recall``. None where none is coded.
        occluded: the tables with the column ``occlusion``, of a run with occlusions; ``scores`` and ``per_image`` are
            of the clean faces alone.
        clips: one line per clip: label, prediction, frames, mean scores; None where images are no frames of clips.
    """

    scores: pd.DataFrame
    per_image: Table
    confusion: pd.DataFrame
    manifest: dict[str, Any]
    path: Path | None = None
    au_profile: pd.DataFrame | None = None
    au_recall: pd.DataFrame | None = None
    occluded: OccludedTables | None = None
    clips: pd.DataFrame | None = None

    @cached_property
    def metric_facts(self) -> dict[str, MetricFacts]:
        """Facts of each metric in ``scores``: as run.json records them, else of the installed metric."""
        return read_metric_facts(self.manifest, dict.fromkeys(map(str, self.scores["metric"])))

    @property
    def summary(self) -> pd.DataFrame:
        """One line per map and layer with the headline value of each metric, baselines last, as ``score`` prints it."""
        groups = self.scores["metric"].map({name: facts.headline for name, facts in self.metric_facts.items()})
        rows = self.scores[self.scores["group"] == groups]
        order = list(dict.fromkeys(zip(rows["map"], rows["layer"], strict=True)))
        order.sort(key=lambda key: key[1] == "-")
        table = rows.pivot(index=["map", "layer"], columns="metric", values="value")
        return table.loc[order, list(dict.fromkeys(rows["metric"]))].rename_axis(columns=None)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Columns of ``per_image`` by which images are grouped, of a run with ``--by``."""
        return tuple(self.manifest.get(GROUPS, {}).get("columns", ()))

    @property
    def truth(self) -> str:
        """Name of what maps were compared with."""
        return str(self.manifest["arguments"].get("truth", TruthOptions.truth))

    @property
    def noun(self) -> str:
        """What the truth is called on pages; runs of older versions know AU heatmaps alone."""
        return str(self.manifest.get(TRUTH_NOUN, AU_HEATMAP))

    @property
    def dataset(self) -> str:
        """Name of the data set, with its kind where that is another."""
        arguments = self.manifest["arguments"]
        kind = str(arguments["dataset"])
        name = str(arguments.get("dataset_name", kind))
        return name if name == kind else f"{name} ({kind})"

    @property
    def landmarks(self) -> str:
        """Name of the landmark provider or file; of a run of an older version the start of its digest."""
        digest = str(self.manifest["landmarks_digest"])
        name = str(self.manifest["arguments"].get("landmarks", digest))
        return f"#{digest[:8]}" if name == digest else name

    @property
    def network(self) -> dict[str, Any]:
        """``architecture``, ``parameters`` and ``lineage`` of the model; empty texts in a run of an older version."""
        return {"architecture": "", "parameters": "", "lineage": "", **self.manifest.get("network", {})}

    @property
    def title(self) -> str:
        """Model, data set, protocol, accuracy and number of scored images, on one line."""
        facts, counts, shard = self.manifest["arguments"], self.manifest["counts"], self.manifest.get(SHARD)
        classification = self.manifest["classification"]
        mean = classification.get("aus", {}).get("mean_f1")
        f1 = "" if mean is None or mean != mean else f", mean AU F1 {mean:.3f}"
        accuracy = classification["accuracy"]
        accuracy = float("nan") if accuracy is None else accuracy
        share = f"shard {shard['index']}/{shard['count']} of " if shard else ""
        return (
            f"{share}{facts['model']} on {self.dataset} {facts['split']}, protocol {facts['protocol']}: accuracy "
            f"{accuracy:.3f}{f1}, {counts['scored']} of {counts['images']} images scored"
        )

    def __repr__(self) -> str:
        return f"Run: {self.title}\n{self.summary.to_string(float_format='{:.3f}'.format)}"

    def _repr_html_(self) -> str:
        """Return the summary for a notebook."""
        return f"<p>{html.escape(self.title)}</p>{self.summary.to_html(float_format='{:.3f}'.format)}"

    def score(self, map_name: str, metric: str = "cosine", group: str = "macro", layer: str | None = None) -> float:
        """Return one value of ``scores``.

        Args:
            map_name: such as "gradcam".
            metric: name of the metric.
            group: "macro", "micro", a class, "correct" or "wrong".
            layer: name of the layer; None for the first one of the map.

        Raises:
            RunError: the run has no such value.
        """
        table = self.scores
        rows = table[(table["map"] == map_name) & (table["metric"] == metric) & (table["group"] == group)]
        if layer is not None:
            rows = rows[rows["layer"] == layer]
        if rows.empty:
            raise RunError(f"the run has no {metric} of {map_name} for {group}.")
        return float(rows["value"].iloc[0])


setattr(Run, "per_image", Deferrable("per_image"))  # noqa: B010 in the class it would be the default of the field


def load_run(path: str | Path) -> Run:
    """Read a finished run folder.

    Args:
        path: the ``out`` of a score.

    Returns:
        The run, its tables as data frames.

    Raises:
        RunError: there is no folder, or it holds no finished run.
    """
    path = _require_finished(path)
    with _reading(path):
        return _read_folder(path)


def load_run_for_page(path: str | Path, images: Collection[str]) -> Run:
    """Read a finished run folder as ``load_run`` does, but of ``per_image`` only what the page of one run shows.

    The page of a run with metrics of regions (``interpfer.results.regions``) needs all.

    Args:
        path: the ``out`` of a score.
        images: names of the images that the page shows by name.

    Raises:
        RunError: as ``load_run``.
    """
    path = _require_finished(path)
    with _reading(path):
        return _read_folder(path, images)


def _require_finished(path: str | Path) -> Path:
    path = Path(path)
    manifest = path / MANIFEST
    if not path.is_dir():
        raise RunError(f"run folder not found: {path}; pass the --out of a score.")
    if not manifest.is_file():
        raise RunError(f"{path} holds no finished run (no {MANIFEST}); finish it with --resume.")
    return path


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what damaged tables raise into one line."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:  # parsers of pandas raise ValueError
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"{path} is damaged ({type(error).__name__}: {reason}); score again with --overwrite."
        ) from error


def _read_folder(path: Path, shown: Collection[str] | None = None) -> Run:
    profile, recall = path / "au_profile.csv", path / AU_RECALL_FILE
    facts = parse_json((path / MANIFEST).read_text(encoding="utf-8"))
    texts = [SUBJECT, CLIP, *facts.get(GROUPS, {}).get("columns", ())]
    names = dict.fromkeys(("map", "layer", "metric", "group", COLUMN), str)
    scores = pd.read_csv(path / "scores.csv", keep_default_na=False, na_values=[""], dtype=names)
    if shown is None:
        per_image = read_images(path, texts)
    else:
        per_image = read_shown_images(path, primary_metric(scores["metric"]), shown)
    scores, per_image, occluded = split_clean(path, scores, per_image)
    return Run(
        scores=scores,
        per_image=per_image,
        confusion=pd.read_csv(path / "confusion.csv", index_col=0),
        manifest=facts,
        path=path,
        au_profile=pd.read_csv(profile, dtype={"au": str, "by": str}) if profile.is_file() else None,
        au_recall=pd.read_csv(recall) if recall.is_file() else None,
        occluded=occluded,
        clips=_read_clips(path / CLIPS_FILE),
    )


def _read_clips(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    texts = dict.fromkeys(("clip", "label", "predicted", SUBJECT), str)
    return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=texts)


def load_whole_run(path: str | Path) -> Run:
    """Read a finished run folder as ``load_run`` does, but no shard.

    Raises:
        RunError: as ``load_run``; also where the folder is a shard.
    """
    run = load_run(path)
    if (facts := run.manifest.get(SHARD)) is not None:
        raise RunError(
            f"{path} is shard {facts['index']}/{facts['count']} of a run: make one run of all shards with interpfer "
            "merge, and pass that."
        )
    return run


def describe_shard(facts: Mapping[str, Any]) -> str:
    """Return a sentence on what a shard is a share of; ``facts`` is the entry ``SHARD`` of run.json."""
    return (
        f"shard {facts['index']}/{facts['count']}: {facts['images']} of {facts['of']} images; make one run of all "
        "shards with interpfer merge"
    )
