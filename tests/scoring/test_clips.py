"""Scores of clips: frames pooled into clips, intervals over clips, damaged clips, videos and folders of frames."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

import interpfer
from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo_clips import DemoClipsDataset
from interpfer.datasets.sampling import resolve_sampling
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.results.comparison import compare, describe_independence
from interpfer.results.run import Run, load_run
from interpfer.statistics.summary import summarise
from tests.replicas import text, video

LABELS = ("anger", "disgust", "fear", "anger", "fear", "disgust", "anger")
FRAMES = 3
SIZE = 48


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return interpfer.load_model(SmallCNN(3, width=8), classes=["anger", "disgust", "fear"], input_size=SIZE)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven clips as folders of frames and as videos without loss, their landmarks, and four that are damaged."""
    root = tmp_path_factory.mktemp("clips")
    drawn = DemoClipsDataset("test", clips=len(LABELS), sampling=resolve_sampling("uniform", FRAMES), size=SIZE)
    points = drawn.landmarks().locate([sample.id for sample in drawn.samples], None).points
    rows: dict[str, list[str]] = {"frames": [], "videos": []}
    marks: dict[str, list[str]] = {"frames": [], "videos": []}
    for clip, label in enumerate(LABELS):
        places = [clip * FRAMES + frame for frame in range(FRAMES)]
        pictures = [np.asarray(drawn.image(place)) for place in places]
        video(root / f"videos/clips/c{clip}.mov", pictures)
        (root / f"frames/clips/c{clip}").mkdir(parents=True)
        rows["frames"].append(f"c{clip},{label}")
        rows["videos"].append(f"c{clip}.mov,{label}")
        for frame, place in enumerate(places):
            drawn.image(place).save(root / f"frames/clips/c{clip}/{frame}.png")
            cells = ",".join(f"{value:.4f}" for value in (*points[place, :, 0].tolist(), *points[place, :, 1].tolist()))
            marks["frames"].append(f"c{clip}/{frame}.png,{cells}")
            marks["videos"].append(f"c{clip}.mov/{frame:05d},{cells}")
    whole = (root / "videos/clips/c0.mov").read_bytes()
    (root / "videos/clips/cut.mov").write_bytes(whole[: len(whole) // 2])
    (root / "videos/clips/empty").mkdir()
    rows["videos"] += ["cut.mov,fear", "empty,fear", "gone.mp4,fear", "c1.mov,happpy"]
    for name in rows:
        text(root / name / "clips.csv", "clip,label", *rows[name])
        text(root / name / "landmarks.txt", *marks[name])
    return root


def score(model: Model, root: Path, **options: Any) -> Run:
    """Score the clips in a folder."""
    choices = {"maps": "gradcam,baseline:uniform,baseline:class-mean-au", "device": "cpu", "sampling": "all"} | options
    return interpfer.score(model, "clips", data_root=root, landmarks=root / "landmarks.txt", report=False, **choices)


@pytest.fixture(scope="module")
def run(model: Model, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on folders of frames, read again from its folder."""
    out = tmp_path_factory.mktemp("run") / "frames"
    score(model, root / "frames", out=out)
    return load_run(out)


def test_a_clip_is_predicted_from_the_mean_of_its_logits(model: Model, root: Path, run: Run) -> None:
    from interpfer.datasets.clips import ClipsDataset
    from interpfer.faces.stream import FaceStream
    from interpfer.landmarks.absent import NoLandmarks

    clips = ClipsDataset.open(root / "frames", "test", sampling=resolve_sampling("all"))
    logits = model.predict_logits(FaceStream(clips, NoLandmarks(), SIZE).read(range(len(clips))).faces.images)
    means = logits.double().reshape(len(LABELS), FRAMES, 3).mean(1)
    predicted = [model.classes[index] for index in means.argmax(1).tolist()]
    assert run.clips is not None
    assert run.clips["clip"].tolist() == [f"c{i}" for i in range(len(LABELS))]
    assert run.clips["label"].tolist() == list(LABELS)
    assert run.clips["predicted"].tolist() == predicted
    np.testing.assert_allclose(run.clips["confidence"], means.softmax(1).amax(1), atol=1e-6)
    assert run.clips["frames"].tolist() == [FRAMES] * len(LABELS)
    facts = run.manifest["clips"]
    correct = np.array(predicted) == np.array(LABELS)
    assert facts["WAR"] == pytest.approx(correct.mean()) == run.manifest["classification"]["accuracy"]
    assert facts["UAR"] == pytest.approx(balanced_accuracy_score(LABELS, predicted))
    assert facts["UAR"] == run.manifest["classification"]["balanced_accuracy"]
    assert run.manifest["classification"]["n"] == len(LABELS)
    expected = confusion_matrix(LABELS, predicted, labels=["anger", "disgust", "fear"])
    assert run.confusion.to_numpy().tolist() == expected.tolist()
    of_frames = np.array(model.classes)[logits.argmax(1).numpy()] == np.repeat(LABELS, FRAMES)
    assert facts["of_single_frames"]["accuracy"] == pytest.approx(of_frames.mean())
    assert f"WAR {facts['WAR']:.3f}, UAR {facts['UAR']:.3f}" in "; ".join(run.manifest["warnings"])


def test_agreement_of_a_clip_is_the_mean_over_its_frames(run: Run) -> None:
    assert run.clips is not None
    layer = run.scores.loc[run.scores["map"] == "gradcam", "layer"].iloc[0]
    lines = run.per_image[run.per_image["map"] == "gradcam"]
    assert lines[["clip", "frame"]].to_numpy().tolist()[:4] == [["c0", 0], ["c0", 1], ["c0", 2], ["c1", 0]]
    means = lines.groupby("clip", sort=False)["cosine"].mean()
    np.testing.assert_allclose(run.clips[f"cosine gradcam@{layer}"], means, atol=2e-6)


def test_intervals_are_over_clips(run: Run) -> None:
    lines = run.per_image[run.per_image["map"] == "gradcam"]
    names = tuple(sorted(set(LABELS)))
    clips = pd.factorize(lines["clip"])[0]
    classes = np.array([names.index(name) for name in lines["label"]])
    values = lines["cosine"].to_numpy()
    macro = summarise(values, classes, names, seed=0, subjects=clips)[0]
    found = (
        run.scores[(run.scores["map"] == "gradcam") & (run.scores["metric"] == "cosine")]
        .set_index("group")
        .loc["macro"]
    )
    np.testing.assert_allclose(found[["value", "ci_low", "ci_high"]].tolist(), macro[1:4], atol=1e-5)
    over_frames = summarise(values, classes, names, seed=0)[0]
    assert over_frames.high - over_frames.low < macro.high - macro.low
    assert run.manifest["intervals"] == "95 % bootstrap over clips"
    assert run.manifest["clips"]["intervals_over"] == "clips"
    assert run.manifest["classification"]["accuracy_interval"] == "Wilson, clips taken as independent"
    assert run.manifest["subjects"] == {}
    table = compare(run, run)
    assert table["n_subjects"].tolist()[0] == len(LABELS)
    assert describe_independence(table) == "intervals and tests are over clips: 7 on 21 images"


def test_the_mean_of_the_others_leaves_out_the_clip(root: Path, run: Run) -> None:
    table = pd.read_csv(root / "frames/landmarks.txt", header=None, index_col=0)
    names = [f"c{clip}/{frame}.png" for clip in range(len(LABELS)) for frame in range(FRAMES)]
    marks = torch.from_numpy(table.loc[names].to_numpy(np.float32)).reshape(-1, 2, 68).mT * (224 / SIZE)
    heat, valid = interpfer.au_heatmaps(marks, [label for label in LABELS for _ in range(FRAMES)])
    assert valid.all()
    lines = run.per_image[run.per_image["map"] == "baseline:class-mean-au"].set_index("image")["cosine"]
    for place, name in enumerate(names):
        clip = place // FRAMES
        others = [i for i in range(len(names)) if i // FRAMES != clip and LABELS[i // FRAMES] == LABELS[clip]]
        expected = torch.cosine_similarity(heat[others].mean(0).flatten(), heat[place].flatten(), dim=0)
        assert lines[name] == pytest.approx(float(expected), abs=2e-5)


def test_videos_score_as_their_frames_and_damaged_clips_are_named(model: Model, root: Path, run: Run) -> None:
    other = score(model, root / "videos", batch_size=4)
    numbers = ["cosine", "cosine_skill", "pxap"]
    np.testing.assert_allclose(other.per_image[numbers], run.per_image[numbers], atol=1e-5)
    assert other.clips is not None
    assert run.clips is not None
    columns = list(run.clips.select_dtypes("number"))
    np.testing.assert_allclose(other.clips[columns], run.clips[columns], atol=1e-5)
    assert other.clips["predicted"].tolist() == run.clips["predicted"].tolist()
    facts = other.manifest["clips"]
    assert (facts["clips"], facts["scored"]) == (11, 7)
    reasons = {
        "cut.mov": "cut.mov: the video",
        "empty": "empty: the folder has no pictures",
        "gone.mp4": "gone.mp4: no such video or folder of frames",
        "c1.mov": "unknown expression 'happpy'",
    }
    assert set(facts["skipped"]) == set(reasons)
    assert all(reason in facts["skipped"][name] for name, reason in reasons.items())
    assert any("4 clips could not be read: " in note for note in other.manifest["warnings"])


def test_a_clip_of_one_frame_scores_as_that_frame(model: Model, root: Path, tmp_path: Path) -> None:
    rows = [(clip, label) for clip, label in enumerate(LABELS)]
    (tmp_path / "images").mkdir()
    for clip, _ in rows:
        (tmp_path / f"clips/c{clip}").mkdir(parents=True)
        content = (root / f"frames/clips/c{clip}/1.png").read_bytes()
        (tmp_path / f"clips/c{clip}/1.png").write_bytes(content)
        (tmp_path / f"images/{clip}.png").write_bytes(content)
    marks = (root / "frames/landmarks.txt").read_text().splitlines()
    text(tmp_path / "landmarks.txt", *(mark for mark in marks if "/1.png" in mark))
    alone = [f"{mark[1:].partition('/')[0]}.png,{mark.partition(',')[2]}" for mark in marks if "/1.png" in mark]
    text(tmp_path / "alone.txt", *alone)
    text(tmp_path / "clips.csv", "clip,label", *(f"c{clip},{label}" for clip, label in rows))
    text(tmp_path / "labels.csv", "image,label", *(f"{clip}.png,{label}" for clip, label in rows))
    options = {"maps": "gradcam,baseline:uniform,baseline:class-mean-au", "device": "cpu"}
    pictures = interpfer.score(model, CsvDataset.open(tmp_path, "test"), landmarks=tmp_path / "alone.txt", **options)
    clips = score(model, tmp_path)
    numbers = ["cosine", "cosine_skill", "pxap"]
    np.testing.assert_allclose(clips.per_image[numbers], pictures.per_image[numbers], atol=1e-6)
    assert clips.scores["value"].tolist() == pictures.scores["value"].tolist()
    assert clips.confusion.equals(pictures.confusion)
    same = ("accuracy", "balanced_accuracy", "macro_f1", "ece", "accuracy_ci")
    assert [clips.manifest["classification"][name] for name in same] == [
        pytest.approx(pictures.manifest["classification"][name]) for name in same
    ]


def test_shards_of_clips_make_the_same_run(model: Model, root: Path, tmp_path: Path) -> None:
    options = {"maps": "gradcam,baseline:class-mean-au", "batch_size": 7}
    score(model, root / "frames", out=tmp_path / "whole", **options)
    shards = [tmp_path / f"shard-{index}" for index in range(2)]
    for index, shard in enumerate(shards):
        score(model, root / "frames", out=shard, shard=(index, 2), **options)
    assert set(pd.read_csv(shards[1] / "clips.csv")["clip"]) == {"c2", "c3", "c6"}  # batches of two clips
    interpfer.merge(shards, tmp_path / "run", model=model, landmarks=root / "frames/landmarks.txt")
    for name in ("scores.csv", "per_image.csv", "clips.csv", "confusion.csv", "au_profile.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_limit_draws_whole_clips(model: Model, root: Path, tmp_path: Path) -> None:
    score(model, root / "frames", limit=3, out=tmp_path / "a", maps="gradcam")
    table = pd.read_csv(tmp_path / "a/clips.csv")
    assert table["frames"].tolist() == [FRAMES] * 3
    assert sorted(table["label"]) == ["anger", "disgust", "fear"]
    assert json.loads((tmp_path / "a/run.json").read_text())["clips"]["frames"] == 3 * FRAMES
