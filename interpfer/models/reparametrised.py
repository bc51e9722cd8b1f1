"""Weights that are stored as the factors from which a network computes them, and names that wrappers changed."""

import re
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

WRAPPER_PARTS = frozenset(
    ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "_fpw_module")
)
"""Parts of names that DataParallel, torch.compile, FSDP and activation checkpointing add wherever they wrap."""

ADAPTED = re.compile(
    r"(.*\.)?(lora_\w+|base_layer|modules_to_save|original_module|ia3_\w+|vera_\w+|hada_\w+|lokr_\w+|oft_\w+)(\..*)?"
)
"""Names of tensors of an adapter, or of the network around it."""

QUANTISED = re.compile(
    r"(.*\.)?(_packed_params(\..*)?|zero_point|qweight|qzeros|g_idx|SCB|weight_scale|weight\.(absmax|quant_map"
    r"|quant_state.*|nested_\w+))"
)
"""Names of tensors that only quantised networks have."""

ADAPTER_REMEDY = "merge the adapter with merge_and_unload() and save the network again"
QUANTISED_REMEDY = "save the network before its quantisation, or dequantise it"
PARAMETRISED_REMEDY = "call torch.nn.utils.parametrize.remove_parametrizations and save the network again"

Weights = Mapping[str, Tensor]


def strip_inner_wrappers(name: str) -> str:
    """Return a name without the parts that wrappers add.

    Examples:
        >>> strip_inner_wrappers("features.module.0._orig_mod.weight")
        'features.0.weight'
    """
    return ".".join(part for part in name.split(".") if part not in WRAPPER_PARTS)


def without_inner_wrappers(weights: Weights) -> Weights:
    """Return weights under names without the parts of wrappers; unchanged if two names would be the same."""
    stripped = {strip_inner_wrappers(name): value for name, value in weights.items()}
    return stripped if len(stripped) == len(weights) else weights


def compute_weights(weights: Weights) -> tuple[Weights, tuple[str, ...]]:
    """Compute the weights of pruned, weight-normalised and spectrally normalised layers from their factors.

    Args:
        weights: a state_dict.

    Returns:
        The state_dict with ``weight`` in place of ``weight_orig`` and ``weight_mask`` and the like, as the network
        computes it in evaluation, and one note for each kind.

    Examples:
        >>> factors = {"fc.weight_orig": torch.tensor([[1.0, 2.0]]), "fc.weight_mask": torch.tensor([[0.0, 1.0]])}
        >>> compute_weights(factors)
        ({'fc.weight': tensor([[0., 2.]])}, ('pruned weights were computed as weight_orig * weight_mask',))
    """
    computed = dict(weights)
    notes: dict[str, None] = {}
    for name in weights:
        for suffixes, compute, note in KINDS:
            if not name.endswith(suffixes[0]):
                continue
            stem = name.removesuffix(suffixes[0])
            names = [f"{stem}{suffix}" for suffix in suffixes]
            target = stem.replace("parametrizations.", "") if "parametrizations." in stem else stem
            if all(other in computed for other in names) and target not in weights:
                value = compute(*(weights[other] for other in names))
                if value is not None:
                    computed = {(target if each == name else each): computed[each] for each in computed}
                    computed[target] = value
                    for other in names[1:]:
                        del computed[other]
                    notes[note] = None
    return computed, tuple(notes)


def _multiply(value: Tensor, mask: Tensor) -> Tensor | None:
    return value * mask if value.shape == mask.shape else None


def _normalise(length: Tensor, direction: Tensor) -> Tensor | None:
    """Return ``direction`` with the norms ``length``, which has size 1 along the axes of a norm."""
    if length.dim() == 0:
        scaled: Tensor = direction * (length / torch.linalg.vector_norm(direction))
        return scaled
    if length.dim() != direction.dim():
        return None
    axes = [axis for axis, size in enumerate(length.shape) if size == 1]
    if any(size not in (1, direction.shape[axis]) for axis, size in enumerate(length.shape)):
        return None
    norms = torch.linalg.vector_norm(direction, dim=axes, keepdim=True) if axes else None
    return None if norms is None else direction * (length / norms)


