"""An index of the networks of torchvision and timm by the names and shapes of their weights.

The index holds a sketch of each network: the smallest hashes of its tensors (Broder 1997, bottom-k MinHash) without the
classifier. The share of common hashes estimates the share of common tensors, so the index of a thousand networks is
small and is searched in milliseconds. The networks that it returns are then built and compared tensor by tensor.
``benchmarks/fingerprints.py`` writes the index.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

INDEX = Path(__file__).with_name("fingerprints.npz")

SKETCH = 48
"""Number of hashes per network."""

ODD_CLASSES = 1009
"""Number of outputs that equals no other size in a network, which identifies the tensors of the classifier."""

HIGH_SIMILARITY, MAX_SIMILAR = 0.9, 12
"""Similarity from which estimates are too close to rank networks, and the number of groups returned then."""

Shapes = Mapping[str, tuple[int, ...]]


def sketch(shapes: Shapes) -> NDArray[np.uint32]:
    """Return the smallest hashes of the tensors, sorted; ``num_batches_tracked`` is left out.

    Examples:
        >>> len(sketch({"a": (3,), "b": (2, 2), "n.num_batches_tracked": ()}))
        2
    """
    hashes = {
        _hash(f"{name}{tuple(shape)}") for name, shape in shapes.items() if not name.endswith("num_batches_tracked")
    }
    return np.array(sorted(hashes)[:SKETCH], np.uint32)


def nearest_networks(shapes: Shapes, count: int, min_share: float) -> list[list[str]]:
    """Return groups of architectures that may have these tensors, the most similar first.

    Args:
        shapes: name -> shape of each tensor.
        count: largest number of groups, except where their estimates are too close to rank them.
        min_share: smallest estimated share of common tensors.

    Returns:
        Lists of names such as "timm:resnet18"; the networks of a list have the same tensors.
    """
    query = sketch(shapes)
    names, sketches, digests = _load_index()
    scores = np.array([_similarity(query, other) for other in sketches])
    groups: dict[int, list[str]] = {}
    for row in np.argsort(-scores, kind="stable"):
        if scores[row] < min_share:
            break
        key = int(digests[row])
        if key not in groups and len(groups) >= (MAX_SIMILAR if scores[row] >= HIGH_SIMILARITY else count):
            continue
        groups.setdefault(key, []).append(names[row])
    return list(groups.values())


def write_index(path: Path, networks: Mapping[str, Shapes]) -> None:
    """Write an index of networks.

    Args:
        path: the .npz file.
        networks: name -> shapes of the network with ``ODD_CLASSES`` outputs.
    """
    sketches, digests = [], []
    for shapes in networks.values():
        hashes = sketch({key: shape for key, shape in shapes.items() if ODD_CLASSES not in shape})
        sketches.append(np.pad(hashes, (0, SKETCH - len(hashes))))
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
def _load_index() -> tuple[Sequence[str], list[NDArray[np.uint32]], NDArray[np.uint64]]:
    with np.load(INDEX) as arrays:
        names = arrays["names"].tobytes().decode().split("\n")
        return names, [np.trim_zeros(row, "b") for row in arrays["sketches"]], arrays["digests"]
