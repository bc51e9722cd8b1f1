"""What the training loop works with: a recipe, made of the options of `interpfer finetune` or by hand."""

import hashlib
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from interpfer.choices import ALIGNED_TERMS, HALF
from interpfer.errors import InterpferError
from interpfer.finetuning.attention_dropout import parse_rates
from interpfer.finetuning.augment import AUGMENTS, Augment
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.occlusion import parse_training
from interpfer.finetuning.optim import Optim
from interpfer.finetuning.options import OPTION_NAMES, FinetuneOptions, check_fields
from interpfer.options import Options, resolve_options
from interpfer.truth.options import TruthOptions


@dataclass(frozen=True)
class Recipe:
    """All choices of a training; what is an option too has its default and meaning in ``FinetuneOptions``.

    A recipe can hold what no option can: a function as loss, a map of the caller's, a set of augmentations.

    Attributes:
        epochs: passes over the training images.
        batch_size: faces per forward and process.
        accumulate: batches per update.
        precision: "no" for float32, else mixed precision "bf16" or "fp16".
        label_smoothing: of the cross-entropy.
        class_weights: whether rare classes weigh more in the cross-entropy.
        freeze: modules to freeze: "half", or names.
        freeze_bn: whether to freeze the statistics of batch normalisation.
        patience: epochs without improvement after which training stops; None for never.
        tradeoff: weight of agreement in the choice of the epoch; 0 for the rule of one standard error.
        val_fraction: share of the training split that is held out.
        seed: seed of everything random.
        guide: the part of the loss that asks for agreement with the truth.
        optim: how the weights are updated.
        augment: how training images are changed.
        adl: rate and threshold of attention-based dropout; None for none.
        keep_predictions: weight of the divergence from the predictions before the training.
        blend: share of a plain training in the weights.
        au_head: weight of the cross-entropy of a head for action units.
        temperature: what logits are divided by in the cross-entropy.
        cut_patches: weight of the cross-entropy of features that are computed quarter by quarter.
        token_weights: share by which attention re-weighs tokens.
        occlude_train: occluders that cover training faces, with their probabilities; None for none.
        occlude_cut: whether the truth is cut where a face is covered.
        method: published recipe that the other choices began with; it decides nothing by itself.
    """

    epochs: int = FinetuneOptions.epochs
    batch_size: int = FinetuneOptions.batch_size
    accumulate: int = FinetuneOptions.accumulate
    precision: str = FinetuneOptions.precision
    label_smoothing: float = FinetuneOptions.label_smoothing
    class_weights: bool = FinetuneOptions.class_weights
    freeze: str | Sequence[str] = FinetuneOptions.freeze
    freeze_bn: bool = FinetuneOptions.freeze_bn
    patience: int | None = FinetuneOptions.patience
    tradeoff: float = FinetuneOptions.tradeoff
    val_fraction: float = FinetuneOptions.val_fraction
    seed: int = FinetuneOptions.seed
    guide: Guide = field(default_factory=Guide)
    optim: Optim = field(default_factory=Optim)
    augment: Augment = AUGMENTS[FinetuneOptions.augment]
    adl: str | Sequence[float] | None = FinetuneOptions.adl
    keep_predictions: float = FinetuneOptions.keep_predictions
    blend: float = FinetuneOptions.blend
    au_head: float = FinetuneOptions.au_head
    temperature: float = FinetuneOptions.temperature
    cut_patches: float = FinetuneOptions.cut_patches
    token_weights: float = FinetuneOptions.token_weights
    occlude_train: str | Sequence[str] | None = FinetuneOptions.occlude_train
    occlude_cut: bool = FinetuneOptions.occlude_cut
    method: str | Sequence[str] | None = FinetuneOptions.method

    def __post_init__(self) -> None:
        object.__setattr__(self, "freeze", _module_names(self.freeze))
        object.__setattr__(self, "adl", parse_rates(self.adl))
        check_fields(self)
        parse_training(self.occlude_train, self.occlude_cut)
        if self.au_head and self.augment.cutmix + self.augment.mixup:
            raise InterpferError("--au-head cannot be combined with --cutmix or --mixup, which mix faces; pass one.")

    def to_dict(self) -> dict[str, Any]:
        """Return every choice that decides the training by the name of its option, else of its field, as of JSON."""
        values: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "method":
                continue
            if not is_dataclass(value):
                values[each.name] = value
                continue
            for part in fields(value):
                inner = getattr(value, part.name)
                if isinstance(inner, Options):
                    values |= inner.to_dict()
                else:
                    values[part.name if part.name in OPTION_NAMES else f"{each.name}.{part.name}"] = inner
        return {name: _plain(value) for name, value in values.items()}


