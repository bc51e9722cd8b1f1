"""Landmarks out of the box: a small network of interpfer's own, offline, a few milliseconds per face on a CPU core.

A picture is looked at whole first. Two looks follow each other: predict, cut anew around the points with the eyes
level, predict again and average with the mirrored crop. Where the second look is not sure, the picture is searched with
a pyramid of windows, and the best of them are looked at again. docs/embedded-landmarks.md tells how the network
came about and what it is not for.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from interpfer.landmarks.network import CROP, MARGIN, MIRRORED, LandmarkNet, Squares
from interpfer.types import LANDMARKS, Landmarks

WEIGHTS = Path(__file__).with_name("embedded.pt")

CONFIDENCE = 0.7
"""Confidence from which a face counts as found when the picture was taken as its box."""

SURE = 0.9
"""Confidence below which a picture is searched, and from which a face that the search comes upon counts.

It is stricter than `CONFIDENCE` since many windows are many chances for a false alarm.
"""

AGREEMENT = 0.08
"""Distance between the points of a crop and of its mirror image, in outer-eye distances, that halves the confidence.

On faces the two are 0.01 apart; on what only resembles a face they seldom agree, however sure the network is.
"""

LEEWAY = 2.0
"""How much lower than that of the second look the logit of the first may be: its box is not yet a good one."""

CANVAS_SIDE = 160
"""Side in pixels to which a picture is brought before crops are cut from it."""

NEAR = 72
"""Side in pixels of a face on the canvas below which the canvas is cut anew from the picture, around the face."""

WINDOW_STEP = 32
"""Step of the search, in pixels of a window of CROP pixels; the network finds faces this far off the centre."""

SMALLEST = 1 / 6
"""Side of the smallest window of the search, as a share of the longer side of the picture; 20 pixels at least."""

CANDIDATES = 6
"""How many windows of the search are looked at again."""


@dataclass(frozen=True)
class _Canvases:
    """Squares of n pictures, reduced to one size.

    Attributes:
        pixels: (n, 1, CANVAS_SIDE, CANVAS_SIDE) grey in [0, 1].
        scale: (n, 2) pixels of the picture per pixel of the canvas, along x and y.
        origin: (n, 2) where in the picture the canvas begins.
    """

    pixels: Float[Tensor, "n 1 s s"]
    scale: Float[Tensor, "n 2"]
    origin: Float[Tensor, "n 2"]

    def to_picture(self, points: Float[Tensor, "n p 2"]) -> Float[Tensor, "n p 2"]:
        return points * self.scale[:, None] + self.origin[:, None]

    def from_picture(self, points: Float[Tensor, "n p 2"]) -> Float[Tensor, "n p 2"]:
        return (points - self.origin[:, None]) / self.scale[:, None]

    def replaced(self, where: list[int], other: "_Canvases") -> "_Canvases":
        index = torch.tensor(where, device=self.pixels.device)
        return _Canvases(
            self.pixels.index_copy(0, index, other.pixels),
            self.scale.index_copy(0, index, other.scale),
            self.origin.index_copy(0, index, other.origin),
        )


class EmbeddedLandmarks:
    """The landmark provider `embedded`.

    Points are in pixels counted from the outer edge of the first pixel, so that they scale with the picture.

    Args:
        device: where the network runs.
        batch_size: crops per forward pass.
        search: whether a picture that is not itself the box of a face is searched for one.
    """

    name: ClassVar[str] = "embedded"
    summary: ClassVar[str] = "interpfer's own small network: offline, milliseconds per face, boxes not needed"
    needs_images: ClassVar[bool] = True

    def __init__(self, device: str | torch.device = "cpu", batch_size: int = 64, search: bool = True) -> None:
        self.device = torch.device(device)
        self.batch_size = batch_size
        self.search = search

    @cached_property
    def digest(self) -> str:
        """Name and hash of the weights."""
        return f"{self.name}-{hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:16]}"

    @cached_property
    def network(self) -> LandmarkNet:
        """The trained network, read when first needed."""
        return load_network(WEIGHTS).to(self.device)

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:
        """Return the points in pixels of each image, not found where there is no face.

        Args:
            ids: the names of the n images; only their number matters here.
            images: n pictures of any sizes, each a face crop or a larger picture with a face in it.
        """
        points, confidence = self.predict(images or [])
        if len(points) != len(ids):
            raise ValueError(f"{len(ids)} ids and {len(points)} images differ")
        return Landmarks.of(torch.where((confidence >= CONFIDENCE)[:, None, None], points, torch.nan))

    @torch.no_grad()
    def predict(self, images: Sequence[Image.Image]) -> tuple[Float[Tensor, "n 68 2"], Float[Tensor, " n"]]:
        """Return the points of the likeliest face of each picture and the confidence that it is one.

        The confidence is the least of those of the looks, lowered where the points of the mirrored crop disagree.

        Returns:
            (n, 68, 2) pixels of each picture, and (n,) in [0, 1]; both on the CPU.
        """
        points, confidence = torch.zeros(len(images), LANDMARKS, 2), torch.zeros(len(images))
        for start in range(0, len(images), self.batch_size):
            greys = [_grey(image) for image in images[start : start + self.batch_size]]
            some, sure = self._refine(greys, [_whole(grey) for grey in greys])
            for i, grey in enumerate(greys):
                if self.search and sure[i] < SURE:
                    other, surer = self._find(grey)
                    if surer >= SURE:
                        some[i], sure[i] = other, surer
            points[start : start + len(greys)], confidence[start : start + len(greys)] = some.cpu(), sure.cpu()
        return points, confidence

    def _refine(
        self, greys: Sequence[Image.Image], boxes: Iterable[tuple[float, float, float]]
    ) -> tuple[Float[Tensor, "n 68 2"], Float[Tensor, " n"]]:
        """Look twice at boxes (centre x, centre y, side) of pictures, one box per picture."""
        canvases = self._canvases(greys, boxes)
        full = _full(canvases.pixels)
        guess, first = self.network(full.cut(canvases.pixels))
        points = canvases.to_picture(full.to_picture(guess))
        squares = Squares.around(canvases.from_picture(points))

        coarse = (squares.sides < NEAR) & (canvases.scale.amax(1) > 1.01)
        if small := coarse.nonzero()[:, 0].tolist():
            around = Squares.around(points, 1.5 * MARGIN)
            nearer = [(*around.centres[i].tolist(), float(around.sides[i])) for i in small]
            canvases = canvases.replaced(small, self._canvases([greys[i] for i in small], nearer))
            squares = Squares.around(canvases.from_picture(points))

        crops = squares.cut(canvases.pixels)
        guess, logits = self.network(torch.cat([crops, crops.flip(-1)]))
        straight, mirrored = guess.chunk(2)
        mirrored = mirrored[:, list(MIRRORED)] * mirrored.new_tensor([-1.0, 1.0])
        mean = (straight + mirrored) / 2
        apart = (straight - mirrored)[:, 17:].norm(dim=-1).mean(1) / (mean[:, 36] - mean[:, 45]).norm(dim=-1)
        lowest = torch.minimum(logits.view(2, -1).amin(0), first + LEEWAY)
        confidence = lowest.sigmoid() / (1 + (apart / AGREEMENT) ** 4)
        return canvases.to_picture(squares.to_picture(mean)), confidence

    def _canvases(self, greys: Sequence[Image.Image], boxes: Iterable[tuple[float, float, float]]) -> _Canvases:
        cut = [_canvas(grey, *box) for grey, box in zip(greys, boxes, strict=True)]
        pixels = torch.from_numpy(np.stack([pixels for pixels, _ in cut])).to(self.device)
        placing = torch.tensor([place for _, place in cut], dtype=torch.float32, device=self.device)
        return _Canvases(pixels[:, None].float() / 255, placing[:, :2], placing[:, 2:])

    def _find(self, grey: Image.Image) -> tuple[Float[Tensor, "68 2"], Float[Tensor, ""]]:
        """Search a picture for its largest sure face, or its least unlikely one."""
        boxes, confidence = [], []
        for windows, places in _pyramid(grey):
            for start in range(0, len(windows), 4 * self.batch_size):
                part = windows[start : start + 4 * self.batch_size].to(self.device).float() / 255
                points, logits = self.network(part)
                squares = Squares.around(points, 2.0)
                place = places[start : start + len(part)].to(self.device)
                centres = place[:, :2] + squares.centres * place[:, 2:] / 2
                boxes.append(torch.cat([centres, squares.sides[:, None] * place[:, 2:] / 2], 1))
                confidence.append(logits)
        best = torch.cat(confidence).topk(min(CANDIDATES, sum(map(len, confidence)))).indices
        chosen = [(x, y, side) for x, y, side in torch.cat(boxes)[best].tolist()]
        points, sure = self._refine([grey] * len(chosen), chosen)
        sizes = Squares.around(points).sides
        largest = int((sizes * (sure >= SURE) + sure).argmax())
        return points[largest], sure[largest]


def load_network(path: Path) -> LandmarkNet:
    """Read the network's weights, stored as half precision."""
    network = LandmarkNet(folded=True)
    state = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict({key: value.float() for key, value in state.items()})
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _grey(image: Image.Image) -> Image.Image:
    return image if image.mode == "L" else image.convert("L")


