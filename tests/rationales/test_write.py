import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from sklearn.metrics import precision_recall_fscore_support

import interpfer
from interpfer.au.codebook import ActionUnit, load_codebook
from interpfer.cli import group
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import InterpferError
from interpfer.models.small import SmallCNN
from interpfer.rationales import Reward, reward, score_rationales
from interpfer.rationales.grounding import region_boxes
from interpfer.rationales.write import FILES, Rationales

CODEBOOK = load_codebook("belharbi2024")


@pytest.fixture(scope="module")
def faces() -> DemoDataset:
    return DemoDataset("test", count=20, size=64)


def boxes_of(faces: DemoDataset, row: int, moved: float = 0.0) -> list[dict[str, Any]]:
    """Return the boxes of the sides of a face, in pixels, moved by a share of their width."""
    sample = faces.samples[row]
    assert sample.aus is not None
    units = [ActionUnit(unit.au, side=unit.side) for unit in sample.aus.active]
    points = faces.landmarks().locate([sample.id], None).points.double() * 224 / 64
    aus = [unit.au for unit in units]
    found = region_boxes(points, [units], aus)[0, :, :2] * 64
    found = found + moved * (found[..., 2:3] - found[..., :1]) * np.array([1, 0, 1, 0])
    return [
        {"au": au, "box": box.tolist()}
        for au, sides in zip(aus, found, strict=True)
        for box in sides
        if box[0] == box[0]
    ]


def truth_rows(faces: DemoDataset, moved: float = 0.0) -> list[dict[str, Any]]:
    return [
        {
            "image": sample.id,
            "answer": sample.label,
            "aus": sorted({unit.au for unit in sample.aus.active}) if sample.aus else [],
            "boxes": boxes_of(faces, row, moved),
        }
        for row, sample in enumerate(faces.samples)
    ]


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def values(results: Rationales) -> dict[str, float]:
    return {name: each["value"] for name, each in results.headline().items()}


def test_truth_scores_one(faces: DemoDataset, tmp_path: Path) -> None:
    results = score_rationales(write_rows(tmp_path / "r.jsonl", truth_rows(faces)), faces, boxes="pixels")
    found = values(results)
    wanted = dict.fromkeys(found, 1.0)
    assert {name: value for name, value in found.items() if name != "consistency"} == pytest.approx(
        {name: value for name, value in wanted.items() if name != "consistency"}
    )
    relative = [
        row | {"boxes": [{"au": box["au"], "box": [x / 64 for x in box["box"]]} for box in row["boxes"]]}
        for row in truth_rows(faces)
    ]
    assert values(score_rationales(write_rows(tmp_path / "s.jsonl", relative), faces))["iou"] == pytest.approx(1)


def test_half_a_width_off_and_nothing_named(faces: DemoDataset, tmp_path: Path) -> None:
    rows = [row | {"boxes": [box for box in row["boxes"] if box["au"] == 12]} for row in truth_rows(faces, 0.5)]
    rows = [row | {"aus": [12]} for row in rows if row["boxes"]]
    assert rows
    moved = score_rationales(write_rows(tmp_path / "r.jsonl", rows), faces, boxes="pixels")
    assert moved.by_au[(moved.by_au["of"] == "text") & (moved.by_au["au"] == 12)]["iou"].item() == pytest.approx(1 / 3)
    nothing = [{"id": row["image"], "answer": row["answer"], "aus": []} for row in truth_rows(faces)]
    found = values(score_rationales(write_rows(tmp_path / "n.jsonl", nothing), faces))
    assert [found[name] for name in ("au_precision", "au_recall", "au_f1", "au_f1_macro", "consistency")] == [0.0] * 5
    assert math.isnan(found["iou"])


