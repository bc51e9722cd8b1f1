"""The page on truths: its class draws what it says, and its check passes."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import interpfer
from interpfer.datasets.demo import DemoDataset
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.truth import TRUTHS
from interpfer.types import CANVAS, Landmarks, Sample

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "add-a-truth.md"


@pytest.fixture(scope="module")
def lower_face() -> Any:
    """The class of the page, after all of its code has run, the check included."""
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        exec(compile(block, PAGE.name, "exec"), names)
    return names["LowerFace"]


def test_it_draws_the_rows_below_the_nose(lower_face: Any) -> None:
    points = torch.full((2, 68, 2), 50.0)
    points[0, 30, 1] = 60
    points[1, 0, 0] = torch.nan
    truth = lower_face().draw([Sample("a", "anger"), Sample("b", "anger")], Landmarks.of(points))
    assert truth.valid.tolist() == [True, False]
    assert truth.maps[0].sum() == (CANVAS - 60) * CANVAS
    assert truth.maps[1].isnan().all()


def test_a_score_uses_it(lower_face: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRUTHS._targets, "lower-face", ("", "my-package"))
    monkeypatch.setattr(
        type(TRUTHS), "get", lambda registry, name: lower_face if name == "lower-face" else _get(registry, name)
    )
    model: Model = interpfer.load_model(SmallCNN(7, width=4), classes="rafdb", input_size=32)
    run = interpfer.score(
        model, DemoDataset("test", count=7, size=48), truth="lower-face", maps="gradcam,baseline:uniform", device="cpu"
    )
    assert run.manifest["arguments"]["truth"] == "lower-face"
    assert run.manifest["counts"]["scored"] == 7
    assert set(run.au_profile["au"]) == {"lower face", "background"}  # type: ignore[index]


_get = type(TRUTHS).get
