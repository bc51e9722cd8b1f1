import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

import interpfer
from interpfer.au.drawing import au_heatmaps
from interpfer.cli.run_tables import notes
from interpfer.datasets.csv import CsvDataset
from interpfer.errors import DataError, InterpferError, PluginError, RunError
from interpfer.faces.stream import FaceStream
from interpfer.landmarks import plausibility
from interpfer.landmarks.files import FileLandmarks
from interpfer.maps.canvas import to_canvas
from interpfer.metrics.queries import ModelProbe, zero_color
from interpfer.results.run import Run, load_run
from interpfer.scoring.score import score
from interpfer.types import Sample
from tests.conftest import Interrupted

TABLES = ("scores.csv", "per_image.csv", "confusion.csv")
EVERY_MAP = "attention,gradcam,gradcam++,layercam,baseline:uniform,baseline:mean-au,baseline:class-mean-au"


def run_on(faces: Path, checkpoint: Path, **options: Any) -> Run:
    options = {"landmarks": faces / "landmarks.txt", "device": "cpu", "maps": EVERY_MAP} | options
    return score(checkpoint, "csv", data_root=faces, **options)


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in TABLES}


def test_scores_agree_with_the_public_functions(faces: Path, checkpoint: Path) -> None:
    run = run_on(faces, checkpoint, maps="gradcam,layercam", layers="all")
    model = interpfer.load_model(checkpoint)
    dataset = CsvDataset.open(faces, "test")
    provider = FileLandmarks(faces / "landmarks.txt")
    index = next(i for i, sample in enumerate(dataset.samples) if sample.label == "happiness")
    sample, picture = dataset.samples[index], dataset.image(index)
    image = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
    points = provider.locate([sample.id], None).points * (224 / picture.width)
    heat, valid = au_heatmaps(points, ["happiness"])
    assert valid.all()
    target = torch.tensor([model.classes.index("happiness")])
    maps = interpfer.compute_maps(model, image, ["gradcam", "layercam"], "all", target)
    rows = run.per_image[run.per_image["image"] == sample.id].set_index(["map", "layer"])
    for (name, layer), raw in maps.items():
        if not (raw > 0).any():
            assert np.isnan(rows.loc[(name, layer), "cosine"])
            continue
        unit = (raw - raw.min()) / (raw.max() - raw.min())
        large = F.interpolate(unit[:, None], size=(224, 224), mode="bilinear", align_corners=False)[:, 0]
        expected = F.cosine_similarity(large.flatten(1), heat.flatten(1)).item()
        assert rows.loc[(name, layer), "cosine"] == pytest.approx(expected, abs=1e-5)
        assert rows.loc[(name, layer), "pxap"] == pytest.approx(interpfer.metrics.pxap(large, heat), abs=1e-3)


def test_macro_is_the_mean_of_class_means_without_neutral(faces: Path, checkpoint: Path) -> None:
    run = run_on(faces, checkpoint, maps="attention")
    rows = run.per_image.query("map == 'attention'")
    means = rows.groupby("label")["cosine"].mean().drop("neutral")
    assert run.score("attention") == pytest.approx(means.mean())
    assert run.score("attention", group="micro") == pytest.approx(rows["cosine"].mean())
    assert run.score("attention", group="fear") == pytest.approx(means["fear"])
    assert np.isnan(run.score("attention", group="neutral"))
    counted = run.scores.query("map == 'attention' and metric == 'cosine'").set_index("group")["n"]
    assert counted["macro"] == 36
    assert counted["neutral"] == 0


def test_data_set_level_pxap_pools_pixels(faces: Path, checkpoint: Path) -> None:
    run = run_on(faces, checkpoint, maps="baseline:uniform")
    prevalence = run.score("baseline:uniform", "pxap", "micro")
    assert prevalence == pytest.approx(run.per_image["pxap"].mean(), abs=1e-3)


