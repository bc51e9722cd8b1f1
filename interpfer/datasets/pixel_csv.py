"""Pictures that are lines of numbers in a CSV file, as FER2013 comes."""

from pathlib import Path

import numpy as np
from PIL import Image

from interpfer.errors import DataError

SIDE = 48
USAGES = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}


class PixelTable:
    """A table with the columns emotion, pixels and Usage in any order.

    Only the places of the pictures are kept; a picture is read when it is asked for.

    Attributes:
        path: the file.
        emotions: one per row, as written.
        usages: one per row.

    Raises:
        DataError: a column is not there, or a row is cut short.
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
            lost = [name for name in ("emotion", "pixels", "usage") if name not in header]
            if lost:
                raise DataError(f"{path}: there is no column '{lost[0]}'; it has {', '.join(header)}.")
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
                        f"{path}, line {len(self._offsets) + 2}: {len(cells)} cells, expected {len(header)}."
                    )
                offset += len(line)

    def __len__(self) -> int:
        return len(self._offsets)

    def image(self, row: int) -> Image.Image:
        """Return the picture of a row as RGB.

        Raises:
            DataError: it is not 48 x 48 numbers from 0 to 255.
        """
        with self.path.open("rb") as file:
            file.seek(self._offsets[row])
            cell = file.readline().split(b",")[self._pixels].strip(b' "\r\n')
        try:
            values = np.array(cell.split(), dtype=np.int64)
        except (ValueError, OverflowError):
            values = np.array([-1])
        if values.size != SIDE * SIDE or values.min() < 0 or values.max() > 255:
            raise DataError(f"{self.path}, line {row + 2}: the pixels are not {SIDE} x {SIDE} numbers from 0 to 255.")
        return Image.fromarray(values.astype(np.uint8).reshape(SIDE, SIDE)).convert("RGB")


def image_name(row: int) -> str:
    """Return the name that FERPlus gives to a row, counted from 0."""
    return f"fer{row:07d}.png"


def _text(cell: bytes) -> str:
    return cell.strip(b' "\r\n').decode("utf-8", "replace")
