"""A network with another head: its card survives a training, and the head of action units stays as it is."""

from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

import interpfer
from interpfer.datasets.demo import DemoDataset
from interpfer.inspection.checkpoint import inspect_checkpoint
from interpfer.models.small import SmallCNN
from tests.conftest import EXPRESSIONS
from tests.finetuning.trainings import train, weights

SOURCE = """
import torch
from torch import nn
from interpfer.models.small import SmallCNN

class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.expression, self.au = SmallCNN(8), nn.Linear(8, 7), nn.Linear(8, 3)

    def forward(self, x):
        shared = self.features(x)
        return self.expression(shared), self.au(shared), shared[:, :2]
"""


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features, self.expression, self.au = SmallCNN(8), nn.Linear(8, 7), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Any:
        shared = self.features(x)
        return self.expression(shared), self.au(shared), shared[:, :2]


def write(folder: Path, **fields: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "heads.py").write_text(SOURCE)
    torch.manual_seed(0)
    torch.save(TwoHeads().state_dict(), folder / "model.pt")
    card = {"arch": "heads.py:TwoHeads", "classes": EXPRESSIONS, "input": {"size": 48}, "output": 0}
    (folder / "model.yaml").write_text(yaml.safe_dump(card | {"aus": [1, 12, 25], "aus_output": 1} | fields))
    return folder / "model.pt"


def test_a_training_leaves_the_other_head_alone_and_keeps_its_card(drawn: DemoDataset, tmp_path: Path) -> None:
    path = write(tmp_path / "before")
    before = weights(path.parent, "model.pt")
    model = interpfer.load_model(path, trust=True)
    train(model, drawn, tmp_path / "after")
    after = weights(tmp_path / "after", "model.pt")
    assert torch.equal(before["au.weight"], after["au.weight"])
    assert torch.equal(before["au.bias"], after["au.bias"])
    assert not torch.equal(before["expression.weight"], after["expression.weight"])
    again = interpfer.load_model(tmp_path / "after" / "model.pt", trust=True)
    assert (again.card.aus, str(again.card.aus_output), str(again.card.output)) == ((1, 12, 25), "1", "0")
    assert again.for_aus().predict_logits(torch.rand(2, 3, 48, 48)).shape == (2, 3)


def test_an_inspection_shows_every_output_and_checks_that_of_the_action_units(tmp_path: Path) -> None:
    report, _ = inspect_checkpoint(write(tmp_path), trust=True)
    assert report.outputs == "a tuple (0: (1, 7), 1: (1, 3), 2: (1, 2))"
    assert report.is_ready, report.missing
    assert yaml.safe_load(report.card_yaml())["aus"] == [1, 12, 25]
    assert yaml.safe_load(report.card_yaml())["aus_output"] == 1
    wrong, _ = inspect_checkpoint(write(tmp_path, aus_output=2), trust=True)
    assert len(wrong.missing) == 1
    assert wrong.missing[0].startswith("aus_output: model model must return 1 x 3 logits, got a tensor (1, 2)")


def test_an_inspection_of_action_units_alone(tmp_path: Path) -> None:
    path = write(tmp_path)
    card = {"arch": "heads.py:TwoHeads", "input": {"size": 48}, "aus": "1,12,25", "aus_output": 1}
    path.with_suffix(".yaml").write_text(yaml.safe_dump(card))
    report, model = inspect_checkpoint(path, trust=True)
    assert report.is_ready, report.missing
    assert model is not None
    assert model.outputs == ("AU1", "AU12", "AU25")
    assert "classes" not in yaml.safe_load(report.card_yaml())
