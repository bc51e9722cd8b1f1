"""Maps of image-text models: how well each patch fits the text of a class or action unit."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.maps.base import ONE_PASS, MapContext, RawMap, model_map
from interpfer.models.hooks import hooked
from interpfer.models.image_text.network import AUS, LOGITS, ImageTextNetwork
from interpfer.models.image_text.patches import (
    embed_patches,
    embed_patches_by_surgery,
    feature_surgery,
    similarity_maps,
)


@model_map(source="MaskCLIP, Zhou et al. 2022, arXiv 2112.01071", layer=False, cost=ONE_PASS, inside=True)
def patch_text(context: MapContext) -> RawMap:
    """Similarity of each patch with the class's text, the last attention left out (values alone); signed."""
    network, key, embedded, _ = _embed(context, embed_patches)
    return _of_targets(similarity_maps(network, embedded, key), context)


@model_map(source="CLIP Surgery, Li et al. 2023, arXiv 2304.05653", layer=False, cost=ONE_PASS, inside=True)
def patch_text_surgery(context: MapContext) -> RawMap:
    """Similarity of each patch with the class's text less what all texts share; values attend to values; signed."""
    network, key, embedded, whole = _embed(context, embed_patches_by_surgery)
    texts = network.text if key == LOGITS else network.au_text
    cosines = (embedded @ texts.T).movedim(-1, 1)
    return _of_targets(feature_surgery(cosines, whole @ texts.T), context)


def _embed(
    context: MapContext, embed: Callable[..., tuple[Tensor, Tensor]]
) -> tuple[ImageTextNetwork, str, Tensor, Tensor]:
    """Return the network, which of its texts are explained, and the embeddings of patches and images."""
    network = context.model.module
    if not isinstance(network, ImageTextNetwork):
        raise ModelError("patches are compared with texts only in an image-text model (CLIP, SigLIP).")
    with hooked(network, {}), torch.no_grad():
        embedded, whole = embed(network, lambda: context.model.run(context.x))
    return network, LOGITS if context.model.classes else AUS, embedded, whole


def _of_targets(maps: Tensor, context: MapContext) -> RawMap:
    """Return the maps of the targets on the grid of the patches."""
    side = math.isqrt(maps.shape[-1])
    if side * side != maps.shape[-1]:
        raise ModelError(f"its {maps.shape[-1]} patches do not fill a square grid.")
    return maps[torch.arange(len(maps)), context.targets.clamp(min=0)].float().reshape(-1, side, side)
