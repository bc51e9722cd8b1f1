"""Planes of single action units: the truth of a face with that one alone, and sums over its pixels."""

import numpy as np
import torch

from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.facs_text import parse_facs
from interpfer.metrics.agreement import cosine, cosine_skill
from interpfer.metrics.localisation import BINS, IN_PLANES, pxap_counts
from interpfer.truth.action_units import ActionUnitTruth
from interpfer.truth.codebook import CodebookTruth
from interpfer.types import CANVAS, Landmarks, Sample

TEXTS = ("1+2+L12b+R12d+25", "4+23+24", "?", "", "6+12+45")


def landmarks(count: int = len(TEXTS)) -> Landmarks:
    faces = DemoDataset("test", count=count, size=CANVAS)
    return faces.landmarks().locate([sample.id for sample in faces.samples], None)


def coded(*texts: str) -> list[Sample]:
    return [Sample(f"{row}.png", "happiness", aus=parse_facs(text, "here")) for row, text in enumerate(texts)]


def test_a_plane_is_the_truth_of_the_action_unit_alone() -> None:
    points = landmarks()
    for truth in (ActionUnitTruth(), ActionUnitTruth("scaled", normalise=True, weights="intensity")):
        planes = truth.planes(coded(*TEXTS), points)
        names = [(int(planes.face[plane]), name) for plane, name in zip(planes.plane, planes.names, strict=True)]
        assert names == [
            *((0, name) for name in ("AU1", "AU2", "AU12", "AU25")),
            *((1, name) for name in ("AU4", "AU23", "AU24")),
            *((4, name) for name in ("AU6", "AU12", "AU45")),
        ]
        assert len(planes.maps) == 9  # AU 23 and AU 24 are drawn alike
        alone = {"AU12": "L12b+R12d", "AU1": "1", "AU45": "43"}
        for (face, name), plane in zip(names, planes.plane.tolist(), strict=True):
            text = alone.get(name, name.removeprefix("AU")) if (face, name) != (4, "AU12") else "12"
            expected = truth.draw(coded(text), points[face : face + 1]).maps[0]
            torch.testing.assert_close(planes.maps[plane], expected, atol=1e-5, rtol=0)


def test_a_mirrored_face_has_the_other_side() -> None:
    points, sided = landmarks(2), coded("L12", "L12")
    mirrored = ActionUnitTruth("scaled").planes(sided, points, torch.tensor([False, True]))
    plain = ActionUnitTruth("scaled").planes(coded("L12", "R12"), points)
    torch.testing.assert_close(mirrored.maps, plain.maps)


def test_the_codebook_has_the_planes_of_its_label() -> None:
    planes = CodebookTruth().planes([Sample("a", "happiness"), Sample("b", "neutral"), Sample("c", "")], landmarks(3))
    assert planes.names == ("AU6", "AU12", "AU25")
    assert planes.face.tolist() == [0, 0, 0]


def test_what_lies_outside_the_picture_and_faces_without_landmarks_have_none() -> None:
    points = landmarks(3).points
    points[1] += 2 * CANVAS
    points[2] = torch.nan
    planes = ActionUnitTruth("scaled").planes(coded("12", "12", "12"), Landmarks.of(points))
    assert planes.names == ("AU12",)
    assert planes.face.tolist() == [0]
    none = ActionUnitTruth().planes(coded("?"), landmarks(1))
    assert (none.names, none.maps.shape, none.mask.plane.shape) == ((), (0, CANVAS, CANVAS), (0,))


def test_scores_of_planes_are_those_of_heatmaps() -> None:
    points = landmarks()
    truth = ActionUnitTruth()
    heat, planes = truth.draw(coded(*TEXTS), points).maps, truth.planes(coded(*TEXTS), points)
    maps = torch.rand(len(TEXTS), CANVAS, CANVAS)
    maps[4] = torch.nan
    spread = maps[planes.face]
    for metric in (cosine, cosine_skill):
        assert metric.on_planes is not None
        expected = metric(spread, planes.maps)
        torch.testing.assert_close(metric.on_planes(maps, planes), expected, atol=1e-5, rtol=0, equal_nan=True)
    inside = IN_PLANES.count_planes(maps, heat, planes)
    whole = pxap_counts(maps, heat)[planes.face].numpy().astype(np.uint16)
    completed = torch.from_numpy(IN_PLANES.complete(whole, inside.numpy().astype(np.uint16)).astype(np.int64))
    expected_counts = pxap_counts(spread, planes.maps)
    assert torch.equal(completed.sum(1), expected_counts.sum(1))
    # a pixel on the edge of a level may fall to its neighbour, by rounding
    levels = [counts.view(-1, 2, BINS).cumsum(2) for counts in (completed, expected_counts)]
    assert int((levels[0] - levels[1]).abs().max()) <= 20
