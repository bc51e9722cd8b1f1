"""Chooses the faces that a report shows, and collects their pictures and the class means."""

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from interpfer.choices import TARGETS
from interpfer.labels import class_indices
from interpfer.maps.base import BaselineContext, LayerMap
from interpfer.maps.engine import run_maps
from interpfer.metrics.au_profile import cells
from interpfer.results.folder import RunFolder
from interpfer.results.pictures import AU_HEATMAP, Bytes, ReportContent, ReportData, empty_maps, empty_points, to_bytes
from interpfer.results.tables import Tables
from interpfer.scoring.batch import on_canvas
from interpfer.scoring.clips import find_clips
from interpfer.scoring.mean_faces import SIDE, align_faces, align_points, mean_where_covered
from interpfer.scoring.session import ScoreSession
from interpfer.scoring.strips import StripCollector
from interpfer.truth.base import GRID
from interpfer.types import LANDMARKS

PER_GROUP = 3
"""Faces of a class in each group."""

FACE_SIDE = 144
"""Side of a face in the gallery, in pixels."""

CHUNK = 32
QUALITY = 82


def choose(
    values: NDArray[np.float64], labels: Sequence[str], predicted: Sequence[str], confidence: Sequence[float],
    ids: Sequence[str],
) -> dict[int, list[str]]:  # fmt: skip
    """Choose faces per class: best, worst, typical, the most confident errors, and a random sample.

    The random sample depends on the names alone, so that runs on the same data show the same faces.

    Args:
        values: score per face, NaN where undefined.
        labels: expression per face, "" where unknown.
        predicted: expression per face.
        confidence: probability of the predicted class per face.
        ids: name per face.

    Returns:
        Index of each chosen face -> its groups, in order of the index.
    """
    names = np.array(labels, object)
    wrong = np.array([bool(a and b) and a != b for a, b in zip(labels, predicted, strict=True)], bool)
    confidences = np.array(confidence)
    chosen: dict[int, list[str]] = {}
    for name in dict.fromkeys(label for label in labels if label):
        own = np.flatnonzero(names == name)
        scored = own[np.isfinite(values[own])]
        ranked = scored[np.argsort(values[scored], kind="stable")]
        middle = np.median(values[scored]) if len(scored) else np.nan
        errors = own[wrong[own]]
        groups = {
            "best": ranked[::-1],
            "worst": ranked,
            "typical": scored[np.argsort(np.abs(values[scored] - middle), kind="stable")],
            "misclassified": errors[np.argsort(-confidences[errors], kind="stable")],
            "random": np.array(sorted(own.tolist(), key=lambda row: hashlib.sha256(ids[row].encode()).digest())),
        }
        for group, members in groups.items():
            for row in members[:PER_GROUP].tolist():
                chosen.setdefault(int(row), []).append(group)
    return dict(sorted(chosen.items()))


