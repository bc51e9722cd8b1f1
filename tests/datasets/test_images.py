from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from interpfer.datasets.images import ORIENTATION, read_image, read_size, to_rgb
from interpfer.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def rgb(path: Path) -> np.ndarray:
    image = read_image(path)
    assert image.mode == "RGB"
    assert image.size == read_size(path)
    return np.asarray(image)


def test_rgb_is_unchanged(tmp_path: Path) -> None:
    np.testing.assert_array_equal(rgb(saved(tmp_path / "ü 1.png", Image.fromarray(PIXELS))), PIXELS)


UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orientation(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = saved(tmp_path / "a.png", Image.fromarray(PIXELS), exif=exif)
    np.testing.assert_array_equal(rgb(path), UPRIGHT[orientation](PIXELS))


def test_grey_and_black_and_white(tmp_path: Path) -> None:
    grey = PIXELS[..., 0]
    expected = np.repeat(grey[..., None], 3, 2)
    np.testing.assert_array_equal(rgb(saved(tmp_path / "grey.png", Image.fromarray(grey))), expected)
    bits = Image.fromarray(grey > 127)
    np.testing.assert_array_equal(rgb(saved(tmp_path / "bits.png", bits)), (expected > 127) * np.uint8(255))


def test_sixteen_bits_keep_the_upper_byte(tmp_path: Path) -> None:
    deep = PIXELS[..., 0].astype(np.uint16) << 8 | 0x37
    expected = np.repeat(PIXELS[..., :1], 3, 2)
    np.testing.assert_array_equal(rgb(saved(tmp_path / "deep.png", Image.fromarray(deep))), expected)


def test_sixteen_bits_that_hold_eight() -> None:
    np.testing.assert_array_equal(
        np.asarray(to_rgb(Image.fromarray(PIXELS[..., 0].astype(np.int32))))[..., 1], PIXELS[..., 0]
    )


def test_transparency_becomes_black(tmp_path: Path) -> None:
    alpha = np.array([[0, 255, 128, 0, 255, 0]] * 4, np.uint8)
    image = Image.fromarray(np.dstack([PIXELS, alpha]))
    expected = np.round(PIXELS * (alpha[..., None] / 255))
    assert np.abs(rgb(saved(tmp_path / "rgba.png", image)) - expected).max() <= 1
    grey = image.convert("LA")
    assert (rgb(saved(tmp_path / "la.png", grey))[alpha == 0] == 0).all()


def test_palettes(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    path = saved(tmp_path / "p.png", image)
    assert rgb(path).tolist() == [[[10, 20, 30], [200, 100, 50]]]
    path = saved(tmp_path / "t.png", image, transparency=1)
    assert rgb(path).tolist() == [[[10, 20, 30], [0, 0, 0]]]


def test_cmyk(tmp_path: Path) -> None:
    path = saved(tmp_path / "c.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)), quality=100)
    assert np.abs(rgb(path).astype(int) - (255, 0, 0)).max() < 6


def test_floats(tmp_path: Path) -> None:
    path = saved(tmp_path / "f.tiff", Image.fromarray(PIXELS[..., 0].astype(np.float32)))
    np.testing.assert_array_equal(rgb(path)[..., 2], PIXELS[..., 0])


@pytest.mark.parametrize("read", [read_image, read_size])
def test_no_such_file(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(DataError, match=r"none\.png: no such image file\."):
        read(tmp_path / "none.png")


@pytest.mark.parametrize("read", [read_image, read_size])
@pytest.mark.parametrize("content", [b"", b"this is no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_not_an_image(tmp_path: Path, content: bytes, read: Callable[[Path], object]) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png: not a readable image"):
        read(tmp_path / "a.png")


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a readable image"):
        read_image(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp", "tiff"])
def test_a_truncated_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match="not a readable image"):
        read_image(path)
