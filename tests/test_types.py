import pytest
import torch

from interpfer.types import AUHeatmaps, Faces, Landmarks


def test_a_face_with_any_coordinate_missing_is_not_found() -> None:
    points = torch.rand(4, 68, 2)
    points[1, 3, 0] = torch.inf
    points[3, 67, 1] = torch.nan
    landmarks = Landmarks.of(points)
    assert landmarks.found.tolist() == [True, False, True, False]
    assert landmarks.points[[1, 3]].isnan().all()
    assert torch.equal(landmarks.points[[0, 2]], points[[0, 2]])


def test_values_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="ids, images and labels must be equally many, got 2, 1 and 1"):
        Faces(("a", "b"), torch.zeros(1, 3, 4, 4), torch.zeros(1, dtype=torch.long), ("anger",))
    with pytest.raises(ValueError, match="planes must be one per action unit, got 2 for 3"):
        AUHeatmaps((1, 2, 4), torch.zeros(1, 2, 8, 8), torch.ones(1, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match="notes must be one per face, got 1 for 2 faces"):
        Landmarks.of(torch.zeros(2, 68, 2), ("no face",))
