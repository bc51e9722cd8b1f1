"""RAF-AU, pictures of RAF-ML with action units."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from interpfer.datasets.base import Dataset, require_root
from interpfer.datasets.discovery import find_path, image_names
from interpfer.datasets.facs_text import NOT_CODED, parse_facs
from interpfer.datasets.subject_splits import SUBJECT_SPLITS, split_by_picture
from interpfer.errors import DataError
from interpfer.files import read_text
from interpfer.types import CodedAUs, Sample

CODES = "RAFAU_label.txt"
DISTRIBUTIONS = ("RAF-ML/EmoLabel/distribution.txt", "EmoLabel/distribution.txt")
IMAGES = ("aligned/aligned", "aligned", "Image/aligned", "original/original", "original", "Image/original")
ORDER = ("surprise", "fear", "disgust", "happiness", "sadness", "anger")


class RafAuDataset(Dataset):
    """``RAFAU_label.txt`` with lines ``0007.jpg 1+2+L12+25``, and ``aligned/0007_aligned.jpg``.

    L and R are the person's left and right, T and B the top or bottom of the lips alone, which are drawn as the whole;
    ``null`` is a face without action units, which need not be a neutral one. What a line does not name is absent. The
    label is the largest share in ``RAF-ML/EmoLabel/distribution.txt``, as RAF-ML has the same pictures; without that
    file there are no labels. ``RAFAU_landmark.txt`` is not read: whose pixels its points are in is not documented.

    Assumed: L and R are those of FACS. No splits are published: ``test`` is every fifth picture of the sorted list,
    ``train`` the others, and ``all`` both. About 2 % of the test pictures of RAF-DB are said to be in RAF-AU as well.

    Attributes:
        probabilities: (n, 6) shares of the expressions in ``order``; NaN without RAF-ML.
    """

    name: ClassVar[str] = "rafau"
    summary: ClassVar[str] = "RAF-AU: RAFAU_label.txt and aligned/, with RAF-ML/EmoLabel/distribution.txt as labels"
    splits: ClassVar[tuple[str, ...]] = SUBJECT_SPLITS
    order: ClassVar[tuple[str, ...]] = ORDER
    action_units: ClassVar[str] = "any, with sides"
    licence: ClassVar[str] = "non-commercial research, by agreement"
    request: ClassVar[str] = "http://whdeng.cn/RAF/model3.html"
    published: ClassVar[Mapping[str, tuple[Mapping[str, int], ...]]] = {"all": ({"": 4601},)}
    probabilities: NDArray[np.float64]

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "RafAuDataset":  # noqa: ARG003
        """Read the codes and the labels.

        Raises:
            DataError: the codes or the pictures are not found, or a line of the labels is malformed.
        """
        folder = require_root(root, cls.name)
        split = cls.resolve_split(split)
        listing = find_path(folder, CODES)
        if listing is None:
            raise cls.missing_error(folder, CODES)
        codes, notes = read_codes(listing)
        pictures = find_pictures(listing.parent, folder, list(codes))
        if not pictures:
            raise cls.missing_error(folder, "pictures in aligned", "in original")
        labels = find_path(folder, *DISTRIBUTIONS)
        shares = {} if labels is None else _read_shares(labels)
        samples = [Sample(name, _largest(shares.get(name)), pictures[name], None, seen) for name, seen in codes.items()]
        dataset = cls(split_by_picture(samples, split, f"data set {cls.name}"), split, folder)
        unknown = np.full(len(ORDER), np.nan)
        dataset.probabilities = np.array([shares.get(sample.id, unknown) for sample in dataset.samples])
        undecided = sum(not sample.label and sample.id in shares for sample in dataset.samples)
        if undecided:
            notes = (*notes, f"{labels}: {undecided} pictures have two largest shares, so no label.")
        dataset.notes = notes
        return dataset


def read_codes(path: Path) -> tuple[dict[str, CodedAUs | None], tuple[str, ...]]:
    """Read lines of a picture and its action units.

    Args:
        path: file with lines such as ``0007.jpg 1+2+L12+25``.

    Returns:
        Picture -> its action units, None where the line has none that can be read; and notes on such lines.

    Raises:
        DataError: a picture is listed twice.
    """
    codes: dict[str, CodedAUs | None] = {}
    unread: list[str] = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        name, _, text = line.strip().partition(" ")
        if not name:
            continue
        if name in codes:
            raise DataError(f"{path}, line {number}: {name} is listed twice.")
        try:
            codes[name] = parse_facs(text.strip() or NOT_CODED, f"line {number}")
        except DataError as error:
            codes[name] = None
            unread.append(str(error))
    if not unread:
        return codes, ()
    return codes, (f"{path}: {len(unread)} lines that are not FACS text count as not coded, the first: {unread[0]}",)


def find_pictures(base: Path, root: Path, names: Sequence[str]) -> dict[str, Path]:
    """Return name in a list -> file of its picture, aligned ones first; of one that is not there, where it should be.

    Args:
        base: folder that is searched first.
        root: folder of the data set.
        names: names such as ``0007.jpg``, also without their zeros.

    Returns:
        Nothing if there is no folder with pictures.
    """
    nearest = next((base / place for place in IMAGES if (base / place).is_dir()), None) or find_path(root, *IMAGES)
    there = image_names(nearest) if nearest else []
    if nearest is None or not there:
        return {}
    by_stem = {Path(name).stem.removesuffix("_aligned"): name for name in there}
    ending = "_aligned" if Path(there[0]).stem.endswith("_aligned") else ""
    found = {}
    for name in names:
        stem = Path(name).stem.removesuffix("_aligned")
        picture = by_stem.get(stem) or by_stem.get(stem.zfill(4)) or f"{stem}{ending}.jpg"
        found[name] = nearest / picture
    return found


def _read_shares(path: Path) -> dict[str, NDArray[np.float64]]:
    """Return picture -> shares of the expressions in ``ORDER``."""
    shares: dict[str, NDArray[np.float64]] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        name, *cells = line.split() or [""]
        try:
            values = np.array([float(cell) for cell in cells])
        except (ValueError, OverflowError):
            values = np.zeros(0)
        if name and (values.shape != (len(ORDER),) or not (values >= 0).all() or not values.sum() > 0):
            raise DataError(
                f"{path}, line {number}: a line must be a picture and the shares of {', '.join(ORDER)}, "
                f"got '{line.strip()[:60]}'."
            )
        if name:
            shares[name] = values / values.sum()
    return shares


def _largest(shares: NDArray[np.float64] | None) -> str:
    """Return the expression with the largest share; "" if there is none, or two are equal."""
    if shares is None or (shares == shares.max()).sum() > 1:
        return ""
    return ORDER[int(shares.argmax())]
