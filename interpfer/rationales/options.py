"""Options of `interpfer rationales`."""

from dataclasses import dataclass
from pathlib import Path

from interpfer.choices import AU_SIDES, GEOMETRIES
from interpfer.datasets.options import DataOptions
from interpfer.options import option

BOX_UNITS = ("auto", "pixels", "relative", "thousandths")
"""Units of boxes: pixels of the picture, shares of its width and height, or thousandths of them."""


@dataclass(frozen=True, kw_only=True)
class RationaleOptions(DataOptions):
    """What a file of rationales is compared with, and where the results go; others are those of the base class.

    Attributes:
        file: JSON lines, one row per image.
        dataset: name of the data set; None for the labels of the rows, without boxes.
        codebook: name or file: action units of an expression.
        geometry: how the regions of action units are placed, whose boxes are the truth.
        aus: file with the action units of each image; None for those of the data set, else the codebook's.
        au_threshold: smallest intensity in [0, 1] of a coded action unit that counts as present.
        au_sides: whose left and right the codes name, "subject" or "picture".
        boxes: one of ``BOX_UNITS``; "auto" takes corners of at most 2 for shares, all others for pixels.
        run: run folder of ``interpfer score --au-shares`` whose maps the texts are compared with.
        name: name of the model that wrote the texts; None for that of the file.
        seed: of the bootstrap and of random action units.
        out: folder of the tables and the page; None for none.
        leaderboard: a CSV to append a row to.
        overwrite: replace the files of earlier results in ``out``.
    """

    file: str | Path | None = option(
        None, "JSON lines, one row per image", kind="path", metavar="FILE", flag="", required=True
    )
    dataset: str | None = option(
        None, "Data set (see `ls datasets`); default: the labels of the rows", metavar="NAME", example="csv"
    )
    codebook: str = option("belharbi2024", "Action units per expression", metavar="NAME|FILE", example="emfacs")
    geometry: str = option("scaled", "How action units are placed", choices=GEOMETRIES)
    aus: str | Path | None = option(
        None, "Action units of each image; default: the data set's", kind="path", metavar="FILE", example="openface.csv"
    )
    au_threshold: float = option(
        0.0,
        "Smallest intensity (0 to 1) of a coded action unit that counts as present",
        kind="number",
        metavar="X",
        example="0.4",
        least=0,
        most=1,
    )
    au_sides: str = option(
        "subject", "Left and right in coded action units: those of the subject or of the picture", choices=AU_SIDES
    )
    boxes: str = option("auto", "Unit of the boxes", choices=BOX_UNITS)
    run: str | Path | None = option(
        None,
        "Run of `score --au-shares`, with whose maps the texts are compared",
        kind="path",
        metavar="RUN",
        example="runs/mine",
    )
    name: str | None = option(
        None, "Name of the model that wrote the texts; default: that of the file", metavar="NAME", example="qwen-vl"
    )
    seed: int = option(0, "Random seed", kind="integer", metavar="N", example="1", least=0)
    out: str | Path | None = option(
        None, "Folder of the tables and the page", kind="path", metavar="DIR", example="rationales", repeats=False
    )
    leaderboard: str | Path | None = option(
        None, "CSV to append a row to", kind="path", metavar="FILE.csv", example="board.csv", repeats=False
    )
    overwrite: bool = option(False, "Replace the results in --out", kind="switch", repeats=False)
