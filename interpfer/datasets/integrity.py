"""Integrity of a data set on disk: counts as published, and readable images."""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from interpfer.datasets.base import Counts, Dataset
from interpfer.datasets.duplicates import describe_groups, read_content
from interpfer.errors import DataError
from interpfer.runtime.progress import Progress, no_progress

CHUNK = 256
"""Images read between two reports of progress."""


@dataclass
class IntegrityReport:
    """Result of a check.

    Attributes:
        counts: split -> expression -> number of images; "" is an unknown expression.
        left_out: split -> reason -> number of images that the data set lists, but that are not samples.
        published: split -> whether its counts are published.
        problems: kind of problem -> one line for each.
        read: number of images that were read.
        clips: split -> expression -> number of clips, whose frames are the images; empty for pictures.
        copies: "within a split" or "across splits" -> one line for each group of images with the same pixels.
    """

    counts: dict[str, Counts] = field(default_factory=dict)
    left_out: dict[str, Counts] = field(default_factory=dict)
    published: dict[str, bool] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    read: int = 0
    clips: dict[str, Counts] = field(default_factory=dict)
    copies: dict[str, list[str]] = field(default_factory=dict)

    def add_problem(self, kind: str, line: str) -> None:
        """Add a problem."""
        self.problems.setdefault(kind, []).append(line)


def open_splits(
    dataset_class: type[Dataset], root: str | Path | None, splits: Sequence[str] | None = None
) -> tuple[list[Dataset], IntegrityReport]:
    """Open the splits of a data set and compare their counts with the published ones, without reading images.

    Args:
        dataset_class: class of the data set.
        root: folder of the data set.
        splits: splits to check; None for all.

    Returns:
        The open splits, and a report for ``read_images`` to complete.

    Raises:
        DataError: no split can be opened.
    """
    report, datasets, errors = IntegrityReport(), [], []
    for split in splits or dataset_class.available_splits(root):
        try:
            datasets.append(dataset_class.open(root, split))
        except DataError as error:
            errors.append(error)
            report.add_problem("cannot be opened", f"split {split}: {error}")
    if not datasets:
        raise errors[0]
    for dataset in datasets:
        counts = Counter(sample.label for sample in dataset.samples)
        published = dataset_class.published.get(dataset.split, ())
        report.counts[dataset.split] = counts
        report.left_out[dataset.split] = dataset.left_out
        report.published[dataset.split] = bool(published)
        if clips := count_clips(dataset):
            report.clips[dataset.split] = clips
        for clip, reason in getattr(dataset, "damaged", {}).items():
            report.add_problem("clips not readable", f"{clip}: {reason}")
        if difference := compare_counts(counts, published):
            report.add_problem("counts differ from the published ones", f"split {dataset.split}: {difference}")
    return datasets, report


def count_clips(dataset: Dataset) -> Counts:
    """Return expression -> number of clips; "" for clips without a label, or whose frames have several.

    Examples:
        >>> from interpfer.datasets.demo_clips import DemoClipsDataset
        >>> count_clips(DemoClipsDataset(clips=8))["anger"]
        2
    """
    labels: dict[str, set[str]] = {}
    for sample in dataset.samples:
        if sample.clip:
            labels.setdefault(sample.clip, set()).add(sample.label)
    return Counter(next(iter(own)) if len(own) == 1 else "" for own in labels.values())


def compare_counts(counts: Counts, published: Sequence[Counts]) -> str:
    """Describe how counts differ from the closest published ones; "" if they do not, or none are published.

    Examples:
        >>> compare_counts({"anger": 3, "fear": 1}, [{"anger": 3, "fear": 2}])
        '4 images where 5 are published (fear 1 of 2)'
    """

    def distance(expected: Counts) -> int:
        actual = {"": sum(counts.values())} if "" in expected else counts
        return sum(abs(actual.get(name, 0) - expected.get(name, 0)) for name in {*actual, *expected})

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


def read_images(datasets: Sequence[Dataset], report: IntegrityReport, progress: Progress = no_progress) -> None:
    """Read every image once, in parallel; add unreadable ones to a report, and exact copies of others.

    Args:
        datasets: splits of a data set; an image may be in several.
        report: report of ``open_splits``, which is completed.
        progress: called after every ``CHUNK`` images.
    """
    pairs = [(dataset, index) for dataset in datasets for index in range(len(dataset))]
    images: dict[tuple[str | Path | None, str], list[tuple[Dataset, int]]] = {}
    for dataset, i in pairs:
        images.setdefault((dataset.samples[i].path, dataset.samples[i].id), []).append((dataset, i))
    places, contents = list(images.values()), list[tuple[str, str, str]]()
    with ThreadPoolExecutor(min(32, (os.cpu_count() or 1) + 4)) as pool:
        for start in range(0, len(places), CHUNK):
            chunk = places[start : start + CHUNK]
            for several, (key, problem) in zip(chunk, pool.map(_read, [several[0] for several in chunk]), strict=True):
                if problem is not None:
                    report.add_problem(*problem)
                else:
                    dataset, i = several[0]
                    splits = " and ".join(each.split for each, _ in several)
                    contents.append((key, splits, dataset.samples[i].id))
            report.read = min(start + CHUNK, len(places))
            progress("images", report.read, len(places))
    for is_across, line in describe_groups(contents):
        report.copies.setdefault("across splits" if is_across else "within a split", []).append(line)


def _read(image: tuple[Dataset, int]) -> tuple[str, tuple[str, str] | None]:
    """Return the key of the pixels of an image; "" with the kind of problem and a line where it cannot be read."""
    dataset, index = image
    try:
        return read_content(dataset, index), None
    except DataError as error:
        path = dataset.samples[index].path
        kind = "images missing" if path is not None and not Path(path).exists() else "images not readable"
        return "", (kind, f"{dataset.samples[index].id}: {error}")
