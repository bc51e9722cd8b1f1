from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from interpfer.errors import DataError
from interpfer.landmarks.facealignment import FaceAlignmentCrop, FaceAlignmentLandmarks


def test_crops_run_through_the_network_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from face_alignment.models import FAN

    (tmp_path / "checkpoints").mkdir()
    torch.save(FAN(4).state_dict(), tmp_path / "checkpoints" / "2DFAN4-11f355bf06.pth.tar")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("face_alignment.utils.get_dir", lambda: str(tmp_path))
    landmarks = FaceAlignmentCrop().locate(["a"], [Image.new("L", (90, 120), "grey")])
    assert landmarks.found.all()
    assert landmarks.points.shape == (1, 68, 2)


def test_the_face_that_is_clearly_largest_is_taken_with_a_note_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    class Network:
        def get_landmarks_from_image(self, _: object, detected_faces: list[list[float]]) -> list[np.ndarray]:
            return [np.full((68, 2), detected_faces[0][0])]

    boxes = {
        40: [],
        80: [[5.0, 5.0, 25.0, 30.0, 0.9]],
        120: [[50.0, 5.0, 70.0, 30.0, 0.9], [5.0, 5.0, 45.0, 50.0, 0.8]],
        160: [[50.0, 5.0, 85.0, 30.0, 0.9], [5.0, 5.0, 45.0, 50.0, 0.8]],
    }
    monkeypatch.setattr(FaceAlignmentLandmarks, "network", Network())
    monkeypatch.setattr(FaceAlignmentLandmarks, "_boxes", lambda _, pixels: boxes[int(pixels[0, 0, 0])])
    landmarks = FaceAlignmentLandmarks().locate(list("abcd"), [Image.new("RGB", (90, 60), (s, 0, 0)) for s in boxes])
    assert landmarks.found.tolist() == [False, True, True, False]
    assert landmarks.points[1:3, 0, 0].tolist() == [5, 5]
    assert landmarks.notes == (
        "no face: none detected",
        "",
        "several faces: took the largest of 2, 40 px wide at (25, 28); the next is 20 px wide",
        "several faces: 2, and none is clearly the largest (40 and 35 px wide); crop the intended face",
    )


@pytest.mark.parametrize("provider", [FaceAlignmentLandmarks, FaceAlignmentCrop])
def test_missing_weights_are_reported_in_one_line(
    provider: type[FaceAlignmentLandmarks], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from urllib.error import URLError

    def refuse(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("face_alignment.utils.get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("face_alignment.utils.download_url_to_file", refuse)
    with pytest.raises(DataError, match=r"cannot download its weights .*2DFAN4-11f355bf06.pth.*--landmarks embedded"):
        provider().locate(["a"], [Image.new("RGB", (90, 120))])