def collect_report_data(session: ScoreSession, folder: RunFolder, tables: Tables, content: ReportContent) -> ReportData:
    """Collect what the report shows; at most the pictures of one batch and of the gallery are in memory."""
    names = [session.dataset.samples[row].id for row in tables.rows]
    values, clips = _ordering_scores(session, tables), find_clips(session, tables)
    strips = None if clips is None else StripCollector(session, tables, clips, values)
    chosen = choose(values, tables.labels, tables.predicted, tables.confidence, names)
    places = list(chosen)
    rows = [tables.rows[place] for place in places]
    width = len(session.shown) + 1
    maps, points = empty_maps(len(rows), width), empty_points(len(rows))
    means = _Means(len(session.dataset.classes), width)
    where = {row: index for index, row in enumerate(rows)}
    for batch_rows, pictures in folder.pictures():
        if pictures is None:
            continue
        if strips is not None:
            strips.add(batch_rows, pictures)
        means.add_maps(pictures.maps, pictures.points, session.classes(batch_rows))
        means.add_faces(pictures.faces, pictures.members)
        for place, row in enumerate(batch_rows):
            if row in where:
                maps[where[row]], points[where[row]] = pictures.maps[place], pictures.points[place]

    def portraits(shown: Sequence[int]) -> Iterator[bytes]:
        return _portraits(session, shown)

    digests = {place: digest for place, digest in enumerate(tables.digests) if place in chosen}
    return ReportData(
        columns=(*session.shown, AU_HEATMAP),
        target=session.spec.target,
        classes=session.dataset.classes,
        mean_maps=means.maps(),
        mean_points=means.points(),
        mean_faces=means.faces() if content.faces else (),
        members=means.count,
        ids=tuple(names[place] for place in places),
        digests=tuple(digests[place] for place in places),
        labels=tuple(tables.labels[place] for place in places),
        predicted=tuple(tables.predicted[place] for place in places),
        confidence=tuple(round(tables.confidence[place], 4) for place in places),
        groups=tuple(tuple(chosen[place]) for place in places),
        points=points,
        faces=tuple(_portraits(session, rows)) if content.faces else (),
        maps=maps,
        other=_other_targets(session, rows, [tables.predicted[place] for place in places]),
        strips=None if strips is None else strips.finish(portraits if content.faces else None),
    )


def _ordering_scores(session: ScoreSession, tables: Tables) -> NDArray[np.float64]:
    """Return the scores that order the faces: the cosine of the deepest map, else the first metric."""
    if not session.shown or not tables.values:
        return np.full(len(tables.rows), np.nan)
    metric = "cosine" if "cosine" in tables.values else next(iter(tables.values))
    depth = {layer: place for place, layer in enumerate(session.spec.layers)}
    specific = [key for key in session.shown if session.maps[key[0]].class_specific] or list(session.shown)
    key = max(specific, key=lambda key: depth.get(key[1], -1))
    return tables.values[metric][:, list(session.columns).index(key)]


class _Means:
    """Sums per class over aligned faces."""

    def __init__(self, classes: int, width: int) -> None:
        self._maps = torch.zeros(classes, width, GRID, GRID, dtype=torch.float64)
        self._coverage = torch.zeros(classes, width, GRID, GRID, dtype=torch.float64)
        self._defined = torch.zeros(classes, width, dtype=torch.float64)
        self._points = torch.zeros(classes, LANDMARKS, 2, dtype=torch.float64)
        self._faces = torch.zeros(classes, 4, SIDE, SIDE, dtype=torch.float64)
        self._pictured = np.zeros(classes, np.int64)
        self.count = np.zeros(classes, np.int64)

    def add_maps(self, maps: Bytes, points: NDArray[np.float32], classes: Sequence[int]) -> None:
        landmarks = torch.from_numpy(points)
        index = torch.tensor(classes, dtype=torch.long)
        usable = landmarks.isfinite().flatten(1).all(1) & (index >= 0)
        if not usable.any():
            return
        landmarks, index = landmarks[usable], index[usable]
        unit = torch.from_numpy(maps)[usable].float() / 255
        defined = unit.amax((2, 3)).gt(0)
        aligned, coverage = align_faces(unit, landmarks)
        self._maps.index_add_(0, index, aligned.double())
        self._coverage.index_add_(0, index, (coverage * defined[..., None, None]).double())
        self._defined.index_add_(0, index, defined.double())
        self._points.index_add_(0, index, align_points(landmarks).double())
        self.count += np.bincount(index.numpy(), minlength=len(self.count))

    def add_faces(self, faces: NDArray[np.float16], members: NDArray[np.int64]) -> None:
        for picture, (member, count) in zip(torch.from_numpy(faces), members.tolist(), strict=True):
            self._faces[member] += picture.double() * count
            self._pictured[member] += count

    def maps(self) -> Bytes:
        """Means in the scale of single maps: where all maps of a class peak at one place, the mean peaks at 255."""
        means = mean_where_covered(self._maps, self._coverage, self._defined[..., None, None]).nan_to_num(0)
        result: Bytes = (means * 255).round().clamp(0, 255).byte().numpy()
        return result

    def points(self) -> NDArray[np.float32]:
        count = torch.from_numpy(self.count)[:, None, None]
        means: NDArray[np.float32] = torch.where(count > 0, self._points / count, torch.nan).float().numpy()
        return means

    def faces(self) -> tuple[bytes, ...]:
        return tuple(
            _jpeg(mean_where_covered(total[:3], total[3:], torch.tensor(float(count))).nan_to_num(0).float())
            if count
            else b""
            for total, count in zip(self._faces, self._pictured.tolist(), strict=True)
        )


