"""An index of the networks of torchvision and timm by the names and shapes of their weights.

Each network is kept as a sketch: the smallest hashes of its tensors (Broder 1997, bottom-k MinHash), the classifier
left out. The share of common hashes estimates how much two networks have in common, so the index of a thousand networks
is small and is searched in milliseconds. What it finds is then built and compared tensor by tensor.
``benchmarks/fingerprints.py`` writes it anew.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

INDEX = Path(__file__).with_name("fingerprints.npz")

SKETCH = 48
"""Hashes per network."""

ODD_CLASSES = 1009
"""A number of outputs that is no other size in a network: it tells the classifier's tensors."""

ALIKE, MOST_ALIKE = 0.9, 12
"""Estimates from here on are hardly apart, so more networks are named."""

Shapes = Mapping[str, tuple[int, ...]]


def sketch(shapes: Shapes) -> NDArray[np.uint32]:
    """Return the smallest hashes of the tensors, sorted; counters of batches do not count.

    >>> len(sketch({"a": (3,), "b": (2, 2), "n.num_batches_tracked": ()}))
    2
    """
    hashes = {
        _hash(f"{name}{tuple(shape)}") for name, shape in shapes.items() if not name.endswith("num_batches_tracked")
    }
    return np.array(sorted(hashes)[:SKETCH], np.uint32)


def nearest_networks(shapes: Shapes, count: int, least: float) -> list[list[str]]:
    """Return groups of architectures that may have these tensors, the most similar first.

    Args:
        shapes: names -> shapes.
        count: groups at most; more where the estimate cannot tell them apart.
        least: estimated share of common tensors below which a network is not named.

    Returns:
        Lists of names such as "timm:resnet18"; those of one list have the same tensors.
    """
    own = sketch(shapes)
    names, sketches, digests = _index()
    scores = np.array([_similarity(own, other) for other in sketches])
    groups: dict[int, list[str]] = {}
    for place in np.argsort(-scores, kind="stable"):
        if scores[place] < least:
            break
        key = int(digests[place])
        if key not in groups and len(groups) >= (MOST_ALIKE if scores[place] >= ALIKE else count):
            continue
        groups.setdefault(key, []).append(names[place])
    return list(groups.values())


def write_index(path: Path, networks: Mapping[str, Shapes]) -> None:
    """Write an index of networks built with ``ODD_CLASSES`` outputs."""
    sketches, digests = [], []
    for shapes in networks.values():
        body = {key: shape for key, shape in shapes.items() if ODD_CLASSES not in shape}
        own = sketch(body)
        sketches.append(np.pad(own, (0, SKETCH - len(own))))
        digests.append(_hash("".join(sorted(f"{key}{tuple(shape)}" for key, shape in shapes.items())), 8))
    texts = np.frombuffer("\n".join(networks).encode(), np.uint8)
    np.savez_compressed(path, names=texts, sketches=np.stack(sketches), digests=np.array(digests, np.uint64))


def _hash(text: str, size: int = 4) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=size).digest())


def _similarity(one: NDArray[np.uint32], other: NDArray[np.uint32]) -> float:
    """Estimate the Jaccard similarity of two sets from the smallest hashes of their union."""
    both = np.union1d(one, other)[:SKETCH]
    return float((np.isin(both, one) & np.isin(both, other)).mean()) if len(both) else 0.0


@cache
def _index() -> tuple[Sequence[str], list[NDArray[np.uint32]], NDArray[np.uint64]]:
    with np.load(INDEX) as arrays:
        names = arrays["names"].tobytes().decode().split("\n")
        return names, [np.trim_zeros(row, "b") for row in arrays["sketches"]], arrays["digests"]