def make_recipe(options: FinetuneOptions) -> Recipe:
    """Return the recipe that the options describe.

    ``weight=0`` is plain training: the weight of the class-map term is in proportion unless ``cam_weight`` sets it.
    ``align`` sets the weight of the term that it leaves out to 0.

    Raises:
        InterpferError: ``cam_weight`` is set for a term that ``align`` leaves out, or values do not fit together.
    """
    terms = ALIGNED_TERMS[options.align]
    if "cam" not in terms and options.cam_weight:
        raise InterpferError(
            f"--align {options.align} has no class-map term, so it cannot be combined with --cam-weight; pass one."
        )
    truth = TruthOptions(**_values_for(TruthOptions, options))
    guide = Guide(truth_options=truth, **_values_for(Guide, options))
    if "cam" not in terms:
        guide = replace(guide, cam_weight=0.0)
    if "attention" not in terms:
        guide = replace(guide, weight=0.0, cam_weight=guide.weights[1])
    values = _values_for(Recipe, options) | {
        "guide": guide,
        "optim": Optim(**_values_for(Optim, options)),
        "augment": replace(AUGMENTS[options.augment], **_values_for(Augment, options)),
    }
    return Recipe(**values)


def resolve_choices(
    options: FinetuneOptions | None,
    recipe: Recipe | None,
    choices: Mapping[str, Any],
    **inputs: Any,
) -> tuple[FinetuneOptions, Recipe]:
    """Return the options given, or those that single choices make, and the recipe given, or that of the options.

    Args:
        options: all options.
        recipe: all choices of the training.
        choices: single options.
        inputs: ``model`` and ``dataset``, on which defaults can depend where they are names.

    Raises:
        InterpferError: both of a kind are given, there is no such choice, or a value is not allowed.
    """
    if recipe is not None:
        decided = {"align", "augment", "method", *recipe.to_dict()}
        if clashes := [name for name in choices if name in decided]:
            raise InterpferError(f"pass a recipe or single choices ({', '.join(clashes)}), not both.")
    if options is None:
        choices = {name: value for name, value in inputs.items() if isinstance(value, str | Path)} | dict(choices)
    options = resolve_options(FinetuneOptions, options, choices, "finetune")
    return options, make_recipe(options) if recipe is None else recipe


def _values_for(kind: type[Any], options: FinetuneOptions) -> dict[str, Any]:
    """Return the options that are fields of a dataclass, by name."""
    return {each.name: getattr(options, each.name) for each in fields(kind) if each.name in OPTION_NAMES}


def _plain(value: Any) -> Any:
    """Return what JSON can hold; equal texts in two processes mean equal values."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Number):
        return value if isinstance(value, int | float) else value.item()  # type: ignore[attr-defined]
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if code := getattr(value, "__code__", None):
        digest = hashlib.sha256(code.co_code + repr((code.co_names, code.co_varnames)).encode()).hexdigest()
        return f"{value.__module__}.{value.__qualname__} {digest[:12]}"
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__} {getattr(value, 'summary', '')}".strip()


def _module_names(freeze: str | Iterable[str]) -> str | tuple[str, ...]:
    """Return the names of modules in a text or list: "half" stays, "none" is no module."""
    if not isinstance(freeze, str):
        return tuple(freeze)
    names = tuple(name.strip() for name in freeze.split(",") if name.strip())
    return HALF if names == (HALF,) else () if names == ("none",) else names
