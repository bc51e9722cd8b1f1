"""A network that sees the centre of a picture scores as the same network on pictures that were cropped by hand."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

import interpfer
from interpfer.models.input import InputSpec
from interpfer.results.run import Run
from interpfer.scoring.score import score
from tests.finetuning.trainings import train

SIDE, CROP = 72, 48
MARGIN = (SIDE - CROP) // 2


@pytest.fixture
def cropping(checkpoint: Path, tmp_path: Path) -> Path:
    """The classifier with a card that crops."""
    shutil.copy(checkpoint, tmp_path / "model.pt")
    card = yaml.safe_load(checkpoint.with_suffix(".yaml").read_text())
    card["input"] |= {"crop": CROP}
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(card))
    return tmp_path / "model.pt"


@pytest.fixture
def cropped(faces: Path, tmp_path: Path) -> Path:
    """The faces cropped by hand, with their landmarks."""
    folder = tmp_path / "cropped"
    shutil.copytree(faces, folder)
    for path in sorted(folder.rglob("*.png")):
        image = Image.open(path)
        assert image.size == (SIDE, SIDE)
        image.crop((MARGIN, MARGIN, SIDE - MARGIN, SIDE - MARGIN)).save(path)
    lines = []
    for line in (faces / "landmarks.txt").read_text().splitlines():
        name, *values = line.split(",")
        lines.append(",".join([name, *(f"{float(value) - MARGIN:.6f}" for value in values)]))
    (folder / "landmarks.txt").write_text("\n".join(lines))
    return folder


def run_on(model: Path, faces: Path) -> Run:
    return score(
        model,
        "csv",
        data_root=faces,
        landmarks=faces / "landmarks.txt",
        device="cpu",
        maps="gradcam,attention,baseline:uniform,baseline:mean-au",
        metrics="cosine,insertion",
        sanity=True,
        limit=14,
    )


def test_a_crop_of_the_card_is_a_crop_by_hand(cropping: Path, cropped: Path, checkpoint: Path, faces: Path) -> None:
    by_card, by_hand = run_on(cropping, faces), run_on(checkpoint, cropped)
    assert (by_card.per_image["cosine"].notna() == by_hand.per_image["cosine"].notna()).all()
    for column in ("cosine", "insertion"):
        values = [run.per_image[column].to_numpy(float) for run in (by_card, by_hand)]
        np.testing.assert_allclose(*values, atol=1e-5)
    pd.testing.assert_frame_equal(by_card.confusion, by_hand.confusion)
    for name, facts in by_hand.manifest["sanity"]["maps"].items():
        assert by_card.manifest["sanity"]["maps"][name]["cascade"] == pytest.approx(facts["cascade"], abs=1e-4)
    cut = by_card.manifest["counts"].pop("partly_seen")
    assert by_card.manifest["counts"] == by_hand.manifest["counts"]
    assert 0 < cut <= 14
    whole = run_on(checkpoint, faces)
    assert not np.allclose(whole.per_image["cosine"], by_card.per_image["cosine"], equal_nan=True)


def test_maps_of_pictures_are_those_of_the_crop(cropping: Path, checkpoint: Path) -> None:
    images = torch.rand(2, 3, SIDE, SIDE)
    inner = images[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
    ours, expected = (
        interpfer.compute_maps(interpfer.load_model(path), pictures, maps="gradcam", targets=[0, 1])
        for path, pictures in ((cropping, images), (checkpoint, inner))
    )
    for key, maps in expected.items():
        torch.testing.assert_close(ours[key], maps)


def test_an_explanation_shows_what_is_seen(cropping: Path, checkpoint: Path, faces: Path, cropped: Path) -> None:
    name = next((faces / "images").iterdir()).name
    ours, expected = (
        interpfer.explain_image(
            folder / "images" / name, path, maps=["gradcam"], landmarks=folder / "landmarks.txt", crop="whole",
            device="cpu",
        )
        for path, folder in ((cropping, faces), (checkpoint, cropped))
    )  # fmt: skip
    torch.testing.assert_close(ours.face, expected.face)
    torch.testing.assert_close(ours.points.float(), expected.points.float(), atol=1e-3, rtol=0)
    torch.testing.assert_close(ours.maps[0].values, expected.maps[0].values, atol=1e-5, rtol=0)
    assert ours.probabilities == pytest.approx(expected.probabilities)
    projected, seen = ours.on_picture(ours.maps[0].values)
    assert seen.sum() == pytest.approx(CROP**2, abs=2 * CROP)
    assert bool(seen[SIDE // 2, SIDE // 2])
    assert not bool(seen[2, 2])
    assert projected.shape == (SIDE, SIDE)


def test_a_fine_tuned_checkpoint_keeps_the_crop(cropping: Path, faces: Path, tmp_path: Path) -> None:
    from interpfer.datasets.csv import CsvDataset

    train(cropping, CsvDataset.open(faces, "test"), tmp_path / "tuned")
    tuned = interpfer.load_model(tmp_path / "tuned" / "model.pt")
    assert tuned.card.input == InputSpec(48, mean=(0.5,), std=(0.25,), crop=CROP)
