"""What a map is compared with: where an expert would look, out of the samples and their landmarks."""

from typing import TYPE_CHECKING

from interpfer.registry import Registry

if TYPE_CHECKING:
    from interpfer.truth.base import TruthProvider

TRUTHS: "Registry[type[TruthProvider]]" = Registry(
    "truth",
    "interpfer.truths",
    {"codebook": "interpfer.truth.codebook:CodebookTruth"},
)
