from pathlib import Path

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from interpfer.au.drawing import au_heatmaps
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.subset import Subset
from interpfer.finetuning.pictures import before_after_sheet, undominated
from interpfer.landmarks.resolve import resolve_landmarks
from interpfer.metrics.agreement import cosine
from interpfer.models.loading import load_model
from interpfer.types import CANVAS


def test_before_and_after_stand_beside_a_uniform_map(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, model = DemoDataset("test", count=7, size=CANVAS), load_model(checkpoint)
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    before_after_sheet((model, model), data, data.landmarks(), tmp_path / "sheet.png")
    below = {axis.get_ylabel(): axis.get_xlabel() for axis in drawn[0].axes if axis.get_ylabel()}
    sample = next(sample for sample in data.samples if sample.label == "fear")
    heat, _ = au_heatmaps(data.landmarks().locate([sample.id]).points, ["fear"])
    assert below["fear, n = 1"] == f"uniform map {float(cosine(torch.ones_like(heat), heat)):.2f}"
    assert [axis.get_xlabel()[:7] for axis in drawn[0].axes[1:5]] == ["cosine "] * 4


@pytest.mark.parametrize(("labels", "drawn_one"), [(("anger", "neutral"), True), (("neutral",), False)])
def test_a_class_without_action_units_has_no_row(
    labels: tuple[str, ...], drawn_one: bool, checkpoint: Path, drawn: DemoDataset, tmp_path: Path
) -> None:
    rows = [row for row, sample in enumerate(drawn.samples) if sample.label in labels]
    model, part = load_model(checkpoint), Subset(drawn, rows, "held-out")
    part.classes = drawn.classes
    before_after_sheet((model, model), part, resolve_landmarks(None, drawn.landmarks()), tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").exists() is drawn_one


def test_undominated_points() -> None:
    table = pd.DataFrame({"x": [0.1, 0.5, 0.4, 0.6], "y": [0.9, 0.8, 0.7, 0.6]})
    assert undominated(table["x"].to_numpy(), table["y"].to_numpy()).tolist() == [True, True, False, True]
