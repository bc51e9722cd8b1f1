"""An image-text model with fixed texts: a network from images to the similarity with each text."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

LOGITS, AUS = "logits", "aus"
"""Keys of the output: the logits of classes, and of action units."""


class ImageTextNetwork(nn.Module):
    """The image tower of CLIP or SigLIP, and the embeddings of texts.

    The logit of a class is ``scale * cosine + bias`` between image and text. That of an action unit is the same where
    the model was trained on single pairs (SigLIP: there is a bias); without a bias (CLIP), the logit of the action
    unit's text less that of a face without action units, as only differences of logits have a meaning there. The
    embeddings, scale and bias are buffers: training changes the image tower alone.

    Args:
        tower: module from images to features, or to an output with ``pooler_output``.
        projection: module from those to the space that images and texts share.
        text_count: number of classes.
        au_count: number of action units.
        width: width of the shared space.
        kind: type of the model, such as "clip".
        arguments: what else ``interpfer.models.image_text.architecture`` needs to build the same network.

    Attributes:
        returns_logits: True, as cosines need no guess whether they are probabilities.
        num_prefix_tokens: number of class tokens; None where it is not known.
    """

    returns_logits = True
    num_prefix_tokens: int | None
    text: Tensor
    au_text: Tensor
    scale: Tensor
    bias: Tensor
    au_bias: Tensor

    def __init__(
        self,
        tower: nn.Module,
        projection: nn.Module,
        text_count: int,
        au_count: int,
        width: int,
        kind: str,
        arguments: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.num_prefix_tokens = None
        self.tower = tower
        self.projection = projection
        self.kind = kind
        self.arguments = dict(arguments)
        self.register_buffer("text", torch.zeros(text_count, width))
        self.register_buffer("au_text", torch.zeros(au_count, width))
        for name in ("scale", "bias", "au_bias"):
            self.register_buffer(name, torch.zeros(()))

    def embed(self, images: Float[Tensor, "n c s s"]) -> Float[Tensor, "n d"]:
        """Return the embeddings of images, of length 1."""
        features = self.tower(images)
        return self.embed_features(features if isinstance(features, Tensor) else features.pooler_output)

    def embed_features(self, features: Float[Tensor, "*batch c"]) -> Float[Tensor, "*batch d"]:
        """Return features of the tower, such as a class token after the last norm, in the shared space, of length 1."""
        return F.normalize(self.projection(features), dim=-1)

    def compare(self, embeddings: Float[Tensor, "*batch d"]) -> dict[str, Tensor]:
        """Return the logits of embeddings of length 1: those of classes, and where there are any, of action units."""
        logits = {LOGITS: self.scale * (embeddings @ self.text.T) + self.bias} if len(self.text) else {}
        return logits | ({AUS: self.scale * (embeddings @ self.au_text.T) + self.au_bias} if len(self.au_text) else {})

    def forward(self, images: Float[Tensor, "n c s s"]) -> dict[str, Tensor]:
        """Return the logits of classes, and of action units."""
        return self.compare(self.embed(images))


class PatchTower(nn.Module):
    """The image tower of SigLIP 2 with patches of any number (NaFlex), for square images.

    Args:
        vision_model: the tower, which takes patches.
        patch: side of a patch in pixels.
    """

    def __init__(self, vision_model: nn.Module, patch: int) -> None:
        super().__init__()
        self.vision_model = vision_model
        self.patch = patch

    def forward(self, images: Float[Tensor, "n c s s"]) -> Any:
        """Return the output of the tower for images whose side is a multiple of a patch's."""
        side = images.shape[-1] // self.patch
        patches = to_patches(images, self.patch)
        shapes = torch.tensor([[side, side]], device=images.device).expand(len(images), -1)
        return self.vision_model(patches, None, shapes)


def to_patches(images: Float[Tensor, "n c s s"], patch: int) -> Float[Tensor, "n t p"]:
    """Return the patches of images row by row, each with its pixels row by row and its channels last.

    Examples:
        >>> image = torch.arange(16.0).view(1, 1, 4, 4)
        >>> to_patches(image, 2)[0, 1].tolist()
        [2.0, 3.0, 6.0, 7.0]
    """
    n, channels, height, width = images.shape
    cells = images.reshape(n, channels, height // patch, patch, width // patch, patch)
    return cells.permute(0, 2, 4, 3, 5, 1).reshape(n, -1, patch * patch * channels)
