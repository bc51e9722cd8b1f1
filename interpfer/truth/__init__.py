"""What a map is compared with, out of the samples and their landmarks."""

from typing import TYPE_CHECKING

from interpfer.errors import DataError
from interpfer.registry import Registry

if TYPE_CHECKING:
    from interpfer.truth.base import TruthProvider
    from interpfer.truth.options import TruthOptions

TRUTHS: "Registry[type[TruthProvider]]" = Registry(
    "truth",
    "interpfer.truths",
    {
        "codebook": "interpfer.truth.codebook:CodebookTruth",
        "aus": "interpfer.truth.action_units:ActionUnitTruth",
        "masks": "interpfer.truth.masks:MaskTruth",
    },
)


def open_truth(options: "TruthOptions") -> "TruthProvider":
    """Return the provider that the options of a verb describe.

    Raises:
        InterpferError: there is no such truth, or it cannot meet an option.
    """
    if options.masks is not None and options.truth in ("codebook", "aus"):
        raise DataError(f"--masks belongs to --truth masks; leave it out with --truth {options.truth}.")
    return TRUTHS.get(options.truth).create(options)