def _whole(grey: Image.Image) -> tuple[float, float, float]:
    return grey.width / 2, grey.height / 2, float(max(grey.size))


def _full(pixels: Float[Tensor, "n 1 s s"]) -> Squares:
    """Return the squares that cover canvases."""
    sides = pixels.new_full((len(pixels),), pixels.shape[-1])
    return Squares(torch.stack([sides / 2, sides / 2], 1), sides, torch.zeros_like(sides))


def _canvas(
    grey: Image.Image, x: float, y: float, side: float
) -> tuple[UInt8[np.ndarray, "s s"], tuple[float, float, float, float]]:
    """Reduce or enlarge a square of a picture to the canvas, repeating the picture's edge beyond it.

    Returns:
        The pixels, and what `_Canvases` calls scale and origin: (x, y, x, y).
    """
    low_x, low_y = max(0.0, x - side / 2), max(0.0, y - side / 2)
    high_x, high_y = min(grey.width, x + side / 2), min(grey.height, y + side / 2)
    if high_x - low_x < 1 or high_y - low_y < 1:
        return np.zeros((CANVAS_SIDE, CANVAS_SIDE), np.uint8), (1.0, 1.0, 0.0, 0.0)
    zoom = CANVAS_SIDE / side
    left, top = round((low_x - x) * zoom + CANVAS_SIDE / 2), round((low_y - y) * zoom + CANVAS_SIDE / 2)
    width = min(max(1, round((high_x - low_x) * zoom)), CANVAS_SIDE - left)
    height = min(max(1, round((high_y - low_y) * zoom)), CANVAS_SIDE - top)
    resized = grey.resize(
        (width, height), Image.Resampling.BILINEAR, box=(low_x, low_y, high_x, high_y), reducing_gap=2.0
    )
    around = ((top, CANVAS_SIDE - top - height), (left, CANVAS_SIDE - left - width))
    scale_x, scale_y = (high_x - low_x) / width, (high_y - low_y) / height
    place = scale_x, scale_y, low_x - left * scale_x, low_y - top * scale_y
    return np.pad(np.asarray(resized), around, mode="edge"), place


