"""Options of the truth, the same for every verb that compares maps with one."""

from dataclasses import dataclass
from pathlib import Path

from interpfer.choices import AU_SIDES, AU_WEIGHTS, GEOMETRIES, PROTOCOLS
from interpfer.options import Options, option

AU_HEATMAP, MASK = "AU heatmap", "mask"
"""What a truth is called on pages."""

CODEBOOK_SETTINGS = ("codebook", "codebook_digest", "geometry")
"""Settings of the codebook truth, as run.json names them; runs of older versions have no others."""


@dataclass(frozen=True, kw_only=True)
class TruthOptions(Options):
    """Which truth, and by what rules it is drawn.

    Attributes:
        truth: name of a ``TruthProvider``.
        protocol: "paper" compares with published numbers, "corrected" fixes their errors.
        codebook: name or file; None for the protocol's.
        geometry: name; None for the protocol's.
        aus: file with the action units of each image, for the truth "aus"; None for those of the data set.
        au_weights: "present" draws coded action units alike, "intensity" by their grade.
        au_threshold: smallest intensity in [0, 1] of a coded action unit that counts as present.
        au_sides: whose left and right the codes name, "subject" or "picture".
        masks: file or folder of masks, for the truth "masks".
    """

    truth: str = option("codebook", "What maps are compared with (see `ls truths`)", metavar="NAME")
    protocol: str = option(
        "paper", "Rules: paper compares with published numbers, corrected fixes their errors", choices=PROTOCOLS
    )
    codebook: str | None = option(
        None, "Action units per expression; default: the protocol's", metavar="NAME|FILE", example="emfacs"
    )
    geometry: str | None = option(None, "How action units are placed; default: the protocol's", choices=GEOMETRIES)
    aus: str | Path | None = option(
        None, "Action units of each image, with --truth aus", kind="path", metavar="FILE", example="openface.csv"
    )
    au_weights: str = option("present", "Draw coded action units alike, or by intensity", choices=AU_WEIGHTS)
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
    masks: str | Path | None = option(
        None, "Masks of the pictures, with --truth masks", kind="path", metavar="PATH", example="masks.csv"
    )
