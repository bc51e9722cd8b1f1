from pathlib import Path

import pytest
import torch
from PIL import Image

from interpfer.errors import DataError
from interpfer.landmarks.facealignment import FaceAlignmentCrop, FaceAlignmentLandmarks


def test_crop_is_driven_up_to_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from face_alignment.models import FAN

    (tmp_path / "checkpoints").mkdir()
    torch.save(FAN(4).state_dict(), tmp_path / "checkpoints" / "2DFAN4-11f355bf06.pth.tar")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("face_alignment.utils.get_dir", lambda: str(tmp_path))
    found = FaceAlignmentCrop().locate(["a", "b"], [Image.new("RGB", (90, 120), "grey"), Image.new("L", (64, 64))])
    assert found.found.all()
    assert found.points.shape == (2, 68, 2)


@pytest.mark.parametrize("provider", [FaceAlignmentLandmarks, FaceAlignmentCrop])
def test_offline_is_one_clear_line(
    provider: type[FaceAlignmentLandmarks], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from urllib.error import URLError

    def refuse(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("face_alignment.utils.get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("face_alignment.utils.download_url_to_file", refuse)
    with pytest.raises(DataError, match=r"cannot get its weights .*2DFAN4-11f355bf06.pth.tar.*--landmarks embedded"):
        provider().locate(["a"], [Image.new("RGB", (90, 120))])