def _pyramid(grey: Image.Image) -> list[tuple[Tensor, Tensor]]:
    """Return, level by level, windows (n, 1, CROP, CROP) uint8 and their places (n, 3): centre x, y, side."""
    levels: list[tuple[Tensor, Tensor]] = []
    longest = max(grey.size)
    side = 1.1 * longest
    while not levels or side > max(SMALLEST * longest, 20):
        zoom = CROP / side
        width, height = max(1, round(grey.width * zoom)), max(1, round(grey.height * zoom))
        level = torch.from_numpy(np.array(grey.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)))
        pad_x, pad_y = _fill(width), _fill(height)
        around = (pad_x // 2, pad_x - pad_x // 2, pad_y // 2, pad_y - pad_y // 2)
        padded = F.pad(level[None].float(), around, mode="replicate")[0].byte()
        windows = padded.unfold(0, CROP, WINDOW_STEP).unfold(1, CROP, WINDOW_STEP)
        rows, columns = torch.meshgrid(torch.arange(windows.shape[0]), torch.arange(windows.shape[1]), indexing="ij")
        x = (columns.flatten() * WINDOW_STEP + CROP / 2 - pad_x // 2) / width * grey.width
        y = (rows.flatten() * WINDOW_STEP + CROP / 2 - pad_y // 2) / height * grey.height
        levels.append((windows.reshape(-1, 1, CROP, CROP), torch.stack([x, y, torch.full_like(x, side)], 1)))
        side /= 1.5
    return levels


def _fill(length: int) -> int:
    """How much a level lacks for windows to cover it."""
    return CROP - length if length < CROP else -(length - CROP) % WINDOW_STEP