def _portraits(session: ScoreSession, rows: Sequence[int]) -> Iterator[bytes]:
    """Read the chosen faces again, larger than the input of most models; one that no longer exists is left empty."""
    spec = session.stream.input
    stream = replace(session.stream, size=FACE_SIDE, input=None if spec is None else replace(spec, frames=1))
    for start in range(0, len(rows), CHUNK):
        batch = stream.read(rows[start : start + CHUNK])
        pictures = dict(zip(batch.rows, batch.faces.images, strict=True))
        yield from (_jpeg(pictures[row]) if row in pictures else b"" for row in rows[start : start + CHUNK])


def _jpeg(image: Float[Tensor, "3 h w"]) -> bytes:
    pixels = (image * 255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _other_targets(session: ScoreSession, rows: Sequence[int], predicted: Sequence[str]) -> Bytes:
    """Return the maps of misclassified faces for the class that the run did not explain."""
    maps = empty_maps(len(rows), len(session.shown) + 1)
    methods = {
        name: method
        for name, method in session.maps.items()
        if isinstance(method, LayerMap) and method.class_specific and any(key[0] == name for key in session.shown)
    }
    labels = session.labels(rows) if session.spec.target in TARGETS else [""] * len(rows)
    wrong = [i for i, label in enumerate(labels) if label and label != predicted[i]]
    for start in range(0, len(wrong), CHUNK):
        places = {rows[i]: i for i in wrong[start : start + CHUNK]}
        batch = session.stream.read(_with_clips(session, list(places)))
        if not batch.rows:
            continue
        guess = {session.dataset.samples[row].clip: predicted[place] for row, place in places.items()}
        guesses = [
            predicted[places[row]] if row in places else guess[session.dataset.samples[row].clip] for row in batch.rows
        ]
        own = [i for i, row in enumerate(batch.rows) if row in places]
        here = [places[batch.rows[i]] for i in own]
        samples = [
            replace(sample, label=guess) for sample, guess in zip(session.samples(batch.rows), guesses, strict=True)
        ]
        heat = session.truth.draw(samples, batch.landmarks).maps
        maps[here, -1] = to_bytes(cells(heat))[own]
        if methods:
            results = run_maps(
                session.model, session.model.normalise(batch.faces.images), methods, session.spec.layers,
                _other(session, batch.rows, guesses), session.spec.seed,
            )  # fmt: skip
            context = BaselineContext(heat, None, None, batch.rows, session.spec.seed)
            for column, key in enumerate(session.shown):
                if key in results.maps:
                    large, _ = on_canvas(session, key, results.maps, slice(None), context)
                    maps[here, column] = to_bytes(cells(large))[own]
    return maps


def _with_clips(session: ScoreSession, rows: Sequence[int]) -> list[int]:
    """Return rows, of a classifier of clips with the other frames of their clips."""
    if session.model.frames == 1:
        return list(rows)
    wanted = set(rows)
    plan = session.stream.plan(session.spec.rows, session.model.frames)
    return [row for batch in plan if wanted & set(batch) for row in batch]


def _other(session: ScoreSession, rows: Sequence[int], predicted: Sequence[str]) -> Int[Tensor, " n"]:
    other = predicted if session.spec.target == "label" else session.labels(rows)
    return torch.tensor(class_indices(other, session.model.classes), dtype=torch.long)
