"""Options of training plug-ins: ways to train after ideas of other authors, in forms of our own, all off by default."""

from dataclasses import dataclass

from interpfer.options import Options, option


@dataclass(frozen=True, kw_only=True)
class PluginOptions(Options):
    """Further ways to train.

    Attributes:
        temperature: what logits are divided by in the cross-entropy of a training; validation divides by 1.
        flip_scale: enlargement of the mirrored images of ``flip_consistency``.
        cut_patches: weight of the cross-entropy of features of which each quarter was computed alone; see
            ``interpfer.finetuning.cut_patches``.
        token_weights: share by which tokens with much attention are strengthened in training, and others weakened; see
            ``interpfer.finetuning.token_weights``.
    """

    temperature: float = option(
        1.0, "Temperature of the cross-entropy", kind="number", metavar="T", example="2", above=0
    )
    flip_scale: float = option(
        1.0, "With --flip-consistency, enlargement of mirrored images", kind="number", metavar="X", example="1.25",
        least=1,
    )  # fmt: skip
    cut_patches: float = option(
        0.0, "Weight of the loss of features computed quarter by quarter", kind="number", metavar="L", example="0.5",
        least=0,
    )  # fmt: skip
    token_weights: float = option(
        0.0, "Share by which attention re-weighs tokens in training", kind="number", metavar="X", example="0.25",
        least=0, below=1,
    )  # fmt: skip
