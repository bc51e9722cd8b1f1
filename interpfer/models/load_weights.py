"""Loads the weights of a file into a network: finds the prefix with which their names fit, and reports leftovers."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain

from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.messages import list_few
from interpfer.models.reparametrised import (
    compute_weights,
    find_remedy,
    has_numbers,
    rename_factors,
    strip_inner_wrappers,
    without_inner_wrappers,
)

PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.", "base_model.", "student.")
"""Prefixes that training code and wrappers add to the names of a network."""

BOOKKEEPING = re.compile(
    r"(.*\.)?(n_averaged|num_batches_tracked|total_ops|total_params|position_ids|relative_position_index|attn_mask"
    r"|relative_coords_table|_extra_state)"
)
"""Entries that a forward pass does not need, or that the network computes itself."""

MAX_PREFIXES = 3
"""Prefixes that are removed one after the other."""

Weights = Mapping[str, Tensor]


def load_weights(module: nn.Module, weights: Weights, where: str, classes: int | None = None) -> tuple[str, ...]:
    """Copy weights into a network.

    Prefixes are removed (or the name of a child of the network is added) if all names fit then. Parts of the file that
    the network does not have, such as the head of another task, are ignored with a note. Weights that are missing, or
    that the network lacks in a part that it has, are an error: they are a sign of another architecture.

    Args:
        module: the network; it is unchanged after an error.
        weights: weights of the file.
        where: the file, for messages.
        classes: number of classes in the card, for messages.

    Returns:
        Notes for the user.

    Raises:
        ModelError: a tensor is missing or has another shape; the message lists the first ones.
    """
    expected = module.state_dict()
    best, notes = _find_best(expected, weights)
    needed = [name for name in expected if not BOOKKEEPING.fullmatch(name)]
    missing = [name for name in needed if name not in best]
    extra = [name for name in best if name not in expected]
    children = {name for name, _ in module.named_children()}
    ignored = [name for name in extra if _can_ignore(name, children)]
    wrong = [name for name in expected if name in best and best[name].shape != expected[name].shape]
    integers = [name for name in expected if _needs_numbers(expected[name]) and name in best]
    integers = [name for name in integers if name not in wrong and not has_numbers(best[name])]
    unexpected = [name for name in extra if name not in ignored] if not missing else extra
    problems = [
        *([f"missing: {list_few(missing)}"] if missing else []),
        *([f"unexpected: {list_few(unexpected)}"] if unexpected else []),
        *([list_few([_describe_shapes(name, best, expected) for name in wrong])] if wrong else []),
        *([list_few([f"{name} is {best[name].dtype} in the file" for name in integers])] if integers else []),
    ]
    if problems:
        hint = _class_hint(wrong, best, expected, classes) if not missing else _share_hint(expected, best)
        remedy = find_remedy(extra, best)
        reasons = "; ".join([remedy, *problems] if remedy else problems)
        raise ModelError(f"the weights of {where} do not fit the architecture: {reasons}.{'' if remedy else hint}")
    module.load_state_dict({name: value for name, value in best.items() if name in expected}, strict=False)
    leftovers = [name for name in ignored if not BOOKKEEPING.fullmatch(name)]
    parts = tuple(dict.fromkeys(name.partition(".")[0] for name in leftovers))
    ignored_note = f"ignored {len(leftovers)} tensors that the architecture lacks: {list_few(parts)}"
    return (*notes, *([ignored_note] if leftovers else []))


def _find_best(expected: Weights, weights: Weights) -> tuple[Weights, tuple[str, ...]]:
    """Return the weights under the names and in the form that fit best, and notes on what was computed."""
    computed, notes = compute_weights(weights)
    no_notes: tuple[str, ...] = ()
    forms = [(weights, no_notes), (computed, notes), (rename_factors(weights), no_notes)]
    best, best_notes, fewest = weights, no_notes, _count_misfits(expected, weights)
    for form, form_notes in forms:
        for candidate in _candidate_names(expected, form):
            misfits = _count_misfits(expected, candidate)
            if misfits < fewest:
                best, best_notes, fewest = candidate, form_notes, misfits
        if not any(fewest):
            break
    return best, best_notes


def _needs_numbers(value: Tensor) -> bool:
    return value.is_floating_point() and value.dim() > 0


def _candidate_names(expected: Weights, weights: Weights) -> Iterator[Weights]:
    """Yield the weights under the names that they may have in the network, the likeliest first."""
    seen: set[tuple[str, ...]] = set()
    children = dict.fromkeys(name.partition(".")[0] for name in expected if "." in name)

    def strip_prefixes(weights: Weights, depth: int) -> Iterator[Weights]:
        names = tuple(weights)
        if names in seen or not names:
            return
        seen.add(names)
        yield weights
        for prefix in PREFIXES if depth else ():
            inner = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
            others = {name: value for name, value in weights.items() if not name.startswith(prefix)}
            if inner and not set(inner) & set(others):
                yield from strip_prefixes(inner | others, depth - 1)

    candidates = list(strip_prefixes(weights, MAX_PREFIXES))
    candidates += strip_prefixes(without_inner_wrappers(weights), MAX_PREFIXES)
    yield from candidates
    names = {strip_inner_wrappers(name): name for name in expected}
    if len(names) == len(expected) and any(stripped != name for stripped, name in names.items()):
        yield from ({names.get(name, name): value for name, value in each.items()} for each in candidates)
    for child in children:
        yield {f"{child}.{name}": value for name, value in weights.items()}
    yield _rename_parts(expected, weights, tuple(children))


def _rename_parts(expected: Weights, weights: Weights, children: tuple[str, ...]) -> Weights:
    """Rename each top-level part of the weights to one where all of it fits; parts that fit the same one stay."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in weights.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = value
    unchanged = {
        part: {f"{part}.{name}".rstrip("."): value for name, value in inner.items()} for part, inner in parts.items()
    }
    renamed: dict[str, dict[str, Tensor]] = {}
    for part, inner in parts.items():
        for prefix in dict.fromkeys(chain([f"{part}.", ""], (f"{child}." for child in children))):
            candidate = {f"{prefix}{name}".rstrip("."): value for name, value in inner.items()}
            if all(name in expected and expected[name].shape == value.shape for name, value in candidate.items()):
                renamed[part] = candidate
                break
    uses = Counter(name for candidate in renamed.values() for name in candidate)
    result: dict[str, Tensor] = {}
    for part in parts:
        candidate = renamed.get(part, unchanged[part])
        result.update(candidate if all(uses[name] <= 1 for name in candidate) else unchanged[part])
    return result