def test_leave_one_out_baselines_against_a_plain_loop(faces: Path, checkpoint: Path) -> None:
    run = run_on(faces, checkpoint, maps="baseline:mean-au,baseline:class-mean-au")
    dataset, provider = CsvDataset.open(faces, "test"), FileLandmarks(faces / "landmarks.txt")
    labels = [sample.label for sample in dataset.samples]
    points = provider.locate([sample.id for sample in dataset.samples], None).points * (224 / 72)
    heat, valid = au_heatmaps(points, labels)
    row = labels.index("anger")
    for name, others in {
        "baseline:mean-au": [i for i in range(len(labels)) if valid[i] and i != row],
        "baseline:class-mean-au": [i for i, label in enumerate(labels) if label == "anger" and i != row],
    }.items():
        expected = F.cosine_similarity(heat[others].mean(0).flatten(), heat[row].flatten(), dim=0).item()
        rows = run.per_image[run.per_image["map"] == name]
        found = rows[rows["image"] == dataset.samples[row].id]["cosine"].item()
        assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.usefixtures("threads")
def test_same_seed_same_bytes(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        maps = "attention,gradcam,baseline:mean-au"
        run_on(faces, checkpoint, maps=maps, limit=10, report=False, out=tmp_path / name)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_another_seed_other_intervals(faces: Path, checkpoint: Path) -> None:
    one, other = (run_on(faces, checkpoint, maps="attention", seed=seed).scores for seed in (0, 1))
    assert one["value"].equals(other["value"])
    assert not one["ci_low"].equals(other["ci_low"])


def test_batch_size_does_not_show(faces: Path, checkpoint: Path) -> None:
    one, many = (run_on(faces, checkpoint, limit=20, batch_size=size) for size in (1, 17))
    for table, column in (("scores", "value"), ("per_image", "pxap"), ("per_image", "cosine")):
        left, right = getattr(one, table), getattr(many, table)
        percent = (left["metric"] == "pxap") if table == "scores" else column == "pxap"
        scale = np.where(percent, 100, 1)
        np.testing.assert_allclose(left[column] / scale, right[column] / scale, rtol=0, atol=1e-5)
        pd.testing.assert_frame_equal(left.select_dtypes(exclude="float"), right.select_dtypes(exclude="float"))


ASKING = "cosine,deletion,road,au_occlusion"


def test_metrics_that_ask_the_model_get_its_faces_right(faces: Path, checkpoint: Path) -> None:
    options = {"maps": "gradcam,baseline:random", "metrics": ASKING, "limit": 13}
    whole = run_on(faces, checkpoint, batch_size=13, **options).per_image
    parted = run_on(faces, checkpoint, batch_size=5, **options).per_image
    pd.testing.assert_frame_equal(whole, parted, atol=1e-5)
    neutral = whole["label"] == "neutral"
    assert neutral.any()
    assert whole.loc[neutral, ASKING.split(",")].isna().to_numpy().all()
    assert whole.loc[~neutral, ["deletion", "road"]].notna().to_numpy().all()
    once = whole[~neutral].groupby("image")["au_occlusion"].nunique()
    assert (once <= 1).all()  # it is the same for all maps

    model, dataset = interpfer.load_model(checkpoint), CsvDataset.open(faces, "test")
    row = next(i for i, sample in enumerate(dataset.samples) if sample.id == whole.loc[~neutral, "image"].iloc[0])
    seen = FaceStream(dataset, FileLandmarks(faces / "landmarks.txt"), model.card.input.size).read([row])
    label = dataset.samples[row].label
    target = torch.tensor([model.classes.index(label)])
    heat, _ = au_heatmaps(seen.landmarks.points, [label])
    zero = zero_color(model.card.input)
    trial = ModelProbe(model.predict_probabilities, seen.faces.images, heat, target, (row,), 0, zero)
    raw = interpfer.compute_maps(model, seen.faces.images, ["gradcam"], "last", target)
    unit, _ = to_canvas(next(iter(raw.values())), attention=False)
    own = whole[(whole["image"] == dataset.samples[row].id) & (whole["map"] == "gradcam")].iloc[0]
    for name in ("deletion", "road", "au_occlusion"):
        assert own[name] == pytest.approx(
            interpfer.metrics.METRICS.get(name)(unit, trial).item(), abs=1e-5, nan_ok=True
        )


def test_an_interrupted_run_resumes_to_the_same_bytes(
    faces: Path, checkpoint: Path, tmp_path: Path, interrupted: Interrupted
) -> None:
    options = {"limit": 20, "batch_size": 5}
    run_on(faces, checkpoint, out=tmp_path / "whole", **options)
    with interrupted(3):
        run_on(faces, checkpoint, out=tmp_path / "cut", **options)
    assert not (tmp_path / "cut" / "scores.csv").exists()
    with pytest.raises(RunError, match="already holds a run; pass --resume"):
        run_on(faces, checkpoint, out=tmp_path / "cut", **options)
    with pytest.raises(
        RunError, match="was started with another protocol, codebook, codebook_digest, geometry, au_planes;"
    ):
        run_on(faces, checkpoint, out=tmp_path / "cut", resume=True, protocol="corrected", limit=20)
    run_on(faces, checkpoint, out=tmp_path / "cut", resume=True, **options)
    assert digests(tmp_path / "whole") == digests(tmp_path / "cut")
    assert not (tmp_path / "cut" / ".parts").exists()
    again = run_on(faces, checkpoint, out=tmp_path / "cut", resume=True, limit=20)
    pd.testing.assert_frame_equal(again.scores, load_run(tmp_path / "whole").scores)


def test_overwrite_replaces_a_run_and_spares_a_stranger_s_folder(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    run_on(faces, checkpoint, out=tmp_path / "run", maps="attention")
    run_on(faces, checkpoint, out=tmp_path / "run", maps="gradcam", overwrite=True)
    assert set(load_run(tmp_path / "run").scores["map"]) == {"gradcam"}
    stranger = tmp_path / "thesis"
    stranger.mkdir()
    (stranger / "chapter.txt").write_text("do not touch")
    with pytest.raises(RunError, match="not empty and holds no run"):
        run_on(faces, checkpoint, out=stranger, overwrite=True)


def test_manifest_says_what_was_run(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    run = run_on(faces, checkpoint, out=tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert manifest["checkpoint_sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert manifest["counts"]["images"] == 42
    assert manifest["counts"]["scored"] == 36
    assert manifest["counts"]["neutral"] == 6
    assert manifest["arguments"]["protocol"] == "paper"
    assert manifest["arguments"]["codebook"] == "belharbi2024"
    assert manifest["versions"]["interpfer"] == interpfer.__version__
    hits = run.per_image.query("map == 'attention'")
    assert manifest["classification"]["accuracy"] == pytest.approx((hits["label"] == hits["predicted"]).mean())
    assert run.confusion.to_numpy().sum() == 42


def test_a_changed_pixel_changes_the_data_set_digest(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    copy = tmp_path / "faces"
    shutil.copytree(faces, copy)
    before = run_on(copy, checkpoint, maps="attention").manifest["dataset_digest"]
    from PIL import Image

    path = copy / "images" / "test_0003.png"
    with Image.open(path) as image:
        changed = image.copy()
    changed.putpixel((5, 5), (1, 2, 3))
    changed.save(path)
    assert run_on(copy, checkpoint, maps="attention").manifest["dataset_digest"] != before


def test_bad_images_and_missing_landmarks_are_skipped_counted_and_named(
    faces: Path, checkpoint: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "faces"
    shutil.copytree(faces, copy)
    (copy / "images" / "test_0002.png").write_bytes(b"this is no image")
    (copy / "images" / "test_0009.png").unlink()
    lines = (copy / "landmarks.txt").read_text().splitlines()
    name, *_ = lines[3].split(",")
    lines[3] = ",".join([name, *["inf"] * 136])
    (copy / "landmarks.txt").write_text("\n".join(lines))
    run = run_on(copy, checkpoint)
    skipped = run.manifest["counts"]["skipped"]
    assert set(skipped["unreadable"]) == {"test_0002.png", "test_0009.png"}
    assert "not a readable image" in skipped["unreadable"]["test_0002.png"]
    assert "no such image file" in skipped["unreadable"]["test_0009.png"]
    assert skipped["no landmarks"] == [name]
    assert (skipped["implausible landmarks"], skipped["heatmap off the picture"]) == ({}, [])
    assert run.manifest["counts"]["images"] == 42
    assert len(set(run.per_image["image"])) == 40
    assert run.per_image[run.per_image["image"] == name]["cosine"].isna().all()


def test_faces_with_implausible_landmarks_or_a_heatmap_off_the_picture_are_counted_under_a_reason(
    faces: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (faces / "landmarks.txt").read_text().splitlines()
    labels = {sample.id: sample.label for sample in CsvDataset.open(faces, "test").samples}

    def change(name: str, form: Callable[[np.ndarray], np.ndarray]) -> None:
        row = next(i for i, line in enumerate(lines) if line.startswith(f"{name},"))
        points = np.array(lines[row].split(",")[1:], float).reshape(2, 68).T
        lines[row] = ",".join([name, *map(str, form(points).T.ravel())])

    swapped, turned, above, below = (
        next(name for name in labels if labels[name] == label) for label in ("happiness", "sadness", "fear", "disgust")
    )
    change(swapped, lambda points: points[:, ::-1])
    change(turned, lambda points: 72 - points)
    change(above, lambda points: points - [0, points[30, 1]])  # only the mouth and the jaw are on the picture
    change(below, lambda points: points + [0, 144])
    (tmp_path / "landmarks.txt").write_text("\n".join(lines))
    run = run_on(faces, checkpoint, landmarks=tmp_path / "landmarks.txt")
    assert run.manifest["counts"]["skipped"]["implausible landmarks"][below] == "most points off the picture"
    monkeypatch.setattr(plausibility, "MIN_INSIDE", 0)
    run = run_on(faces, checkpoint, landmarks=tmp_path / "landmarks.txt")
    counts = run.manifest["counts"]
    assert counts["skipped"]["implausible landmarks"] == {swapped: "y before x", turned: "upside down"}
    assert counts["skipped"]["heatmap off the picture"] == [below]
    assert (counts["scored"], counts["without_truth"]) == (36 - 3, {})
    scores = run.per_image.set_index("image")["cosine"]
    assert scores[[swapped, turned, below]].isna().all()
    assert scores[above].notna().any()
    (line,) = [line for line in notes(run) if line.startswith("scored 33 of 42")]
    assert f"2 with implausible landmarks: y before x, upside down ({swapped}, {turned})" in line
    assert f"1 with heatmap off the picture ({below})" in line


def test_nothing_to_score_is_one_clear_error_and_leaves_nothing(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "landmarks.txt").write_text("other.png," + ",".join(["1"] * 136))
    message = (
        r"csv can be scored: of 42, 36 without landmarks, 6 neutral\. test_0001.png: .*has names such as other.png\."
    )
    for maps in ("attention", "baseline:mean-au"):
        with pytest.raises(DataError, match=message):
            run_on(faces, checkpoint, landmarks=tmp_path / "landmarks.txt", out=tmp_path / "run", maps=maps)
        assert not (tmp_path / "run" / ".parts").exists()


def test_protocols_differ_and_say_so(faces: Path, checkpoint: Path) -> None:
    paper, corrected = (run_on(faces, checkpoint, maps="attention", protocol=name) for name in ("paper", "corrected"))
    assert corrected.manifest["arguments"]["codebook"] == "belharbi2024-printed"
    assert corrected.manifest["arguments"]["geometry"] == "scaled"
    assert abs(paper.score("attention") - corrected.score("attention")) > 1e-3


def test_target_decides_what_class_specific_maps_explain(faces: Path, checkpoint: Path) -> None:
    label, predicted = (
        run_on(faces, checkpoint, maps="attention,gradcam", target=name).per_image for name in ("label", "predicted")
    )
    agree = label["label"] == label["predicted"]
    cams = label["map"] == "gradcam"
    same = np.isclose(label["cosine"], predicted["cosine"], equal_nan=True)
    assert same[~cams & (label["map"] == "attention")].all()
    assert same[cams & agree].all()
    assert not same[cams & ~agree].all()


def test_a_class_the_model_does_not_know_has_no_class_map(faces: Path, checkpoint: Path) -> None:
    names = ["anger", "disgust", "contempt", "happiness", "neutral", "sadness", "surprise"]
    run = run_on(faces, interpfer.load_model(checkpoint, classes=names), maps="attention,gradcam")
    fear = run.per_image[run.per_image["label"] == "fear"].set_index("map")["cosine"]
    assert fear["gradcam"].isna().all()
    assert fear["attention"].notna().all()
    cams = run.per_image[(run.per_image["map"] == "gradcam") & (run.per_image["label"] != "neutral")]
    assert run.manifest["counts"]["undefined_maps"]["gradcam@stages.3"] == cams["cosine"].isna().sum() >= 6
    assert "contempt" in run.confusion.columns


def test_limit_takes_a_seeded_sample(faces: Path, checkpoint: Path) -> None:
    picked = [
        set(run_on(faces, checkpoint, maps="attention", limit=10, sample_seed=seed).per_image["image"])
        for seed in (0, 0, 1)
    ]
    assert len(picked[0]) == 10
    assert picked[0] == picked[1] != picked[2]


def test_the_model_is_left_as_found(faces: Path, checkpoint: Path) -> None:
    model = interpfer.load_model(checkpoint)
    model.module.train()
    run_on(faces, model, limit=3)
    assert model.module.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.module.parameters())


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"maps": "gradcan"}, PluginError, "unknown map or group of maps 'gradcan'. Did you mean gradcam"),
        ({"metrics": "cosin"}, PluginError, "unknown metric or group of metrics 'cosin'. Did you mean cosine"),
        ({"layers": "stages.9"}, InterpferError, r"no spatial layer 'stages.9'. Did you mean stages.* stages.3 \("),
        (
            {"protocol": "papper"},
            InterpferError,
            "must be one of paper, corrected, got 'papper'. Did you mean paper",
        ),
        ({"landmarks": "embeded"}, PluginError, "unknown landmark file or provider 'embeded'"),
        ({"landmarks": "nowhere.txt"}, DataError, "landmark file not found: nowhere.txt"),
        ({"codebook": "belharbi"}, PluginError, "unknown codebook 'belharbi'. Did you mean belharbi2024"),
        ({"device": "tpu"}, InterpferError, "device 'tpu' cannot be used"),
        ({"batch_size": 0}, InterpferError, "batch size must be at least 1, got 0"),
        ({"limit": 0}, InterpferError, "limit must be at least 1, got 0"),
    ],
)
def test_wrong_arguments(faces: Path, checkpoint: Path, options: dict[str, Any], error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        run_on(faces, checkpoint, **options)


def test_a_data_set_without_landmarks_gets_the_embedded_ones(faces: Path, checkpoint: Path) -> None:
    exact, found = (
        run_on(faces, checkpoint, maps="attention", landmarks=given) for given in (faces / "landmarks.txt", None)
    )
    assert found.manifest["landmarks_digest"].startswith("embedded")
    assert found.manifest["counts"]["scored"] >= 30
    assert found.score("attention") == pytest.approx(exact.score("attention"), abs=0.05)


def test_unlabelled_images_are_predicted_but_not_scored(faces: Path, checkpoint: Path) -> None:
    dataset = CsvDataset.open(faces, "test")
    samples = [Sample(s.id, "" if i < 3 else s.label, s.path) for i, s in enumerate(dataset.samples)]
    run = score(checkpoint, CsvDataset(samples, "test", faces), landmarks=faces / "landmarks.txt", device="cpu")
    assert run.manifest["counts"]["unlabelled"] == 3
    assert run.manifest["classification"]["n"] == 39


def test_maps_that_are_the_same_only_on_the_first_images_are_scored_apart(faces: Path, checkpoint: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        found_at_first = {("cam", "stages.3"): ("gradcam", "stages.3")}
        patch.setattr("interpfer.scoring.session.find_duplicates", lambda _: found_at_first)
        taken = run_on(faces, checkpoint, maps="gradcam,cam")
    alone = run_on(faces, checkpoint, maps="cam")
    assert taken.score("cam") == alone.score("cam")
    assert taken.manifest["same"] == {}


def test_run_json_is_strict_json_and_absent_classes_do_not_count(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    run = run_on(faces, checkpoint, limit=4, out=tmp_path / "run", maps="attention")
    assert "NaN" not in (tmp_path / "run" / "run.json").read_text()
    recall = run.manifest["classification"]["recall"]
    present = set(run.per_image["label"])
    assert run.manifest["classification"]["balanced_accuracy"] == pytest.approx(
        np.mean([recall[name] for name in present])
    )


def test_labels_without_a_truth_are_counted_by_label(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    book = tmp_path / "mine.yaml"
    book.write_text("name: mine\nclasses:\n  happiness: [6, 12]\n")
    run = run_on(faces, checkpoint, codebook=str(book), maps="attention")
    counts = run.manifest["counts"]
    assert (counts["scored"], counts["neutral"]) == (6, 6)
    assert counts["without_truth"] == dict.fromkeys(["anger", "disgust", "fear", "sadness", "surprise"], 6)
    assert counts["scored"] + counts["neutral"] + sum(counts["without_truth"].values()) == counts["images"] == 42
    assert any("30 without a truth (" in note for note in notes(run))
