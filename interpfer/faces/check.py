"""Landmarks that come from a file or a data set, proven on a sample of the pictures before they are used."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from interpfer.datasets.base import Dataset
from interpfer.errors import DataError
from interpfer.faces.following import FollowedLandmarks, follow_clips
from interpfer.landmarks.base import LandmarkProvider
from interpfer.landmarks.embedded import SEARCH_CONFIDENCE, EmbeddedLandmarks
from interpfer.landmarks.files import FileLandmarks
from interpfer.landmarks.plausibility import CAUSES, NO_FACE_SHAPE, OUTSIDE, common_fault, find_faults
from interpfer.landmarks.reasons import IMPLAUSIBLE
from interpfer.types import LANDMARKS, Landmarks

SAMPLE = 100
"""Faces whose points are checked against the sizes of their pictures."""

DETECTED = 12
"""Faces whose points are compared with those that the embedded network finds."""

MIN_DETECTED = 3
"""Fewest faces that the network must find for the comparison to count."""

MAX_DISTANCE = 0.15
"""Largest median distance from the points of the network, in outer-eye distances.

On real faces and independent landmarks the median is 0.03, and 95 % are below 0.052.
"""

MIN_MATCHED = 0.35
"""Smallest share of the network's points to which the point of the same number is the nearest; on real faces 0.8."""

GROUPS, MEMBERS = 50, 8
"""Groups of faces with equal points of which pictures are compared at first, and most pictures of a group."""

MAX_EQUAL = 0.2
"""Largest share of the images that may have the points of another picture before the file is refused."""

EQUAL_POINTS = "the same points as another picture"

THUMBNAIL, SAME_PICTURE = 32, 0.95
"""Side of the grey thumbnails of two pictures, and their smallest correlation if they show the same."""


class _Sample(NamedTuple):
    """Faces with points: their positions in the data set, their points and the sizes of their pictures."""

    rows: list[int]
    points: NDArray[np.float64]
    sizes: list[tuple[int, int]]

    def plausible(self) -> "_Sample":
        """Return the faces that have no fault."""
        faults = find_faults(self.points, self.sizes)
        kept = [place for place, fault in enumerate(faults) if not fault]
        return _Sample([self.rows[i] for i in kept], self.points[kept], [self.sizes[i] for i in kept])


class FilteredLandmarks:
    """A provider without the faces that have the points of another picture.

    Args:
        provider: the provider.
        reasons: id of an image that is left out -> note.
    """

    name: ClassVar[str] = "filtered"
    summary: ClassVar[str] = "another provider, without some faces"
    needs_images: ClassVar[bool] = False

    def __init__(self, provider: LandmarkProvider, reasons: Mapping[str, str]) -> None:
        self.provider, self.reasons = provider, reasons
        self.digest, self.notes = provider.digest, landmark_notes(provider)

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:
        """Return the points of each image; none for an image that is left out."""
        landmarks = self.provider.locate(ids, images)
        points = landmarks.points.clone()
        notes = [self.reasons.get(key) or landmarks.note(row) for row, key in enumerate(ids)]
        points[[row for row, key in enumerate(ids) if key in self.reasons]] = torch.nan
        return Landmarks.of(points, tuple(notes))


class FilteredFractions(FilteredLandmarks):
    """The same, of points that are fractions of the pictures."""

    needs_images: ClassVar[bool] = True


def landmark_notes(provider: LandmarkProvider) -> tuple[str, ...]:
    """Return what a reader of scores with these landmarks has to know, a line each."""
    return provider.notes if isinstance(provider, FileLandmarks | FilteredLandmarks | FollowedLandmarks) else ()


def check_landmarks(provider: LandmarkProvider, dataset: Dataset) -> LandmarkProvider:
    """Check the landmarks of a file or a data set on a sample of the pictures, and follow them over clips.

    Units, order, axes and place of the points are checked, then a few faces are compared with what the embedded network
    finds. Landmarks that are found in the pictures themselves need no check.

    Args:
        provider: the landmarks.
        dataset: the pictures.

    Returns:
        The provider, without the faces that have the points of another picture.

    Raises:
        DataError: most faces have the same fault, or a name in the file stands for several images.
    """
    checked = _check(provider, dataset)
    return follow_clips(checked, dataset, landmark_notes(checked))


