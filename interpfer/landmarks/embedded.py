"""Landmarks out of the box: a small network of interpfer's own, offline, a few milliseconds per face on a CPU core.

A picture is looked at whole first. Two looks follow each other: predict, cut anew around the points with the eyes
level, predict again and average with the mirrored crop. Where the second look is not sure, the picture is searched with
a pyramid of windows, and the best of them are looked at again. docs/embedded-landmarks.md tells how the network
came about and what it is not for.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from interpfer.landmarks.base import NO_FACE, UNSURE, choose_largest
from interpfer.landmarks.network import MARGIN, MIRRORED, LandmarkNet, Squares
from interpfer.landmarks.windows import Canvases, pyramid, to_grey, whole
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

DOUBT = 0.3
"""Confidence from which a picture is said to be doubtful, rather than to show no face."""

LEEWAY = 2.0
"""How much lower than that of the second look the logit of the first may be: its box is not yet a good one."""

NEAR = 72
"""Side in pixels of a face on the canvas below which the canvas is cut anew from the picture, around the face."""

CANDIDATES = 6
"""How many windows of the search are looked at again, and how many beside the faces that were found there."""

RULES = 2
"""Goes up when the same weights would give other answers."""


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
        """Name, hash of the weights, and version of the rules by which a face is chosen."""
        return f"{self.name}-{hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:16]}-{RULES}"

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
        points, confidence, others = self._look(images or [])
        if len(points) != len(ids):
            raise ValueError(f"{len(ids)} ids and {len(points)} images differ")
        notes = []
        for row, (sure, beside) in enumerate(zip(confidence.tolist(), others, strict=True)):
            if sure < CONFIDENCE:
                points[row] = torch.nan
                notes.append(f"{UNSURE}: {sure:.2f} < {CONFIDENCE}" if sure >= DOUBT else NO_FACE)
                continue
            face = Squares.around(points[row : row + 1], 1.0)
            x, y = face.centres[0].tolist()
            meant, note = choose_largest([float(face.sides), *beside], (x, y))
            notes.append(note)
            if not meant:
                points[row] = torch.nan
        return Landmarks.of(points, tuple(notes))

    def predict(self, images: Sequence[Image.Image]) -> tuple[Float[Tensor, "n 68 2"], Float[Tensor, " n"]]:
        """Return the points of the likeliest face of each picture and the confidence that it is one.

        The confidence is the least of those of the looks, lowered where the points of the mirrored crop disagree.

        Returns:
            (n, 68, 2) pixels of each picture, and (n,) in [0, 1]; both on the CPU.
        """
        return self._look(images)[:2]

    @torch.no_grad()
    def _look(
        self, images: Sequence[Image.Image]
    ) -> tuple[Float[Tensor, "n 68 2"], Float[Tensor, " n"], list[list[float]]]:
        """Return what ``predict`` does, and the widths of the other sure faces that a search came upon."""
        points, confidence = torch.zeros(len(images), LANDMARKS, 2), torch.zeros(len(images))
        others: list[list[float]] = [[] for _ in images]
        for start in range(0, len(images), self.batch_size):
            greys = [to_grey(image) for image in images[start : start + self.batch_size]]
            some, sure = self._refine(greys, [whole(grey) for grey in greys])
            for i, grey in enumerate(greys):
                if self.search and sure[i] < SURE:
                    other, surer, beside = self._find(grey)
                    if surer >= SURE:
                        some[i], sure[i], others[start + i] = other, surer, beside
            points[start : start + len(greys)], confidence[start : start + len(greys)] = some.cpu(), sure.cpu()
        return points, confidence, others

    def _refine(
        self, greys: Sequence[Image.Image], boxes: Iterable[tuple[float, float, float]]
    ) -> tuple[Float[Tensor, "n 68 2"], Float[Tensor, " n"]]:
        """Look twice at boxes (centre x, centre y, side) of pictures, one box per picture."""
        canvases = Canvases.cut(greys, boxes, self.device)
        covering = canvases.squares()
        guess, first = self.network(covering.cut(canvases.pixels))
        points = canvases.to_picture(covering.to_picture(guess))
        squares = Squares.around(canvases.from_picture(points))

        coarse = (squares.sides < NEAR) & (canvases.scale.amax(1) > 1.01)
        if small := coarse.nonzero()[:, 0].tolist():
            around = Squares.around(points, 1.5 * MARGIN)
            nearer = [(*around.centres[i].tolist(), float(around.sides[i])) for i in small]
            canvases = canvases.replaced(small, Canvases.cut([greys[i] for i in small], nearer, self.device))
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

    def _find(self, grey: Image.Image) -> tuple[Float[Tensor, "68 2"], Float[Tensor, ""], list[float]]:
        """Search a picture for its largest sure face, or its least unlikely one.

        Returns:
            Its points and confidence, and the widths of the other sure faces, the widest first.
        """
        boxes, logits = self._scan(grey)
        points, sure = self._refine_best(grey, boxes, logits)
        found = Squares.around(points)
        elsewhere = logits.sigmoid() >= SURE
        for centre, side in zip(found.centres[sure >= SURE], found.sides[sure >= SURE], strict=True):
            elsewhere &= (boxes[:, :2] - centre).abs().amax(1) > side / 2
        if (sure >= SURE).any() and elsewhere.any():
            more, surer = self._refine_best(grey, boxes[elsewhere], logits[elsewhere])
            points, sure = torch.cat([points, more]), torch.cat([sure, surer])
        faces = Squares.around(points, 1.0)
        order = (faces.sides * (sure >= SURE) + sure).argsort(descending=True).tolist()
        kept: list[int] = []
        for row in order:
            apart = [bool((faces.centres[row] - faces.centres[k]).abs().amax() > faces.sides[k] / 2) for k in kept]
            if sure[row] >= SURE and all(apart):
                kept.append(row)
        return points[order[0]], sure[order[0]], faces.sides[kept[1:]].tolist()

    def _scan(self, grey: Image.Image) -> tuple[Float[Tensor, "m 3"], Float[Tensor, " m"]]:
        """Return the boxes (centre x, centre y, side) that windows all over a picture suggest, and their logits."""
        boxes, logits = [], []
        for windows, places in pyramid(grey):
            for start in range(0, len(windows), 4 * self.batch_size):
                part = windows[start : start + 4 * self.batch_size].to(self.device).float() / 255
                points, sure = self.network(part)
                squares = Squares.around(points, 2.0)
                place = places[start : start + len(part)].to(self.device)
                centres = place[:, :2] + squares.centres * place[:, 2:] / 2
                boxes.append(torch.cat([centres, squares.sides[:, None] * place[:, 2:] / 2], 1))
                logits.append(sure)
        return torch.cat(boxes), torch.cat(logits)

    def _refine_best(
        self, grey: Image.Image, boxes: Float[Tensor, "m 3"], logits: Float[Tensor, " m"]
    ) -> tuple[Float[Tensor, "n 68 2"], Float[Tensor, " n"]]:
        best = logits.topk(min(CANDIDATES, len(logits))).indices
        chosen = [(x, y, side) for x, y, side in boxes[best].tolist()]
        return self._refine([grey] * len(chosen), chosen)


def load_network(path: Path) -> LandmarkNet:
    """Read the network's weights, stored as half precision."""
    network = LandmarkNet(folded=True)
    state = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict({key: value.float() for key, value in state.items()})
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
