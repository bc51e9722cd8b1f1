"""What a training can do to the forward of a network beyond the recipe's losses: plug-ins, each one file."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from torch import Tensor, nn


class Plugin:
    """Base of plug-ins; by default one that does nothing."""

    def attached(self) -> AbstractContextManager[None]:
        """Return a context in which the features of the network are changed."""
        return nullcontext()

    def loss(
        self,
        module: nn.Module,  # noqa: ARG002
        x: Tensor,  # noqa: ARG002
        targets: Sequence[tuple[float, Tensor]],  # noqa: ARG002
    ) -> Tensor | None:
        """Return a loss that training adds, its weight included; None for none.

        Args:
            module: the network in training.
            x: preprocessed images.
            targets: share and class of each face, more than one pair for a mixture of faces; -1 is no class.
        """
        return None
