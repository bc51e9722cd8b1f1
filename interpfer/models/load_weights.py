"""Brings the weights of a file into a network: finds the prefix under which they fit, and says what was left over."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain

from torch import Tensor, nn

from interpfer.errors import ModelError

PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.", "base_model.", "student.")
"""What trainers and wrappers put before the names of a network."""

BOOKKEEPING = re.compile(
    r"(.*\.)?(n_averaged|num_batches_tracked|total_ops|total_params|position_ids|relative_position_index|attn_mask"
    r"|relative_coords_table|_extra_state)"
)
"""Entries that no forward needs, or that the network makes itself."""

Weights = Mapping[str, Tensor]


def load_weights(module: nn.Module, weights: Weights, where: str, classes: int | None = None) -> tuple[str, ...]:
    """Copy weights into a network.

    Prefixes are taken off (or one of the network's own children put before) where that makes all names fit. Parts of
    the file that the network has no place for, such as the head of another task, are left over with a note; weights
    that the network lacks within a part that it has are an error, as they are the sign of another architecture.

    Args:
        module: the network; left as it is on an error.
        weights: of the file.
        where: the file, for messages.
        classes: how many the card names, for messages.

    Returns:
        Notes for the user.

    Raises:
        ModelError: something is missing or of another shape; the message shows the first few.
    """
    own = module.state_dict()
    best = min(_renamed(own, weights), key=lambda named: _misfit(own, named))
    needed = [name for name in own if not BOOKKEEPING.fullmatch(name)]
    missing = [name for name in needed if name not in best]
    extra = [name for name in best if name not in own]
    children = {name for name, _ in module.named_children()}
    foreign = [name for name in extra if _is_foreign(name, children)]
    wrong = [name for name in own if name in best and best[name].shape != own[name].shape]
    unexpected = [name for name in extra if name not in foreign] if not missing else extra
    problems = [
        *([f"missing: {_few(missing)}"] if missing else []),
        *([f"unexpected: {_few(unexpected)}"] if unexpected else []),
        *([_few([_shapes(name, best, own) for name in wrong])] if wrong else []),
    ]
    if problems:
        hint = _class_hint(wrong, best, own, classes) if not missing else _share_hint(own, best)
        raise ModelError(f"the weights of {where} do not fit the architecture: {'; '.join(problems)}.{hint}")
    module.load_state_dict({name: value for name, value in best.items() if name in own}, strict=False)
    left = [name for name in foreign if not BOOKKEEPING.fullmatch(name)]
    heads = tuple(dict.fromkeys(name.partition(".")[0] for name in left))
    return (f"{len(left)} tensors of the file have no place in the architecture: {_few(heads)}",) if left else ()


def _renamed(own: Weights, weights: Weights) -> Iterator[Weights]:
    """Yield the weights under the names they may have in the network, likeliest first."""
    seen: set[tuple[str, ...]] = set()
    children = dict.fromkeys(name.partition(".")[0] for name in own if "." in name)

    def stripped(weights: Weights, depth: int) -> Iterator[Weights]:
        names = tuple(weights)
        if names in seen or not names:
            return
        seen.add(names)
        yield weights
        for prefix in PREFIXES if depth else ():
            inner = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
            rest = {name: value for name, value in weights.items() if not name.startswith(prefix)}
            if inner and not set(inner) & set(rest):
                yield from stripped(inner | rest, depth - 1)

    yield from (found for found in stripped(weights, 3))
    for child in children:
        yield {f"{child}.{name}": value for name, value in weights.items()}
    yield _by_parts(own, weights, tuple(children))


def _by_parts(own: Weights, weights: Weights, children: tuple[str, ...]) -> Weights:
    """Place each top-level part of the weights where all of it fits; of several that fit one place, none is moved."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in weights.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = value
    kept = {
        part: {f"{part}.{name}".rstrip("."): value for name, value in inner.items()} for part, inner in parts.items()
    }
    found: dict[str, dict[str, Tensor]] = {}
    for part, inner in parts.items():
        for place in dict.fromkeys(chain([f"{part}.", ""], (f"{child}." for child in children))):
            named = {f"{place}{name}".rstrip("."): value for name, value in inner.items()}
            if all(name in own and own[name].shape == value.shape for name, value in named.items()):
                found[part] = named
                break
    claims = Counter(name for named in found.values() for name in named)
    placed: dict[str, Tensor] = {}
    for part in parts:
        named = found.get(part, kept[part])
        placed.update(named if all(claims[name] <= 1 for name in named) else kept[part])
    return placed


def _misfit(own: Weights, named: Weights) -> tuple[int, int]:
    fitting = sum(name in named and named[name].shape == own[name].shape for name in own)
    return len(own) - fitting, sum(name not in own for name in named)


def _is_foreign(name: str, children: set[str]) -> bool:
    first = name.partition(".")[0]
    numbered = first.isdecimal() and any(child.isdecimal() for child in children)
    return BOOKKEEPING.fullmatch(name) is not None or (first not in children and not numbered)


def _shapes(name: str, weights: Weights, own: Weights) -> str:
    return f"{name} is {tuple(weights[name].shape)} in the file and {tuple(own[name].shape)} in the architecture"


def _class_hint(wrong: list[str], weights: Weights, own: Weights, classes: int | None) -> str:
    """Say that the number of classes is what does not fit, where that is all."""
    counts = {weights[name].shape[0] for name in wrong if weights[name].dim()}
    sized = all(own[name].dim() and own[name].shape[0] == classes for name in wrong)
    same_rest = all(weights[name].shape[1:] == own[name].shape[1:] for name in wrong)
    if not wrong or classes is None or len(counts) != 1 or not sized or not same_rest:
        return ""
    return f" The file has {counts.pop()} classes, the card names {classes}: mend classes (--classes)."


def _share_hint(own: Weights, weights: Weights) -> str:
    fitting = sum(name in weights and weights[name].shape == own[name].shape for name in own)
    return f" {fitting} of its {len(own)} tensors fit: name another architecture (--arch)." if fitting else ""


def _few(items: list[str] | tuple[str, ...], count: int = 3) -> str:
    more = f" and {len(items) - count} more" if len(items) > count else ""
    return ", ".join(items[:count]) + more
