"""A score of real faces in the layout of DFEW: clips made of photographs that pan and zoom."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from interpfer.cli import group
from interpfer.models.small import SmallCNN
from tests.conftest import SHARED
from tests.replicas import text

FACES = SHARED / "data" / "faces"
NUMBERS = {"happiness": 1, "sadness": 2, "anger": 4, "surprise": 5}
FRAMES = 12
DARK = 4
"""Frame of the first clip that shows nothing."""

pytestmark = pytest.mark.skipif(not FACES.is_dir(), reason="no shared data")


@pytest.fixture(scope="module")
def dfew(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dfew")
    table = pd.read_csv(FACES / "labels.csv")
    lines = ["video_name,label"]
    for label, number in NUMBERS.items():
        for image in table.loc[table["label"] == label, "image"].iloc[:1]:
            name = f"{len(lines):05d}"
            lines.append(f"{int(name)},{number}")
            folder = root / "Clip/clip_224x224" / name
            folder.mkdir(parents=True)
            with Image.open(FACES / "images" / image) as photo:
                for frame in range(FRAMES):
                    shift = frame / FRAMES * 8
                    box = (shift, shift / 2, photo.width - 10 + shift, photo.height - 10 + shift / 2)
                    picture = photo.convert("RGB").resize((224, 224), box=box)
                    if (name, frame) == ("00001", DARK):
                        picture = Image.new("RGB", (224, 224))
                    picture.save(folder / f"{frame + 1}.jpg", quality=95)
    text(root / "EmoLabel_DataSplit/test(single-labeled)/set_1.csv", *lines, "99,1")
    return root


def test_dfew_made_of_real_faces(dfew: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERPFER_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    torch.save(SmallCNN(7, width=8).state_dict(), tmp_path / "model.pt")
    card = (
        "arch: interpfer.models.small:SmallCNN\narch_args: {classes: 7, width: 8}\nclasses: dfew\ninput: {size: 48}\n"
    )
    (tmp_path / "model.yaml").write_text(card)
    call = ["score", str(tmp_path / "model.pt"), "--dataset", "dfew", "--data-root", str(dfew), "--frames", "4"]
    call += [
        "--maps",
        "gradcam,baseline:uniform",
        "--out",
        str(tmp_path / "run"),
        "--device",
        "cpu",
        "--no-report",
        "--trust",
    ]
    done = CliRunner().invoke(group, call)
    assert done.exit_code == 0, done.output
    facts = json.loads((tmp_path / "run/run.json").read_text())
    assert facts["intervals"] == "95 % bootstrap over clips"
    clips = facts["clips"]
    assert (clips["clips"], clips["scored"], clips["frames"]) == (5, 4, 16)
    assert list(clips["skipped"]) == ["00099"]
    assert clips["bridged_frames"] == 1
    table = pd.read_csv(tmp_path / "run/clips.csv", dtype={"clip": str})
    assert table["clip"].tolist() == [f"{number:05d}" for number in range(1, 5)]
    assert table["bridged"].tolist() == [1, 0, 0, 0]
    assert (table["scored"] + table["faceless"]).tolist() == [4] * 4
    assert (table["scored"] > 0).all()
    assert np.isfinite(clips["WAR"])
