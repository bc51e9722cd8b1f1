"""The embedded landmark network: offline, a few milliseconds per face on a CPU core.

The first pass takes the whole picture as the box of a face and predicts its points. The second pass cuts a crop around
these points, with the eyes level, predicts again and averages with the mirrored crop. If the confidence is low, the
picture is searched with a pyramid of windows, and the best of them go through both passes.
docs/embedded-landmarks.md describes the training, the errors and the limits of the network.
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

from interpfer.landmarks.base import choose_largest
from interpfer.landmarks.network import MARGIN, LandmarkNet, Squares
from interpfer.landmarks.points import MIRRORED
from interpfer.landmarks.reasons import NO_FACE, UNSURE
from interpfer.landmarks.windows import Canvases, pyramid, to_grey, whole_box
from interpfer.types import LANDMARKS, Landmarks

WEIGHTS = Path(__file__).with_name("embedded.pt")

MIN_CONFIDENCE = 0.7
"""Smallest confidence at which a face is found, if the whole picture was taken as its box."""

SEARCH_CONFIDENCE = 0.9
"""Confidence below which a picture is searched, and smallest confidence at which the search finds a face.

It is stricter than ``MIN_CONFIDENCE``, since many windows mean many chances of a false positive.
"""

MIRROR_DISTANCE = 0.08
"""Distance between the points of a crop and of its mirror image, in outer-eye distances, that halves the confidence.

