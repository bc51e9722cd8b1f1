"""The files of one run in a bundle."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from interpfer.bundle.archive import safe_names
from interpfer.errors import RunError
from interpfer.models.card import card_path
from interpfer.reports.figures import write_figures
from interpfer.reports.page import page_bytes, render_run
from interpfer.results.image_table import IMAGE_FILES
from interpfer.results.pictures import ReportData, load_report_data
from interpfer.results.run import GAPS_FILE, GROUPS_FILE, MANIFEST, Run, load_whole_run

TABLES = ("scores.csv", *IMAGE_FILES.values(), "confusion.csv", "au_profile.csv", "au_recall.csv", "regions.csv",
          GROUPS_FILE, GAPS_FILE, MANIFEST)  # fmt: skip
"""Files of a run folder that a bundle copies byte by byte, where they exist."""

CARD = "model-card.yaml"

PER_FACE = ("ids", "digests", "labels", "predicted", "confidence", "groups")
"""Fields of ``ReportData`` with one value per face of the gallery, beside its arrays and photographs."""

FORMATS = ("pdf", "svg")
"""Formats of the figures in a bundle."""

HEAVY = "mean-maps.svg"
"""A figure of pixels, which is twice as large as its PDF."""


@dataclass(frozen=True)
class BundledRun:
    """A run and its name in the bundle.

    Attributes:
        name: its folder under runs/.
        run: the run.
        pictures: what its report shows; None where it was scored without a report.
    """

    name: str
    run: Run
    pictures: ReportData | None

    @property
    def folder(self) -> str:
        """Its folder in the bundle."""
        return f"runs/{self.name}"


def open_runs(folders: Sequence[str | Path], faces: bool) -> list[BundledRun]:
    """Read finished runs, and name each by its folder, by more of its path where those repeat.

    Args:
        folders: run folders.
        faces: whether to keep their photographs.

    Raises:
        RunError: one is passed twice, or holds no finished run.
    """
    paths = [Path(folder).resolve() for folder in folders]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise RunError(f"run folder {twice} is passed twice.")
    short = [path.name for path in paths]
    names = [
        name if short.count(name) == 1 else "-".join(path.parts[-2:]) for path, name in zip(paths, short, strict=True)
    ]
    runs = []
    for folder, name in zip(folders, safe_names(names), strict=True):
        pictures = load_report_data(folder)
        if pictures is not None:
            pictures = thin_gallery(pictures)
            pictures = pictures if faces else replace(pictures, faces=(), mean_faces=())
        runs.append(BundledRun(name, load_whole_run(folder), pictures))
    return runs


def thin_gallery(pictures: ReportData) -> ReportData:
    """Return the pictures of a report with one face per expression and group of its gallery."""
    taken: set[tuple[str, str]] = set()
    rows = []
    for row, (label, groups) in enumerate(zip(pictures.labels, pictures.groups, strict=True)):
        new = {(label, group) for group in groups} - taken
        if new:
            rows.append(row)
            taken |= new
    kept: dict[str, Any] = {name: tuple(getattr(pictures, name)[row] for row in rows) for name in PER_FACE}
    kept |= {name: getattr(pictures, name)[rows] for name in ("points", "maps", "other")}
    faces = tuple(pictures.faces[row] for row in rows if row < len(pictures.faces))
    return replace(pictures, faces=faces, **kept)


def run_members(bundled: BundledRun, figures: bool) -> dict[str, bytes]:
    """Return the members of one run: its tables as they are, its report, its figures and its model card.

    Args:
        bundled: the run.
        figures: whether to draw its figures.
    """
    run, folder = bundled.run, bundled.folder
    assert run.path is not None
    members = {f"{folder}/{name}": (run.path / name).read_bytes() for name in TABLES if (run.path / name).is_file()}
    members[f"{folder}/report.html"] = page_bytes(render_run(run, bundled.pictures))
    if (card := find_card(run)) is not None:
        members[f"{folder}/{CARD}"] = card.read_bytes()
    if figures:
        with tempfile.TemporaryDirectory(prefix="interpfer-") as scratch:
            for path in write_figures(run, bundled.pictures, scratch, FORMATS):
                if path.name != HEAVY:
                    members[f"{folder}/figures/{path.name}"] = path.read_bytes()
    return members


def find_card(run: Run) -> Path | None:
    """Return the model card beside the checkpoint of a run; None where it is not at hand."""
    model = run.manifest.get("options", {}).get("model")
    card = card_path(model) if isinstance(model, str) and Path(model).suffix else None
    return card if card is not None and card.is_file() else None
