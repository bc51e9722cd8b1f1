"""Small copies of the layouts of data sets, for tests that read them."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image


def picture(path: Path, size: tuple[int, int] = (8, 8), value: int | None = None) -> Path:
    """Write a grey picture, by default of a shade that depends on its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shade = sum(path.name.encode()) % 256 if value is None else value
    Image.new("L", size, shade).save(path)
    return path


def text(path: Path, *lines: str) -> Path:
    """Write lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def points(seed: int = 0) -> np.ndarray:
    """Return 68 points."""
    return np.random.default_rng(seed).uniform(1, 7, (68, 2)).round(3)


def listed(dataset: object) -> list[tuple[str, str]]:
    """Return the ids and labels of a data set."""
    return [(sample.id, sample.label) for sample in dataset.samples]  # type: ignore[attr-defined]


def video(
    path: Path, frames: Sequence[np.ndarray], codec: str = "png", pixels: str = "rgb24", rate: Fraction | int = 25
) -> Path:
    """Write a video, by default without loss."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    return path
