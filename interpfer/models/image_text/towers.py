"""An image tower and a text tower before the texts are known, and the network of both for some texts."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.image_text.network import ImageTextNetwork
from interpfer.models.image_text.prompts import Prompts, list_texts

BATCH = 64
"""Texts that are embedded at once."""


class TwoTowers(nn.Module):
    """An image-text model without texts; subclasses know a library.

    Args:
        model: the model of both towers.
        kind: its type, such as "clip".
        where: its checkpoint, for messages.
    """

    def __init__(self, model: nn.Module, kind: str, where: str) -> None:
        super().__init__()
        self.model = model
        self.kind = kind
        self.where = where

    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Return the embeddings of texts, of any length."""
        raise NotImplementedError

    def image_tower(self) -> tuple[nn.Module, nn.Module, int, dict[str, Any]]:
        """Return the tower, the projection, the width of the shared space, and the arguments that build both."""
        raise NotImplementedError

    def scale_and_bias(self) -> tuple[Tensor, Tensor | None]:
        """Return the factor on cosines, and what is added; None where the model has no bias."""
        raise NotImplementedError

    @property
    def prefix_tokens(self) -> int | None:
        """Number of class tokens; None where it is not known."""
        return None

    def bind(self, prompts: Prompts) -> ImageTextNetwork:
        """Return the network of the image tower for some texts.

        The embedding of several texts is the mean of theirs, each of length 1, made of length 1 again.

        Raises:
            ModelError: a text is too long, or image and text have embeddings of different widths.
        """
        tower, projection, width, arguments = self.image_tower()
        embeddings = self._embed_all(list(list_texts(prompts)))
        lengths = {tuple(value.shape) for value in embeddings.values()}
        if lengths != {(width,)}:
            found = next(iter(lengths))[0]
            raise ModelError(
                f"{self.where}: texts have embeddings of width {found} and images of {width}, so they cannot be "
                "compared: the folder mixes two models, or its config.json is not that of its weights."
            )
        network = ImageTextNetwork(
            tower, projection, len(prompts.classes), len(prompts.aus), width, self.kind, arguments
        )
        network.num_prefix_tokens = self.prefix_tokens
        scale, bias = (None if value is None else value.detach().float().reshape(()) for value in self.scale_and_bias())
        assert scale is not None
        network.scale.copy_(scale)
        network.text.copy_(_means(prompts.classes.values(), embeddings, width))
        of_aus = _means(prompts.aus.values(), embeddings, width)
        if bias is None and prompts.aus:
            of_aus = of_aus - _means([prompts.without], embeddings, width)
        network.au_text.copy_(of_aus)
        if bias is not None:
            network.bias.copy_(bias)
            network.au_bias.copy_(bias)
        self._require_different(network, prompts)
        dtype = next(tower.parameters()).dtype
        return network.to(dtype).eval()

    def _require_different(self, network: ImageTextNetwork, prompts: Prompts) -> None:
        """Check that the text tower tells the outputs apart."""
        for names, rows in (
            (list(prompts.classes), network.text),
            ([f"AU{au}" for au in prompts.aus], network.au_text),
        ):
            for place, name in enumerate(names):
                same = [other for other, row in zip(names[:place], rows, strict=False) if torch.equal(row, rows[place])]
                if same:
                    raise ModelError(
                        f"{self.where}: the texts of {same[0]} and {name} have the same embedding, so no picture can "
                        "tell them apart: is the tokenizer that of these weights?"
                    )

    def _embed_all(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return text -> embedding of length 1."""
        self.model.eval()
        parts = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
        with torch.no_grad():
            rows = torch.cat([F.normalize(self.embed_texts(part).float(), dim=-1) for part in parts])
        return dict(zip(texts, rows, strict=True))


def _means(outputs: Any, embeddings: dict[str, Tensor], width: int) -> Float[Tensor, "k d"]:
    rows = [F.normalize(torch.stack([embeddings[text] for text in texts]).mean(0), dim=0) for texts in outputs]
    return torch.stack(rows) if rows else torch.zeros(0, width)
