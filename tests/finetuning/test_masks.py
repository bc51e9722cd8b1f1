"""The guide towards masks: augmentations move the mask with its picture, and ignored pixels are in no distance."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import interpfer
from interpfer.datasets.csv import CsvDataset
from interpfer.errors import RunError
from interpfer.faces.stream import FaceStream
from interpfer.finetuning.augment import AUGMENTS, Augment, augment_geometry, mix
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.losses import DISTANCES
from interpfer.finetuning.pool import FacePool
from interpfer.finetuning.recipe import Recipe
from interpfer.landmarks.absent import NoLandmarks
from interpfer.landmarks.embedded import EmbeddedLandmarks
from interpfer.maps.canvas import to_canvas
from interpfer.models.small import SmallCNN
from interpfer.robustness.options import RobustnessOptions
from interpfer.robustness.study import list_choices, run_study
from interpfer.truth.base import Truth
from interpfer.truth.masks import MaskTruth
from interpfer.truth.options import TruthOptions
from tests.finetuning.trainings import QUICK, train

CLASSES = ("anger", "happiness", "surprise")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """18 pictures with a bright square and its mask in any class; of one, pixels are to be ignored."""
    root, random = tmp_path_factory.mktemp("shapes"), np.random.default_rng(0)
    (root / "images").mkdir()
    (root / "masks").mkdir()
    labels = ["image,label"]
    for i in range(18):
        mask = np.zeros((48, 60), np.uint8)
        top, left = random.integers(8, 26), random.integers(8, 36)
        mask[top : top + 12, left : left + 14] = 255
        picture = np.repeat(np.maximum(mask, random.integers(0, 60, (48, 60), np.uint8))[..., None], 3, 2)
        Image.fromarray(picture).save(root / "images" / f"{i}.png")
        Image.fromarray(mask).save(root / "masks" / f"{i}.png")
        labels.append(f"{i}.png,{CLASSES[i % 3]}")
    Image.fromarray(np.tri(48, 60, -30, np.uint8) * np.uint8(255)).save(root / "masks" / "4_ignore.png")
    (root / "labels.csv").write_text("\n".join(labels))
    return root


def recipe(root: Path) -> Recipe:
    guide = Guide(truth_options=TruthOptions(truth="masks", masks=root / "masks"))
    return replace(QUICK, guide=guide, batch_size=6)


@pytest.mark.parametrize("augment", [AUGMENTS["none"], Augment(flip=0.5, rotate=1, degrees=20, crop=0.6)])
def test_augmentations_move_the_mask_with_its_picture(augment: Augment, shapes: Path) -> None:
    dataset = CsvDataset.open(shapes, "test")
    pool = FacePool(FaceStream(dataset, NoLandmarks(), 64), tuple(range(12)))
    pool.load(lambda *_: None)
    batch = pool.take(pool.rows)
    images = batch.images.float() / 255
    moved, landmarks, flipped = augment_geometry(
        images, batch.landmarks, 224, augment, torch.Generator().manual_seed(1)
    )
    assert flipped.any() == bool(augment.flip)
    truth = MaskTruth(shapes / "masks").draw(batch.samples, landmarks, flipped)
    assert truth.valid.all()
    agreement = ((moved[:, 0] >= 0.6) == (truth.maps >= 0.5)).flatten(1).float().mean(1)
    assert agreement.min() > 0.985


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("loss", DISTANCES)
def test_the_distance_is_that_of_the_kept_pixels(loss: str, attention: bool) -> None:
    random = torch.Generator().manual_seed(0)
    raw, heat = torch.rand(2, 6, 6, generator=random), torch.rand(2, 224, 224, generator=random)
    ignore = torch.zeros(2, 224, 224, dtype=torch.bool)
    ignore[0, :100] = True
    guide = Guide(loss=loss)
    truth = Truth(heat.masked_fill(ignore, 0), torch.tensor([True, True]), ignore)
    maps = to_canvas(raw, attention, "paper", 224)[0]
    keep = ~ignore
    expected = [DISTANCES[loss](maps[i][keep[i]][None], heat[i][keep[i]][None]) for i in range(2)]
    found = guide.align(raw, truth, attention)
    torch.testing.assert_close(found, torch.cat(expected).mean(), atol=1e-5, rtol=1e-4)
    assert guide.align(raw, replace(truth, ignore=torch.ones_like(ignore)), attention) == 0


@pytest.mark.parametrize("augment", [Augment(cutmix=1.0), Augment(mixup=1.0)])
def test_pixels_to_ignore_are_mixed_as_the_pixels_are(augment: Augment) -> None:
    ignore = torch.rand(4, 16, 16, generator=torch.Generator().manual_seed(0)) < 0.3
    truth = Truth(torch.ones(4, 16, 16).masked_fill(ignore, 0), torch.ones(4, dtype=torch.bool), ignore)
    images = ignore[:, None].float().expand(-1, 3, -1, -1)
    for seed in range(4):
        mixture = mix(images, torch.arange(4), truth, augment, torch.Generator().manual_seed(seed))
        for part in (mixture.truth, mixture.cam_truth):
            assert part.ignore is not None
            assert torch.equal(part.ignore, mixture.images[:, 0] > 0)


def test_training_towards_masks_looks_for_no_face_and_knows_its_masks(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a face was looked for")

    monkeypatch.setattr(EmbeddedLandmarks, "__init__", refuse)
    torch.manual_seed(0)
    model = interpfer.load_model(SmallCNN(3), classes=CLASSES, input_size=48)
    data = CsvDataset.open(shapes, "test")
    whole = train(model, data, tmp_path / "whole", recipe(shapes), test="test", compare_maps="gradcam,class-mean")
    assert whole.history["attention"].notna().all()
    assert whole.after is not None
    assert set(whole.after.scores["map"]) == {"gradcam", "baseline:class-mean-mask"}
    changed = tmp_path / "masks"
    changed.mkdir()
    for path in (shapes / "masks").iterdir():
        Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(changed / path.name)
    with pytest.raises(RunError, match="the truth's content differs"):
        train(model, data, tmp_path / "whole", recipe(tmp_path), resume=True)


def test_a_study_of_masks_varies_the_protocol_alone(shapes: Path) -> None:
    torch.manual_seed(0)
    model = interpfer.load_model(SmallCNN(3), classes=CLASSES, input_size=48)
    options = RobustnessOptions(truth="masks", masks=shapes / "masks", maps="attention,class-mean", device="cpu")
    assert [choice.protocol for choice in list_choices(options)] == ["paper", "corrected"]
    study = run_study([model], CsvDataset.open(shapes, "test"), options)
    assert [study.name(choice) for choice in study.choices] == ["paper", "corrected"]
    (runs,) = study.runs.values()
    assert all("baseline:class-mean-mask" in set(run.scores["map"]) for run in runs)
    with pytest.raises(
        interpfer.errors.InterpferError, match="--truth masks has no codebooks and geometries: leave out both"
    ):
        list_choices(replace(options, codebooks="emfacs"))
