"""RAF-CE, pictures of RAF-AU with compound expressions."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.base import Dataset, require_root
from interpfer.datasets.discovery import find_path
from interpfer.datasets.rafau import find_pictures, read_codes
from interpfer.errors import DataError
from interpfer.files import bounded_integer, read_text
from interpfer.types import Sample

CODES, LABELS, PARTITIONS = "RAFCE_AUlabel.txt", "RAFCE_emolabel.txt", "RAFCE_partition.txt"
ORDER = (
    "happiness+surprise",
    "happiness+disgust",
    "sadness+fear",
    "sadness+anger",
    "sadness+surprise",
    "sadness+disgust",
    "fear+anger",
    "fear+surprise",
    "fear+disgust",
    "anger+surprise",
    "anger+disgust",
    "disgust+surprise",
    "happiness+fear",
    "happiness+sadness",
)
TRAIN = 0
"""Number of the partition that is trained on."""


class RafCeDataset(Dataset):
    """``RAFCE_emolabel.txt``, ``RAFCE_AUlabel.txt`` and ``RAFCE_partition.txt``, and the pictures of RAF-AU.

    Lines are ``0001.jpg 5`` (a compound from 0 to 13 in ``order``), ``0001.jpg 1+2+L12`` and ``0001.jpg 0``. A compound
    is a class of its own, such as ``happiness+surprise``. The partition is an attribute.

    Assumed: the order of the compounds, as in public loaders; partition 0 is ``train``, every other one is ``test``
    (public loaders disagree on 1 and 2).
    """

    name: ClassVar[str] = "rafce"
    summary: ClassVar[str] = "RAF-CE, 14 compound expressions: RAFCE_emolabel.txt, _AUlabel, _partition; aligned/"
    splits: ClassVar[tuple[str, ...]] = ("train", "test", "all")
    order: ClassVar[tuple[str, ...]] = ORDER
    action_units: ClassVar[str] = "any, with sides"
    licence: ClassVar[str] = "non-commercial research, by agreement"
    request: ClassVar[str] = "http://whdeng.cn/RAF/model4.html"
    published: ClassVar[Mapping[str, tuple[Mapping[str, int], ...]]] = {"all": ({"": 4549},)}

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "RafCeDataset":  # noqa: ARG003
        """Read the labels, the codes and the partitions.

        Raises:
            DataError: a list or the pictures are not found, or a line is malformed.
        """
        folder = require_root(root, cls.name)
        split = cls.resolve_split(split)
        labels = find_path(folder, LABELS)
        if labels is None:
            raise cls.missing_error(folder, LABELS)
        compounds = _read_numbers(labels, len(ORDER))
        partitions = labels.parent / PARTITIONS
        if split != "all" and not partitions.is_file():
            raise cls.missing_error(labels.parent, PARTITIONS)
        parts = _read_numbers(partitions, 10) if partitions.is_file() else {}
        codes, notes = read_codes(labels.parent / CODES) if (labels.parent / CODES).is_file() else ({}, ())
        pictures = find_pictures(labels.parent, folder, list(compounds))
        if not pictures:
            raise cls.missing_error(folder, "pictures in aligned", "in original")
        chosen = [name for name in compounds if split == "all" or (parts.get(name) == TRAIN) == (split == "train")]
        samples = [
            Sample(
                name,
                ORDER[compounds[name]],
                pictures[name],
                None,
                codes.get(name),
                {"partition": str(parts[name])} if name in parts else {},
            )
            for name in chosen
            if split == "all" or name in parts
        ]
        dataset = cls(samples, split, folder)
        dataset.notes = notes
        return dataset


def _read_numbers(path: Path, count: int) -> dict[str, int]:
    """Return picture -> number below ``count``."""
    numbers: dict[str, int] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        cells = line.split()
        if not cells:
            continue
        if len(cells) != 2 or cells[1] not in map(str, range(count)) or cells[0] in numbers:
            raise DataError(
                f"{path}, line {number}: a line must be a picture of its own and a number from 0 to {count - 1}, "
                f"got '{line.strip()[:60]}'."
            )
        numbers[cells[0]] = bounded_integer(cells[1])
    return numbers
