"""The same action units and points, written by different programs, give the same bytes of a score."""

import csv
import re
from pathlib import Path

import pytest
import torch

import interpfer
from interpfer.errors import DataError
from interpfer.landmarks.files import open_landmarks
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.truth.action_units import ActionUnitTruth
from interpfer.types import Sample
from tests.conftest import EXPRESSIONS

LIMIT = 7

UNITS = ([6, 12], [1, 2, 26], [4, 7, 23], [9, 10], [], [15, 17])
"""Action units of the faces, in turn; all of them are those that OpenFace 2 and py-feat code."""

OPENFACE_AUS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return interpfer.load_model(SmallCNN(7), classes=EXPRESSIONS, input_size=48)


@pytest.fixture(scope="module")
def files(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return files of action units; those of OpenFace and py-feat have the points, too."""
    folder = tmp_path_factory.mktemp("programs")
    with (faces / "labels.csv").open() as file:
        names = [row["image"] for row in csv.DictReader(file)]
    units = {name: UNITS[row % len(UNITS)] for row, name in enumerate(names)}
    points = open_landmarks(faces / "landmarks.txt").locate(names, None).points.tolist()
    points_of = dict(zip(names, points, strict=True))
    numbers = [f"{axis}_{i}" for axis in "xy" for i in range(68)]
    cells = {name: [str(value) for axis in zip(*points_of[name], strict=True) for value in axis] for name in names}

    openface = folder / "openface"
    openface.mkdir()
    columns = [f"AU{au:02}_r" for au in OPENFACE_AUS] + [f"AU{au:02}_c" for au in (*OPENFACE_AUS, 28)]
    for name in names:
        graded = ["2.00" if au in units[name] else "0.10" for au in OPENFACE_AUS]
        coded = ["1.00" if au in units[name] else "0.00" for au in (*OPENFACE_AUS, 28)]
        header = ", ".join(["frame", "face_id", "timestamp", "confidence", "success", *numbers, *columns])
        row = ", ".join(["1", "0", "0.000", "0.98", "1", *cells[name], *graded, *coded])
        (openface / f"{Path(name).stem}.csv").write_text(f"{header}\n{row}\n")

    header = ",".join(["FaceRectX", "FaceScore", *numbers, *[f"AU{au:02}" for au in OPENFACE_AUS], "input", "frame"])
    scores = {name: ["0.8" if au in units[name] else "0.2" for au in OPENFACE_AUS] for name in names}
    lines = [",".join(["1", "0.9", *cells[name], *scores[name], f"/data/{name}", "0"]) for name in names]
    feat = folder / "feat.csv"
    feat.write_text("\n".join([header, *lines]))

    text = folder / "aus.csv"
    text.write_text("image,aus\n" + "".join(f"{name},{'+'.join(map(str, units[name]))}\n" for name in names))
    return {"openface": openface, "pyfeat": feat, "text": text, "points": faces / "landmarks.txt"}


def score(model: Model, faces: Path, out: Path, aus: Path, landmarks: Path) -> tuple[list[bytes], dict[str, object]]:
    run = interpfer.score(
        model, "csv", data_root=faces, truth="aus", aus=aus, landmarks=str(landmarks), maps="gradcam",
        metrics="cosine", limit=LIMIT, device="cpu", out=out,
    )  # fmt: skip
    return [(out / name).read_bytes() for name in ("scores.csv", "per_image.csv")], run.manifest


def test_openface_pyfeat_and_text_give_the_same_bytes(
    model: Model, faces: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    own, manifest = score(model, faces, tmp_path / "text", files["text"], files["points"])
    assert manifest["counts"]["scored"] > 0  # type: ignore[index]
    for name in ("openface", "pyfeat"):
        seen, manifest = score(model, faces, tmp_path / name, files[name], files[name])
        assert seen == own
        arguments = manifest["arguments"]
        assert arguments["aus_program"] == {"openface": "OpenFace 2", "pyfeat": "py-feat"}[name]  # type: ignore[index]
    assert arguments["aus_present"] == "score of at least 0.5"  # type: ignore[index]


def test_notes_of_the_files_are_in_the_run(model: Model, faces: Path, files: dict[str, Path], tmp_path: Path) -> None:
    lines = files["pyfeat"].read_text().splitlines()
    twice = tmp_path / "twice.csv"
    twice.write_text("\n".join([*lines, lines[1].replace("1,0.9,", "1,0.4,", 1)]))
    _, manifest = score(model, faces, tmp_path / "run", twice, twice)
    several = [note for note in manifest["warnings"] if note.startswith("1 picture has several faces in twice.csv")]  # type: ignore[attr-defined]
    assert len(several) == 1
    assert ActionUnitTruth(file=twice).notes([]) == tuple(several)


def test_images_that_the_file_does_not_list_are_counted_and_a_file_of_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "aus.csv"
    path.write_text("image,aus\na.png,1\nb.png,?\n")
    truth = ActionUnitTruth(file=path)
    samples = [Sample(f"{name}.png", "happiness") for name in "abcd"]
    truth.check(samples)
    assert truth.notes(samples) == ("2 of 4 images are not in aus.csv and count as not coded, such as c.png",)
    message = f"{path} lists no image of the data set, such as c.png; it has names such as a.png."
    with pytest.raises(DataError, match=re.escape(message)):
        truth.check(samples[2:])
