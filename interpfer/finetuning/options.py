"""Options of `interpfer finetune`: every default, choice and range of a training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from interpfer.choices import (
    ALIGNED_TERMS,
    AUGMENTS,
    HALF,
    LOSSES,
    OPTIMIZERS,
    PRECISIONS,
    RESIZES,
    SCHEDULES,
    is_library_name,
)
from interpfer.datasets.options import DataOptions
from interpfer.finetuning.methods import METHODS, combine_methods, parse_methods
from interpfer.finetuning.plugin_options import PluginOptions
from interpfer.models.options import ModelOptions
from interpfer.options import check_option, option, option_fields
from interpfer.truth.options import TruthOptions

NO_TEST = "none"
"""Value of ``--test-split`` for no comparison of before and after."""

LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions(PluginOptions, ModelOptions, TruthOptions, DataOptions):
    """What is trained, how, and where the results go; the other values are those of the base classes.

    Attributes:
        model: the checkpoint.
        split: split to train on; a part of it is held out.
        test_split: split on which before and after are compared; "none" for no comparison. Images of the training
            split do not count; where no others are left, the held-out images take their place.
        dataset_name: the data set's own name in the comparison; None for that of its folder, where any folder can be
            one.
        val_fraction: share of the training split that is held out to choose the epoch.
        head: head of the network in place of its own, with random weights; see ``interpfer.models.heads.HEADS``.
            ``classes`` are then those of the new head.
        head_args: keyword arguments of that head.
        large_maps: with ``head``, remove the strides of the last two stages: maps of 28 x 28 at 224 pixels.
        pretrained: of a model such as "torchvision:resnet18", start with the weights for ImageNet.
        method: a published method, alone or with one that guides ("wildcat,belharbi2024"), which sets the other options
            that are not passed; see ``interpfer.finetuning.methods.METHODS``. None for the defaults.
        weight: weight of the guide; 0 is plain training.
        cam_weight: weight of the class-map term; None for a fixed proportion of ``weight``.
        align: terms of the guide in the loss: "attention", "cam" or "both".
        loss: distance of maps from heatmaps; see ``interpfer.finetuning.losses.DISTANCES``.
        align_layers: layers whose attention is aligned: "last", "all" or names.
        attention_map: map of the attention term, such as "attention-random" (each channel with probability 0.5).
        cam_map: map of the class-map term, such as "layercam".
        loss_resize: "canvas" enlarges the map as the metric does; "grid" shrinks the heatmap to the map's grid, as the
            reference does (bilinear, antialias, align_corners under protocol paper).
        loss_shift: subtract the minimum of attention where that is negative, as the metric does. It only matters to
            networks whose layer has negative values.
        guide_correct: guide only the faces of a batch whose predicted class is the true one at that moment.
        patch_contrast: weight of the contrast of features inside and outside the AU heatmap at ``align_layers``; see
            ``interpfer.finetuning.patch_contrast``.
        flip_consistency: weight of the difference between class maps of a face and of its mirror image, with which each
            batch is then trained too.
        keep_predictions: weight of the divergence from the predictions of the network before the training.
        blend: share of the weights of a plain training on the same batches in those that are saved; 0 for none. A
            training without guide has none.
        au_head: weight of the cross-entropy of a head for action units beside the expressions, which the training adds
            and the checkpoint keeps; see ``interpfer.models.heads.action_units``.
        sweep: weights of the guide; each is trained in a folder of its own.
        seeds: seeds; each is a training in a folder of its own.
        epochs: passes over the training images.
        batch_size: faces per forward and process.
        lr: largest learning rate.
        optimizer: "sgd" (Nesterov momentum) or "adamw".
        schedule: "one-cycle", "cosine", "step" or "constant".
        warmup: share of the training in which the learning rate rises linearly; one-cycle has a rise of its own.
        weight_decay: of all weights except biases and normalisations.
        head_lr: factor on the learning rate of the head, which is what the logits need beyond the last spatial layer.
        body_lr: factor on the learning rate of the other parameters.
        clip: largest norm of the gradient; None for no limit.
        ema: decay per update of an exponential average of the weights, which is then validated and saved; 0 for none.
        freeze: modules whose weights and batch statistics are frozen: "half" for the first half of the network, "none"
            or () for nothing; else names, also as one text with commas.
        freeze_bn: freeze the statistics of batch normalisation, for small data.
        label_smoothing: of the cross-entropy.
        class_weights: weight classes in the cross-entropy by total / (classes x count).
        accumulate: batches per update.
        precision: "no" for float32, else mixed precision "bf16" or "fp16".
        augment: set of augmentations; see ``interpfer.finetuning.augment.AUGMENTS``.
        adl: rate and threshold of attention-based dropout of features in the last two stages; None for none.
        cutmix: probability that a batch is mixed by rectangles.
        mixup: probability that a batch is mixed by overlay.
        occlude_train: occluders that cover training faces, each with its probability: "mask:0.3,patches:0.2:0.1".
        occlude_cut: cut the heatmap where a face is covered.
        patience: epochs after which training stops if none of them was the best or the most accurate; None for never.
        tradeoff: the best epoch has the largest accuracy + tradeoff x mean of ATT-COS and CAM-COS on the held-out
            images; 0 for the rule of ``interpfer.finetuning.selection.is_better``.
        seed: seed of everything random.
        device: "auto", "cpu", "cuda", or "cuda:1", which becomes the current one of the process; under `accelerate
            launch` or torchrun the launcher chooses.
        compare_maps: maps of the comparison, names or groups.
        compare_layers: layers of their maps: "last", "all" or names.
        compare_metrics: metrics of the comparison, names or groups.
        track: programs that get options and history, such as "tensorboard,wandb"; see ``finetuning.tracking``.
        tensorboard: the same as ``track="tensorboard"``.
        out: folder for checkpoints, history and comparison.
        resume: continue the interrupted training in ``out``; on a CPU the weights are the same to the bit.
        overwrite: replace the training in ``out``.
    """

    model: str | Path | None = option(None, "Checkpoint", kind="path", metavar="MODEL", flag="", required=True)
    split: str = option("train", "Split to train on", metavar="NAME", example="train")
    test_split: str = option("test", "Split for the before/after comparison", metavar="NAME|none", example="val")
    dataset_name: str | None = option(
        None, "Name of the data set in tables; default: that of its folder", metavar="NAME", example="clinic-2026"
    )
    val_fraction: float = option(
        0.2, "Share held out to choose the epoch", kind="number", metavar="X", example="0.1", above=0, below=1
    )

    head: str | None = option(
        None, "Head in place of the network's own (see `ls heads`)", metavar="NAME", example="wildcat"
    )
    head_args: Mapping[str, Any] | None = option(
        None, "Keyword arguments of the head", kind="mapping", metavar="NAME=VALUE,...", example="kmax=0.5,alpha=0.6"
    )
    large_maps: bool = option(False, "With --head, keep the grid of the stage before the last two", kind="switch")
    pretrained: bool = option(False, "Start torchvision:NAME or timm:NAME with ImageNet weights", kind="switch")

    method: str | Sequence[str] | None = option(
        None, f"Method that sets the options not passed: {', '.join(METHODS)}; belharbi2024 adds to any",
        kind="names", metavar="NAME", example="wildcat,belharbi2024",
    )  # fmt: skip
    weight: float = option(
        3.0, "Weight of the guide; 0: plain training", kind="number", metavar="L", example="2", least=0
    )
    cam_weight: float | None = option(
        None, "Weight of the class-map term, if different", kind="number", metavar="L", example="1", least=0
    )
    align: str = option("both", "Guide terms in the loss", choices=ALIGNED_TERMS)
    loss: str = option("cosine", "Distance of a map from the heatmap", choices=LOSSES)
    align_layers: str | Sequence[str] = option(
        "last", "Layers whose attention is aligned: last, all, or names", kind="names", metavar="LIST", example="all"
    )
    attention_map: str = option("attention", "Map of the attention term", metavar="NAME", example="attention-random")
    cam_map: str = option("gradcam", "Map of the class-map term", metavar="NAME", example="layercam")
    loss_resize: str = option(
        "canvas", "Size at which maps are compared: canvas as the metric, grid as the paper", choices=RESIZES
    )
    loss_shift: bool = option(
        False, "If attention has negative values, subtract its minimum, as the metric does", kind="switch"
    )
    guide_correct: bool = option(False, "Guide only faces that are classified correctly at the moment", kind="switch")
    patch_contrast: float = option(
        0.0, "Weight of the contrast of features inside and outside the heatmap", kind="number", metavar="L",
        example="0.2", least=0,
    )  # fmt: skip
    flip_consistency: float = option(
        0.0, "Weight of the consistency of class maps under mirroring", kind="number", metavar="L", example="1", least=0
    )
    keep_predictions: float = option(
        0.0, "Weight of keeping the network's predictions", kind="number", metavar="L", example="1", least=0
    )
    blend: float = option(
        0.25,
        "Share of a plain training on the same batches in the weights: keeps accuracy, costs that training; 0: none",
        kind="number",
        metavar="SHARE",
        example="0.5",
        least=0,
        below=1,
    )
    au_head: float = option(
        0.0, "Weight of a head for action units beside the expressions", kind="number", metavar="L", example="0.5",
        least=0,
    )  # fmt: skip
    sweep: str | Sequence[float] | None = option(
        None, "Weights of the guide, one training each", kind="numbers", metavar="LIST", example="0,1,4,9"
    )

    seeds: str | Sequence[float] | None = option(
        None, "Random seeds, one training each", kind="numbers", metavar="LIST", example="0,1,2"
    )

    epochs: int = option(16, "Passes over the training images", kind="integer", metavar="N", example="20", least=1)
    batch_size: int = option(32, "Faces per forward and process", kind="integer", metavar="N", example="64", least=1)
    lr: float = option(2e-2, "Largest learning rate", kind="number", metavar="X", example="0.001", above=0)
    optimizer: str = option("sgd", "Optimizer", choices=OPTIMIZERS)
    schedule: str = option("one-cycle", "Schedule of the learning rate", choices=SCHEDULES)
    warmup: float = option(
        0.0, "Share of the training with a rising learning rate", kind="number", metavar="X", example="0.1", least=0,
        below=1,
    )  # fmt: skip
    weight_decay: float = option(5e-4, "Weight decay", kind="number", metavar="X", example="0.01", least=0)
    head_lr: float = option(
        1.0, "Factor on the learning rate of the head", kind="number", metavar="X", example="10", least=0
    )
    body_lr: float = option(
        1.0, "Factor on the learning rate of the body", kind="number", metavar="X", example="0.1", least=0
    )
    clip: float | None = option(None, "Largest norm of the gradient", kind="number", metavar="X", example="1", above=0)
    ema: float = option(
        0.0, "Decay of averaged weights; 0: no average", kind="number", metavar="X", example="0.99", least=0, below=1
    )
    freeze: str | Sequence[str] = option(
        HALF, "What to freeze: half, none, or modules", kind="names", metavar="LIST", example="conv1,layer1"
    )
    freeze_bn: bool = option(False, "Freeze batch-norm statistics, for small data", kind="switch")
    label_smoothing: float = option(0.0, "Label smoothing", kind="number", metavar="X", example="0.1", least=0, most=1)
    class_weights: bool = option(False, "Give rare classes more weight", kind="switch")
    accumulate: int = option(1, "Batches per update", kind="integer", metavar="N", example="4", least=1)
    precision: str = option("no", "Mixed precision", choices=PRECISIONS, flag="--mixed-precision")

    augment: str = option(
        "light",
        "Augmentations: flip mirrors; light also rotates and crops; paper also changes colours and erases",
        choices=AUGMENTS,
    )
    adl: str | Sequence[float] | None = option(
        None, "Attention-based dropout of features (ADL)", kind="numbers", metavar="RATE,THRESHOLD", example="0.75,0.9"
    )
    cutmix: float = option(
        0.0, "Share of batches mixed by rectangles", kind="number", metavar="P", example="0.5", least=0, most=1
    )
    mixup: float = option(
        0.0, "Share of batches mixed by overlay", kind="number", metavar="P", example="0.5", least=0, most=1
    )
    occlude_train: str | Sequence[str] | None = option(
        None,
        "Cover this share P of the training faces (see `ls occluders`)",
        kind="names",
        metavar="KIND[:SHARE]:P,...",
        example="mask:0.3",
    )
    occlude_cut: bool = option(False, "Cut the heatmap where a face is covered", kind="switch")
    patience: int | None = option(
        None, "Stop after this many epochs without improvement", kind="integer", metavar="N", example="5", least=1
    )
    tradeoff: float = option(
        0.0, "Select the epoch by accuracy + X x agreement", kind="number", metavar="X", example="0.1", least=0
    )
    seed: int = option(0, "Random seed", kind="integer", metavar="N", example="1", least=0, most=LARGEST_SEED)
    device: str = option("auto", "Device", metavar="NAME", example="cuda")
    compare_maps: str | Sequence[str] = option(
        ("attention", "gradcam", "layercam", "baseline:uniform", "baseline:class-mean-au"),
        "Maps of the before/after comparison",
        kind="names",
        metavar="LIST",
        example="gradcam,cam",
    )
    compare_layers: str | Sequence[str] = option(
        "last", "Layers of these maps: last, all, or names", kind="names", metavar="LIST", example="layer3"
    )
    compare_metrics: str | Sequence[str] = option(
        ("cosine", "cosine_skill", "pxap"), "Metrics of the before/after comparison", kind="names", flag=""
    )
    track: str | Sequence[str] | None = option(
        None, "Programs to follow it: tensorboard, wandb, mlflow, ...", kind="names", metavar="LIST", example="wandb"
    )
    tensorboard: bool = option(False, "The same as --track tensorboard", kind="switch")
    out: str | Path | None = option(
        None, "Folder of the training", kind="path", metavar="DIR", example="tuned", required=True, repeats=False
    )
    resume: bool = option(False, "Continue the interrupted training in --out", kind="switch", repeats=False)
    overwrite: bool = option(False, "Replace the training in --out", kind="switch", repeats=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "method", ",".join(parse_methods(self.method)) or None)
        super().__post_init__()

    def defaults(self) -> dict[str, Any]:
        """Return the default of each option, by the methods named.

        A network with random weights freezes nothing, and a new head adds its own map to the comparison.
        """
        is_new = is_library_name(str(self.model)) and not self.pretrained
        untrained = {"freeze": "none"} if is_new else {}
        usual = super().defaults()
        headed = {"compare_maps": ("cam", *usual["compare_maps"])} if self.head else {}
        published = {name: each.value for name, each in combine_methods(self.method, self.dataset).items()}
        return usual | untrained | headed | published


OPTION_NAMES = frozenset(each.name for each in option_fields(FinetuneOptions))


def check_fields(values: Any) -> None:
    """Check a dataclass: every field with the name of an option is checked as that option is.

    Raises:
        InterpferError: a value is none of the choices, or out of range.
    """
    for each in fields(values):
        if each.name in OPTION_NAMES:
            check_option(FinetuneOptions, each.name, getattr(values, each.name))