def _divide(value: Tensor, left: Tensor, right: Tensor) -> Tensor | None:
    """Return a weight divided by its largest singular value, of which ``left`` and ``right`` are the vectors.

    The matrix is that of the axis for which the vectors give the larger value: they are singular vectors of that one.
    """
    matrices = [value.movedim(axis, 0).flatten(1) for axis in range(value.dim())]
    norms = [torch.dot(left, matrix @ right) for matrix in matrices if matrix.shape == (*left.shape, *right.shape)]
    return value / max(norms, key=abs) if norms else None


def rename_factors(weights: Weights) -> Weights:
    """Rename the factors of weight normalisation from the older to the newer names of torch, or back.

    Examples:
        >>> new = rename_factors({"fc.weight_g": torch.ones(1), "fc.weight_v": torch.ones(1)})
        >>> list(new)
        ['fc.parametrizations.weight.original0', 'fc.parametrizations.weight.original1']
        >>> list(rename_factors(new))
        ['fc.weight_g', 'fc.weight_v']
    """
    renamed: dict[str, Tensor] = {}
    for name, value in weights.items():
        old = re.fullmatch(r"(.*\.)?(\w+)_([gv])", name)
        new = re.fullmatch(r"(.*\.)?parametrizations\.(\w+)\.original([01])", name)
        if old is not None and {f"{old[1] or ''}{old[2]}_{letter}" for letter in "gv"} <= set(weights):
            name = f"{old[1] or ''}parametrizations.{old[2]}.original{'gv'.index(old[3])}"
        elif new is not None:
            name = f"{new[1] or ''}{new[2]}_{'gv'[int(new[3])]}"
        renamed[name] = value
    return renamed


_PRUNED = "pruned weights were computed as weight_orig * weight_mask"
_NORMALISED = "weights were computed from their norms and directions (weight_norm)"
_SPECTRAL = "weights were divided by their spectral norms (spectral_norm)"

KINDS: tuple[tuple[tuple[str, ...], Callable[..., Tensor | None], str], ...] = (
    (("_orig", "_mask"), _multiply, _PRUNED),
    (("_g", "_v"), _normalise, _NORMALISED),
    ((".original0", ".original1"), _normalise, _NORMALISED),
    (("_orig", "_u", "_v"), _divide, _SPECTRAL),
    ((".original", ".0._u", ".0._v"), _divide, _SPECTRAL),
)
"""Suffixes of the factors, how a weight is computed from them, and the note."""


def find_remedy(names: Sequence[str], weights: Weights | None = None) -> str:
    """Return why weights cannot be those of a plain network and what to do; "" if nothing says so.

    Args:
        names: names of tensors that do not fit.
        weights: the weights, of which types count.

    Examples:
        >>> find_remedy(("fc.lora_A.weight",))
        'fc.lora_A.weight is of an adapter: merge the adapter with merge_and_unload() and save the network again'
    """
    kinds = (
        (ADAPTED, "is of an adapter", ADAPTER_REMEDY),
        (QUANTISED, "is of a quantised network", QUANTISED_REMEDY),
        (re.compile(r"(.*\.)?parametrizations\..*"), "is of a parametrisation", PARAMETRISED_REMEDY),
    )
    for pattern, what, remedy in kinds:
        name = next((name for name in names if pattern.fullmatch(name)), None)
        if name is not None:
            return f"{name} {what}: {remedy}"
    name = next((name for name, value in (weights or {}).items() if is_quantised(name, value)), None)
    return "" if name is None else f"{name} is of a quantised network: {QUANTISED_REMEDY}"


def is_quantised(name: str, value: Tensor) -> bool:
    """Return whether a tensor is a weight in integers or in a quantised type."""
    return value.is_quantized or (name.endswith("weight") and value.dim() > 1 and not has_numbers(value))


def has_numbers(value: Tensor) -> bool:
    """Return whether a tensor holds plain floating-point numbers; those of one byte need a scale beside them."""
    return value.is_floating_point() and value.element_size() > 1 and not value.is_quantized
