"""``head`` in a model card: the network of ``arch`` up to its last layer with a grid, and a head of interpfer."""

from dataclasses import replace

from torch import nn

from interpfer.errors import ModelError
from interpfer.models.card import ModelCard
from interpfer.models.heads import HEADS
from interpfer.models.heads.attach import attach_head
from interpfer.models.heads.network import HeadedNetwork
from interpfer.models.model import Model


def put_head(network: nn.Module, card: ModelCard) -> nn.Module:
    """Return the untrained network of a card with its head.

    Args:
        network: the untrained network of the card without its head.
        card: the card, with ``head``.

    Raises:
        ModelError: there is no such head, its arguments do not fit, or the network takes none.
    """
    assert card.head is not None
    if isinstance(network, HeadedNetwork):
        if type(network.head) is HEADS.get(card.head) and not card.head_args:
            return network
        raise ModelError(
            f"the card of this checkpoint gives its network a head already ({type(network.head).__name__}), so it "
            f"takes no --head {card.head}: leave it out; `interpfer finetune --head` puts a new one on it."
        )
    trunk = Model(card.name or str(card.arch), network, replace(card, head=None, head_args={}))
    return attach_head(trunk, card.head, card.classes, **dict(card.head_args)).module
