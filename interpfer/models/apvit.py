"""APViT (Xue et al. 2022, arXiv 2212.05463): the attentive patches of a face network, read by a transformer.

The first three stages of an IR-50 give a grid of patches. Attentive patch pooling keeps those with the largest
attention, the sum of magnitudes over the channels; attentive token pooling drops further ones in the last blocks of the
transformer. Parameters have the names of the authors' code (github.com/youqingxiaozhua/APViT), which was not copied.
That code keeps every token of a batch whose size is the number of tokens; this network drops them.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.ir_blocks import FaceStages

FINEST = 8
"""Pixels of the image per patch, to either side."""

MLP_RATIO = 3
"""Hidden channels of a block over those of a token."""


class APViT(nn.Module):
    """Stages of an IR-50, attentive patch pooling, and a transformer with attentive token pooling.

    Layer ``vit.pooling`` is the attention by which patches are kept: a map, and what training can align.

    Args:
        classes: number of outputs.
        size: side of the images; the grid has an eighth of it.
        widths: channels of the stem and of each stage.
        blocks: blocks of each stage.
        dim: channels of a token.
        depth: blocks of the transformer; the second half of them drops tokens.
        heads: heads of attention.
        keep: number of patches that attentive patch pooling keeps.
        rate: share of the patches that each block of attentive token pooling keeps, rounded down.

    Raises:
        ModelError: an argument is out of range.

    Examples:
        >>> network = APViT(7, widths=(8, 8, 8, 16), blocks=(1, 1, 1), dim=32, depth=2, heads=2)
        >>> network(torch.zeros(1, 3, 112, 112)).shape
        torch.Size([1, 7])
    """

    has_token_grid = False
    """Whether tokens lie on a grid; these do not, as some are dropped."""

    def __init__(
        self,
        classes: int,
        size: int = 112,
        widths: Sequence[int] = (64, 64, 128, 256),
        blocks: Sequence[int] = (3, 4, 14),
        dim: int = 768,
        depth: int = 8,
        heads: int = 8,
        keep: int = 160,
        rate: float = 0.9,
    ) -> None:
        super().__init__()
        _require(size % FINEST == 0, f"size must be a multiple of {FINEST}", size)
        _require(dim % heads == 0, f"dim must be a multiple of heads ({heads})", dim)
        _require(keep >= 1, "keep must be at least 1", keep)
        _require(0 < rate <= 1, "rate must be above 0 and at most 1", rate)
        _require(len(blocks) == len(widths) - 1 == 3, "widths and blocks must be of a stem and three stages", blocks)
        rates = [1.0] * (depth - depth // 2) + [rate] * (depth // 2)
        self.extractor = FaceStages(widths, blocks)
        self.vit = PoolingTransformer(widths[-1], (size // FINEST) ** 2, dim, heads, keep, rates)
        last = nn.Linear(dim, classes)
        nn.init.trunc_normal_(last.weight, std=0.02)
        self.head = nn.ModuleDict({"fc": last})

    def forward(self, x: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n k"]:
        """Return logits."""
        logits: Tensor = self.head["fc"](self.vit(self.extractor(x)))
        return logits


class PoolingAttention(nn.Module):
    """The attention of patches: the sum of magnitudes over the channels."""

    is_attention = True
    """Whether the output is attention, never a map per class."""

    def forward(self, patches: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1 h w"]:
        """Return the attention."""
        return patches.abs().sum(1, keepdim=True)


class PoolingTransformer(nn.Module):
    """A transformer on the patches with the largest attention.

    Args:
        channels: of the features.
        patches: cells of their grid.
        dim: channels of a token.
        heads: heads of attention.
        keep: number of patches that are kept.
        rates: share of the patches that each block keeps.
    """

    def __init__(
        self,
        channels: int,
        patches: int,
        dim: int,
        heads: int,
        keep: int,
        rates: Sequence[float],
    ) -> None:
        super().__init__()
        self.keep = keep
        self.projs = nn.ModuleList([nn.Conv2d(channels, dim, 1)])
        self.pooling = PoolingAttention()
        self.cls_token, self.cls_pos_embed = (nn.Parameter(torch.zeros(1, 1, dim)) for _ in range(2))
        self.patch_pos_embed = nn.Parameter(torch.zeros(1, patches, dim))
        self.blocks = nn.ModuleList([PoolingBlock(dim, heads, rate) for rate in rates])
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        for value in (self.cls_token, self.patch_pos_embed):
            nn.init.trunc_normal_(value, std=0.02)

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Return the class token after the last block."""
        patches = self.projs[0](features)
        attention = self.pooling(patches).flatten(1)
        tokens = patches.flatten(2).mT
        if tokens.shape[1] != self.patch_pos_embed.shape[1]:
            side = round(self.patch_pos_embed.shape[1] ** 0.5) * FINEST
            raise ModelError(
                f"interpfer:apvit was built for images of {side} px, got a grid of {tuple(features.shape[2:])}: set "
                "input size, or size in arch_args."
            )
        tokens = take(tokens + self.patch_pos_embed, largest(attention, self.keep))
        token = (self.cls_token + self.cls_pos_embed).expand(len(tokens), -1, -1)
        tokens = torch.cat([token, tokens], 1)
        for block in self.blocks:
            tokens = block(tokens)
        normed: Tensor = self.norm(tokens)
        return normed[:, 0]


