"""Choices of options that are not plugins.

They are kept apart from the code that acts on them, so that the command line can list them without loading torch; a
test holds each against the table that implements it.
"""

PROTOCOLS = ("paper", "corrected")
"""Rules of a score: comparable with published numbers, or with their errors fixed; see docs/method.md."""

PROTOCOL_TRUTH = {"paper": ("belharbi2024", "reference"), "corrected": ("belharbi2024-printed", "scaled")}
"""Protocol -> its codebook and geometry."""

GEOMETRIES = ("reference", "scaled")
"""How action units are placed: the pixel rules of the reference, or in units of the face."""

AU_WEIGHTS = ("present", "intensity")
"""How strongly coded action units are drawn: all alike, or by their intensity."""

AU_SIDES = ("subject", "picture")
"""Whose left and right the codes of action units name."""

TARGETS = ("label", "predicted")
"""The class that class-specific maps explain."""

AU = "au"
"""Target of maps that explain each action unit that is present on a face; beside it and ``TARGETS``, any class."""

AUTOCAST = {"off": None, "bf16": "bfloat16", "fp16": "float16"}
"""Precision of the network while maps are made -> the data type of torch; None for that of the weights."""

CROPS = ("auto", "face", "aligned", "whole")
"""Part of a picture that the classifier sees: the face if it is small in the picture, the face, the aligned face, all.
"""

COLORS = {"rgb": 3, "bgr": 3, "gray": 1, "gray3": 3}
"""Colours of a model's input -> number of channels; gray3 is the grey image three times."""

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
"""Kinds of resize of a picture to the input of a model, by the names of Pillow."""

LOSSES = ("cosine", "std-cosine", "l1", "l2", "kl", "log-barrier")
"""Distances of a map from a heatmap that fine-tuning minimises."""

ALIGNED_TERMS = {"attention": ("attention",), "cam": ("cam",), "both": ("attention", "cam")}
"""Value of ``--align`` -> terms of the guide in the loss."""

RESIZES = ("canvas", "grid")
"""Where maps and heatmaps are compared in the loss: on the canvas of the metric, or on the grid of the layer."""

OPTIMIZERS = ("sgd", "adamw")
"""Optimizers of fine-tuning."""

SCHEDULES = ("one-cycle", "cosine", "step", "constant")
"""Schedules of the learning rate."""

AUGMENTS = ("none", "flip", "light", "paper")
"""Sets of augmentations."""

PRECISIONS = ("no", "bf16", "fp16")
"""Mixed precision of fine-tuning, in the words of accelerate; "no" is float32."""

TRACKERS = ("tensorboard", "wandb", "mlflow", "comet_ml", "aim", "clearml", "dvclive", "swanlab", "trackio")
"""Programs that follow trainings, in the words of accelerate, by which they are reached."""

PIVOTS = ("maps", "layers", "protocols")
"""What the columns of a leaderboard of one metric can be."""

HALF = "half"
"""Value of ``--freeze`` for the first half of a network."""

LIBRARIES = ("torchvision", "timm", "interpfer")
"""Sources of networks that can be named instead of a checkpoint."""


def is_library_name(model: str) -> bool:
    """Return whether a text names a network of a library, such as "torchvision:resnet18".

    Examples:
        >>> is_library_name("timm:resnet10t"), is_library_name("runs/model.pt")
        (True, False)
    """
    source, colon, name = model.partition(":")
    return bool(colon and name) and source in LIBRARIES
