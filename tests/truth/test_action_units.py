"""Coded action units as truth: the codebook's own give its scores, sides follow the picture, gaps are named."""

import csv
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

import interpfer
from interpfer.au.codebook import load_codebook
from interpfer.choices import PROTOCOL_TRUTH
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.facs_text import parse_facs
from interpfer.errors import DataError, InterpferError
from interpfer.landmarks.points import MIRRORED
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.testing import check_truth
from interpfer.truth.action_units import ActionUnitTruth
from interpfer.truth.options import TruthOptions
from interpfer.types import CANVAS, Landmarks, Sample
from tests.conftest import EXPRESSIONS


def landmarks(count: int) -> Landmarks:
    faces = DemoDataset("test", count=count, size=CANVAS)
    return faces.landmarks().locate([sample.id for sample in faces.samples], None)


def coded(*texts: str) -> list[Sample]:
    return [Sample(f"{row}.png", "happiness", aus=parse_facs(text, "here")) for row, text in enumerate(texts)]


def write_codes(faces: Path, folder: Path, codes: dict[str, str]) -> Path:
    """Copy a csv data set and add the column aus, by label."""
    shutil.copytree(faces, folder)
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0] | {"aus": ""}))
        writer.writeheader()
        writer.writerows(row | {"aus": codes[row["label"]]} for row in rows)
    return folder


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return interpfer.load_model(SmallCNN(7), classes=EXPRESSIONS, input_size=48)


@pytest.mark.parametrize("protocol", ["paper", "corrected"])
def test_codes_of_the_codebook_give_its_scores(protocol: str, model: Model, faces: Path, tmp_path: Path) -> None:
    codebook = load_codebook(PROTOCOL_TRUTH[protocol][0])
    codes = {label: "+".join(str(unit.au) for unit in codebook.units(label)) for label in EXPRESSIONS}
    folder = write_codes(faces, tmp_path / "faces", codes)
    options = {"data_root": folder, "landmarks": folder / "landmarks.txt", "protocol": protocol, "device": "cpu"}
    options |= {"maps": "gradcam,baselines", "metrics": "cosine,pxap", "limit": 20}
    expected = interpfer.score(model, "csv", **options)
    seen = interpfer.score(model, "csv", truth="aus", **options)
    of_faces = seen.scores[~seen.scores["group"].str.startswith("AU")].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_faces, expected.scores, rtol=0, atol=1e-6)
    assert seen.manifest["arguments"]["truth"] == "aus"
    assert seen.manifest["counts"]["scored"] == expected.manifest["counts"]["scored"] > 0


def test_the_truth_passes_the_checks_of_authors() -> None:
    check_truth(ActionUnitTruth("scaled"), coded("1+2", "L12b", "?", "", "4+7", "25", "11"), landmarks(7))


def test_sides_are_those_of_the_person_and_follow_a_mirrored_face() -> None:
    points = landmarks(1)
    left, right = ActionUnitTruth("scaled"), ActionUnitTruth("scaled", sides="picture")
    person = left.draw(coded("L12"), points).maps
    middle = points.points[0, 27:31, 0].mean()
    columns = torch.arange(CANVAS) + 0.5
    across = float((person[0].sum(0) * columns).sum() / person.sum())
    assert across > middle  # the person's left is right in the picture
    torch.testing.assert_close(right.draw(coded("R12"), points).maps, person)
    flipped = points.points.clone()
    flipped[..., 0] = CANVAS - flipped[..., 0]
    mirrored = left.draw(coded("L12"), Landmarks.of(flipped[:, list(MIRRORED)]), torch.tensor([True])).maps
    torch.testing.assert_close(mirrored, person.flip(2), atol=0.1, rtol=0)  # of the raster of 28 x 28


def test_intensity_is_a_weight_when_asked() -> None:
    points, samples = landmarks(1), coded("1a+12e")
    alike = ActionUnitTruth("scaled", normalise=True).draw(samples, points).maps
    graded = ActionUnitTruth("scaled", normalise=True, weights="intensity").draw(samples, points).maps
    brows = torch.zeros(CANVAS, dtype=torch.bool)
    brows[: int(points.points[0, 36:48, 1].mean())] = True
    assert float(alike[0, brows].max()) == pytest.approx(1, abs=1e-5)
    assert float(graded[0, brows].max()) == pytest.approx(0.2, abs=1e-5)
    assert float(graded[0, ~brows].max()) == pytest.approx(1, abs=1e-5)


def test_weak_units_are_absent_below_the_threshold() -> None:
    points = landmarks(1)
    strong = ActionUnitTruth("scaled", threshold=0.5).draw(coded("1a+12e"), points).maps
    torch.testing.assert_close(strong, ActionUnitTruth("scaled").draw(coded("12"), points).maps)


def test_what_is_missing_has_a_reason_and_units_without_region_are_named() -> None:
    truth, samples = ActionUnitTruth("scaled"), coded("?", "", "21", "21+12", "45")
    truth_maps = truth.draw(samples, landmarks(5))
    assert truth_maps.valid.tolist() == [False, False, False, True, True]
    assert [truth.missing_reason(sample) for sample in samples[:3]] == [
        "whose action units are not coded",
        "coded without action units",
        "with no action unit that has a region",
    ]
    assert truth.notes(samples) == ("without a region on the face, so not drawn: AU 21 (2 faces)",)


def test_parts_are_those_of_the_reference_and_own_regions_others_share_one() -> None:
    truth = ActionUnitTruth("scaled")
    assert {"23+24+26+27", "43", "11", "13", "33+34+35", "38+39"} <= set(truth.parts.names)
    assert {truth.same_region[au] for au in (8, 18, 22, 28)} == {23}
    assert {truth.same_region[au] for au in (41, 45, 46)} == {43}
    assert not truth.same_region.keys() & {au for group in truth.parts.groups for au in group}
    points = landmarks(1)
    drawn = [truth.draw(coded(text), points).maps for text in ("18", "24", "45", "43")]
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[2], drawn[3])


def test_a_file_takes_the_place_of_the_column(model: Model, faces: Path, tmp_path: Path) -> None:
    with (faces / "labels.csv").open() as file:
        names = [row["image"] for row in csv.DictReader(file)]
    (tmp_path / "aus.csv").write_text("image,aus\n" + "".join(f"{name},6+12\n" for name in names))
    options = {"data_root": faces, "landmarks": faces / "landmarks.txt", "device": "cpu", "limit": 7, "maps": "gradcam"}
    run = interpfer.score(model, "csv", truth="aus", aus=tmp_path / "aus.csv", **options)
    assert run.manifest["arguments"]["aus"] == "aus.csv"
    assert run.manifest["counts"]["scored"] == 7  # neutral faces, too: they are coded
    nobody = write_codes(faces, tmp_path / "uncoded", dict.fromkeys(EXPRESSIONS, "?"))
    with pytest.raises(InterpferError, match="no image of the data set csv can be scored: of 7, .*not coded"):
        interpfer.score(model, "csv", truth="aus", **options | {"data_root": nobody})


def test_a_codebook_is_refused() -> None:
    with pytest.raises(DataError, match="--codebook belongs to --truth codebook; leave it out with --truth aus"):
        ActionUnitTruth.create(TruthOptions(truth="aus", codebook="emfacs"))
