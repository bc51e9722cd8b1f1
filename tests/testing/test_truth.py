"""check_truth passes every built-in truth, and says what is wrong with a broken one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from interpfer.testing import check_truth
from interpfer.testing.truth import CHECKS
from interpfer.truth import TRUTHS
from interpfer.truth.base import BACKGROUND, GRID, Parts, Truth, TruthProvider
from interpfer.truth.options import TruthOptions
from interpfer.types import CANVAS, Landmarks, Sample


@pytest.mark.parametrize("protocol", ["paper", "corrected"])
@pytest.mark.parametrize("name", TRUTHS.builtin)
def test_every_truth_passes(name: str, protocol: str, tmp_path: Path) -> None:
    masks = tmp_path / "masks.csv"
    masks.write_text("image,class,x,y\n" + "".join(f"test_{i + 1:04d}.png,,30,40\n" for i in range(4)))
    options = TruthOptions(truth=name, protocol=protocol, masks=masks if name == "masks" else None)
    check_truth(TRUTHS.get(name).create(options))


class LowerHalf(TruthProvider):
    """The lower half of the picture, unless a test changes it."""

    name = "lower-half"
    summary = "lower half"

    def __init__(self, change: Callable[[Tensor], Tensor] = lambda maps: maps, **changes: Any) -> None:
        self.change, self.changes = change, changes

    @classmethod
    def create(cls, options: TruthOptions) -> "LowerHalf":  # noqa: ARG003
        return cls()

    @property
    def settings(self) -> dict[str, str]:
        return self.changes.get("settings", {"half": "lower"})

    @property
    def parts(self) -> Parts:
        return self.changes.get("parts", Parts(((),), ("lower half", BACKGROUND)))

    def draw(self, samples: Sequence[Sample], landmarks: Landmarks, mirrored: Tensor | None = None) -> Truth:  # noqa: ARG002
        maps = self.change(self._mask(CANVAS, landmarks).clone())
        valid = torch.tensor([sample.label != "neutral" for sample in samples])
        if "valid" in self.changes:
            valid = self.changes["valid"](valid)
        else:
            maps[~valid] = torch.nan
        return Truth(maps, valid)

    def shares(self, landmarks: Landmarks) -> Tensor:
        maps = self._mask(GRID, landmarks)
        return torch.stack([maps, self.changes.get("rest", 1) - maps], 1)

    def expected_parts(self, label: str) -> np.ndarray:  # noqa: ARG002
        return np.array([True, self.changes.get("background", False)])

    def missing_reason(self, sample: Sample) -> str:  # noqa: ARG002
        return self.changes.get("reason", "without a lower half")

    def _mask(self, size: int, landmarks: Landmarks) -> Tensor:
        return (torch.arange(size)[:, None] >= size // 2).float().expand(len(landmarks.points), size, size)


def failures(provider: TruthProvider) -> str:
    with pytest.raises(AssertionError) as error:
        check_truth(provider)
    return str(error.value)


def test_a_sound_truth_passes() -> None:
    check_truth(LowerHalf())


def test_facts_and_settings() -> None:
    text = failures(LowerHalf(settings={}))
    assert text == (
        f"truth lower-half fails 1 of {len(CHECKS)} checks:\n  - Its facts are filled, and its settings are the same "
        "when read again: settings is empty; name what decides the maps, such as the hash of a file"
    )


def test_values() -> None:
    assert "they are 0 .. 2" in failures(LowerHalf(lambda maps: 2 * maps))
    assert "a valid map is zero; make it NaN and not valid" in failures(LowerHalf(lambda maps: 0 * maps))
    text = failures(LowerHalf(valid=lambda valid: valid))
    assert "a map that is not valid has values; fill it with NaN" in text
    text = failures(LowerHalf(valid=lambda valid: torch.zeros_like(valid)))
    assert "no face has a truth; pass samples and landmarks that it knows" in text


def test_dependence_on_other_faces_and_chance() -> None:
    by_batch = LowerHalf(lambda maps: maps / len(maps))
    assert "face test_0001.png alone: its map differs by" in failures(by_batch)
    random = LowerHalf(lambda maps: maps * torch.rand(()))
    assert "Faces that are not mirrored are drawn as without the argument: they differ by" in failures(random)


def test_parts_and_shares() -> None:
    text = failures(LowerHalf(parts=Parts(((),), (BACKGROUND, "lower half"))))
    assert "the last part must be 'background', got ('lower half',)" in text
    text = failures(LowerHalf(parts=Parts(((), ()), ("half", "half", BACKGROUND))))
    assert "names are repeated: half, half, background" in text
    assert "they are (7, 2, 28, 28), not (7, 3, 28, 28)" in text
    assert "the background is expected of anger; it never is" in failures(LowerHalf(background=True))
    assert "a cell must add up to 1, off by 1; give the rest to the background" in failures(LowerHalf(rest=2))


def test_landmarks_that_are_written_to() -> None:
    class Moving(LowerHalf):
        def shares(self, landmarks: Landmarks) -> Tensor:
            landmarks.points.add_(1)
            return super().shares(landmarks)

    assert "It does not change the landmarks: it writes into the points; clone them first" in failures(Moving())


def test_a_reason_that_is_missing() -> None:
    assert "A face without a truth has a reason: missing_reason of" in failures(LowerHalf(reason=" "))
