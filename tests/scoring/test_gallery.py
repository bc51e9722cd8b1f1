import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from interpfer.errors import RunError
from interpfer.landmarks.alignment import warp_image
from interpfer.results.folder import RunFolder
from interpfer.results.pictures import ReportData, load_report_data
from interpfer.results.run import load_run
from interpfer.scoring.gallery import choose
from interpfer.scoring.mean_faces import align_faces, align_points, alignment
from interpfer.scoring.score import score
from tests.conftest import Interrupted

TABLES = ("scores.csv", "per_image.csv", "confusion.csv", "report.npz")


def run_on(data: Path, checkpoint: Path, out: Path, **options: Any) -> ReportData | None:
    options = {"maps": "attention,gradcam,baseline:uniform", "device": "cpu", "metrics": "cosine"} | options
    score(checkpoint, "csv", data_root=data, landmarks=data / "landmarks.txt", out=out, **options)
    return load_report_data(out)


def test_best_worst_typical_wrong_and_random_faces_are_chosen_per_class() -> None:
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, np.nan])
    chosen = choose(values, ["fear"] * 8, ["fear"] * 6 + ["anger"] * 2, [0.5] * 7 + [0.9], [f"{i}" for i in range(8)])
    groups = {name: {row for row, found in chosen.items() if name in found}
              for name in ("best", "worst", "typical", "misclassified", "random")}  # fmt: skip
    assert groups["best"] == {4, 5, 6}
    assert groups["worst"] == {0, 1, 2}
    assert groups["typical"] == {2, 3, 4}
    assert groups["misclassified"] == {6, 7}
    order = sorted(range(8), key=lambda i: hashlib.sha256(f"{i}".encode()).digest())
    assert groups["random"] == set(order[:3])
    assert list(chosen) == sorted(chosen)
    assert choose(np.full(2, np.nan), ["", ""], ["fear", "fear"], [1, 1], ["a", "b"]) == {}


def test_what_chance_picks_does_not_depend_on_the_scores() -> None:
    names = [f"face {i}" for i in range(40)]
    picks = []
    for seed in (0, 1):
        values = np.random.default_rng(seed).random(40)
        chosen = choose(values, ["fear"] * 40, ["fear"] * 40, [1.0] * 40, names)
        picks.append({row for row, groups in chosen.items() if "random" in groups})
    assert picks[0] == picks[1]


def test_faces_are_aligned_as_by_pillow(demo_points: torch.Tensor) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (28, 28, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(pixels).resize((224, 224), Image.Resampling.BICUBIC))
    image = torch.from_numpy(np.array(smooth)).permute(2, 0, 1)[None].float() / 255
    aligned, reached = align_faces(image, demo_points[:1])
    expected = np.asarray(warp_image(Image.fromarray(smooth), alignment(demo_points[:1])[0], 224))
    inside = reached[0, 0].numpy() > 0.999
    assert inside.mean() > 0.5
    difference = np.abs(aligned[0].permute(1, 2, 0).numpy() * 255 - expected)[inside]
    assert np.percentile(difference, 99) < 6
    eyes = align_points(demo_points)[:, 36:48].mean(1)
    assert eyes.std(0).max() < 2


def test_the_exhibit_survives_its_file(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    shown = run_on(faces, checkpoint, tmp_path / "run", layers="all")
    assert shown is not None
    assert shown.columns[-1] == ("AU heatmap", "-")
    assert shown.columns[:1] == (("attention", "stages.0"),)
    assert all(key[0] != "baseline:uniform" for key in shown.columns)
    assert shown.maps.shape == (len(shown.ids), len(shown.columns), 28, 28)
    assert {Image.open(io.BytesIO(face)).size for face in shown.faces} == {(144, 144)}
    labels = np.array(shown.labels)
    assert (shown.maps[labels == "neutral", -1] == 0).all()
    assert (shown.maps[labels != "neutral", -1].max((1, 2)) == 255).all()
    assert shown.mean_maps[:, -1].max() > 100
    assert shown.members.tolist() == [6] * 7
    again = ReportData(**{name: getattr(shown, name) for name in ReportData.__dataclass_fields__})
    assert again.to_bytes() == shown.to_bytes() == (tmp_path / "run" / "report.npz").read_bytes()
    wrong = np.array([a != b for a, b in zip(shown.labels, shown.predicted, strict=True)])
    gradcam = shown.columns.index(("gradcam", "stages.3"))
    assert (shown.other[~wrong] == 0).all()
    assert shown.other[wrong, gradcam].any()
    assert not shown.other[:, shown.columns.index(("attention", "stages.3"))].any()


def test_maps_for_the_other_class_are_those_of_a_run_with_the_other_target(
    faces: Path, checkpoint: Path, tmp_path: Path
) -> None:
    by_label = run_on(faces, checkpoint, tmp_path / "label", maps="gradcam")
    by_guess = run_on(faces, checkpoint, tmp_path / "guess", maps="gradcam", target="predicted")
    assert by_label is not None
    assert by_guess is not None
    compared = 0
    for place, name in enumerate(by_label.ids):
        if name in by_guess.ids and by_label.labels[place] != by_label.predicted[place]:
            there = by_guess.ids.index(name)
            np.testing.assert_allclose(by_label.other[place, 0], by_guess.maps[there, 0], atol=1)
            np.testing.assert_allclose(by_guess.other[there, 0], by_label.maps[place, 0], atol=1)
            compared += 1
    assert compared > 3


def test_an_interrupted_run_ends_in_the_same_pictures(
    faces: Path, checkpoint: Path, tmp_path: Path, interrupted: Interrupted
) -> None:
    run_on(faces, checkpoint, tmp_path / "whole", batch_size=8)
    with interrupted(2):
        run_on(faces, checkpoint, tmp_path / "cut", batch_size=8)
    run_on(faces, checkpoint, tmp_path / "cut", batch_size=8, resume=True)
    for name in TABLES:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes(), name
    (tmp_path / "cut" / "report.html").unlink()
    run_on(faces, checkpoint, tmp_path / "cut", batch_size=8, resume=True)
    assert (tmp_path / "cut" / "report.html").is_file()


def test_no_photograph_is_copied_where_none_may_be(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    kept: list[Any] = []
    add = RunFolder.add
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "add", lambda self, part: (kept.append(part.pictures), add(self, part)))
        shown = run_on(faces, checkpoint, tmp_path / "run", faces=False)
    assert shown is not None
    assert shown.faces == ()
    assert shown.mean_faces == ()
    assert all(len(pictures.faces) == 0 for pictures in kept)
    assert "image/jpeg;base64,/9j" not in (tmp_path / "run" / "report.html").read_text()
    assert '"jpeg": ""' in (tmp_path / "run" / "report.html").read_text()


def test_without_a_report_nothing_is_kept_and_an_old_one_is_dropped(
    faces: Path, checkpoint: Path, tmp_path: Path
) -> None:
    run_on(faces, checkpoint, tmp_path / "run")
    assert run_on(faces, checkpoint, tmp_path / "run", report=False, overwrite=True) is None
    assert not (tmp_path / "run" / "report.html").exists()
    assert load_run(tmp_path / "run").path == tmp_path / "run"


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "report.npz").write_bytes(b"nothing")
    with pytest.raises(RunError, match=r"report\.npz is damaged"):
        load_report_data(tmp_path)