def _check(provider: LandmarkProvider, dataset: Dataset) -> LandmarkProvider:
    if provider.needs_images and not isinstance(provider, FileLandmarks):
        return provider
    where = f"landmarks '{provider.name}' of the data set {dataset.name}"
    if isinstance(provider, FileLandmarks):
        where = f"landmark file {provider.path}"
        provider.require_unambiguous([sample.id for sample in dataset.samples])
    sample = _draw(provider, dataset)
    if not sample.rows:
        return provider
    example = dataset.samples[sample.rows[0]].id
    if common := common_fault(sample.points, sample.sizes):
        fault, count = common
        if fault == OUTSIDE:
            _compare_with_network(sample, dataset, where)  # estimates the cause
        raise DataError(
            f"{where}: {fault}, in {count} of {len(sample.rows)} faces checked, such as {example}; {CAUSES[fault]}."
        )
    reasons = _equal_points(provider, dataset, where) if isinstance(provider, FileLandmarks) else {}
    _compare_with_network(sample.plausible(), dataset, where)
    filtered = FilteredFractions if provider.needs_images else FilteredLandmarks
    return filtered(provider, reasons) if reasons else provider


def _draw(provider: LandmarkProvider, dataset: Dataset) -> _Sample:
    """Return the faces of an even sample that have points; pictures are decoded only for points that need them."""
    rows, pictures = _spread(range(len(dataset)), SAMPLE), None
    if provider.needs_images:
        read = [(row, picture) for row in rows if (picture := _picture(dataset, row)) is not None]
        rows, pictures = [row for row, _ in read], [picture for _, picture in read]
    landmarks = provider.locate([dataset.samples[row].id for row in rows], pictures)
    found, points = landmarks.found.tolist(), landmarks.points.double().cpu().numpy()
    places, sizes = [], []
    for place, row in enumerate(rows):
        if found[place]:
            try:
                sizes.append(dataset.size(row))
                places.append(place)
            except DataError:
                continue
    return _Sample([rows[place] for place in places], points[places], sizes)


def _picture(dataset: Dataset, row: int) -> Image.Image | None:
    try:
        return dataset.image(row)
    except DataError:
        return None


def _spread(rows: Sequence[int], count: int) -> list[int]:
    """Return at most ``count`` of some rows, evenly spread."""
    step = max(len(rows) / count, 1)
    return [rows[int(i * step)] for i in range(min(count, len(rows)))]


def _compare_with_network(sample: _Sample, dataset: Dataset, where: str) -> None:
    """Compare a few faces with what the embedded network is certain of.

    Raises:
        DataError: most points lie elsewhere; the message estimates how.
    """
    places, pictures = [], []
    for place in _spread(range(len(sample.rows)), DETECTED):
        try:
            pictures.append(dataset.image(sample.rows[place]))
            places.append(place)
        except DataError:
            continue
    found, confidence = EmbeddedLandmarks(search=False).predict(pictures)
    is_certain = (confidence >= SEARCH_CONFIDENCE).numpy()
    if is_certain.sum() < MIN_DETECTED:
        return
    own, found_points = sample.points[places][is_certain], found.double().numpy()[is_certain]
    sizes = np.array(sample.sizes, np.float64)[places][is_certain]
    distance, example = _distance(own, found_points), dataset.samples[sample.rows[places[int(is_certain.argmax())]]].id
    detected = f"the faces that the embedded network finds in {len(own)} pictures, such as {example}"
    if distance > MAX_DISTANCE:
        cause = _displacement(own, found_points, sizes)
        raise DataError(f"{where}: the points lie {distance:.1f} eye distances off {detected}; {cause}.")
    if _matched(own, found_points) < MIN_MATCHED:
        raise DataError(
            f"{where}: the points are not those of the same numbers on {detected}; they look like points of other "
            f"pictures, or numbered otherwise: {CAUSES[NO_FACE_SHAPE]}."
        )


