import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import interpfer
from interpfer.cli import group
from interpfer.datasets.demo_clips import LENGTH, DemoClipsDataset
from interpfer.datasets.drawn.actions import AUS_OF
from interpfer.datasets.sampling import Sampling
from interpfer.errors import InterpferError, ModelError, RunError
from interpfer.explain.clip import ClipExplanation, clip_facts, explain_clip
from interpfer.explain.clip_sheet import clip_sheet, cosine_of
from interpfer.explain.explainer import Explainer, explain_image
from interpfer.explain.options import ExplainOptions
from interpfer.landmarks.base import LandmarkProvider
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.types import Landmarks
from tests.clip_networks import MeanOfFrames
from tests.replicas import video

HAPPY = list(AUS_OF).index("happiness")


class Drawn:
    """Exact landmarks of the frames in a folder; those of the second one are not found."""

    name, summary, needs_images, digest = "drawn", "exact points", False, "1"

    def __init__(self, clips: DemoClipsDataset) -> None:
        self.clips = clips

    def locate(self, ids: list[str], images: object = None) -> Landmarks:  # noqa: ARG002
        points = [self.clips.shape(int(name.rpartition("/")[2][:2])).points for name in ids]
        found = torch.from_numpy(np.stack(points)).float()
        if len(found) > 2:
            found[1] = torch.nan
        return Landmarks.of(found)


@pytest.fixture(scope="module")
def clips() -> DemoClipsDataset:
    whole = DemoClipsDataset("test", clips=4, sampling=Sampling("all"), size=64)
    whole.samples = whole.samples[HAPPY * LENGTH :]
    whole._places = whole._places[HAPPY * LENGTH :]
    return whole


@pytest.fixture(scope="module")
def folder(clips: DemoClipsDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "smile"
    path.mkdir()
    for row in range(LENGTH):
        clips.image(row).save(path / f"{row:02d}.png")
    return path


@pytest.fixture(scope="module")
def models() -> tuple[Model, Model]:
    torch.manual_seed(0)
    network, names = SmallCNN(len(AUS_OF), width=4).eval(), list(AUS_OF)
    clip_fields = {"size": 32, "frames": 4, "layout": "ntchw"}
    return (
        interpfer.load_model(network, classes=names, input_size=32, name="frames"),
        interpfer.load_model(MeanOfFrames(network), classes=names, input=clip_fields, name="clips"),
    )


def explain(model: Model, folder: Path, provider: LandmarkProvider, **choices: object) -> ClipExplanation:
    options = ExplainOptions(device="cpu", maps="attention,gradcam", target="label", **choices)
    return explain_clip(Explainer.open(options, model, provider), folder, "happy")


def test_frames_of_a_clip_are_explained_for_one_class(
    models: tuple[Model, Model], folder: Path, clips: DemoClipsDataset, tmp_path: Path
) -> None:
    provider = Drawn(clips)
    own, of_clips = (explain(model, folder, provider, frames=8) for model in models)
    assert own.places == (2, 6, 10, 14, 18, 22, 26, 30)
    assert own.explained == own.label == "happiness"
    assert own.bridged == of_clips.bridged == (6,)
    logits = models[0].predict_logits(torch.cat([_seen(frame) for frame in own.frames])).mean(0)
    assert torch.allclose(torch.tensor(list(own.probabilities.values())), logits.softmax(0).float(), atol=1e-5)
    for frame, other in zip(own.frames, of_clips.frames, strict=True):
        pair = [[cosine_of(item, "happiness") for item in each.maps] for each in (frame, other)]
        assert np.allclose(pair[0], pair[1], atol=1e-5)
        assert np.isfinite(pair[0]).all()
    facts = clip_facts(own)
    assert [frame["frame"] for frame in facts["frames"]] == list(own.places)
    json.dumps(facts, default=str)
    clip_sheet(own, tmp_path / "smile.png")
    with Image.open(tmp_path / "smile.png") as sheet:
        assert sheet.width > sheet.height > 800
    with pytest.raises(RunError, match=r"smile.gif: the suffix must be one of .png, .svg, .pdf"):
        clip_sheet(own, tmp_path / "smile.gif")


def _seen(frame: object) -> torch.Tensor:
    return torch.nn.functional.interpolate(frame.face[None].float(), size=(32, 32), mode="bilinear", antialias=True)


def test_a_clip_model_takes_its_number_of_frames_and_no_picture(
    models: tuple[Model, Model], folder: Path, clips: DemoClipsDataset
) -> None:
    assert len(explain(models[1], folder, Drawn(clips)).frames) == 4
    with pytest.raises(InterpferError, match="model clips takes clips of 4 frames: pass --frames 4"):
        explain(models[1], folder, Drawn(clips), frames=5)
    with pytest.raises(ModelError, match=r"model clips takes clips of 4 frames, and 00.png is a picture: pass a video"):
        explain_image(folder / "00.png", models[1], landmarks=Drawn(clips), device="cpu")


def test_the_command_draws_a_strip(folder: Path, tmp_path: Path) -> None:
    torch.save(SmallCNN(len(AUS_OF), width=4).state_dict(), tmp_path / "small.pt")
    card = f"arch: interpfer:small\narch_args: {{width: 4}}\nclasses: [{', '.join(AUS_OF)}]\ninput: {{size: 32}}\n"
    (tmp_path / "small.yaml").write_text(card)
    out = tmp_path / "why.json"
    call = ["explain", str(folder), "--clip", "--model", str(tmp_path / "small.pt"), "--frames", "2", "--device", "cpu"]
    done = CliRunner().invoke(group, [*call, "--maps", "attention", "--label", "happy", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "baseline:uniform" in done.stdout
    found = json.loads(out.read_text())
    assert [frame["image"] for frame in found["frames"]] == ["smile/08.png", "smile/24.png"]
    film = video(tmp_path / "smile.mp4", [np.asarray(Image.open(path)) for path in sorted(folder.iterdir())], "libx264",
                 "yuv420p")  # fmt: skip
    call = [*call[:1], str(film), *call[3:]]
    of_video = CliRunner().invoke(group, [*call, "--maps", "attention", "--label", "happy", "--json", "-q"])
    assert of_video.exit_code == 0, of_video.output
    shown = json.loads(of_video.stdout)
    assert [frame["frame"] for frame in shown["frames"]] == [frame["frame"] for frame in found["frames"]] == [8, 24]
    assert [frame["image"] for frame in shown["frames"]] == ["smile.mp4/00008", "smile.mp4/00024"]
    for name, value in found["probabilities"].items():  # as the frames saved as pictures, but for compression
        assert shown["probabilities"][name] == pytest.approx(value, abs=0.02)
    film.write_bytes(film.read_bytes()[:2000])
    broken = CliRunner().invoke(group, call)
    assert (broken.exit_code, broken.stdout, len(broken.stderr.strip().splitlines())) == (1, "", 1)
    assert broken.stderr.startswith(f"error: {film}: the video cannot be decoded (")
    wrong = CliRunner().invoke(group, [*call, "--out", str(tmp_path / "why.gif")])
    assert wrong.exit_code == 1
    assert "the suffix must be one of .png, .svg, .pdf, .json" in wrong.stderr
