"""Classifiers of clips: scored as the network of pictures that they average; strips of the report; what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

import interpfer
from interpfer.cli import group
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.demo_clips import DemoClipsDataset
from interpfer.datasets.drawn.actions import AUS_OF
from interpfer.datasets.sampling import Sampling
from interpfer.errors import InterpferError, ModelError, PluginError
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.reports.page.strips import strip_sheets
from interpfer.results.pictures import load_report_data
from interpfer.results.run import Run, load_run
from tests.clip_networks import MeanOfFrames

FRAMES, SIZE = 3, 32
MAPS = "attention,gradcam,layercam,baseline:uniform"


@pytest.fixture(scope="module")
def network() -> SmallCNN:
    torch.manual_seed(0)
    return SmallCNN(len(AUS_OF), width=4).eval()


@pytest.fixture(scope="module")
def clips() -> DemoClipsDataset:
    return DemoClipsDataset("test", clips=8, sampling=Sampling(frames=FRAMES), size=48)


@pytest.fixture(scope="module")
def of_clips(network: SmallCNN) -> Model:
    fields = {"size": SIZE, "frames": FRAMES, "layout": "ntchw"}
    return interpfer.load_model(MeanOfFrames(network), classes=list(AUS_OF), input=fields, name="clips")


@pytest.fixture(scope="module")
def folder(of_clips: Model, clips: DemoClipsDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "clips"
    interpfer.score(of_clips, clips, out=out, maps=MAPS, batch_size=4, device="cpu")
    return out


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return load_run(folder)


def test_a_network_that_averages_frames_scores_as_its_network_of_pictures(
    run: Run, folder: Path, network: SmallCNN, clips: DemoClipsDataset, tmp_path: Path
) -> None:
    pictures = interpfer.load_model(network, classes=list(AUS_OF), input_size=SIZE)
    other = interpfer.score(
        pictures, clips, out=tmp_path / "frames", maps=MAPS, device="cpu",
        report=False,
    )  # fmt: skip
    own = run.per_image.assign(layer=run.per_image["layer"].str.removeprefix("pictures."))
    both = own.merge(other.per_image, on=["image", "map", "layer"], suffixes=("", "_frames"))
    assert len(both) == len(own) == len(other.per_image) == 8 * FRAMES * 4
    for metric in ("cosine", "cosine_skill"):
        assert np.allclose(both[metric], both[f"{metric}_frames"], atol=1e-5, equal_nan=True)
    assert both["cosine"].notna().sum() == 7 * FRAMES * 4
    tables = [pd.read_csv(out / "clips.csv") for out in (folder, tmp_path / "frames")]
    assert tables[0]["predicted"].tolist() == tables[1]["predicted"].tolist()
    assert np.allclose(tables[0]["confidence"], tables[1]["confidence"], atol=1e-5)
    assert run.manifest["clips"]["WAR"] == other.manifest["clips"]["WAR"]


def test_the_report_shows_the_best_and_the_worst_clip_of_each_class(run: Run, folder: Path) -> None:
    data = load_report_data(folder)
    assert data is not None
    assert data.strips is not None
    strips = data.strips
    assert [(strip.clip, strip.group) for strip in strips.strips if strip.label == "anger"] in (
        [("test_001", "best"), ("test_008", "worst")],
        [("test_008", "best"), ("test_001", "worst")],
    )
    assert "neutral" not in {strip.label for strip in strips.strips}
    assert strips.maps.shape == (7 * FRAMES, 4, 28, 28)
    assert len(strips.faces) == 7 * FRAMES
    assert all(strips.faces)
    sheets = strip_sheets(run, data)
    table = run.per_image.set_index(["image", "map"])["cosine"]
    for sheet, strip in zip(sheets, strips.strips, strict=True):
        assert [row[0] for row in sheet.rows] == ["frame", "AU heatmap", "attention", "gradcam", "layercam"]
        curve = next(curve for curve in sheet.curves if curve.name == "attention")
        values = [table[name, "attention"] for name in strip.ids]
        assert curve.mean == f"{np.mean(values):.3f}"
        heights = [float(point.split(",")[1]) for point in curve.paths[0].split()]
        assert np.allclose(heights, 120 * (1 - np.array(values)), atol=0.06)
        assert sheet.frames == (1, 2, 3)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count('<figure class="strip"') == 7
    assert '<a href="#clips">Clips</a>' in page


def test_what_needs_single_pictures_is_refused_by_name(
    of_clips: Model, clips: DemoClipsDataset, tmp_path: Path
) -> None:
    with pytest.raises(PluginError, match="metric deletion changes single pictures, and model clips takes clips"):
        interpfer.score(of_clips, clips, metrics="deletion", maps="gradcam")
    with pytest.raises(InterpferError, match="--sanity checks classifiers of pictures: leave it out for clips, of"):
        interpfer.score(of_clips, clips, sanity=True, maps="gradcam")
    with pytest.raises(ModelError, match="model clips takes clips of 3 frames, and the data set demo has pictures"):
        interpfer.score(of_clips, DemoDataset("test", count=7, size=48))
    with pytest.raises(ModelError, match="model clips takes clips of 3 frames, and finetune trains classifiers of pic"):
        interpfer.finetune(of_clips, clips, test_split="none", epochs=1, out=tmp_path)


def test_the_command_scores_animated_faces_per_frame_and_per_clip(network: SmallCNN, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "small.pt")
    card = f"arch: interpfer:small\narch_args: {{width: 4}}\nclasses: [{', '.join(AUS_OF)}]\ninput: {{size: {SIZE}}}\n"
    (tmp_path / "small.yaml").write_text(card)
    out = tmp_path / "run"
    call = f"score {tmp_path}/small.pt --dataset demo-clips --frames 2 --limit 8 --truth aus --maps gradcam"
    rest = ["--metrics", "cosine", "--no-report", "--device", "cpu", "--out", str(out)]
    done = CliRunner().invoke(group, [*call.split(), *rest])
    assert done.exit_code == 0, done.output
    images, table = (pd.read_csv(out / name) for name in ("per_image.csv", "clips.csv"))
    sampled = DemoClipsDataset("test", sampling=Sampling(frames=2))
    by_name = {sample.id: sample for sample in sampled.samples}
    assert len(images) == 2 * len(table) == 16
    for _, line in images.iterrows():
        aus = by_name[line["image"]].aus
        assert aus is not None
        assert np.isfinite(line["cosine"]) <= bool(aus.active)  # no action unit, no truth
    means = images.assign(clip=images["image"].str.partition("/")[0]).groupby("clip")["cosine"].mean()
    assert np.allclose(table.set_index("clip")["cosine gradcam@stages.3"], means, equal_nan=True, atol=2e-6)
