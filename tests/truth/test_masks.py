"""Masks on the canvas: the transform of the picture, unions, pixels to ignore, and what is refused."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from interpfer.datasets.cropped import CroppedDataset
from interpfer.datasets.csv import CsvDataset
from interpfer.errors import DataError
from interpfer.faces.stream import FaceStream
from interpfer.landmarks.absent import NoLandmarks
from interpfer.landmarks.files import FileLandmarks
from interpfer.models.input import InputSpec
from interpfer.truth.base import Truth
from interpfer.truth.masks import MaskTruth
from interpfer.types import CANVAS, Landmarks, Placement, Sample

NOTHING = torch.full((1, 68, 2), torch.nan)
RESIZE = ((CANVAS / 60, 0.0, 0.0), (0.0, CANVAS / 40, 0.0))
"""Transform of a picture of 60 x 40 pixels to the canvas."""


def save(path: Path, mask: NDArray[np.generic] | Sequence[Sequence[int]], exif: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(mask, np.uint8))
    tags = Image.Exif()
    tags[0x0112] = exif
    image.save(path, exif=tags)
    return path


def blob(height: int = 40, width: int = 60, top: int = 8, left: int = 30, side: int = 16) -> NDArray[np.uint8]:
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + side, left : left + side] = 255
    return mask


def draw(
    truth: MaskTruth,
    sample: Sample | None = None,
    transform: Sequence[Sequence[float]] = RESIZE,
    size: tuple[int, int] = (60, 40),
) -> Truth:
    placement = Placement(torch.tensor([transform], dtype=torch.float64), (size,))
    return truth.draw([sample or Sample("a.jpg", "dog")], Landmarks.of(NOTHING, placement=placement))


def test_a_mask_is_resized_as_its_picture_is(tmp_path: Path) -> None:
    save(tmp_path / "a.png", blob())
    truth = draw(MaskTruth(tmp_path))
    assert truth.valid.tolist() == [True]
    assert truth.ignore is None
    whole = torch.from_numpy(blob()).float()[None, None] / 255
    expected = torch.nn.functional.interpolate(whole, (CANVAS, CANVAS), mode="bilinear", antialias=True)[0]
    torch.testing.assert_close(truth.maps, expected, atol=1 / 255, rtol=0)


def test_a_mask_of_another_size_with_the_same_aspect_is_the_same_truth(tmp_path: Path) -> None:
    large = np.kron(blob(), np.ones((8, 8), np.uint8))
    maps = []
    for name, mask in (("small", blob()), ("large", large)):
        save(tmp_path / name / "a.png", mask)
        maps.append(draw(MaskTruth(tmp_path / name)).maps >= 0.5)
    assert (maps[0] & maps[1]).sum() / (maps[0] | maps[1]).sum() > 0.95


@pytest.mark.parametrize(
    "spec",
    [
        InputSpec(48),
        InputSpec(48, pad=(0, 0, 0)),
        InputSpec(48, resize=52, crop=48),
        InputSpec(48, resize=(56, 40), crop=48),
    ],
    ids=["plain", "pad", "crop", "small"],
)
def test_picture_and_mask_stay_registered(spec: InputSpec, tmp_path: Path) -> None:
    mask = blob(60, 90, 18, 33, 25)
    save(tmp_path / "images" / "a.png", np.repeat(mask[..., None], 3, 2))
    save(tmp_path / "masks" / "a.png", mask)
    (tmp_path / "labels.csv").write_text("image,label\na.png,fear\n")
    dataset = CsvDataset.open(tmp_path, "test")
    stream = FaceStream(dataset, NoLandmarks(), CANVAS, input=spec)
    batch, sizes_alone = stream.read([0]), stream.landmarks([0])
    provider = MaskTruth(tmp_path / "masks")
    truth = provider.draw(dataset.samples, batch.landmarks)
    seen = batch.faces.images[:, 0]
    assert (seen - truth.maps).abs().mean() < 0.01
    assert ((seen >= 0.5) == (truth.maps >= 0.5)).float().mean() > 0.99
    assert torch.equal(provider.draw(dataset.samples, sizes_alone).maps, truth.maps)


def test_aligned_faces_and_their_masks_stay_registered(faces: Path, tmp_path: Path) -> None:
    dataset = CsvDataset.open(faces, "test")
    rows = [0, 1, 2]
    for row in rows:
        grey = np.asarray(dataset.image(row).convert("L")) > 128
        save(tmp_path / f"{dataset.samples[row].id}.png", grey.astype(np.uint8) * 255)
    stream = FaceStream(dataset, FileLandmarks(faces / "landmarks.txt"), CANVAS, align=True)
    batch = stream.read(rows)
    truth = MaskTruth(tmp_path).draw([dataset.samples[row] for row in rows], batch.landmarks)
    grey = (batch.faces.images * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1) > 128.5 / 255
    assert truth.valid.all()
    assert ((truth.maps >= 0.5) == grey).float().mean() > 0.93


def test_a_mask_is_in_pixels_of_the_picture_that_a_face_is_cut_out_of(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 99, (80, 120, 3), np.uint8)
    mask = blob(80, 120, 30, 50, 12)
    picture[mask > 0] = 255
    save(tmp_path / "a.png", picture)
    save(tmp_path / "masks" / "a.png", mask)

    class Cropped(CroppedDataset):
        name = "cropped"
        summary = "x"

        @classmethod
        def open(cls, root: object, split: str, seed: int = 0) -> "Cropped":
            raise NotImplementedError

    dataset = Cropped([Sample("a.png", "fear", tmp_path / "a.png")], "test", boxes=[(40, 20, 80, 60)])
    batch = FaceStream(dataset, NoLandmarks(), CANVAS).read([0])
    truth = MaskTruth(tmp_path / "masks").draw(dataset.samples, batch.landmarks)
    assert ((batch.faces.images[:, 0] > 0.7) == (truth.maps >= 0.5)).float().mean() > 0.99


def test_an_upright_mask_has_its_own_orientation_tag(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.rot90(blob()), exif=6)
    upright = draw(MaskTruth(tmp_path)).maps
    save(tmp_path / "plain" / "a.png", blob())
    torch.testing.assert_close(upright, draw(MaskTruth(tmp_path / "plain")).maps)


def test_a_mirrored_picture_has_the_mirrored_mask(tmp_path: Path) -> None:
    save(tmp_path / "a.png", blob())
    truth = MaskTruth(tmp_path)
    mirrored = draw(truth, transform=((-CANVAS / 60, 0.0, CANVAS), (0.0, CANVAS / 40, 0.0)))
    torch.testing.assert_close(mirrored.maps, draw(truth).maps.flip(2), atol=0.02, rtol=0)


def test_masks_of_a_class_and_of_any_class_are_one_union(tmp_path: Path) -> None:
    (tmp_path / "masks.csv").write_text(
        "image,class,x0,y0,x1,y1\na.jpg,dog,0,0,10,10\na.jpg,,30,20,40,30\na.jpg,dog,5,5,15,15\na.jpg,cat,50,0,60,10\n"
    )
    truth = MaskTruth(tmp_path / "masks.csv")
    expected = np.zeros((40, 60), bool)
    expected[0:10, 0:10] = expected[20:30, 30:40] = expected[5:15, 5:15] = True
    size = (CANVAS, CANVAS)
    large = np.asarray(Image.fromarray(expected.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR))
    np.testing.assert_allclose(draw(truth).maps[0], large / 255, atol=1e-6)
    assert draw(truth, Sample("a.jpg", "cat")).maps[0, :40, 190:].mean() > 0.9
    assert draw(truth, Sample("a.jpg", "")).maps[0, :40].max() == 0


def test_soft_masks_keep_their_values_and_need_half_of_them_for_a_truth(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.where(blob() > 0, 128, 40))
    truth = draw(MaskTruth(tmp_path))
    assert truth.maps[0, 100, 150].item() == pytest.approx(128 / 255)
    assert truth.maps[0, 0, 0].item() == pytest.approx(40 / 255)
    save(tmp_path / "a.png", np.where(blob() > 0, 127, 40))
    assert draw(MaskTruth(tmp_path)).valid.tolist() == [False]


def test_pixels_to_ignore_are_zero_in_the_truth_and_do_not_dim_their_neighbours(tmp_path: Path) -> None:
    palette = Image.new("P", (60, 40))
    palette.putpalette([value for each in range(256) for value in (each, 0, 0)])
    index = np.where(blob() > 0, 1, 0)
    index[6:8, 28:48] = index[24:26, 28:48] = 255
    palette.putdata(index.ravel().tolist())
    palette.save(tmp_path / "a.png")
    truth = draw(MaskTruth(tmp_path))
    assert truth.ignore is not None
    assert truth.maps[truth.ignore].max() == 0
    assert truth.ignore[0, 40, 150]
    assert not truth.ignore[0, 100, 150]
    assert truth.maps[0, 46:130, 120:164][~truth.ignore[0, 46:130, 120:164]].min() > 0.95


def test_an_empty_mask_and_one_out_of_view_are_no_truth_and_named(tmp_path: Path) -> None:
    save(tmp_path / "dog" / "a.png", np.zeros((40, 60), np.uint8))
    save(tmp_path / "dog" / "b.png", blob(side=4))
    truth = MaskTruth(tmp_path)
    empty, hidden, absent = Sample("a.jpg", "dog"), Sample("b.jpg", "dog"), Sample("c.jpg", "dog")
    other = Sample("a.jpg", "cat")
    for sample in (empty, absent, other):
        assert not draw(truth, sample).valid.any()
        assert draw(truth, sample).maps.isnan().all()
    assert not draw(truth, hidden, ((1.0, 0.0, 400.0), (0.0, 1.0, 0.0))).valid.any()
    assert truth.fault(empty) == f"empty mask: {tmp_path / 'dog' / 'a.png'}"
    assert truth.fault(hidden) == f"mask out of view: {tmp_path / 'dog' / 'b.png'}"
    assert truth.fault(absent) == truth.fault(other) == ""
    reasons = [truth.missing_reason(sample) for sample in (empty, absent, other)]
    assert reasons == ["whose mask is empty or out of view", "without a mask", "with masks of other classes alone"]
    assert truth.notes([other])[-1] == "masks of classes that no image is labelled with: dog"
    assert truth.notes([empty, absent, other]) == (
        "images without a mask: 2 of 3 (c.jpg, a.jpg)",
        "masks without an image among those of the data set: 1 (b)",
    )


def test_a_mask_of_another_aspect_is_refused_by_file(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", blob(40, 40, left=10))
    message = (
        f"{path}: a mask of 40 x 40 pixels for the picture a.jpg of 60 x 40; another size must have the same aspect."
    )
    with pytest.raises(DataError, match=re.escape(message)):
        draw(MaskTruth(tmp_path))
    (tmp_path / "m.json").write_text(
        '{"a": {"img_size": [41, 60], "dog": [[[1, 1], [9, 1], [9, 9]]]}, "b": {"img_size": [50, 60], "dog": []}}'
    )
    truth = MaskTruth(tmp_path / "m.json")
    assert draw(truth).valid.all()  # within a pixel
    with pytest.raises(DataError, match=re.escape("m.json, b, dog: a mask of 60 x 50 pixels for the picture b.jpg")):
        draw(truth, Sample("b.jpg", "dog"))


def test_masks_and_images_must_be_of_each_other(tmp_path: Path) -> None:
    save(tmp_path / "a.png", blob())
    truth = MaskTruth(tmp_path)
    truth.check([Sample("a.jpg", "dog"), Sample("b.jpg", "dog")])
    with pytest.raises(
        DataError, match=r"no image of the data set has a mask in .*: images are named as b.jpg, masks are"
    ):
        truth.check([Sample("b.jpg", "dog")])
    with pytest.raises(DataError, match=r"the mask of 'a' could be of x/a.jpg and of y/a.jpg"):
        truth.check([Sample("x/a.jpg", "dog"), Sample("y/a.jpg", "dog")])


def test_settings_change_with_the_pixels_of_a_mask(tmp_path: Path) -> None:
    save(tmp_path / "m" / "a.png", blob())
    before = MaskTruth(tmp_path / "m").settings
    assert before == MaskTruth(tmp_path / "m").settings
    assert before["masks"] == "m"
    save(tmp_path / "m" / "a.png", blob(top=9))
    assert MaskTruth(tmp_path / "m").settings["masks_digest"] != before["masks_digest"]
