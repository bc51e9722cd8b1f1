"""Embeddings of patches in the space that images and texts share, where the model itself embeds only the whole image.

The last module that mixes tokens (the last block of CLIP, the pooling head of SigLIP) is run on every patch alone.
Attention over one token is the identity, so this is MaskCLIP's value path, whatever the module is made of.
"""

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.hooks import first_tensor
from interpfer.models.image_text.network import AUS, LOGITS, ImageTextNetwork

SURGERY_BLOCKS = 6
"""Last blocks whose attention CLIP Surgery replaces."""

Finish = Callable[[Tensor], Tensor]


def embed_patches(
    network: ImageTextNetwork, run: Callable[[], Any]
) -> tuple[Float[Tensor, "n t d"], Float[Tensor, "n d"]]:
    """Return the embeddings of patches, each as if the image were this patch alone, and those of the images.

    Args:
        network: the network.
        run: function that runs it on images once.

    Raises:
        ModelError: the tower is of a kind whose parts are not known.
    """
    mixing, finish, prefix = find_mixing(network)
    calls, pooled = _record(network, mixing, run)
    arguments, keywords = calls[0]
    tokens = (arguments[0] if arguments else keywords["hidden_states"])[:, prefix:]
    n, count, width = tokens.shape
    alone = tokens.reshape(n * count, 1, width)
    given = ((alone, *arguments[1:]), keywords) if arguments else ((), keywords | {"hidden_states": alone})
    output = first_tensor(mixing(*given[0], **given[1]))
    assert output is not None
    features = finish(output.reshape(n, count, -1))
    return network.embed_features(features), pooled


def embed_patches_by_surgery(
    network: ImageTextNetwork, run: Callable[[], Any]
) -> tuple[Float[Tensor, "n t d"], Float[Tensor, "n d"]]:
    """Return the embeddings of patches by CLIP Surgery: values attend to values, without the MLPs.

    The tokens after the last blocks but ``SURGERY_BLOCKS`` are the start; of each further block, what attention
    between its values adds to its own input is added to them. The image's embedding is the model's own.

    Raises:
        ModelError: the tower has no attention with projections ``v_proj`` and ``out_proj``, or no class token.
    """
    mixing, finish, prefix = find_mixing(network)
    blocks: Any = getattr(getattr(network.tower, "encoder", None), "layers", None)
    if not prefix or blocks is None or not hasattr(blocks[-1].self_attn, "v_proj"):
        raise ModelError("CLIP Surgery is known for CLIP's image tower as transformers has it, with a class token.")
    inputs: list[Tensor] = []
    chosen = list(blocks[-SURGERY_BLOCKS:])
    handles = [
        block.layer_norm1.register_forward_hook(lambda _, given, output: inputs.extend((given[0], output)))
        for block in chosen
    ]
    try:
        _, pooled = _record(network, mixing, run)
    finally:
        for handle in handles:
            handle.remove()
    path = inputs[0]
    for block, normed in zip(chosen, inputs[1::2], strict=True):
        path = path + _value_attention(block.self_attn, normed)
    return network.embed_features(finish(path[:, prefix:])), pooled


def similarity_maps(network: ImageTextNetwork, patches: Float[Tensor, "n t d"], key: str) -> Float[Tensor, "n k t"]:
    """Return the scaled cosine of patches and texts: the logit without SigLIP's bias, so that the sign has a meaning.

    Args:
        network: the network.
        patches: embeddings of patches.
        key: "logits" for classes, "aus" for action units.
    """
    texts = network.text if key == LOGITS else network.au_text
    return (network.scale * patches @ texts.T).movedim(-1, 1)


def feature_surgery(maps: Float[Tensor, "n k t"], whole: Float[Tensor, "n k"]) -> Float[Tensor, "n k t"]:
    """Take away what the maps of all texts share, each weighted by how well its text fits the image.

    The weights are the softmax of twice the cosines of the image, over their mean. The maps sum to 0 over the texts.

    Args:
        maps: cosines of patches and texts.
        whole: cosines of images and texts.

    Examples:
        >>> import torch
        >>> maps = torch.tensor([[[0.5, 0.25], [0.0, 0.25]]])
        >>> feature_surgery(maps, torch.zeros(1, 2)).tolist()
        [[[0.25, 0.0], [-0.25, 0.0]]]
    """
    weights = (2 * whole).softmax(1)
    weighted = maps * (weights / weights.mean(1, keepdim=True))[:, :, None]
    return weighted - weighted.mean(1, keepdim=True)


class TokenLogits(nn.Module):
    """The logits of tokens after the last block, each read as the class token is.

    Args:
        network: the network.
        block: its last block.
        of_classes: whether classes are meant, not action units.

    Raises:
        ModelError: no class token is read after this block, as in SigLIP.
    """

    def __init__(self, network: ImageTextNetwork, block: nn.Module, of_classes: bool) -> None:
        super().__init__()
        mixing, self._finish, _ = find_mixing(network)
        if mixing is not block:
            raise ModelError("a head pools all tokens of this image tower by attention, so no token has logits alone.")
        self._network = network
        self._key = LOGITS if of_classes else AUS

    def forward(self, tokens: Float[Tensor, "*batch c"]) -> Float[Tensor, "*batch k"]:
        """Return the logits of each token."""
        return self._network.compare(self._network.embed_features(self._finish(tokens)))[self._key]


def find_mixing(network: ImageTextNetwork) -> tuple[nn.Module, Finish, int]:
    """Return the last module that mixes tokens, what turns its output into features, and the number of class tokens.

    Raises:
        ModelError: the tower is of a kind whose parts are not known.
    """
    tower: Any = network.tower
    vision: Any = getattr(tower, "vision_model", tower)
    if hasattr(vision, "post_layernorm") and hasattr(vision, "head"):  # SigLIP: the pooling head
        return vision.head, lambda features: features, 0
    if hasattr(vision, "post_layernorm"):  # CLIP of transformers
        return vision.encoder.layers[-1], vision.post_layernorm, 1
    if hasattr(vision, "ln_post") and getattr(vision, "attn_pool", None) is None and vision.pool_type == "tok":

        def finish(tokens: Tensor) -> Tensor:
            normed: Tensor = vision.ln_post(tokens)
            return normed if vision.proj is None else normed @ vision.proj

        return vision.transformer.resblocks[-1], finish, 1
    raise ModelError(
        f"the patches of a {type(vision).__name__} cannot be compared with texts: only those of CLIP's vision "
        "transformer and SigLIP's can."
    )


def _record(network: ImageTextNetwork, mixing: nn.Module, run: Callable[[], Any]) -> tuple[list[Any], Tensor]:
    """Run the network; return the arguments of the mixing module, and the embeddings of the images."""
    calls: list[Any] = []
    embeddings: list[Tensor] = []
    hooks = [
        mixing.register_forward_pre_hook(lambda _, args, kwargs: calls.append((args, kwargs)), with_kwargs=True),
        network.projection.register_forward_hook(lambda _, __, output: embeddings.append(output)),
    ]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return calls, F.normalize(embeddings[0], dim=-1)


def _value_attention(attention: Any, tokens: Float[Tensor, "n t c"]) -> Float[Tensor, "n t c"]:
    """Return what attention adds where queries and keys are the values."""
    n, count, width = tokens.shape
    values = attention.v_proj(tokens).view(n, count, attention.num_heads, -1).transpose(1, 2)
    weights = (values @ values.mT * values.shape[-1] ** -0.5).softmax(-1)
    added: Tensor = attention.out_proj((weights @ values).transpose(1, 2).reshape(n, count, width))
    return added
