"""A score with masks as truth: the same numbers as with AU heatmaps, no landmarks, its own baselines and words."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import interpfer
from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import DataError, PluginError
from interpfer.faces.stream import FaceStream
from interpfer.landmarks.embedded import EmbeddedLandmarks
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.reports.leaderboard.rows import leaderboard_rows
from interpfer.results.run import Run, load_run
from interpfer.scoring.score import score
from interpfer.truth.codebook import CodebookTruth
from tests.conftest import EXPRESSIONS, Interrupted

MAPS = "attention,gradcam,baselines"
CLASSES = ("anger", "happiness", "surprise")


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return interpfer.load_model(SmallCNN(7), classes=EXPRESSIONS, input_size=48)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 pictures of 40 x 60 with a square, its mask, and pixels to ignore; one empty mask, one picture without."""
    root, random = tmp_path_factory.mktemp("shapes"), np.random.default_rng(0)
    labels, masks = ["image,label"], ["image,class,path"]
    for folder in ("images", "m"):
        (root / folder).mkdir()
    for i in range(12):
        mask = np.zeros((40, 60), np.uint8)
        top, left = random.integers(0, 24), random.integers(0, 40)
        mask[top : top + 14, left : left + 18] = 0 if i == 10 else 255
        picture = random.integers(0, 99, (40, 60, 3), np.uint8)
        picture[mask > 0, i % 3] = 250
        Image.fromarray(picture).save(root / "images" / f"{i}.png")
        Image.fromarray(mask).save(root / "m" / f"{i}.png")
        labels.append(f"{i}.png,{CLASSES[i % 3]}")
        if i < 11:
            masks.append(f"{i}.png,{CLASSES[i % 3]},m/{i}.png")
    ignore = np.zeros((40, 60), np.uint8)
    ignore[:, :6] = 255
    Image.fromarray(ignore).save(root / "m" / "ignore.png")
    (root / "labels.csv").write_text("\n".join(labels))
    (root / "masks.csv").write_text("\n".join(masks))
    (root / "ignored.csv").write_text("\n".join([*masks, *(f"{i}.png,ignore,m/ignore.png" for i in range(5))]))
    return root


def run_on(root: Path, model: Model, **options: Any) -> Run:
    options = {"truth": "masks", "masks": root / "masks.csv", "device": "cpu", "maps": MAPS} | options
    return score(model, CsvDataset.open(root, "test"), **options)


def headline(run: Run, metric: str) -> pd.Series:
    return run.summary[metric].rename(lambda name: str(name).replace("-mask", "-au"), level="map")


@pytest.mark.parametrize("protocol", ["paper", "corrected"])
def test_masks_that_are_the_au_heatmaps_give_the_scores_of_the_codebook(
    protocol: str, model: Model, tmp_path: Path
) -> None:
    dataset = DemoDataset("test", count=14, size=48)
    names = ("belharbi2024", "reference") if protocol == "paper" else ("belharbi2024-printed", "scaled")
    provider = CodebookTruth(*names, normalise=protocol == "corrected")
    landmarks = FaceStream(dataset, dataset.landmarks(), 48).landmarks(range(14))
    truth = provider.draw(dataset.samples, landmarks)
    for sample, heat, is_valid in zip(dataset.samples, truth.maps, truth.valid.tolist(), strict=True):
        if is_valid:
            Image.fromarray((heat * 255).round().byte().numpy()).save(tmp_path / sample.id)
    options = {"device": "cpu", "maps": MAPS, "protocol": protocol}
    by_codebook = score(model, dataset, **options)
    by_masks = score(model, dataset, truth="masks", masks=tmp_path, **options)
    for metric, tolerance in (("cosine", 0.005), ("cosine_skill", 0.01), ("pxap", 0.3)):
        expected = headline(by_codebook, metric)
        pd.testing.assert_series_equal(headline(by_masks, metric), expected, atol=tolerance, rtol=0, check_index=True)
    assert by_masks.manifest["counts"]["neutral"] == by_codebook.manifest["counts"]["neutral"] == 2


