"""Every format of masks, by its reader and by what it draws."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as peer

from interpfer.errors import DataError
from interpfer.truth.mask_files import read_masks
from interpfer.truth.mask_files.rle import decode_rle
from interpfer.truth.mask_files.shapes import Picture, Points, Polygons
from interpfer.types import Sample

SQUARE = np.zeros((20, 30), np.uint8)
SQUARE[4:10, 8:20] = 1
"""Rows 4 to 9, columns 8 to 19: as a box x0 8, y0 4, x1 20, y1 10."""

CORNERS = [8, 4, 20, 4, 20, 10, 8, 10]


def save(path: Path, mask: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(mask, np.uint8)).save(path)
    return path


def coco(annotation: dict[str, Any]) -> dict[str, Any]:
    return {
        "images": [{"id": 7, "file_name": "rex.jpg", "width": 30, "height": 20}],
        "categories": [{"id": 3, "name": "cat"}, {"id": 90, "name": "Dog"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 90, **annotation}],
    }


def write_json(content: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "masks.json").write_text(json.dumps(content))
        return folder / "masks.json"

    return write


def folder_of_classes(folder: Path) -> Path:
    return save(folder / "masks" / "dog" / "rex.png", SQUARE * 255).parents[1]


def folder_of_images(folder: Path) -> Path:
    return save(folder / "masks" / "rex_mask.png", SQUARE).parent


def csv_of(*lines: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        save(folder / "m" / "a.png", SQUARE * 255)
        (folder / "masks.csv").write_text("\n".join(lines))
        return folder / "masks.csv"

    return write


def voc(folder: Path) -> Path:
    (folder / "xml").mkdir()
    (folder / "xml" / "rex.xml").write_text(
        "<annotation><filename>rex.jpg</filename><size><width>30</width><height>20</height></size><object>"
        "<name>dog</name><bndbox><xmin>9</xmin><ymin>5</ymin><xmax>20</xmax><ymax>10</ymax></bndbox></object>"
        "</annotation>"
    )
    return folder / "xml"


def wsol_boxes(folder: Path) -> Path:
    (folder / "localization.txt").write_text("rex.jpg,8,4,13,9\nrex.jpg,14,4,19,9\n")
    (folder / "image_sizes.txt").write_text("rex.jpg,30,20\n")
    return folder


def wsol_masks(folder: Path) -> Path:
    save(folder / "test" / "1.png", SQUARE * 255)
    (folder / "lists").mkdir()
    (folder / "lists" / "localization.txt").write_text("rex.jpg,test/1.png,\n")
    return folder / "lists" / "localization.txt"


COMPRESSED = {"size": [20, 30], "counts": peer.encode(np.asfortranarray(SQUARE))["counts"].decode()}
RUNS = {"size": [20, 30], "counts": [8 * 20 + 4, *[6, 14] * 11, 6, 10 * 20 + 10]}
CONTOURS = [[[x, y] for x, y in zip(CORNERS[::2], CORNERS[1::2], strict=True)]]

FORMATS: dict[str, Callable[[Path], Path]] = {
    "folder of classes": folder_of_classes,
    "folder of images": folder_of_images,
    "csv of files": csv_of("image,class,path", "rex.jpg,Dog,m\\a.png"),
    "csv of boxes": csv_of("image,class,x0,y0,x1,y1", "rex.jpg,dog,8,4,14,10", "rex.jpg,,14,4,20,10"),
    "coco polygon": write_json(coco({"segmentation": [CORNERS]})),
    "coco runs": write_json(coco({"segmentation": RUNS})),
    "coco compressed": write_json(coco({"segmentation": COMPRESSED})),
    "coco box": write_json(coco({"bbox": [8, 4, 12, 6]})),
    "voc": voc,
    "wsol boxes": wsol_boxes,
    "wsol masks": wsol_masks,
    "chexlocalize contours": write_json({"rex": {"img_size": [20, 30], "Dog": CONTOURS}}),
    "chexlocalize runs": write_json({"rex": {"dog": COMPRESSED, "cat": {"size": [20, 30], "counts": [600]}}}),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_draws_the_same_mask(name: str, tmp_path: Path) -> None:
    table = read_masks(FORMATS[name](tmp_path))
    found = table.find(Sample("rex.jpg", "dog"))
    assert found
    drawn = np.max([entry.shape.render((30, 20)).mask for entry in found], axis=0)
    np.testing.assert_array_equal(drawn, SQUARE * 255)
    assert not table.find(Sample("max.jpg", "dog"))


@pytest.mark.parametrize("name", ["folder of classes", "csv of files", "coco box", "voc", "chexlocalize contours"])
def test_a_mask_is_of_its_class_alone(name: str, tmp_path: Path) -> None:
    table = read_masks(FORMATS[name](tmp_path))
    assert not table.find(Sample("rex.jpg", "cat"))


def test_polygons_are_as_pycocotools_draws_them() -> None:
    random = np.random.default_rng(0)
    angles = np.sort(random.random(9)) * 2 * np.pi
    star = np.stack([40 + (12 + 20 * random.random(9)) * np.cos(angles), 30 + 24 * np.sin(angles)], 1)
    own = Polygons((tuple(map(tuple, star.tolist())),), "here").render((80, 60)).mask > 0
    encoded = peer.frPyObjects([star.ravel().tolist()], 60, 80)[0]
    other = decode_rle(encoded["counts"], 60, 80, "here") > 0
    assert (own & other).sum() / (own | other).sum() > 0.95


def test_points_are_discs_and_keypoints_that_are_not_labelled_are_left_out(tmp_path: Path) -> None:
    keypoints = [100, 50, 2, 0, 0, 0, 20, 100, 1]
    content = coco({"keypoints": keypoints, "bbox": [0, 0, 9, 9]})
    content["images"][0] |= {"width": 112, "height": 112}
    (entry,) = read_masks(write_json(content)(tmp_path)).find(Sample("rex", "dog"))
    assert entry.shape == Points(((100.0, 50.0), (20.0, 100.0)), entry.shape.where, (112, 112))
    mask = entry.shape.render((112, 112)).mask
    y, x = np.mgrid[:112, :112] + 0.5
    near = [np.hypot(x - a, y - b) <= 4 for a, b in ((100, 50), (20, 100))]
    np.testing.assert_array_equal(mask > 0, near[0] | near[1])


@pytest.mark.parametrize(
    ("pixels", "mode", "expected", "ignored"),
    [
        ([[0, 1, 255]], "P", [[0, 255, 0]], [[False, False, True]]),
        ([[0, 1, 1]], "L", [[0, 255, 255]], None),
        ([[0, 100, 255]], "L", [[0, 100, 255]], None),
        ([[0, 0x8000, 0xFFFF]], "I;16", [[0, 0x80, 0xFF]], None),
        ([[[7, 7, 7], [0, 0, 0], [255, 255, 255]]], "RGB", [[7, 0, 255]], None),
    ],
)
def test_pictures_of_masks_may_have_any_mode(
    pixels: Any, mode: str, expected: Any, ignored: Any, tmp_path: Path
) -> None:
    dtype = np.uint16 if mode == "I;16" else np.uint8
    image = Image.fromarray(np.array(pixels, dtype))
    if mode == "P":
        image = Image.new("P", (3, 1))
        image.putdata(pixels[0])
        image.putpalette([each for value in range(256) for each in (value, 0, 0)])
    image.save(tmp_path / "a.png")
    raster = Picture(tmp_path / "a.png", "a.png").render((3, 1))
    np.testing.assert_array_equal(raster.mask, expected)
    assert raster.ignore is None if ignored is None else (raster.ignore == np.array(ignored)).all()


def test_pixels_to_ignore_come_from_files_of_their_own(tmp_path: Path) -> None:
    for name in ("dog/rex.png", "ignore/rex.png", "max.png", "max_ignore.png"):
        save(tmp_path / name, SQUARE * 255)
    table = read_masks(tmp_path)
    assert sorted(entry.group for entry in table.find(Sample("rex.jpg", "dog"))) == ["dog", "ignore"]
    assert sorted(entry.group for entry in table.find(Sample("max.jpg", "dog"))) == ["", "ignore"]
    save(tmp_path / "ignore.png", SQUARE * 255)
    assert [entry.group for entry in read_masks(tmp_path).find(Sample("other.jpg", "dog"))] == ["ignore"]


def test_names_match_with_folders_endings_and_the_ids_of_chexlocalize(tmp_path: Path) -> None:
    finding = {"img_size": [20, 30], "Airspace Opacity": CONTOURS}
    table = read_masks(write_json({"patient1_study1_view1_frontal": finding})(tmp_path))
    image = "CheXpert-v1.0/valid/patient1/study1/view1_frontal.jpg"
    assert table.find(Sample(image, "lung opacity"))
    save(tmp_path / "masks" / "dog" / "001.png", SQUARE)
    save(tmp_path / "masks" / "cat" / "001.png", SQUARE)
    folders = read_masks(tmp_path / "masks")
    for label in ("dog", "cat"):
        (entry,) = folders.find(Sample(f"{label}/001.jpg", label))
        assert entry.group == label
    assert folders.without_image([Sample("dog/001.jpg", "dog")]) == ()
    assert folders.without_image([Sample("dog/002.jpg", "dog")]) == ("001",)


def written(name: str, text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return write


MALFORMED: list[tuple[Callable[[Path], Path], str]] = [
    (lambda folder: folder / "nothing", "masks not found: {at}; pass a folder of CLASS/IMAGE.png"),
    (lambda folder: folder, "{at} holds no masks that can be read; pass"),
    (written("masks.doc", "x"), "{at} is no format of masks that is known; pass"),
    (written("masks.json", "{"), "{at}: not JSON"),
    (written("masks.json", "[]"), "{at} is no format of masks that is known; pass"),
    (
        written("masks.json", '{"images": [{"id": 1}], "annotations": [{"image_id": 1}]}'),
        "{at}: is malformed (Key",
    ),
    (written("masks.csv", "image,class\nrex,dog"), "{at}: the first line must name the columns image,class,path, or"),
    (csv_of("image,class,path", "rex,dog,m/b.png"), "{at}, line 2: no such mask file: "),
    (csv_of("image,class,path", "", ",dog,m/a.png"), "{at}, line 3: the name of the image is missing."),
    (csv_of("image,path,x,y", "rex,,,"), "{at}, line 2: needs one of path, x0,y0,x1,y1 and x,y; it has none."),
    (
        csv_of("image,path,x,y", "rex,m/a.png,1,2"),
        "{at}, line 2: needs one of path, x0,y0,x1,y1 and x,y; it has a",
    ),
    (csv_of("image,x,y", "rex,1,b"), "{at}, line 2: a coordinate must be a number, got 'b'."),
    (csv_of("image,x,y", "rex,1,2,3"), "{at}, line 2: 4 cells for 3 columns."),
    (csv_of("image,x0,y0,x1,y1", "rex,5,5,5,9"), "{at}, line 2: the box from (5, 5) to (5, 9) is empty."),
    (write_json(coco({"image_id": 8})), "{at}, annotation 1: image_id 8 is no image of the file."),
    (write_json(coco({"category_id": 8})), "{at}, annotation 1: category_id 8 is no category of the file."),
    (write_json(coco({})), "{at}, annotation 1: has neither segmentation nor keypoints nor bbox."),
    (write_json(coco({"segmentation": [[1, 2, 3]]})), "{at}, annotation 1: a polygon must list x, y in turn, got 3"),
    (
        write_json(coco({"segmentation": [[1, 2, 3, 4]]})),
        "{at}, annotation 1: a polygon needs at least 3 points, got",
    ),
    (write_json(coco({"segmentation": {"counts": [1]}})), "{at}, annotation 1: an RLE needs size [height, width] and"),
    (write_json({"rex": {"img_size": [20, 30], "Dog": "x"}}), "{at}, rex, Dog: must be contours or an RLE, got str."),
    (write_json({"rex": {"img_size": [20, 30], "Dog": [[[1]]]}}), "{at}, rex, Dog: a point must be [x, y], got [1]."),
    (written("rex.xml", "<a>"), "{at}: not XML"),
    (written("rex.xml", "<a><object><name>dog</name></object></a>"), "{at}, object 1: has no bndbox."),
    (written("rex.xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>"), "{at}: XML with entities is not read."),
    (written("localization.txt", "rex,1,2,3"), "{at}, line 1: must be image,x0,y0,x1,y1 or image,mask.png,ignore.png"),
    (written("localization.txt", "rex,m/b.png"), "{at}, line 1: no such mask file: m/b.png, in"),
    (written("masks.csv", "image,x,y\n"), "{at} holds no mask."),
]


@pytest.mark.parametrize(("write", "message"), MALFORMED, ids=[message for _, message in MALFORMED])
def test_malformed_masks_are_refused_by_file_and_row(
    write: Callable[[Path], Path], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path)
    with pytest.raises(DataError, match=re.escape(message.format(at=path))):
        read_masks(path)


def test_boxes_and_points_outside_of_the_picture_are_refused(tmp_path: Path) -> None:
    table = read_masks(csv_of("image,x0,y0,x1,y1,x,y", "rex,40,4,50,9,,", "max,,,,,40,4")(tmp_path))
    for entry, what in zip(table.entries, ("box", r"point \(40, 4\)"), strict=True):
        with pytest.raises(DataError, match=rf"line \d: the {what} lies outside of the picture of 30 x 20 pixels\."):
            entry.shape.render((30, 20))


def test_a_coloured_or_broken_mask_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png", [[[255, 0, 0]]])
    with pytest.raises(DataError, match=r"a.png: a mask must be grey or have a palette, a.png is in colour."):
        Picture(tmp_path / "a.png", "a.png").render((1, 1))
    (tmp_path / "b.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"b.png, row 3: not a readable mask \("):
        Picture(tmp_path / "b.png", "b.png, row 3").render((1, 1))
