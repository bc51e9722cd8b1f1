"""Tables of pictures whose pixels are numbers in a CSV file, as in FER2013."""

from pathlib import Path

import numpy as np
from PIL import Image

from interpfer.errors import DataError

SIDE = 48
"""Side of the pictures in pixels."""

USAGES = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}
"""Split -> value of the column Usage."""


class PixelTable:
    """A table with the columns emotion, pixels and Usage in any order.

    Only the positions of the pictures in the file are kept in memory; a picture is read on demand.

    Attributes:
        path: the file.
        emotions: emotion of each row, as text.
        usages: value of the column Usage of each row.

    Raises:
        DataError: a column is missing, or a row is truncated.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.emotions: list[str] = []
        self.usages: list[str] = []
        self._offsets: list[int] = []
        with path.open("rb") as file:
            header = [
                cell.strip(b' "\r\n').lower().decode() for cell in file.readline().lstrip(b"\xef\xbb\xbf").split(b",")
            ]
            missing = [name for name in ("emotion", "pixels", "usage") if name not in header]
            if missing:
                raise DataError(f"{path}: the column '{missing[0]}' is missing; it has {', '.join(header)}.")
            emotion, self._pixels, usage = (header.index(name) for name in ("emotion", "pixels", "usage"))
            offset = file.tell()
            for line in file:
                cells = line.split(b",")
                if len(cells) == len(header):
                    self.emotions.append(_text(cells[emotion]))
                    self.usages.append(_text(cells[usage]))
                    self._offsets.append(offset)
                elif line.strip():
                    raise DataError(
                        f"{path}, line {len(self._offsets) + 2}: expected {len(header)} cells, got {len(cells)}."
                    )
                offset += len(line)

    def __len__(self) -> int:
        return len(self._offsets)

    def image(self, row: int) -> Image.Image:
        """Return the picture of a row as RGB.

        Raises:
            DataError: the pixels are not 48 x 48 numbers from 0 to 255.
        """
        with self.path.open("rb") as file:
            file.seek(self._offsets[row])
            cell = file.readline().split(b",")[self._pixels].strip(b' "\r\n')
        try:
            values = np.array(cell.split(), dtype=np.int64)
        except (ValueError, OverflowError):
            values = np.array([-1])
        if values.size != SIDE * SIDE or values.min() < 0 or values.max() > 255:
            raise DataError(f"{self.path}, line {row + 2}: the pixels must be {SIDE} x {SIDE} numbers from 0 to 255.")
        return Image.fromarray(values.astype(np.uint8).reshape(SIDE, SIDE)).convert("RGB")


def image_name(row: int) -> str:
    """Return the name of a row, counted from 0, in FERPlus."""
    return f"fer{row:07d}.png"


def _text(cell: bytes) -> str:
    return cell.strip(b' "\r\n').decode("utf-8", "replace")