On faces it is about 0.01; on other objects the two seldom agree, however confident the network is.
"""

DOUBTFUL_CONFIDENCE = 0.3
"""Smallest confidence at which the note is "low confidence" rather than "no face"."""

FIRST_PASS_MARGIN = 2.0
"""How much lower the logit of the first pass may be than that of the second, since its box is only a guess."""

SMALL_FACE = 72
"""Side in pixels of a face on the canvas below which the canvas is cut again from the picture, around the face."""

CANDIDATES = 6
"""Most windows of the search that are refined, and most further ones outside the faces found in them."""

RULES_VERSION = 2
"""Version of the rules; it increases when the same weights would give other results."""


class EmbeddedLandmarks:
    """The landmark provider `embedded`.

    Points are in pixels from the outer edge of the first pixel, so that they scale with the picture.

    Args:
        device: device of the network.
        batch_size: crops per forward pass.
        search: whether to search a picture that is not itself the box of a face.
    """

    name: ClassVar[str] = "embedded"
    summary: ClassVar[str] = "small network shipped with interpfer: offline, milliseconds per face, needs no boxes"
    needs_images: ClassVar[bool] = True

    def __init__(self, device: str | torch.device = "cpu", batch_size: int = 64, search: bool = True) -> None:
        self.device = torch.device(device)
        self.batch_size = batch_size
        self.search = search

    @cached_property
    def digest(self) -> str:
        """Name, hash of the weights, and version of the rules that choose a face."""
        return f"{self.name}-{hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:16]}-{RULES_VERSION}"

    @cached_property
    def network(self) -> LandmarkNet:
        """The trained network, loaded on first use."""
        return load_network(WEIGHTS).to(self.device)

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:
        """Return the points in pixels of each image; not found if there is no face.

        Args:
            ids: names of the n images; only their number is used.
            images: n pictures of any sizes, each a face crop or a larger picture with a face in it.
        """
        points, confidence, other_widths = self._detect(images or [])
        if len(points) != len(ids):
            raise ValueError(f"images must be one per id, got {len(points)} for {len(ids)} ids")
        notes = []
        for row, (score, widths) in enumerate(zip(confidence.tolist(), other_widths, strict=True)):
            if score < MIN_CONFIDENCE:
                points[row] = torch.nan
                is_doubtful = score >= DOUBTFUL_CONFIDENCE
                notes.append(f"{UNSURE}: {score:.2f} < {MIN_CONFIDENCE}" if is_doubtful else NO_FACE)
                continue
            face = Squares.around(points[row : row + 1], 1.0)
            x, y = face.centres[0].tolist()
            is_largest, note = choose_largest([float(face.sides), *widths], (x, y))
            notes.append(note)
            if not is_largest:
                points[row] = torch.nan
        return Landmarks.of(points, tuple(notes))

    def predict(self, images: Sequence[Image.Image]) -> tuple[Float[Tensor, "n 68 2"], Float[Tensor, " n"]]:
        """Return the points of the likeliest face of each picture, and the confidence that it is a face.

        The confidence is the smallest of all passes, lowered if the points of the mirrored crop disagree.

        Returns:
            (n, 68, 2) pixels of each picture, and (n,) in [0, 1]; both on the CPU.
        """
        return self._detect(images)[:2]

    @torch.no_grad()
    def _detect(
        self, images: Sequence[Image.Image]
    ) -> tuple[Float[Tensor, "n 68 2"], Float[Tensor, " n"], list[list[float]]]:
        """Return what ``predict`` does, and the widths of the other faces that a search found in each picture."""
        points, confidence = torch.zeros(len(images), LANDMARKS, 2), torch.zeros(len(images))
        other_widths: list[list[float]] = [[] for _ in images]
        for start in range(0, len(images), self.batch_size):
            greys = [to_grey(image) for image in images[start : start + self.batch_size]]
            batch = slice(start, start + len(greys))
            batch_points, scores = self._refine(greys, [whole_box(grey) for grey in greys])
            for i, grey in enumerate(greys):
                if self.search and scores[i] < SEARCH_CONFIDENCE:
                    face, score, widths = self._search(grey)
                    if score >= SEARCH_CONFIDENCE:
                        batch_points[i], scores[i], other_widths[start + i] = face, score, widths
            points[batch], confidence[batch] = batch_points.cpu(), scores.cpu()
        return points, confidence, other_widths

    def _refine(
        self, greys: Sequence[Image.Image], boxes: Iterable[tuple[float, float, float]]
    ) -> tuple[Float[Tensor, "n 68 2"], Float[Tensor, " n"]]:
        """Run both passes on boxes (centre x, centre y, side) of pictures, one box per picture."""
        canvases = Canvases.cut(greys, boxes, self.device)
        whole = canvases.squares()
        prediction, first_logits = self.network(whole.cut(canvases.pixels))
        points = canvases.to_picture(whole.to_picture(prediction))
        squares = Squares.around(canvases.from_picture(points))

        is_coarse = (squares.sides < SMALL_FACE) & (canvases.scale.amax(1) > 1.01)
        if small := is_coarse.nonzero()[:, 0].tolist():
            around = Squares.around(points, 1.5 * MARGIN)
            closer = [(*around.centres[i].tolist(), float(around.sides[i])) for i in small]
            canvases = canvases.replaced(small, Canvases.cut([greys[i] for i in small], closer, self.device))
            squares = Squares.around(canvases.from_picture(points))

        crops = squares.cut(canvases.pixels)
        prediction, logits = self.network(torch.cat([crops, crops.flip(-1)]))
        straight, mirrored = prediction.chunk(2)
        mirrored = mirrored[:, list(MIRRORED)] * mirrored.new_tensor([-1.0, 1.0])
        mean = (straight + mirrored) / 2
        distance = (straight - mirrored)[:, 17:].norm(dim=-1).mean(1) / (mean[:, 36] - mean[:, 45]).norm(dim=-1)
        lowest = torch.minimum(logits.view(2, -1).amin(0), first_logits + FIRST_PASS_MARGIN)
        confidence = lowest.sigmoid() / (1 + (distance / MIRROR_DISTANCE) ** 4)
        return canvases.to_picture(squares.to_picture(mean)), confidence

    def _search(self, grey: Image.Image) -> tuple[Float[Tensor, "68 2"], Float[Tensor, ""], list[float]]:
        """Search a picture for its largest face, or for the likeliest one if none is certain.

        Returns:
            The points and confidence of the face, and the widths of the other faces, in descending order.
        """
        boxes, logits = self._scan(grey)
        points, scores = self._refine_best(grey, boxes, logits)
        squares, is_face = Squares.around(points), scores >= SEARCH_CONFIDENCE
        is_outside = logits.sigmoid() >= SEARCH_CONFIDENCE
        for centre, side in zip(squares.centres[is_face], squares.sides[is_face], strict=True):
            is_outside &= (boxes[:, :2] - centre).abs().amax(1) > side / 2
        if is_face.any() and is_outside.any():
            more_points, more_scores = self._refine_best(grey, boxes[is_outside], logits[is_outside])
            points, scores = torch.cat([points, more_points]), torch.cat([scores, more_scores])
        faces, is_face = Squares.around(points, 1.0), scores >= SEARCH_CONFIDENCE
        order = (faces.sides * is_face + scores).argsort(descending=True).tolist()
        distinct: list[int] = []
        for row in order:
            offsets = [(faces.centres[row] - faces.centres[other]).abs().amax() for other in distinct]
            is_new = all(bool(offset > faces.sides[k] / 2) for offset, k in zip(offsets, distinct, strict=True))
            if is_face[row] and is_new:
                distinct.append(row)
        return points[order[0]], scores[order[0]], faces.sides[distinct[1:]].tolist()

    def _scan(self, grey: Image.Image) -> tuple[Float[Tensor, "m 3"], Float[Tensor, " m"]]:
        """Return the boxes (centre x, centre y, side) predicted in windows all over a picture, and their logits."""
        boxes, logits = [], []
        for windows, places in pyramid(grey):
            for start in range(0, len(windows), 4 * self.batch_size):
                part = windows[start : start + 4 * self.batch_size].to(self.device).float() / 255
                points, window_logits = self.network(part)
                squares = Squares.around(points, 2.0)
                place = places[start : start + len(part)].to(self.device)
                centres = place[:, :2] + squares.centres * place[:, 2:] / 2
                boxes.append(torch.cat([centres, squares.sides[:, None] * place[:, 2:] / 2], 1))
                logits.append(window_logits)
        return torch.cat(boxes), torch.cat(logits)

    def _refine_best(
        self, grey: Image.Image, boxes: Float[Tensor, "m 3"], logits: Float[Tensor, " m"]
    ) -> tuple[Float[Tensor, "n 68 2"], Float[Tensor, " n"]]:
        best = logits.topk(min(CANDIDATES, len(logits))).indices
        chosen = [(x, y, side) for x, y, side in boxes[best].tolist()]
        return self._refine([grey] * len(chosen), chosen)


def load_network(path: Path) -> LandmarkNet:
    """Load the network from weights stored in half precision; the state of the random numbers stays as it is."""
    with torch.random.fork_rng(devices=[]):
        network = LandmarkNet(folded=True)
    state = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict({key: value.float() for key, value in state.items()})
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
