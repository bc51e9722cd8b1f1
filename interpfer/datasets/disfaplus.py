"""DISFA+, posed and spontaneous expressions of nine people of DISFA."""

import re
from pathlib import Path
from typing import ClassVar

import numpy as np

from interpfer.datasets.base import require_root
from interpfer.datasets.coded import MISSING, code_rows
from interpfer.datasets.discovery import find_path, is_image, subfolders
from interpfer.datasets.disfa import LEVELS
from interpfer.datasets.frames import FrameDataset, count_left_out, every, number_names, number_pictures
from interpfer.datasets.subject_splits import SUBJECT_SPLITS, split_subjects
from interpfer.errors import DataError
from interpfer.files import read_text
from interpfer.types import CodedAUs, Sample

IMAGES = ("Images", "Aligned")
FILE = re.compile(r"AU0*(\d+)\.txt", re.IGNORECASE)


class DisfaPlusDataset(FrameDataset):
    """``Labels/SN001/TRIAL/AU1.txt`` with lines ``000.jpg     0``, and ``Images/SN001/TRIAL/000.jpg``.

    Lines before the first one that names a picture are comments. Intensities are from 0 to 5; an action unit without a
    file is not coded. Names of pictures are matched by their numbers, whatever the padding. The trial is an attribute;
    there are no expressions.

    Assumed: the layout is that of public loaders, which also read ``Aligned`` in place of ``Images``. All nine people
    are in DISFA too: do not test on one what was trained on the other. No splits are published, so the subjects are
    split, see ``interpfer.datasets.subject_splits``; besides ``splits`` there are ``fold1`` to ``fold10``.
    """

    name: ClassVar[str] = "disfaplus"
    summary: ClassVar[str] = "DISFA+ frames: Labels/SN001/TRIAL/AU1.txt and Images/; also fold1 .. fold10"
    splits: ClassVar[tuple[str, ...]] = SUBJECT_SPLITS
    has_labels: ClassVar[bool] = False
    action_units: ClassVar[str] = "12, from 0 to 5"
    licence: ClassVar[str] = "non-commercial research, by agreement"
    request: ClassVar[str] = "http://mohammadmahoor.com/pages/databases/disfa/"

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "DisfaPlusDataset":  # noqa: ARG003
        """Read the codes and list the pictures.

        Raises:
            DataError: codes or pictures are not found, or a line is malformed.
        """
        folder = require_root(root, cls.name)
        name, step = cls.parse_split(split)
        labels = find_path(folder, "Labels")
        images = None if labels is None else next((p for n in IMAGES if (p := labels.parent / n).is_dir()), None)
        if labels is None or images is None:
            raise cls.missing_error(folder, "Labels next to Images", "Labels next to Aligned")
        samples, missing = [], 0
        people = subfolders(labels)
        chosen = split_subjects([person.name for person in people], name, f"data set {cls.name}")
        for trial in (trial for person in people if person.name in chosen for trial in subfolders(person)):
            place = images / trial.parent.name / trial.name
            codes, pictures = read_codes(trial), number_pictures(place)
            found = [frame for frame in sorted(codes) if frame in pictures]
            missing += len(codes) - len(found)
            prefix, attributes = f"{trial.parent.name}/{trial.name}", {"trial": trial.name}
            for frame in every(found, step):
                picture = pictures[frame]
                samples.append(
                    Sample(f"{prefix}/{picture}", "", place / picture, trial.parent.name, codes[frame], attributes)
                )
        dataset = cls(samples, split, folder)
        count_left_out(dataset, pictures=missing)
        return dataset


def read_codes(trial: Path) -> dict[int, CodedAUs]:
    """Return the codes of a trial: number of a frame -> its action units.

    Args:
        trial: folder of ``AU1.txt`` and so on.

    Raises:
        DataError: a line is malformed.
    """
    columns = {
        int(match[1]): _read_column(path)
        for path in sorted(trial.iterdir())
        if path.is_file() and (match := FILE.fullmatch(path.name))
    }
    aus, frames = tuple(sorted(columns)), sorted(set().union(*columns.values()))
    values = [[columns[au].get(frame, MISSING) for au in aus] for frame in frames]
    rows = code_rows(np.array(values, dtype=np.float64).reshape(len(frames), len(aus)), aus, LEVELS)
    return {frame: row for frame, row in zip(frames, rows, strict=True) if row is not None}


def _read_column(path: Path) -> dict[int, float]:
    """Return number of a frame -> intensity."""
    values: dict[str, float] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        cells = line.split()
        if len(cells) == 2 and is_image(cells[0]) and cells[1] in map(str, range(LEVELS + 1)):
            values[cells[0]] = float(cells[1])
        elif cells and (values or is_image(cells[0])):
            raise DataError(
                f"{path}, line {number}: a line must be a picture and an intensity from 0 to {LEVELS} such as "
                f"'000.jpg 0', got '{line.strip()[:60]}'."
            )
    return {number: values[name] for number, name in number_names(list(values), str(path)).items()}
