"""All choices of a training, and how they are called."""

import hashlib
import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from interpfer.errors import InterpferError, nearest
from interpfer.finetuning.augment import AUGMENTS, Augment
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.history import Line
from interpfer.finetuning.optim import Optim
from interpfer.validation import require_choice, require_range

PRECISIONS = ("no", "bf16", "fp16")

GUIDE = {
    "weight": "attention", "cam_weight": "cam", "loss": "kind", "align_layers": "layers", "loss_resize": "resize",
    "loss_shift": "shift", "protocol": "protocol", "codebook": "codebook", "geometry": "geometry",
    "attention_map": "attention_map", "cam_map": "cam_map",
}  # fmt: skip
OPTIM = {
    "optimizer": "optimiser", "lr": "lr", "weight_decay": "weight_decay", "schedule": "schedule", "warmup": "warmup",
    "head_lr": "head", "body_lr": "body", "clip": "clip", "ema": "ema",
}  # fmt: skip
AUGMENT = ("cutmix", "mixup")
OWN = (
    "epochs", "batch_size", "accumulate", "precision", "label_smoothing", "class_weights", "freeze", "freeze_bn",
    "patience", "tradeoff", "val_fraction", "seed",
)  # fmt: skip
PARTS = {"guide": GUIDE, "optim": OPTIM, "augment": {name: name for name in AUGMENT}}
HALF = "half"
ALIGNED = ("attention", "cam", "both")
CHOICES = ("align", "augment", *GUIDE, *OPTIM, *AUGMENT, *OWN)
"""What ``Recipe.of`` takes: the options of `interpfer finetune`."""
HELP = " `interpfer finetune --help` lists them."


@dataclass(frozen=True)
class Recipe:
    """All choices of a fine-tuning.

    Attributes:
        epochs: passes over the training part.
        batch_size: faces per forward and process.
        accumulate: forwards per update.
        precision: "no" for float32, else mixed precision "bf16" or "fp16".
        label_smoothing: of the cross-entropy.
        class_weights: whether rare classes weigh more in the cross-entropy: total / (classes x count).
        freeze: modules whose weights and batch statistics stay: "half" is the first half of the network, "none" or ()
            nothing; else names, also as one string with commas.
        freeze_bn: whether batch normalisation keeps its statistics: for small data.
        patience: epochs after which training stops if none of them was kept, or more accurate than all before; None
            never.
        tradeoff: the best epoch has the largest accuracy + tradeoff x mean of ATT-COS and CAM-COS on the validation
            part; 0 selects by accuracy, agreement deciding within its standard error (see ``better``).
        val_fraction: share of the training split that is held out for selection.
        seed: of everything random.
        guide: what asks the network to look at action units.
        optim: how the weights move.
        augment: what happens to training pictures.
    """

    epochs: int = 16
    batch_size: int = 32
    accumulate: int = 1
    precision: str = "no"
    label_smoothing: float = 0.0
    class_weights: bool = False
    freeze: str | tuple[str, ...] = HALF
    freeze_bn: bool = False
    patience: int | None = None
    tradeoff: float = 0.0
    val_fraction: float = 0.2
    seed: int = 0
    guide: Guide = field(default_factory=Guide)
    optim: Optim = field(default_factory=Optim)
    augment: Augment = AUGMENTS["light"]

    def __post_init__(self) -> None:
        require_choice("mixed precision", self.precision, PRECISIONS)
        object.__setattr__(self, "freeze", _names(self.freeze))
        for name in ("epochs", "batch_size", "accumulate"):
            require_range(name.replace("_", " "), getattr(self, name), 1)
        require_range("label smoothing", self.label_smoothing, 0, 1)
        require_range("trade-off", self.tradeoff, 0)
        require_range("seed", self.seed, 0, 2**32 - 1)
        if self.patience is not None:
            require_range("patience", self.patience, 1)

    @classmethod
    def of(cls, **chosen: Any) -> "Recipe":
        """Return a recipe from single choices, called as the options of `interpfer finetune` are.

        ``weight=0`` is plain training: the class map's weight is in proportion unless ``cam_weight`` sets it apart.
        ``align="attention"`` or ``"cam"`` leaves the other term out. ``augment`` is an ``Augment`` or the name of one.
        None leaves the default.

        Raises:
            InterpferError: there is no such choice, or its value is impossible.
        """
        given = {name: value for name, value in chosen.items() if value is not None}
        for name in given:
            if name not in CHOICES:
                raise InterpferError(f"fine-tuning has no option '{name}'.{nearest(name, CHOICES)}{HELP}")
        guide = {part: given[name] for name, part in GUIDE.items() if name in given}
        align = given.get("align", "both")
        require_choice("align", align, ALIGNED)
        if align == "attention":
            if guide.get("cam"):
                raise InterpferError("--align attention leaves the class map out, and --cam-weight gives it a weight.")
            guide["cam"] = 0.0
        elif align == "cam":
            guide |= {"cam": Guide(**guide).weights[1], "attention": 0.0}
        augment = given.get("augment", cls().augment)
        if isinstance(augment, str):
            require_choice("augment", augment, tuple(AUGMENTS))
            augment = AUGMENTS[augment]
        own = {name: given[name] for name in OWN if name in given}
        if "freeze" in own:
            own["freeze"] = _names(own["freeze"])
        return cls(
            guide=Guide(**guide),
            optim=Optim(**{part: given[name] for name, part in OPTIM.items() if name in given}),
            augment=replace(augment, **{name: given[name] for name in AUGMENT if name in given}),
            **own,
        )

    def to_options(self) -> dict[str, Any]:
        """Return every choice by the name of its option, as JSON can hold it."""
        found: dict[str, Any] = {}
        for choice in fields(self):
            value = getattr(self, choice.name)
            if not is_dataclass(value):
                found[choice.name] = value
                continue
            options = {part: name for name, part in PARTS[choice.name].items()}
            for part in fields(value):
                name = options.get(part.name, f"{choice.name}.{part.name}")
                found[name] = getattr(value, part.name)
        return {name: _plain(value) for name, value in found.items()}

    def better(self, new: Line, old: Line | None, top: float, faces: int) -> bool:
        """Whether an epoch takes the place of the one kept.

        Accuracies on the held-out images within one standard error of the highest count as equal, and agreement
        decides between them: the rule of one standard error (Breiman et al. 1984). Or ``tradeoff`` decides.

        Args:
            new: its line of the history.
            old: the line of the one kept.
            top: the highest accuracy of all epochs so far.
            faces: on how many images it was found.
        """
        if old is None:
            return True
        if self.tradeoff:
            return self._traded(new) > self._traded(old)
        least = top - math.sqrt(top * (1 - top) / faces)
        if new["val_accuracy"] < least:
            return False
        return bool(old["val_accuracy"] < least) or _agreement_first(new) > _agreement_first(old)

    def _traded(self, line: Line) -> float:
        return float(line["val_accuracy"] + self.tradeoff * _agreement(line))