def test_values_by_scikit_learn(tmp_path: Path) -> None:
    """Of labels alone, the truth is the codebook's; the same numbers come out of another implementation."""
    rng = np.random.default_rng(0)
    expressions = ["anger", "disgust", "fear", "happiness", "sadness", "surprise"]
    aus = CODEBOOK.aus()
    rows = [
        {
            "id": f"{n}.png",
            "label": str(rng.choice(expressions)),
            "answer": str(rng.choice(expressions)),
            "aus": sorted(map(int, rng.choice(aus, rng.integers(0, 6), replace=False))),
        }
        for n in range(80)
    ]
    results = score_rationales(write_rows(tmp_path / "r.jsonl", rows))
    found = values(results)
    truth = np.array([[au in CODEBOOK.aus([row["label"]]) for au in aus] for row in rows])
    named = np.array([[au in row["aus"] for au in aus] for row in rows])
    of_answer = np.array([[au in CODEBOOK.aus([row["answer"]]) for au in aus] for row in rows])
    for metric, kind in (("au_f1", "micro"), ("au_f1_macro", "macro"), ("au_f1_face", "samples")):
        precision, recall, f1, _ = precision_recall_fscore_support(truth, named, average=kind, zero_division=0)
        assert found[metric] == pytest.approx(f1)
        if kind == "micro":
            assert (found["au_precision"], found["au_recall"]) == pytest.approx((precision, recall))
    consistency = precision_recall_fscore_support(of_answer, named, average="samples", zero_division=0)[2]
    assert found["consistency"] == pytest.approx(consistency)
    assert found["accuracy"] == pytest.approx(np.mean([row["label"] == row["answer"] for row in rows]))
    assert "baseline:label-aus" not in set(results.scores["of"])  # it is the truth
    parrot = results.scores[(results.scores["of"] == "baseline:answer-aus") & (results.scores["metric"] == "au_f1")]
    assert parrot["value"].item() == pytest.approx(
        precision_recall_fscore_support(truth, of_answer, average="micro", zero_division=0)[2]
    )


def test_intervals_cover_and_follow_people(tmp_path: Path) -> None:
    """The interval of F1 is about that of a plain bootstrap of the same quotient."""
    rng = np.random.default_rng(1)
    rows = [
        {"id": str(n), "label": "happiness", "aus": [au for au in (6, 12, 25, 4) if rng.random() < 0.5]}
        for n in range(200)
    ]
    headline = score_rationales(write_rows(tmp_path / "r.jsonl", rows)).headline()["au_f1"]
    truth = set(CODEBOOK.aus(["happiness"]))
    sums = np.array(
        [[len(truth & set(row["aus"])), len(set(row["aus"]) - truth), len(truth - set(row["aus"]))] for row in rows]
    )
    draws = sums[rng.integers(0, 200, (2000, 200))].sum(1)
    plain = np.quantile(2 * draws[:, 0] / (2 * draws[:, 0] + draws[:, 1] + draws[:, 2]), [0.025, 0.975])
    assert (headline["ci_low"], headline["ci_high"]) == pytest.approx(tuple(plain), abs=0.01)
    assert headline["n"] == 200


def test_what_readers_must_know_is_said(faces: DemoDataset, tmp_path: Path) -> None:
    rows = [
        *({"id": f"some/folder/{sample.id}", "answer": "", "label": "fear"} for sample in faces.samples[:3]),
        {"id": "unknown.png"},
        {"id": faces.samples[0].id},
    ]
    results = score_rationales(write_rows(tmp_path / "r.jsonl", rows), faces)
    assert results.manifest["counts"] == {"rows": 5, "scored": 3, "bad": 2}
    assert results.manifest["bad"] == [
        "line 4: unknown.png: is not in the data set",
        f"line 5: {faces.samples[0].id}: line 1 is about this image, too",
    ]
    notes = " ".join(results.manifest["notes"])
    assert "17 of 20 images have no row; they are left out." in notes
    assert "3 rows answer no class, or several; they count as wrong" in notes
    assert "rows state another label than the data set" in notes
    with pytest.raises(
        InterpferError, match=r"no row is about a known image; 1 rows could not be used \(first: line 1"
    ):
        score_rationales(write_rows(tmp_path / "u.jsonl", [{"id": "unknown.png"}]), faces)


def test_boxes_of_another_unit_are_refused_or_doubted(faces: DemoDataset, tmp_path: Path) -> None:
    def scaled(factor: float) -> Path:
        rows = [
            row | {"boxes": [{"au": box["au"], "box": [factor * x for x in box["box"]]} for box in row["boxes"]]}
            for row in truth_rows(faces)
        ]
        return write_rows(tmp_path / "r.jsonl", rows)

    with pytest.raises(InterpferError, match=r"boxes lie outside of their pictures as pixels .* pass --boxes pixels,"):
        score_rationales(scaled(1000 / 64), faces)
    assert values(score_rationales(scaled(1000 / 64), faces, boxes="thousandths"))["iou"] == pytest.approx(1)
    notes = score_rationales(scaled(0.4), faces).manifest["notes"]
    assert any("upper left" in note for note in notes)


