"""Images with the same pixels, which a data set may hold under several names or in several splits."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from interpfer.datasets.base import Dataset
from interpfer.datasets.images import content_key, pixel_digest
from interpfer.errors import DataError

NAMED = 3
"""Names that a line on duplicates holds at most."""


def read_content(dataset: Dataset, index: int) -> str:
    """Return the key that an image shares with all images of the same pixels.

    Raises:
        DataError: the image cannot be read.
    """
    image = dataset.image(index)
    return content_key(image.size, pixel_digest(image))


def read_contents(dataset: Dataset, rows: Sequence[int]) -> dict[int, str]:
    """Return position -> key of images, read in parallel; those that cannot be read are left out.

    Args:
        dataset: the data set.
        rows: positions of the images.
    """

    def read(row: int) -> str:
        try:
            return read_content(dataset, row)
        except DataError:
            return ""

    with ThreadPoolExecutor(min(32, (os.cpu_count() or 1) + 4)) as pool:
        keys = dict(zip(rows, pool.map(read, rows), strict=True))
    return {row: key for row, key in keys.items() if key}


def find_copies(contents: Mapping[int, str], others: Mapping[str, str]) -> dict[int, str]:
    """Return position -> name of an other image with the same pixels.

    Args:
        contents: position -> key.
        others: key -> name.

    Examples:
        >>> find_copies({0: "48x48 a1", 1: "48x48 b2"}, {"48x48 b2": "train/7.png"})
        {1: 'train/7.png'}
    """
    return {row: others[key] for row, key in contents.items() if key in others}


def name_some(names: Iterable[str]) -> str:
    """Return the first names in a list, and the number of the others.

    Examples:
        >>> name_some(["a", "b", "c", "d", "e"])
        'a, b, c and 2 more'
    """
    listed = list(names)
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return f"{', '.join(listed[:NAMED])}{more}"


def describe_groups(images: Sequence[tuple[str, str, str]]) -> Iterator[tuple[bool, str]]:
    """Yield for each group of images with the same pixels whether it is in several splits, and a line that names it.

    Args:
        images: key, splits and name of each image.

    Examples:
        >>> list(describe_groups([("k", "train", "a.png"), ("j", "train", "b.png"), ("k", "test", "c.png")]))
        [(True, 'train: a.png, test: c.png')]
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for key, split, name in images:
        groups.setdefault(key, []).append((split, name))
    for members in groups.values():
        if len(members) > 1:
            yield len({split for split, _ in members}) > 1, name_some(f"{split}: {name}" for split, name in members)