def _plain(value: Any) -> Any:
    """Return what JSON can hold, and what two processes tell alike only where the value is the same."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Number):
        return value if isinstance(value, int | float) else value.item()  # type: ignore[attr-defined]
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if code := getattr(value, "__code__", None):
        digest = hashlib.sha256(code.co_code + repr((code.co_names, code.co_varnames)).encode()).hexdigest()
        return f"{value.__module__}.{value.__qualname__} {digest[:12]}"
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__} {getattr(value, 'summary', '')}".strip()


def _agreement_first(line: Line) -> tuple[float, float]:
    return _agreement(line), line["val_accuracy"]


def _agreement(line: Line) -> float:
    found = [value for value in (line["att_cos"], line["cam_cos"]) if value == value]
    return sum(found) / len(found) if found else 0.0


def _names(freeze: str | Iterable[str]) -> str | tuple[str, ...]:
    if not isinstance(freeze, str):
        return tuple(freeze)
    names = tuple(name.strip() for name in freeze.split(",") if name.strip())
    return HALF if names == (HALF,) else () if names == ("none",) else names


def resolve_recipe(recipe: Recipe | None, chosen: Mapping[str, Any], known: Iterable[str] = ()) -> Recipe:
    """Return the recipe, or the one that single choices make.

    Args:
        recipe: or None.
        chosen: as for ``Recipe.of``.
        known: what else the caller takes, to name where a choice is misspelt.

    Raises:
        InterpferError: both are given, or there is no such choice.
    """
    for name in chosen:
        if name not in CHOICES:
            also = [word for word in known if word != "choices"]
            raise InterpferError(f"fine-tuning has no option '{name}'.{nearest(name, (*also, *CHOICES))}{HELP}")
    if recipe is not None and chosen:
        raise InterpferError(f"give a recipe or single choices ({', '.join(chosen)}), not both.")
    return recipe or Recipe.of(**chosen)