def test_no_landmarks_are_looked_for(
    shapes: Path, model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a face was looked for")

    for name in ("__init__", "locate", "predict"):
        monkeypatch.setattr(EmbeddedLandmarks, name, refuse)
    run = run_on(shapes, model, out=tmp_path / "run", metrics="all", limit=3, sanity=True)
    assert run.manifest["arguments"]["landmarks"] == "none"
    assert not any(name.startswith("region_") for name in run.scores["metric"])
    assert not (tmp_path / "run" / "au_profile.csv").exists()
    assert set(run.manifest["sanity"]["maps"]) == {"attention@stages.3", "gradcam@stages.3"}
    with pytest.raises(PluginError, match=r"metric region_mouth needs landmarks: leave it out, or pass --landmarks."):
        run_on(shapes, model, metrics="cosine,region_mouth")


def test_what_has_no_mask_is_counted_and_named(shapes: Path, model: Model, tmp_path: Path) -> None:
    run = run_on(shapes, model, out=tmp_path / "run")
    counts = run.manifest["counts"]
    assert (counts["images"], counts["scored"]) == (12, 10)
    assert counts["without_truth"] == {"surprise": 1}
    assert counts["skipped"]["empty mask"] == {"10.png": f"{shapes / 'masks.csv'}, line 12"}
    assert counts["skipped"]["no landmarks"] == []
    assert run.manifest["warnings"][0] == "images without a mask: 1 of 12 (11.png)"
    text = page_text(tmp_path / "run")
    assert "1 images without a mask of their class: surprise 1" in text
    assert "1 images with an empty mask: 10.png" in text


def test_masks_of_other_images_are_an_error_and_a_wrong_aspect_too(shapes: Path, model: Model, tmp_path: Path) -> None:
    for name, size in (("nobody.png", (60, 40)), ("0.png", (40, 40))):
        folder = tmp_path / name.removesuffix(".png")
        folder.mkdir()
        Image.new("L", size, 255).save(folder / name)
    with pytest.raises(DataError, match=r"no image of the data set has a mask in .*nobody: images are named as 0.png"):
        run_on(shapes, model, masks=tmp_path / "nobody")
    with pytest.raises(DataError, match=r"0.png: a mask of 40 x 40 pixels for the picture 0.png of 60 x 40; another"):
        run_on(shapes, model, masks=tmp_path / "0")
    empty = tmp_path / "empty"
    empty.mkdir()
    Image.new("L", (60, 40)).save(empty / "0.png")
    with pytest.raises(DataError, match=r"of 12, 11 without a mask, 1 with empty mask\. 0.png: empty mask: .*0.png\.$"):
        run_on(shapes, model, masks=empty)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masks": None}, "--truth masks needs the masks: pass --masks PATH."),
        ({"codebook": "emfacs"}, "--codebook is about action units; leave it out with --truth masks."),
        ({"truth": "codebook"}, "--masks belongs to --truth masks; leave it out with --truth codebook."),
        ({"truth": "aus"}, "--masks belongs to --truth masks; leave it out with --truth aus."),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str, shapes: Path, model: Model) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        run_on(shapes, model, **options)


def test_baselines_are_those_of_masks_however_they_are_typed(shapes: Path, model: Model) -> None:
    typed = run_on(shapes, model, maps="class-mean, baseline:mean-au, baseline:class-mean-mask", metrics="cosine")
    assert list(dict.fromkeys(typed.scores["map"])) == ["baseline:class-mean-mask", "baseline:mean-mask"]
    group = run_on(shapes, model, maps="baselines", metrics="cosine")
    assert [name for name in dict.fromkeys(group.scores["map"]) if "mean" in name] == [
        "baseline:mean-mask", "baseline:class-mean-mask",
    ]  # fmt: skip
    with_aus = score(model, DemoDataset("test", count=7, size=48), device="cpu", maps="class-mean,baseline:mean-mask")
    assert list(dict.fromkeys(with_aus.scores["map"])) == ["baseline:class-mean-au", "baseline:mean-au"]


def test_means_of_others_leave_ignored_pixels_out(shapes: Path, model: Model) -> None:
    run = run_on(shapes, model, masks=shapes / "ignored.csv", maps="baseline:mean-mask", metrics="cosine")
    kept, values = [], []
    for i in range(10):
        mask = Image.open(shapes / "m" / f"{i}.png").resize((224, 224), Image.Resampling.BILINEAR)
        keep = np.ones((224, 224), bool)
        if i < 5:
            strip = Image.open(shapes / "m" / "ignore.png").resize((224, 224), Image.Resampling.BILINEAR)
            keep = np.asarray(strip) < 127.5
        kept.append(keep)
        values.append(np.where(keep, np.asarray(mask) / 255, 0))
    for i, found in enumerate(run.per_image["cosine"].tolist()[:10]):
        others = [j for j in range(10) if j != i]
        count = sum(kept[j].astype(float) for j in others)
        mean = sum(values[j] for j in others) / np.maximum(count, 1)
        a, b = mean[kept[i]], values[i][kept[i]]
        assert found == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=0.01)


def page_text(folder: Path) -> str:
    page = (folder / "report.html").read_text(encoding="utf-8")
    page = re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page)).replace("&#34;", '"')


def test_the_page_says_mask_and_nothing_of_action_units(shapes: Path, model: Model, tmp_path: Path) -> None:
    run_on(shapes, model, out=tmp_path / "run")
    text = page_text(tmp_path / "run")
    assert "agrees with the masks" in text
    assert "the mean mask of the other images of the class scores" in text
    assert "class-mean mask" in text
    for word in ("AU ", "AUs", "action unit", "face", "codebook", "landmarks"):
        assert word not in text, text[max(text.find(word) - 60, 0) : text.find(word) + 60]
    data = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    words = json.loads(re.search(r'"words": ?({.*?})', data)[1])  # type: ignore[index]
    assert words == {"noun": "mask", "one": "image", "many": "images", "nothing": "no mask", "bare": "no photograph"}


def test_a_killed_score_is_resumed_and_another_mask_is_refused(
    shapes: Path, model: Model, tmp_path: Path, interrupted: Interrupted
) -> None:
    options = {"batch_size": 4, "masks": shapes / "ignored.csv", "metrics": "cosine,pxap,ssim"}
    whole = run_on(shapes, model, out=tmp_path / "whole", **options)
    with interrupted(1):
        run_on(shapes, model, out=tmp_path / "cut", **options)
    with pytest.raises(interpfer.errors.RunError, match="masks"):
        run_on(shapes, model, out=tmp_path / "cut", resume=True, **options | {"masks": shapes / "masks.csv"})
    run_on(shapes, model, out=tmp_path / "cut", resume=True, **options)
    for name in ("scores.csv", "per_image.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    rows = leaderboard_rows(load_run(tmp_path / "whole"))
    assert rows["truth"].str.fullmatch("masks#[0-9a-f]{8}").all()
    assert whole.manifest["arguments"]["masks"] == "ignored.csv"
