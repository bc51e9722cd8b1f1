"""Whether a data set on disk is whole: the counts that were published, and images that can be read."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from interpfer.datasets.base import Counts, Dataset
from interpfer.errors import DataError

CHUNK = 256


@dataclass
class Check:
    """What a check found.

    Attributes:
        counts: split -> expression -> images; "" is an unknown expression.
        left_out: split -> reason -> images that the data set lists and leaves out.
        published: split -> whether counts are published for it.
        problems: kind of problem -> one line each.
        read: how many images were read.
    """

    counts: dict[str, Counts] = field(default_factory=dict)
    left_out: dict[str, Counts] = field(default_factory=dict)
    published: dict[str, bool] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    read: int = 0

    def add_problem(self, kind: str, line: str) -> None:
        """Add a problem."""
        self.problems.setdefault(kind, []).append(line)


def open_splits(
    kind: type[Dataset], root: Path | None, splits: Sequence[str] | None = None
) -> tuple[list[Dataset], Check]:
    """Open the splits of a data set and compare their counts with the published ones; reads no image.

    Args:
        kind: the data set.
        root: where it lies.
        splits: those to check; None for all.

    Raises:
        DataError: no split can be opened.
    """
    check, opened, failures = Check(), [], []
    for split in splits or kind.available(root):
        try:
            opened.append(kind.open(root, split))
        except DataError as error:
            failures.append(error)
            check.add_problem("cannot be opened", f"split {split}: {error}")
    if not opened:
        raise failures[0]
    for dataset in opened:
        counts = Counter(sample.label for sample in dataset.samples)
        published = kind.published.get(dataset.split, ())
        check.counts[dataset.split] = counts
        check.left_out[dataset.split] = dataset.left_out
        check.published[dataset.split] = bool(published)
        if difference := compare(counts, published):
            check.add_problem("counts differ from the published ones", f"split {dataset.split}: {difference}")
    return opened, check


def compare(counts: Counts, published: Sequence[Counts]) -> str:
    """Say how ``counts`` differ from the nearest of the published ones; "" where they do not, or none are published."""

    def distance(expected: Counts) -> int:
        here = {"": sum(counts.values())} if "" in expected else counts
        return sum(abs(here.get(name, 0) - expected.get(name, 0)) for name in {*here, *expected})

    if not published or not min(map(distance, published)):
        return ""
    expected = min(published, key=distance)
    classes = [
        f"{name or 'unlabelled'} {counts.get(name, 0)} of {expected.get(name, 0)}"
        for name in (*expected, *(name for name in counts if name not in expected))
        if "" not in expected and counts.get(name, 0) != expected.get(name, 0)
    ]
    detail = f" ({', '.join(classes)})" if classes else ""
    return f"{sum(counts.values())} images where {sum(expected.values())} are published{detail}"


def read_images(opened: Sequence[Dataset], check: Check, progress: Callable[[str, int, int], None]) -> None:
    """Read every image once, in parallel, and add to ``check`` those that cannot be.

    Args:
        opened: the splits; an image may be in several.
        check: what ``open_splits`` found.
        progress: called with what is done, how much of it, and of how much.
    """
    images = {(sample.path, sample.id): (dataset, i) for dataset in opened for i, sample in enumerate(dataset.samples)}
    places = list(images.values())
    with ThreadPoolExecutor(min(32, (os.cpu_count() or 1) + 4)) as pool:
        for start in range(0, len(places), CHUNK):
            for kind, line in filter(None, pool.map(_read, places[start : start + CHUNK])):
                check.add_problem(kind, line)
            check.read = min(start + CHUNK, len(places))
            progress("images", check.read, len(places))


def _read(place: tuple[Dataset, int]) -> tuple[str, str] | None:
    dataset, index = place
    try:
        dataset.image(index)
    except DataError as error:
        path = dataset.samples[index].path
        kind = "images missing" if path is not None and not path.exists() else "images not readable"
        return kind, f"{dataset.samples[index].id}: {error}"
    return None
