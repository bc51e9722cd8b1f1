"""The same action units, however they are written, and the shared faces with an OpenFace file made here."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import interpfer
from interpfer.au.codebook import load_codebook
from interpfer.datasets.demo import DemoDataset
from interpfer.landmarks.points import MIRRORED
from interpfer.metrics.agreement import cosine
from interpfer.models.small import SmallCNN
from interpfer.truth.action_units import ActionUnitTruth
from interpfer.types import CANVAS, Landmarks
from tests.conftest import EXPRESSIONS, SHARED

AUS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
"""Those of OpenFace 2 that have presence and intensity."""

Codes = dict[str, set[int]]


def draw_codes(names: list[str]) -> Codes:
    """Return some of ``AUS`` per image."""
    rng = np.random.default_rng(0)
    return {name: set(rng.choice(AUS, 4, replace=False).tolist()) for name in names}


def write_openface(path: Path, codes: Codes) -> Path:
    """Write a table in the format of OpenFace 2, blanks after its commas included."""
    columns = ["image", "face", "confidence", "success"]
    columns += [f"AU{au:02d}_r" for au in AUS] + [f"AU{au:02d}_c" for au in AUS]
    lines = [", ".join(columns)]
    for name, present in codes.items():
        grades = [f"{3.2 if au in present else 0.1:.2f}" for au in AUS]
        lines.append(", ".join([name, "0", "0.98", "1", *grades, *(f"{au in present:.2f}" for au in AUS)]))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_py_feat(path: Path, codes: Codes) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["input", "FaceScore", *(f"AU{au:02d}" for au in AUS)])
        writer.writerows([name, 0.99, *(0.9 if au in own else 0.1 for au in AUS)] for name, own in codes.items())
    return path


def write_facs(path: Path, codes: Codes) -> Path:
    lines = [f"{name},{'+'.join(map(str, sorted(own)))}" for name, own in codes.items()]
    path.write_text("\n".join(["image,aus", *lines]) + "\n")
    return path


def test_three_formats_that_say_the_same_give_the_same_bytes(tmp_path: Path) -> None:
    faces = DemoDataset("test", count=10, size=48)
    codes = draw_codes([sample.id for sample in faces.samples])
    torch.manual_seed(0)
    model = interpfer.load_model(SmallCNN(7), classes=EXPRESSIONS, input_size=48)
    written = []
    for write in (write_openface, write_py_feat, write_facs):
        out = tmp_path / write.__name__
        table = write(tmp_path / f"{write.__name__}.csv", codes)
        interpfer.score(
            model, faces, truth="aus", aus=table, out=out, report=False, device="cpu",
            maps="gradcam,baseline:class-mean-au", metrics="cosine,pxap",
        )  # fmt: skip
        written.append([(out / name).read_bytes() for name in ("scores.csv", "per_image.csv")])
    assert written[0] == written[1] == written[2]


def test_a_mirrored_face_with_swapped_sides_has_the_mirrored_truth(tmp_path: Path) -> None:
    """The picture is mirrored, and so are its codes: the heatmap is, too. Whole numbers are centres of drawn pixels."""
    faces = DemoDataset("test", count=3, size=CANVAS)
    points = faces.landmarks().locate([sample.id for sample in faces.samples], None)
    for text, other in (("L1+R12+25", "R1+L12+25"), ("L6+4", "R6+4")):
        tables = [
            write_facs_text(tmp_path / f"{name}.csv", {sample.id: own for sample in faces.samples})
            for name, own in (("a", text), ("b", other))
        ]
        plain, swapped = (ActionUnitTruth("scaled", file=table) for table in tables)
        flipped = points.points.clone()
        flipped[..., 0] = CANVAS - 1 - flipped[..., 0]
        mirrored = swapped.draw(faces.samples, Landmarks.of(flipped[:, list(MIRRORED)])).maps
        expected = plain.draw(faces.samples, points).maps.flip(2)
        torch.testing.assert_close(mirrored, expected, atol=1e-5, rtol=0)
        assert float(cosine(mirrored, expected.flip(2)).max()) < 0.9


def write_facs_text(path: Path, texts: dict[str, str]) -> Path:
    path.write_text("\n".join(["image,aus", *(f"{name},{text}" for name, text in texts.items())]) + "\n")
    return path


@pytest.fixture(scope="module")
def shared_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Twenty photographs, scored against action units that vary the codebook's of their label."""
    faces, checkpoint = SHARED / "data" / "faces", SHARED / "models" / "fer_mini_xception.pt"
    if not (faces / "labels.csv").is_file() or not checkpoint.is_file():
        pytest.skip(f"no shared faces and models at {SHARED}; name their folder in INTERPFER_SHARED")
    folder = tmp_path_factory.mktemp("openface")
    labels = pd.read_csv(faces / "labels.csv")
    labels = labels[labels["label"].isin(load_codebook("belharbi2024").classes)]
    rows = labels.groupby("label").head(4)[:20]
    (folder / "labels.csv").write_text(rows.to_csv(index=False))
    (folder / "images").symlink_to(faces / "images" if (faces / "images").is_dir() else faces)
    book, rng = load_codebook("belharbi2024"), np.random.default_rng(0)
    codes: Codes = {}
    for name, label in zip(rows["image"], rows["label"], strict=True):
        own = {unit.au for unit in book.units(label)} & set(AUS)
        left_out = rng.choice(sorted(own)) if len(own) > 2 else None
        codes[name] = (own - {left_out}) | {int(rng.choice([au for au in AUS if au not in own and au != 45]))}
    run = interpfer.score(
        checkpoint, "csv", data_root=folder, landmarks=faces / "landmarks.txt", truth="aus", trust=True,
        aus=write_openface(folder / "openface.csv", codes), out=folder / "run", device="cpu",
        maps="gradcam,baselines", metrics="cosine,pointing",
    )  # fmt: skip
    return run, codes


def test_shared_faces_against_action_units_of_openface(shared_run: Any) -> None:
    run, codes = shared_run
    table = run.scores[(run.scores["metric"] == "cosine") & run.scores["group"].str.startswith("AU")]
    scored = set(run.per_image.loc[run.per_image["cosine"].notna(), "image"])
    own = table[table["map"] == "gradcam"].set_index("group")
    expected = {f"AU{au}" for name in scored for au in codes[name]}
    assert set(own.index) == expected
    assert run.score("baseline:class-mean-au") < 0.98  # what was seen differs from face to face
    uniform = table[table["map"] == "baseline:uniform"].set_index("group")
    counts = {name: sum(int(name[2:]) in codes[image] for image in scored) for name in expected}
    assert uniform["n"].to_dict() == counts
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "Scores by action unit" in page
    assert (run.au_recall["recall"].dropna().between(0, 1)).all()
