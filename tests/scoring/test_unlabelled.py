"""Data sets with action units and no labels: what of a score is there, and what is said of the others."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.disfa import AUS, DisfaDataset
from interpfer.errors import DataError
from interpfer.results.comparison import compare
from interpfer.results.run import Run
from interpfer.scoring.score import score
from tests.replicas import text

COUNT = 12


@pytest.fixture(scope="module")
def disfa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces as frames of two people in the layout of DISFA, with landmarks.txt."""
    root = tmp_path_factory.mktemp("disfa")
    dataset = DemoDataset("test", count=COUNT, size=48)
    lines = []
    for person, rows in (("SN001", range(COUNT // 2)), ("SN003", range(COUNT // 2, COUNT))):
        levels = [{unit.au: unit.intensity for unit in dataset.samples[row].aus.active} for row in rows]
        for au in AUS:
            codes = (round(5 * level.get(au, 0)) for level in levels)
            frames = (f"{frame},{code}" for frame, code in enumerate(codes, 1))
            text(root / "ActionUnit_Labels" / person / f"{person}_au{au}.txt", *frames)
        for frame, row in enumerate(rows):
            picture = root / person / f"{frame}.png"
            picture.parent.mkdir(exist_ok=True)
            dataset.image(row).save(picture)
            points = dataset.shape(row).points.T.ravel()
            lines.append(",".join([f"{person}/{frame}.png", *(f"{value:.3f}" for value in points)]))
    text(root / "landmarks.txt", *lines)
    return root


def run_on(disfa: Path, checkpoint: Path, **options: object) -> Run:
    dataset = DisfaDataset.open(disfa, "all")
    chosen = {"truth": "aus", "maps": "gradcam,baseline:uniform", "metrics": "cosine,pxap", "device": "cpu"} | options
    return score(checkpoint, dataset, **{"landmarks": str(disfa / "landmarks.txt")} | chosen)


def test_all_faces_are_one_group(disfa: Path, checkpoint: Path) -> None:
    run = run_on(disfa, checkpoint, target="predicted")
    shown = [any(unit.intensity for unit in sample.aus.active) for sample in DisfaDataset.open(disfa, "all").samples]
    assert 0 < sum(shown) <= COUNT
    uniform = run.per_image[run.per_image["map"] == "baseline:uniform"]
    assert uniform["cosine"].notna().tolist() == shown
    scores = run.scores[run.scores["map"] == "baseline:uniform"].set_index(["metric", "group"])
    for group in ("macro", "micro", "unlabelled"):
        assert scores.loc[("cosine", group), "value"] == pytest.approx(np.nanmean(uniform["cosine"]), abs=1e-6)
        assert scores.loc[("cosine", group), "n"] == sum(shown)
    assert scores.loc[("cosine", "correct"), "n"] == scores.loc[("cosine", "wrong"), "n"] == 0
    assert scores.loc[("pxap", "macro"), "value"] == scores.loc[("pxap", "micro"), "value"]
    assert any(group.startswith("AU") for _, group in scores.index)
    counts = run.manifest["counts"]
    assert counts["unlabelled"] == 0
    assert counts["without_truth"] == ({"unlabelled": COUNT - sum(shown)} if sum(shown) < COUNT else {})
    assert run.manifest["intervals"] == "95 % bootstrap over subjects"


def test_maps_of_the_true_class_are_undefined(disfa: Path, checkpoint: Path) -> None:
    run = run_on(disfa, checkpoint)
    assert run.scores[run.scores["map"] == "gradcam"]["value"].isna().all()
    assert any("no image of the data set disfa has a label" in note for note in run.manifest["warnings"])


def test_runs_are_compared_on_all_faces(disfa: Path, checkpoint: Path) -> None:
    first, second = (run_on(disfa, checkpoint, target=target, maps="gradcam") for target in ("predicted", "happiness"))
    table = compare(first, second).set_index("metric")
    a, b = (run.per_image.set_index("image")["cosine"] for run in (first, second))
    assert table.loc["cosine", "difference"] == pytest.approx((b - a).mean(), abs=1e-6)
    assert table.loc["cosine", "n"] == (b - a).notna().sum()
    assert table.loc["cosine", "n_subjects"] == 2
    assert np.isnan(table.loc["accuracy", "difference"])


def test_a_codebook_needs_labels(disfa: Path, checkpoint: Path) -> None:
    with pytest.raises(DataError, match=f"of {COUNT}, {COUNT} without a label, which a codebook needs"):
        run_on(disfa, checkpoint, truth="codebook")


def test_frames_without_a_picture_are_counted(disfa: Path, checkpoint: Path) -> None:
    last = disfa / "SN003" / f"{COUNT // 2 - 1}.png"
    content = last.read_bytes()
    last.unlink()
    run = run_on(disfa, checkpoint, target="predicted", maps="baseline:uniform", metrics="cosine")
    last.write_bytes(content)
    assert "left out: coded frames without a picture (1)" in run.manifest["warnings"]


def test_action_units_between_the_sampled_pixels_are_named(disfa: Path, checkpoint: Path, tmp_path: Path) -> None:
    """A flat brow: rows 61 to 65 of the canvas, of which sampling to 28 x 28 reads none."""
    dataset = DisfaDataset.open(disfa, "all")
    shown = [sample.id for sample in dataset.samples if sample.aus and {4} < {unit.au for unit in sample.aus.active}]
    lines = []
    for line in (disfa / "landmarks.txt").read_text().splitlines():
        name, *numbers = line.split(",")
        if name == shown[0]:
            points = np.array(numbers, float).reshape(2, -1)
            points[1, [19, 24]] = np.array([62.2, 64.2]) * 48 / 224
            line = ",".join([name, *(f"{value:.3f}" for value in points.ravel())])
        lines.append(line)
    text(tmp_path / "flat.txt", *lines)
    run = run_on(
        disfa, checkpoint, target="predicted", maps="baseline:uniform", metrics="cosine",
        landmarks=str(tmp_path / "flat.txt"),
    )  # fmt: skip
    before = run_on(disfa, checkpoint, target="predicted", maps="baseline:uniform", metrics="cosine")
    others = before.manifest["counts"].get("not_drawn", {}).get("AU4", [])
    lost = run.manifest["counts"]["not_drawn"]
    assert shown[0] not in others
    assert lost["AU4"] == [shown[0], *others]
    assert any(note.startswith("not drawn: AU 4 on ") and shown[0] in note for note in run.manifest["warnings"])
    coded = Counter(unit.au for sample in dataset.samples if sample.aus for unit in sample.aus.active)
    table = run.scores.set_index(["metric", "group"])["n"]
    for au in (1, 4, 12, 25):
        assert table["cosine", f"AU{au}"] == coded[au] - len(lost.get(f"AU{au}", []))
