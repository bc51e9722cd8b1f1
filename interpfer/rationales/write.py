"""Scores a file of rationales, and writes its tables and page."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from interpfer import __version__
from interpfer.au.codebook import load_codebook
from interpfer.datasets.base import Dataset
from interpfer.datasets.opening import open_dataset
from interpfer.errors import RunError
from interpfer.files import csv_bytes, json_bytes, require_free, write_atomic
from interpfer.landmarks.resolve import resolve_landmarks
from interpfer.options import resolve_options
from interpfer.rationales.against_maps import compare_with_maps
from interpfer.rationales.board import append_row
from interpfer.rationales.options import RationaleOptions
from interpfer.rationales.page import rationale_page
from interpfer.rationales.places import SMALL_REACH, Places, find_places
from interpfer.rationales.rows import read_rows
from interpfer.rationales.scores import TEXT, RowScores, score_table
from interpfer.rationales.summary import Summaries, summarise_rows
from interpfer.rationales.table import RationaleTable, collect
from interpfer.runtime.progress import Progress, no_progress
from interpfer.runtime.threads import parallel_map
from interpfer.statistics.bootstrap import Rows
from interpfer.statistics.subjects import number_subjects
from interpfer.truth.action_units import ActionUnitTruth

FILES = ("rationales.csv", "scores.csv", "aus.csv", "rationales.html", "rationales.json")
MAPS_FILE = "maps.csv"


class Rationales(NamedTuple):
    """Results of a file.

    Attributes:
        scores: a line per kind of rows ("text" and the baselines) and metric: of, metric, value, ci_low, ci_high, n.
        by_au: a line per kind of rows and action unit.
        per_row: a line per row: image, label, answer, action units named and there, and its scores.
        maps: the texts against the maps of a run; None without one.
        manifest: what was scored, as rationales.json holds it.
    """

    scores: pd.DataFrame
    by_au: pd.DataFrame
    per_row: pd.DataFrame
    maps: pd.DataFrame | None
    manifest: dict[str, Any]

    def headline(self) -> dict[str, dict[str, float]]:
        """Return metric -> value, ci_low, ci_high and n of the texts, as ``--json`` prints them."""
        own = self.scores[self.scores["of"] == TEXT]
        return {
            str(row["metric"]): {key: row[key] for key in ("value", "ci_low", "ci_high", "n")}
            for row in own.to_dict("records")
        }


def score_rationales(
    file: str | Path,
    dataset: Dataset | str | None = None,
    *,
    options: RationaleOptions | None = None,
    progress: Progress = no_progress,
    **choices: Any,
) -> Rationales:
    """Score what a language model says of faces: its answers, action units and boxes.

    The truth is the coded action units of a face, else those that the codebook lists for its label; boxes are those of
    the regions of these action units. Beside it stand what a model scores that knows the codebook and does not look,
    the codebook's action units of the label, and action units drawn at random.

    Args:
        file: JSON lines; see ``interpfer.rationales.rows``.
        dataset: a data set, or the name of one; None for the labels of the rows, without boxes.
        options: all choices; or name single ``choices``.
        progress: called with (what, done, total).
        choices: fields of ``interpfer.rationales.options.RationaleOptions`` in place of ``options``.

    Raises:
        InterpferError: anything the user can fix; the message says how.

    Examples:
        >>> import json, pathlib, tempfile
        >>> rows = [{"id": "a.png", "answer": "happy", "aus": [6, 12, 25], "label": "happiness"},
        ...         {"id": "b.png", "answer": "fear", "text": "AU4, but no brow raiser.", "label": "sad"}]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "rows.jsonl"
        ...     _ = path.write_text("".join(json.dumps(row) + chr(10) for row in rows))
        ...     results = score_rationales(path)
        >>> round(results.headline()["accuracy"]["value"], 3)
        0.5
    """
    settings = resolve_options(RationaleOptions, options, choices, "rationales")
    out = None if settings.out is None else Path(settings.out)
    if out is not None:
        require_free(out, FILES, settings.overwrite)
    codebook = load_codebook(settings.codebook)
    data = _open(dataset, settings)
    codes = ActionUnitTruth(settings.geometry, False, settings.aus, "present", settings.au_threshold, settings.au_sides)
    table = collect(read_rows(file), None if data is None else data.samples, codes.coded, codebook)
    places = _places(table, data, settings, progress)
    listed = {name: set(codebook.aus([name])) for name in set(table.labels)}
    of_label = np.array([[au in listed[label] for au in table.aus] for label in table.labels], bool)
    subjects = number_subjects(table.subjects)
    rows = score_table(table, places, of_label, settings.seed)
    summaries = _summarise(rows, table, subjects, settings.seed)
    named = {name: each.counts.hits | each.counts.extra for name, each in rows.items()} | {TEXT: table.named}
    maps = None if settings.run is None else compare_with_maps(settings.run, table, named, subjects, settings.seed)
    name = settings.name or Path(file).stem
    manifest = _manifest(Path(file), name, table, places, data, settings, subjects)
    results = Rationales(_scores(summaries), _by_au(summaries), _per_row(table, rows[TEXT]), maps, manifest)
    if out is not None:
        _write(results, out)
    if settings.leaderboard is not None:
        append_row(settings.leaderboard, results.headline(), manifest)
    return results


def _summarise(
    rows: dict[str, RowScores], table: RationaleTable, subjects: Rows | None, seed: int
) -> dict[str, Summaries]:
    found = parallel_map(lambda each: summarise_rows(each, table.aus, subjects, seed), list(rows.values()))
    return dict(zip(rows, found, strict=True))


def _open(dataset: Dataset | str | None, settings: RationaleOptions) -> Dataset | None:
    chosen = settings.dataset if dataset is None else dataset
    if chosen is None or isinstance(chosen, Dataset):
        return chosen
    return open_dataset(chosen, settings, settings.seed)


def _places(
    table: RationaleTable, data: Dataset | None, settings: RationaleOptions, progress: Progress
) -> Places | None:
    """Return where action units lie, where boxes can be compared; else note why they cannot."""
    if not len(table.boxes):
        return None
    if data is None:
        table.notes.append("Boxes are not scored: pass --dataset, whose pictures and landmarks they are compared with.")
        return None
    provider = resolve_landmarks(settings.landmarks, data.landmarks())
    places = find_places(table, data, provider, settings.geometry, settings.boxes, progress)
    if settings.boxes == "auto":
        table.notes.append(f"The boxes are taken to be in {_UNITS[places.unit]}; if they are not, pass --boxes.")
    if places.reach < SMALL_REACH:
        table.notes.append(
            f"Nearly all boxes lie in the upper left {places.reach:.0%} of the pictures: they may be in pixels of "
            "smaller copies, as some models see them."
        )
    if places.without_face:
        table.notes.append(f"No face was found on {places.without_face} pictures; their boxes are left out.")
    return places


_UNITS = {
    "pixels": "pixels of the picture",
    "relative": "shares of its width and height",
    "thousandths": "thousandths of its width and height",
}


def _scores(summaries: dict[str, Summaries]) -> pd.DataFrame:
    lines = [(of, metric, *value) for of, each in summaries.items() for metric, value in each.metrics.items()]
    return pd.DataFrame(lines, columns=["of", "metric", "value", "ci_low", "ci_high", "n"])


def _by_au(summaries: dict[str, Summaries]) -> pd.DataFrame:
    return pd.concat([each.by_au.assign(of=of) for of, each in summaries.items()], ignore_index=True).pipe(
        lambda table: table[["of", *table.columns.drop("of")]]
    )


def _per_row(table: RationaleTable, rows: RowScores) -> pd.DataFrame:
    sums = rows.grounding
    count = None if sums is None else sums.boxes.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        boxes = {} if sums is None else {"iou": sums.iou.sum(1) / count, "pointing": sums.pointing.sum(1) / count}
    return pd.DataFrame(
        {
            "image": table.images,
            "label": table.labels,
            "answer": table.answers,
            "truth": table.source,
            "named": _listed(table.named, table.aus),
            "present": _listed(table.present, table.aus),
            "correct": rows.correct,
            "au_f1": rows.f1,
            "consistency": rows.consistency,
            **boxes,
        }
    )


def _listed(flags: np.ndarray, aus: tuple[int, ...]) -> list[str]:
    known: dict[bytes, str] = {}
    for row in flags:
        key = row.tobytes()
        if key not in known:
            known[key] = "+".join(str(au) for au, is_set in zip(aus, row, strict=True) if is_set)
    return [known[row.tobytes()] for row in flags]


def _manifest(
    file: Path,
    name: str,
    table: RationaleTable,
    places: Places | None,
    data: Dataset | None,
    settings: RationaleOptions,
    subjects: Rows | None,
) -> dict[str, Any]:
    people = "" if subjects is None else f" of {len(np.unique(subjects))} people"
    return {
        "versions": {"interpfer": __version__},
        "options": settings.to_dict(repeats_only=True),
        "file": str(file),
        "file_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "name": name,
        "dataset": "" if data is None else data.name,
        "split": "" if data is None else data.split,
        "truth": dict(Counter(table.source)),
        "counts": {"rows": len(table) + len(table.bad), "scored": len(table), "bad": len(table.bad)},
        "boxes": {"count": len(table.boxes), "unit": "" if places is None else places.unit},
        "bad": [f"line {row.line}: {row.reason}" for row in table.bad[:100]],
        "intervals": f"bootstrap over {'images' if subjects is None else 'people'}, {len(table)} images{people}",
        "notes": table.notes,
    }


def _write(results: Rationales, out: Path) -> None:
    page = rationale_page(results.scores, results.by_au, results.maps, results.manifest)
    tables = [results.per_row, results.scores, results.by_au]
    contents = [*map(csv_bytes, tables), page, json_bytes(results.manifest)]
    try:
        out.mkdir(parents=True, exist_ok=True)
        if results.maps is None:
            (out / MAPS_FILE).unlink(missing_ok=True)
        else:
            write_atomic(out / MAPS_FILE, csv_bytes(results.maps))
        for name, content in zip(FILES, contents, strict=True):
            write_atomic(out / name, content)
    except OSError as error:
        raise RunError(f"cannot write to {out}: {error.strerror}; pass another folder.") from error
