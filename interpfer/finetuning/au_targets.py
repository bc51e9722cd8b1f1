"""What a head for action units (``--au-head``) is trained towards: the action units of the truth."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interpfer.errors import InterpferError
from interpfer.truth.base import TruthProvider
from interpfer.types import Sample


def is_present(truth: TruthProvider, sample: Sample, au: int) -> bool | None:
    """Return whether an action unit is on a face by what was coded on it, else by its label; None where unknown."""
    codes = truth.coded(sample)
    if codes is not None:
        return codes.is_present(au)
    return None if truth.by_part or not sample.label else au in truth.expected_aus(sample.label)


def trainable_aus(truth: TruthProvider, samples: Sequence[Sample]) -> tuple[int, ...]:
    """Return the FACS numbers that are present on some samples and absent on others, ascending.

    Raises:
        InterpferError: there are none.
    """
    known = sorted({au for group in truth.parts.groups for au in group} | set(truth.same_region))
    aus = tuple(au for au in known if {True, False} <= {is_present(truth, sample, au) for sample in samples})
    if not aus:
        raise InterpferError(
            f"--au-head needs action units that are present on some training faces and absent on others, and --truth "
            f"{truth.name} has none here; pass --truth codebook, or --truth aus with coded faces."
        )
    return aus


def au_targets(truth: TruthProvider, samples: Sequence[Sample], aus: Sequence[int]) -> Float[Tensor, "n a"]:
    """Return 1 for each action unit that is present on a face, 0 for each that is absent, NaN where unknown."""
    values = {True: 1.0, False: 0.0, None: torch.nan}
    return torch.tensor([[values[is_present(truth, sample, au)] for au in aus] for sample in samples])


def au_loss(logits: Float[Tensor, "n a"], targets: Float[Tensor, "n a"]) -> Float[Tensor, ""]:
    """Return the mean binary cross-entropy over all that is known; zero where nothing is.

    Examples:
        >>> au_loss(torch.zeros(1, 2), torch.tensor([[1.0, torch.nan]]))
        tensor(0.6931)
    """
    known = targets.isfinite()
    if not bool(known.any()):
        return logits.sum() * 0
    return F.binary_cross_entropy_with_logits(logits[known], targets[known])
