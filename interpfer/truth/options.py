"""Options of the truth, the same for every verb that compares maps with one."""

from dataclasses import dataclass

from interpfer.choices import GEOMETRIES, PROTOCOLS
from interpfer.options import Options, option

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
    """

    truth: str = option("codebook", "What maps are compared with (see `ls truths`)", metavar="NAME")
    protocol: str = option(
        "paper", "Rules: paper compares with published numbers, corrected fixes their errors", choices=PROTOCOLS
    )
    codebook: str | None = option(
        None, "Action units per expression; default: the protocol's", metavar="NAME|FILE", example="emfacs"
    )
    geometry: str | None = option(None, "How action units are placed; default: the protocol's", choices=GEOMETRIES)