def test_files_page_leaderboard_and_json(faces: DemoDataset, tmp_path: Path) -> None:
    path, out = write_rows(tmp_path / "model.jsonl", truth_rows(faces)), tmp_path / "out"
    board = tmp_path / "board.csv"
    results = score_rationales(path, faces, out=out, leaderboard=board, name="<b>vlm")
    assert {each.name for each in out.iterdir()} == set(FILES)
    page = (out / "rationales.html").read_text()
    assert "&lt;b&gt;vlm" in page
    assert "<b>vlm" not in page
    assert "http" not in page.replace("http-equiv", "")
    per_row = pd.read_csv(out / "rationales.csv")
    assert len(per_row) == 20
    row = pd.read_csv(board).iloc[0]
    assert (row["model"], row["map"], row["truth"], row["au_f1"]) == ("<b>vlm", "text", "rationales", 1.0)
    ranked = CliRunner().invoke(group, ["leaderboard", str(board), "--sort", "au_f1"])
    assert ranked.exit_code == 0, ranked.output
    assert "text" in ranked.output
    with pytest.raises(InterpferError, match=r"already holds rationales.csv; pass --overwrite to replace it"):
        score_rationales(path, faces, out=out)
    called = CliRunner().invoke(group, ["rationales", str(path), "--json"])
    assert called.exit_code == 1
    assert "error: nothing to compare with: the rows state no label; pass --dataset" in called.output
    headline = json.loads(
        CliRunner()
        .invoke(group, ["rationales", str(write_rows(path, [{"id": "a", "label": "fear"}])), "--json"])
        .stdout
    )
    assert set(headline["au_f1"]) == {"value", "ci_low", "ci_high", "n"}
    assert headline["accuracy"]["value"] == 0.0
    assert results.headline()["accuracy"]["n"] == 20


def test_text_against_the_maps_of_a_run(faces: DemoDataset, tmp_path: Path) -> None:
    """Texts that name exactly the regions on which a map lies score 1 against it."""
    torch.manual_seed(0)
    model = interpfer.load_model(SmallCNN(7, width=4), classes=list(faces.classes), input_size=48)
    run = tmp_path / "run"
    options: dict[str, Any] = {"maps": "gradcam,attention", "metrics": "cosine", "device": "cpu", "report": False}
    interpfer.score(model, faces, out=run, au_shares=True, **options)
    shares = pd.read_csv(run / "au_shares.csv").set_index("image")
    regions = [name for name in shares.columns if name not in ("map", "layer", "background")]
    own, even = (shares[shares["map"] == name][regions] for name in ("gradcam", "baseline:uniform"))
    assert (even.sum(axis=1) <= 1).all()
    lies = own >= 1.1 * even
    rows = [
        {"id": image, "aus": [int(name.split("+")[0]) for name in regions if lies.at[image, name]]}
        for image in own.index[np.isfinite(own.to_numpy(float)).all(axis=1)]
    ]
    results = score_rationales(write_rows(tmp_path / "r.jsonl", rows), faces, run=run)
    assert results.maps is not None
    found = results.maps[results.maps["of"] == "text"].set_index(["map", "metric"])["value"]
    assert found["gradcam", "map_f1"] == pytest.approx(1)
    assert found["attention", "map_f1"] < 1
    out = tmp_path / "out"
    score_rationales(tmp_path / "r.jsonl", faces, run=run, out=out)
    assert (out / "maps.csv").is_file()
    score_rationales(tmp_path / "r.jsonl", faces, out=out, overwrite=True)
    assert not (out / "maps.csv").exists()  # it would be that of another run
    plain = tmp_path / "plain"
    interpfer.score(model, faces, out=plain, **options)
    with pytest.raises(InterpferError, match=r"has no au_shares.csv; run its score again with --au-shares"):
        score_rationales(tmp_path / "r.jsonl", faces, run=plain)


def test_reward() -> None:
    text = "<think>AU6 and AU12 <box>0,0,10,10</box>.</think><answer>happy</answer>"
    full = reward(text, "happiness", [6, 12], {12: [(0, 0, 10, 10)], 6: []})
    assert full == Reward(1.0, 1.0, 1.0, 1.0)
    half = reward(text, "fear", [6, 25], {12: [(5, 0, 15, 10)]})
    assert half == pytest.approx(Reward(1.0, 0.0, 0.0, 1 / 3))
    assert reward("AU4", aus=[4]) == Reward(0.0, 0.5, 1.0, 0.0)
    assert reward("nothing", "fear", [1]) == Reward(0.0, 0.0, -1.0, 0.0)
    assert reward(text, "happy", [6], {6: [(0, 0, 1, 1)]}).grounding == 0
