"""Weights between a guided and a plain training (``--blend``).

Both start from the same weights and see the same batches, so that the networks between them are good ones (Wortsman et
al. 2022, arXiv 2109.01903): most of the agreement of the guided network is kept, and the accuracy of the plain one.
"""

import copy
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from interpfer.finetuning.checkpoints import read_model, write_model
from interpfer.finetuning.folder import GUIDED
from interpfer.finetuning.recipe import Recipe
from interpfer.models.model import Model


def plain_recipe(recipe: Recipe) -> Recipe:
    """Return the recipe of the plain training: the same without guide, and without what it adds to the loss."""
    guide = replace(recipe.guide, weight=0.0, cam_weight=0.0, patch_contrast=0.0, flip_consistency=0.0)
    return replace(recipe, guide=guide, blend=0.0)


def is_blended(recipe: Recipe) -> bool:
    """Return whether a training is blended with a plain one: not where it is a plain one itself."""
    guide = recipe.guide
    return recipe.blend > 0 and any((*guide.weights, guide.patch_contrast, guide.flip_consistency))


def write_blend(best: Path, plain: Path, like: Model, share: float) -> Model:
    """Replace the best epoch of a guided training by its blend with that of a plain one; the former stays beside it.

    Args:
        best: checkpoint of the guided training; one that is a blend already is made again from ``GUIDED``.
        plain: checkpoint of the plain training.
        like: model with the architecture of both.
        share: of the plain one.

    Returns:
        The blend.
    """
    kept = best.with_name(GUIDED)
    guided = read_model(kept if kept.is_file() else best, like)
    if not kept.is_file():
        write_model(kept, guided.module, guided.card)
    card = replace(guided.card, lineage=f"{guided.card.lineage}, {share:.0%} plain")
    write_model(best, blend_weights(guided.module, read_model(plain, like).module, share), card)
    return read_model(best, like)


def blend_weights(guided: nn.Module, plain: nn.Module, share: float) -> nn.Module:
    """Return a copy of a network with weights and statistics between its own and those of another.

    Args:
        guided: the network.
        plain: another one of the same architecture.
        share: of the other one, in [0, 1].

    Examples:
        >>> first, second = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.constant_(first.weight, 1.0), nn.init.constant_(second.weight, 3.0)
        >>> blend_weights(first, second, 0.25).weight.item()
        1.5
    """
    own, other = guided.state_dict(), plain.state_dict()
    blended = copy.deepcopy(guided)
    with torch.no_grad():
        blended.load_state_dict(
            {
                name: torch.lerp(value, other[name].to(value), share) if value.is_floating_point() else value
                for name, value in own.items()
            }
        )
    return blended