def _count_misfits(expected: Weights, weights: Weights) -> tuple[int, int]:
    """Return how many expected tensors do not fit, and how many tensors are not expected."""
    return len(expected) - _count_fits(expected, weights), sum(name not in expected for name in weights)


def _count_fits(expected: Weights, weights: Weights) -> int:
    return sum(name in weights and weights[name].shape == expected[name].shape for name in expected)


def _can_ignore(name: str, children: set[str]) -> bool:
    """Return whether a tensor is bookkeeping, or belongs to a part that the network does not have."""
    first = name.partition(".")[0]
    is_block = first.isdecimal() and any(child.isdecimal() for child in children)
    return BOOKKEEPING.fullmatch(name) is not None or (first not in children and not is_block)


def _describe_shapes(name: str, weights: Weights, expected: Weights) -> str:
    return f"{name} is {tuple(weights[name].shape)} in the file and {tuple(expected[name].shape)} in the architecture"


def _class_hint(wrong: list[str], weights: Weights, expected: Weights, classes: int | None) -> str:
    """Return a hint on the number of classes if only that differs."""
    counts = {weights[name].shape[0] for name in wrong if weights[name].dim()}
    has_classes = all(expected[name].dim() and expected[name].shape[0] == classes for name in wrong)
    same_inputs = all(weights[name].shape[1:] == expected[name].shape[1:] for name in wrong)
    if not wrong or classes is None or len(counts) != 1 or not has_classes or not same_inputs:
        return ""
    return f" The file has {counts.pop()} classes, the card names {classes}: fix classes (--classes)."


def _share_hint(expected: Weights, weights: Weights) -> str:
    count = _count_fits(expected, weights)
    return f" {count} of its {len(expected)} tensors fit: pass another architecture (--arch)." if count else ""