class PoolingBlock(nn.Module):
    """A block of a transformer that keeps the patches which the class token attends to most.

    Args:
        dim: channels of a token.
        heads: heads of attention.
        rate: share of the patches that are kept, rounded down.
    """

    def __init__(self, dim: int, heads: int, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.norm1, self.norm2 = (nn.LayerNorm(dim, eps=1e-6) for _ in range(2))
        self.attn = SelfAttention(dim, heads)
        hidden = MLP_RATIO * dim
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(dim, hidden), "fc2": nn.Linear(hidden, dim)})
        for layer in (self.attn.qkv, self.attn.proj, *self.mlp.values()):
            nn.init.trunc_normal_(layer.weight, std=0.02)  # type: ignore[arg-type]

    def forward(self, tokens: Float[Tensor, "n t d"]) -> Float[Tensor, "n u d"]:
        """Return the tokens that are left; the class token stays the first."""
        mixed, attention = self.attn(self.norm1(tokens))
        tokens = tokens + mixed
        patches = tokens.shape[1] - 1
        kept = largest(attention, max(int(patches * self.rate), 1))
        tokens = torch.cat([tokens[:, :1], take(tokens[:, 1:], kept)], 1)
        hidden = nn.functional.gelu(self.mlp["fc1"](self.norm2(tokens)))
        updated: Tensor = tokens + self.mlp["fc2"](hidden)
        return updated


class SelfAttention(nn.Module):
    """Attention of all tokens to all, which also says how much the class token attends to each patch.

    Args:
        dim: channels of a token.
        heads: number of heads.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim)

    def forward(self, tokens: Float[Tensor, "n t d"]) -> tuple[Float[Tensor, "n t d"], Float[Tensor, "n t-1"]]:
        """Return the mixed tokens, and the attention to the patches before the softmax, summed over the heads."""
        n, t, d = tokens.shape
        query, key, value = self.qkv(tokens).reshape(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        scores = (query @ key.mT) * (d // self.heads) ** -0.5
        mixed = (scores.softmax(3) @ value).transpose(1, 2).reshape(n, t, d)
        return self.proj(mixed), scores[:, :, 0, 1:].sum(1)


def largest(values: Float[Tensor, "n t"], count: int) -> Int[Tensor, "n u"]:
    """Return where the largest values of each row are, in order of place.

    Examples:
        >>> largest(torch.tensor([[3.0, 1.0, 2.0]]), 2).tolist()
        [[0, 2]]
    """
    return values.topk(min(count, values.shape[1]), 1).indices.sort(1).values


def take(tokens: Float[Tensor, "n t d"], places: Int[Tensor, "n u"]) -> Float[Tensor, "n u d"]:
    """Return the tokens at some places of each row."""
    return tokens.gather(1, places[:, :, None].expand(-1, -1, tokens.shape[2]))


def _require(condition: bool, rule: str, value: object) -> None:
    if not condition:
        raise ModelError(f"interpfer:apvit: {rule}, got {value}.")
