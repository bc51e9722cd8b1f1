"""Checks of a truth: maps, validity, parts and shares."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from interpfer.datasets.demo import DemoDataset
from interpfer.labels import EXPRESSIONS
from interpfer.testing.checks import TOLERANCE, relative_difference, require, run_checks
from interpfer.truth.base import BACKGROUND, GRID, Truth, TruthProvider
from interpfer.types import CANVAS, Landmarks, Placement, Sample

FACES = 7


def check_truth(
    provider: TruthProvider, samples: Sequence[Sample] | None = None, landmarks: Landmarks | None = None
) -> None:
    """Check a truth: its maps are in [0, 1] or NaN, its parts cover each cell, and faces do not depend on each other.

    Args:
        provider: the truth, as its ``create`` returns it.
        samples: faces that it knows; by default one synthetic face of each of seven expressions.
        landmarks: their points on the canvas, with ``placement`` for a truth in pixels of the pictures; by default
            those of the synthetic faces.

    Raises:
        AssertionError: a check fails; the message lists all that do, with what was seen and what to fix.

    Examples:
        >>> from interpfer.truth.codebook import CodebookTruth
        >>> check_truth(CodebookTruth("belharbi2024", "reference"))
    """
    if samples is None or landmarks is None:
        faces = DemoDataset("test", count=FACES, size=CANVAS)
        samples = faces.samples
        points = faces.landmarks().locate([sample.id for sample in samples], None).points
        whole = torch.eye(2, 3, dtype=torch.float64).expand(FACES, 2, 3)
        landmarks = Landmarks.of(points, placement=Placement(whole, ((CANVAS, CANVAS),) * FACES))
    name = getattr(provider, "name", type(provider).__name__)
    run_checks(f"truth {name}", _TruthRun(provider, tuple(samples), landmarks), CHECKS)


@dataclass
class _TruthRun:
    """A truth on a few faces.

    Attributes:
        provider: the truth.
        samples: n faces.
        landmarks: their points on the canvas.
    """

    provider: TruthProvider
    samples: tuple[Sample, ...]
    landmarks: Landmarks

    @cached_property
    def truth(self) -> Truth:
        """Truth of all faces."""
        return self.provider.draw(self.samples, self.landmarks)


def _facts(run: _TruthRun) -> None:
    """Its facts are filled, and its settings are the same when read again."""
    for fact in ("name", "summary"):
        value = getattr(run.provider, fact, "")
        require(isinstance(value, str) and bool(value.strip()), f"{fact} is empty; set it in the class")
    settings = run.provider.settings
    texts = all(isinstance(text, str) for pair in settings.items() for text in pair)
    require(texts, f"settings must map text to text, got {settings}")
    require(bool(settings), "settings is empty; name what decides the maps, such as the hash of a file")
    require(run.provider.settings == settings, "settings change when they are read again")


def _shape(run: _TruthRun) -> None:
    """There is one map of the canvas and one validity per face."""
    n, maps, valid = len(run.samples), run.truth.maps, run.truth.valid
    require(tuple(maps.shape) == (n, CANVAS, CANVAS), f"maps are {tuple(maps.shape)} for {n} faces of {CANVAS} px")
    require(maps.is_floating_point(), f"maps are {maps.dtype}; return floats")
    require(tuple(valid.shape) == (n,), f"valid is {tuple(valid.shape)} for {n} faces")
    require(maps.device == run.landmarks.points.device, f"maps are on {maps.device}, not where the landmarks are")
    ignore = run.truth.ignore
    require(ignore is None or ignore.shape == maps.shape, "ignore has another shape than the maps")


def _values(run: _TruthRun) -> None:
    """Maps are in [0, 1] where valid, and NaN all over where not."""
    maps, valid = run.truth.maps, run.truth.valid
    require(valid.any(), "no face has a truth; pass samples and landmarks that it knows")
    known = maps[valid]
    require(known.isfinite().all(), "a valid map holds NaN or infinite values")
    require((known >= 0).all() and (known <= 1).all(), f"they are {float(known.min()):.3g} .. {float(known.max()):.3g}")
    require(known.flatten(1).any(1).all(), "a valid map is zero; make it NaN and not valid")
    ignored = run.truth.ignore
    require(ignored is None or not (known * ignored[valid]).any(), "a map has values at pixels to ignore; make them 0")
    require(maps[~valid].isnan().all(), "a map that is not valid has values; fill it with NaN")


def _batch(run: _TruthRun) -> None:
    """The truth of a face does not depend on the other faces, and is the same when drawn again."""
    for row, sample in enumerate(run.samples):
        alone = run.provider.draw([sample], run.landmarks[row : row + 1])
        same_validity = bool(alone.valid[0]) == bool(run.truth.valid[row])
        worst = relative_difference(run.truth.maps[row : row + 1], alone.maps)
        reason = "its validity differs" if not same_validity else f"its map differs by {worst:.2g}"
        require(same_validity and worst <= TOLERANCE, f"face {sample.id} alone: {reason}")


def _pure(run: _TruthRun) -> None:
    """It does not change the landmarks."""
    points = run.landmarks.points.clone()
    landmarks = Landmarks(points, run.landmarks.found.clone(), run.landmarks.notes, run.landmarks.placement)
    run.provider.draw(run.samples, landmarks)
    run.provider.shares(landmarks)
    same = torch.equal(points.nan_to_num(-1), run.landmarks.points.nan_to_num(-1))
    require(same, "it writes into the points; clone them first")


def _mirrored(run: _TruthRun) -> None:
    """Faces that are not mirrored are drawn as without the argument."""
    mirrored = torch.zeros(len(run.samples), dtype=torch.bool, device=run.landmarks.points.device)
    worst = relative_difference(run.truth.maps, run.provider.draw(run.samples, run.landmarks, mirrored).maps)
    require(worst <= TOLERANCE, f"they differ by {worst:.2g}")


def _parts(run: _TruthRun) -> None:
    """Parts have unique names, the background last, and labels expect some of the others."""
    parts = run.provider.parts
    require(len(set(parts.names)) == len(parts.names), f"names are repeated: {', '.join(parts.names)}")
    require(parts.names[-1:] == (BACKGROUND,), f"the last part must be '{BACKGROUND}', got {parts.names[-1:]}")
    require(len(parts.groups) == len(parts.names) - 1, f"{len(parts.groups)} groups for {len(parts.names) - 1} parts")
    for label in EXPRESSIONS:
        expected = run.provider.expected_parts(label)
        require(expected.shape == (len(parts.names),), f"{expected.shape} expected parts of {label}")
        require(not bool(expected[-1]), f"the background is expected of {label}; it never is")


def _shares(run: _TruthRun) -> None:
    """Shares of the parts and the background add up to 1 in each cell."""
    shares = run.provider.shares(run.landmarks)
    expected = (len(run.samples), len(run.provider.parts.names), GRID, GRID)
    require(tuple(shares.shape) == expected, f"they are {tuple(shares.shape)}, not {expected}")
    known = shares[run.landmarks.found]
    require((known >= 0).all(), f"the least is {float(known.min()):.3g}")
    worst = float((known.sum(1) - 1).abs().max()) if len(known) else 0.0
    require(worst <= TOLERANCE, f"a cell must add up to 1, off by {worst:.2g}; give the rest to the background")


def _reasons(run: _TruthRun) -> None:
    """A face without a truth has a reason."""
    for sample, is_valid in zip(run.samples, run.truth.valid.tolist(), strict=True):
        if not is_valid:
            reason = run.provider.missing_reason(sample)
            require(bool(reason.strip()), f"missing_reason of {sample.id} is empty")


CHECKS: tuple[Callable[[_TruthRun], None], ...] = (
    _facts,
    _shape,
    _values,
    _batch,
    _pure,
    _mirrored,
    _parts,
    _shares,
    _reasons,
)
