"""CK+, the Extended Cohn-Kanade data set."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from interpfer.datasets.base import Counts, Dataset, require_root
from interpfer.datasets.bundled_landmarks import BundledLandmarks, hash_files
from interpfer.datasets.class_folders import find_class_folders
from interpfer.datasets.coded import list_active, read_numbers
from interpfer.datasets.discovery import find_path, image_names, subfolders
from interpfer.datasets.subject_splits import SUBJECT_SPLITS, split_by_subject
from interpfer.errors import DataError
from interpfer.files import read_text
from interpfer.landmarks.base import LandmarkProvider
from interpfer.types import CodedAUs, Sample

ORDER = ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
COUNTS = dict(zip(ORDER[1:], (45, 18, 59, 25, 69, 28, 83), strict=True))
WITH_FACS = 593
"""Sequences with FACS; those in ``COUNTS`` have an emotion as well."""
FOLDERS = {
    "images": (
        "cohn-kanade-images/cohn-kanade-images",
        "cohn-kanade-images",
        "extended-cohn-kanade-images/cohn-kanade-images",
    ),
    "emotion": ("Emotion_labels/Emotion", "Emotion/Emotion", "Emotion", "Emotion_labels"),
    "landmarks": ("Landmarks/Landmarks", "Landmarks"),
    "facs": ("FACS_labels/FACS", "FACS/FACS", "FACS", "FACS_labels"),
}
LEVELS = 5
"""Largest intensity of an action unit."""


class CkPlusDataset(Dataset):
    """The labelled sequences, or the folders of CK+48.

    Sequences: ``cohn-kanade-images/S005/001/S005_001_00000011.png`` with ``Emotion/S005/001/*_emotion.txt``; the label
    is that of the last frame. The folders ``Landmarks`` and ``FACS`` are optional: ``FACS/S005/001/*_facs.txt`` lists
    the action units of the last frame with intensities from 1 to 5, or 0 for one that was not graded; unlisted ones are
    absent. Sequences with FACS and no emotion are samples without a label. CK+48: ``anger/S010_004_00000017.png`` and
    so on, the last three frames of each sequence at 48 px. No splits are published, so the subjects are split, see
    ``interpfer.datasets.subject_splits``; besides ``splits`` there are ``fold1`` to ``fold10``.

    Attributes:
        points: folder of the landmarks; None if there is none.
    """

    name: ClassVar[str] = "ckplus"
    summary: ClassVar[str] = (
        "CK+: cohn-kanade-images/ and Emotion/ (last frames), or CK+48 folders; also fold1 .. fold10"
    )
    splits: ClassVar[tuple[str, ...]] = SUBJECT_SPLITS
    order: ClassVar[tuple[str, ...]] = ORDER
    action_units: ClassVar[str] = "any, from 1 to 5"
    licence: ClassVar[str] = "non-commercial research, by agreement"
    request: ClassVar[str] = "http://www.jeffcohn.net/Resources/"
    published: ClassVar[Mapping[str, tuple[Counts, ...]]] = {
        "all": (COUNTS, {"": WITH_FACS}, {name: 3 * count for name, count in COUNTS.items()})
    }
    with_neutral: ClassVar[bool] = False
    points: Path | None = None

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "CkPlusDataset":  # noqa: ARG003
        """Read the labels, without opening images.

        Raises:
            DataError: neither layout is found, or a label is not a number from 0 to 7.
        """
        folder = require_root(root, cls.name)
        images, emotions, facs = (find_path(folder, *FOLDERS[kind]) for kind in ("images", "emotion", "facs"))
        if images and (emotions or facs):
            dataset = cls(
                split_by_subject(cls._sequences(images, emotions, facs), split, f"data set {cls.name}"), split, folder
            )
            dataset.points = find_path(folder, *FOLDERS["landmarks"])
            return dataset
        class_folders = None if images or emotions else find_class_folders(folder)
        if class_folders is None or class_folders.is_numbered:
            raise cls.missing_error(folder, "cohn-kanade-images with Emotion", "folders anger to surprise of CK+48")
        samples = [
            Sample(Path(sample.id).name, sample.label, sample.path, _subject(sample.id))
            for sample in class_folders.samples(ORDER)
        ]
        return cls(split_by_subject(samples, split, f"data set {cls.name}"), split, folder)

    def landmarks(self) -> LandmarkProvider | None:
        """Return the points in the folder Landmarks; None if there is none."""
        points = self.points
        if points is None:
            return None
        digest = hash_files(_landmark_file(points, sample.id) for sample in self.samples)
        return BundledLandmarks(digest, lambda name: _read_points(points, name))

    @classmethod
    def _sequences(cls, images: Path, emotions: Path | None, facs: Path | None) -> list[Sample]:
        samples = []
        labels, codes = _list_files(emotions, "_emotion.txt"), _list_files(facs, "_facs.txt")
        for place in sorted({*labels, *codes}):
            subject, sequence, stem = place
            frames = images / subject / sequence
            names = image_names(frames) if frames.is_dir() else []
            last = f"{stem}.png"
            last = last if last in names or not names else names[-1]
            label = _label(labels[place]) if place in labels else ""
            seen = read_codes(codes[place]) if place in codes else None
            samples.append(Sample(last, label, frames / last, subject, seen))
            if cls.with_neutral and label and names and names[0] != last:
                samples.append(Sample(names[0], "neutral", frames / names[0], subject))
        return samples


class CkPlusNeutralDataset(CkPlusDataset):
    """CK+ with the first frame of each sequence as neutral."""

    name: ClassVar[str] = "ckplus-neutral"
    summary: ClassVar[str] = "CK+ with the first frame of each sequence as neutral"
    published: ClassVar[Mapping[str, tuple[Counts, ...]]] = {
        "all": (COUNTS | {"neutral": sum(COUNTS.values())}, {"": WITH_FACS + sum(COUNTS.values())})
    }
    with_neutral: ClassVar[bool] = True


def read_codes(path: str | Path) -> CodedAUs:
    """Return the action units of a frame; those that the file does not list are absent.

    Args:
        path: ``S005_001_00000011_facs.txt``.

    Raises:
        DataError: a line is malformed.
    """
    return list_active(read_numbers(path, 2), LEVELS, str(path))


def _list_files(root: Path | None, ending: str) -> dict[tuple[str, str, str], Path]:
    """Return (subject, sequence, stem of the frame) -> file with an ending."""
    return {
        (subject.name, sequence.name, path.name.removesuffix(ending)): path
        for subject in (subfolders(root) if root else ())
        for sequence in subfolders(subject)
        for path in sequence.glob(f"*{ending}")
    }


def _label(path: Path) -> str:
    text = read_text(path).strip()
    try:
        number = int(float(text))
    except (ValueError, OverflowError):
        number = -1
    if not 0 <= number < len(ORDER):
        raise DataError(f"{path}: the emotion must be a number from 0 to 7, got '{text}'.")
    return ORDER[number]


def _subject(name: str) -> str | None:
    match = re.match(r"S\d+", Path(name).name)
    return match[0] if match else None


def _landmark_file(folder: Path, name: str) -> Path:
    subject, sequence, *_ = [*Path(name).stem.split("_"), "", ""]
    return folder / subject / sequence / f"{Path(name).stem}_landmarks.txt"


def _read_points(folder: Path, name: str) -> NDArray[np.float64] | None:
    try:
        return np.array(read_text(_landmark_file(folder, name)).split(), dtype=np.float64)
    except (DataError, ValueError):
        return None
