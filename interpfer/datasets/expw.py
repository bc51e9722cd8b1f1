"""ExpW, Expression in-the-Wild."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.base import Counts, require_root
from interpfer.datasets.cropped import Box, CroppedDataset
from interpfer.datasets.discovery import find_path
from interpfer.errors import DataError
from interpfer.files import read_text
from interpfer.types import Sample

ORDER = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
COUNTS = (3671, 3995, 1088, 30537, 10559, 7060, 34883)
LISTS = ("label.lst", "label/label.lst")
IMAGES = ("image/origin", "origin", "image", "images", "image/image")


class ExpwDataset(CroppedDataset):
    """``label.lst`` and the pictures in ``image/origin``; faces are cropped to their boxes.

    A line is: name, number of the face in the picture, top, left, right, bottom, confidence of the box, label. Face 0
    of ``angry_actor_1.jpg`` has the id ``angry_actor_1_face0.jpg``.

    Assumed: the order of the columns and of the classes is that of the label file's readme and of public loaders. No
    splits are published: ``test`` is every fifth picture of the sorted list, so that the faces of a picture stay
    together, ``train`` the others, and ``all`` both.
    """

    name: ClassVar[str] = "expw"
    summary: ClassVar[str] = "ExpW: label.lst and image/origin/, cropped faces; test is every fifth picture"
    splits: ClassVar[tuple[str, ...]] = ("train", "test", "all")
    order: ClassVar[tuple[str, ...]] = ORDER
    licence: ClassVar[str] = "non-commercial research"
    request: ClassVar[str] = "http://mmlab.ie.cuhk.edu.hk/projects/socialrelation/index.html"
    published: ClassVar[Mapping[str, tuple[Counts, ...]]] = {"all": (dict(zip(ORDER, COUNTS, strict=True)),)}

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "ExpwDataset":  # noqa: ARG003
        """Read the list, without opening images.

        Raises:
            DataError: the list or the pictures are missing, or a line is malformed.
        """
        folder = require_root(root, cls.name)
        split = cls.resolve_split(split)
        listing = find_path(folder, *LISTS)
        if listing is None:
            raise cls.missing_error(folder, LISTS[0])
        base = listing.parent.parent if listing.parent.name == "label" else listing.parent
        images = next((base / name for name in IMAGES if (base / name).is_dir()), None) or find_path(folder, *IMAGES)
        if images is None:
            raise cls.missing_error(folder, "image/origin", "origin")
        lines = enumerate(read_text(listing).splitlines(), 1)
        faces = [_parse(line, f"{listing}, line {number}") for number, line in lines if line.strip()]
        index_of = {name: i for i, name in enumerate(sorted({face[0] for face in faces}))}
        faces = [face for face in faces if split == "all" or (index_of[face[0]] % 5 == 0) == (split == "test")]
        samples = [
            Sample(f"{Path(name).stem}_face{face}{Path(name).suffix}", label, images / name)
            for name, face, label, _ in faces
        ]
        return cls(samples, split, folder, [box for *_, box in faces])


def _parse(line: str, where: str) -> tuple[str, str, str, Box]:
    try:
        name, face, *numbers, _, label = line.rsplit(maxsplit=7)
        top, left, right, bottom = (round(float(value)) for value in numbers)
        return name, face, ORDER[range(len(ORDER)).index(int(label))], (left, top, right, bottom)
    except (ValueError, OverflowError):
        raise DataError(
            f"{where}: a line must be name, face, top, left, right, bottom, confidence and label (0 to 6), "
            f"got '{line.strip()}'."
        ) from None
