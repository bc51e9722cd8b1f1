"""How a training goes: what does not concern the guide, the pictures or the optimiser."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from interpfer.errors import InterpferError
from interpfer.finetuning.augment import Augment
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.optim import Optim
from interpfer.plan import require_choice

PRECISIONS = ("no", "bf16", "fp16")


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
        freeze: modules whose weights stay.
        freeze_bn: whether batch normalisation keeps its statistics: for small data.
        patience: epochs without a better one after which training stops; None never.
        tradeoff: the best epoch has the largest accuracy + tradeoff x mean of ATT-COS and CAM-COS on the validation
            part; 0 selects by accuracy, agreement breaking ties.
        val_fraction: share of the training split that is held out for selection.
        seed: of everything random.
        guide: what asks the network to look at action units.
        optim: how the weights move.
        augment: what happens to training pictures.
    """

    epochs: int = 12
    batch_size: int = 32
    accumulate: int = 1
    precision: str = "no"
    label_smoothing: float = 0.0
    class_weights: bool = False
    freeze: tuple[str, ...] = ()
    freeze_bn: bool = False
    patience: int | None = None
    tradeoff: float = 0.0
    val_fraction: float = 0.2
    seed: int = 0
    guide: Guide = field(default_factory=Guide)
    optim: Optim = field(default_factory=Optim)
    augment: Augment = field(default_factory=Augment)

    def __post_init__(self) -> None:
        require_choice("mixed precision", self.precision, PRECISIONS)
        for name in ("epochs", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise InterpferError(f"{name.replace('_', ' ')} {getattr(self, name)} must be at least 1.")

    def better(self, new: Mapping[str, Any], old: Mapping[str, Any] | None) -> bool:
        """Whether an epoch is better than the best before; both as lines of the history."""
        return old is None or self._rank(new) > self._rank(old)

    def _rank(self, line: Mapping[str, Any]) -> tuple[float, float]:
        found = [value for value in (line["att_cos"], line["cam_cos"]) if value == value]
        agreement = sum(found) / len(found) if found else 0.0
        return line["val_accuracy"] + self.tradeoff * agreement, agreement
