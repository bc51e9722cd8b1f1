import contextlib
import io
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from interpfer.datasets.images import ORIENTATION, read_image, read_size, to_rgb
from interpfer.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tiff"])
def test_the_first_picture_of_an_animation(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    frames = [Image.new("RGB", (6, 4), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    image = read_image(path)
    assert image.mode == "RGB"
    assert image.size == read_size(path) == (6, 4)
    np.testing.assert_allclose(np.asarray(image)[2, 3], (255, 0, 0), atol=2)


def test_a_palette_with_transparency_as_bytes(tmp_path: Path) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 200, 100, 50, 90, 90, 90])
    image.putdata([0, 1, 2])
    image.save(tmp_path / "p.png", transparency=bytes([255, 0, 255]))
    assert np.asarray(read_image(tmp_path / "p.png")).tolist() == [[[10, 20, 30], [0, 0, 0], [90, 90, 90]]]


MODES = [
    *("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa"),
    *("CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "I;16B", "F"),
]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = to_rgb(Image.new(mode, (5, 7)))
    assert image.mode == "RGB"
    assert image.size == (5, 7)


@pytest.mark.parametrize("scale", [1, 255])
def test_floats_from_0_to_1_or_to_255(tmp_path: Path, scale: int) -> None:
    values = np.array([[0, 0.2, 1.0, np.nan, -3]], np.float32) * np.float32(scale)
    Image.fromarray(values).save(tmp_path / "f.tiff")
    assert np.asarray(read_image(tmp_path / "f.tiff"))[0, :, 0].tolist() == [0, 51, 255, 0, 0]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_deep_grey_in_tiff(tmp_path: Path, dtype: type) -> None:
    Image.fromarray((PIXELS[..., 0].astype(dtype) << 8) + 9).save(tmp_path / "d.tiff")
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "d.tiff"))[..., 1], PIXELS[..., 0])


def test_sixteen_bit_colour(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(tmp_path / "c.png"), PIXELS[..., ::-1].astype(np.uint16) << 8)
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "c.png")), PIXELS)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "big.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    for read in (read_image, read_size):
        with pytest.raises(DataError, match=r"big\.png: not a readable image .*decompression bomb"):
            read(tmp_path / "big.png")


def test_a_large_picture_is_read(tmp_path: Path) -> None:
    Image.new("1", (9000, 6000), 1).save(tmp_path / "large.png")
    image = read_image(tmp_path / "large.png")
    assert image.size == read_size(tmp_path / "large.png") == (9000, 6000)
    assert image.getpixel((8999, 5999)) == (255, 255, 255)


@pytest.mark.parametrize("name", ["été.png", "顔 1.png", "лицо.png", "face🙂.png", "a'b\"c#%.png"])
def test_names_in_any_script(tmp_path: Path, name: str) -> None:
    Image.fromarray(PIXELS).save(tmp_path / name)
    assert read_image(tmp_path / name).size == read_size(tmp_path / name)


@pytest.mark.parametrize(("written", "asked"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_composed_or_not(tmp_path: Path, written: str, asked: str) -> None:
    Image.fromarray(PIXELS).save(tmp_path / unicodedata.normalize(written, "Zoë.png"))
    read_image(tmp_path / unicodedata.normalize(asked, "Zoë.png"))
    with pytest.raises(DataError, match="no such image file"):
        read_image(tmp_path / "Noël.png")


def test_the_suffix_does_not_matter(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "a.jpg")), PIXELS)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_broken_exif_block_says_nothing_of_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(PIXELS).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\x7fnonsense")
    assert read_image(path).size == read_size(path) == (16, 12)


@pytest.mark.parametrize("orientation", [0, 9])
def test_an_orientation_that_is_none(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif)
    assert read_image(tmp_path / "a.png").size == read_size(tmp_path / "a.png")


def encoded(suffix: str) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    options = {} if suffix in ("bmp", "gif") else {"exif": exif}
    Image.fromarray(PIXELS).save(buffer, suffix, **options)
    return buffer.getvalue()


ENCODED = {suffix: encoded(suffix) for suffix in ("jpeg", "png", "gif", "bmp", "tiff", "webp")}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", ENCODED)
@given(data=st.data())
def test_a_damaged_file_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, data: st.DataObject
) -> None:
    content = bytearray(ENCODED[suffix])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"damaged.{suffix}"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with contextlib.suppress(DataError):
        assert read_image(path).mode == "RGB"
    with contextlib.suppress(DataError):
        assert min(read_size(path)) >= 0


@pytest.mark.parametrize("place", ["before", "after", "none"])
def test_the_size_of_a_png_needs_no_pixels_unless_its_orientation_follows_them(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    path = tmp_path / "face.png"
    Image.new("RGB", (4, 3)).save(path, exif=None if place == "none" else exif)
    if place == "after":
        content = path.read_bytes()
        start = content.index(b"eXIf") - 4
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        chunk, tail = content[start:end], content.index(b"IEND") - 4
        path.write_bytes(content[:start] + content[end:tail] + chunk + content[tail:])
    loads: list[int] = []
    load = PngImageFile.load
    monkeypatch.setattr(PngImageFile, "load", lambda image: (loads.append(1), load(image))[1])
    assert read_size(path) == ((4, 3) if place == "none" else (3, 4))
    assert len(loads) == (1 if place == "after" else 0)
    assert read_image(path).size == read_size(path)