def _displacement(own: NDArray[np.float64], found: NDArray[np.float64], sizes: NDArray[np.float64]) -> str:
    """Describe how points must be scaled or shifted to lie where the network finds the faces.

    Args:
        own: (n, 68, 2) points as given.
        found: (n, 68, 2) points of the network.
        sizes: (n, 2) width and height of the pictures.
    """
    ratios = own.mean(1) / found.mean(1)
    scale, shift = np.median(ratios, 0), np.median(own.mean(1) - found.mean(1), 0)
    width, height = np.median(ratios * sizes, 0)
    percent = ", or percentages" if max(abs(width - 100), abs(height - 100)) < 5 else ""
    readings = {
        f"they look like pixels of pictures of about {width:.0f} x {height:.0f}{percent}: scale them to the size of "
        "each": found * ([width, height] / sizes)[:, None],
        f"they look like pixels of pictures {scale[0]:.2f} times as wide and {scale[1]:.2f} times as high: divide x "
        "and y by these": found * scale,
        f"they are shifted by about ({shift[0]:.0f}, {shift[1]:.0f}) pixels, as of another crop of the pictures": found
        + shift,
    }
    residuals = {text: _distance(own, points) for text, points in readings.items()}
    text, residual = min(residuals.items(), key=lambda item: round(item[1], 2))  # the first of equals
    return text if residual <= MAX_DISTANCE else "they look like points of other pictures, or of other crops of these"


def _distance(own: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """Return the median over faces of the median distance of the points, in outer-eye distances of ``found``."""
    eyes = np.linalg.norm(found[:, 36] - found[:, 45], axis=1)
    return float(np.median(np.median(np.linalg.norm(own - found, axis=2), axis=1) / eyes))


def _matched(own: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """Return the share of the network's points whose nearest point as given has the same number."""
    distances = np.linalg.norm(found[:, :, None] - own[:, None], axis=3)
    return float((distances.argmin(2) == np.arange(LANDMARKS)).mean())


def _equal_points(provider: FileLandmarks, dataset: Dataset, where: str) -> dict[str, str]:
    """Return id -> note of the images that have the points of another picture; copies of a picture may share theirs.

    Raises:
        DataError: they are more than ``MAX_EQUAL`` of the images.
    """
    groups = provider.equal_points([sample.id for sample in dataset.samples])
    chosen = [groups[i] for i in _spread(range(len(groups)), GROUPS)]
    wrong = [group for group in chosen if not _show_the_same(dataset, group)]
    if not wrong:
        return {}
    share = sum(map(len, groups)) * sum(map(len, wrong)) / sum(map(len, chosen)) / len(dataset)
    if share > MAX_EQUAL:
        names = [dataset.samples[row].id for row in wrong[0][:2]]
        raise DataError(
            f"{where}: about {share:.0%} of the images have the same points as another picture, such as "
            f"{' and '.join(names)}; find the landmarks again with interpfer prepare."
        )
    if len(chosen) < len(groups):
        wrong = [group for group in groups if not _show_the_same(dataset, group)]
    return {dataset.samples[row].id: f"{IMPLAUSIBLE}: {EQUAL_POINTS}" for group in wrong for row in group}


def _show_the_same(dataset: Dataset, rows: Sequence[int]) -> bool:
    """Return whether pictures are copies of each other; some are compared if they are many."""
    thumbnails = []
    for row in _spread(rows, MEMBERS):
        try:
            picture = dataset.image(row).convert("L").resize((THUMBNAIL, THUMBNAIL))
        except DataError:
            continue
        pixels = np.asarray(picture, np.float64).ravel()
        pixels -= pixels.mean()
        thumbnails.append(pixels / max(float(np.linalg.norm(pixels)), 1))
    return all(float(thumbnail @ thumbnails[0]) >= SAME_PICTURE for thumbnail in thumbnails[1:])
