"""Pictures in eight formats, some of which claim to be huge, and videos."""

import io
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.faults.inputs.seed import Files, Hostile, Seed, picture, touch_all


def images() -> Sequence[Seed]:
    from interpfer.datasets.images import read_image, read_size

    def read(path: Path) -> None:
        read_image(path)
        read_size(path)

    kinds = {
        "a.png": "PNG",
        "a.jpg": "JPEG",
        "a.gif": "GIF",
        "a.bmp": "BMP",
        "a.tif": "TIFF",
        "a.webp": "WEBP",
        "a.ppm": "PPM",
        "a.tga": "TGA",
    }
    return [
        Seed({name: picture(kind)}, name, lambda folder, name=name: read(folder / name), huge_picture(name))
        for name, kind in kinds.items()
    ]


def huge_picture(name: str) -> Hostile:
    """Return what makes a picture whose header claims 60,000 x 60,000 pixels."""

    def make(random_: random.Random, _: str) -> Files:
        side = random_.choice((60_000, 2**31 - 1, 20_000)).to_bytes(4, "big")
        png = bytearray(picture())
        png[16:24] = side + side
        return {name: bytes(png) if random_.random() < 0.5 else b"P6 60000 60000 255\n" + bytes(100)}

    return make


def clips() -> Sequence[Seed]:
    from interpfer.datasets.clip_dataset import open_clip

    return [
        Seed({name: _video(name)}, name, lambda folder, name=name: touch_all(open_clip(folder / name), 3))
        for name in ("a.mp4", "a.avi")
    ]


def _video(name: str) -> bytes:
    import av

    out = io.BytesIO()
    with av.open(out, "w", format=name.partition(".")[2]) as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for i in range(6):
            values = np.random.default_rng(i).integers(0, 255, (32, 32, 3), np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(values)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return out.getvalue()
