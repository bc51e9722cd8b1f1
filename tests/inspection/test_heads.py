"""Networks with several heads: what each output may be, and which one classifies labelled faces."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

import interpfer
from interpfer.cli import group
from interpfer.inspection.heads import try_heads
from interpfer.inspection.kinds import list_heads
from interpfer.inspection.labelled import LabelledFaces
from interpfer.labels import CLASS_ORDERS
from interpfer.models.model import Model

ORDER = CLASS_ORDERS["affectnet8"]


@dataclass
class Heads:
    """An output with several heads."""

    gaze: Tensor
    au_logits: Tensor
    features: Tensor


def test_what_each_output_may_be() -> None:
    vector = torch.zeros
    output = {
        "heatmap": vector(1, 68, 8, 8), "expression": vector(1, 8), "valence": vector(1), "au": vector(1, 12),
        "embedding": vector(1, 512), "x": vector(1, 10), "y": vector(1, 7), "z": vector(1, 3, 4, 4),
    }  # fmt: skip
    assert {head.output: (head.shape, head.guess) for head in list_heads(output)} == {
        "heatmap": ("68 x 8 x 8", "landmarks"),
        "expression": ("8", "8 expressions"),
        "valence": ("1", "valence or arousal"),
        "au": ("12", "12 action units"),
        "embedding": ("512", "features"),
        "x": ("10", "8 expressions, then valence and arousal (:8)"),
        "y": ("7", "7 expressions or action units"),
        "z": ("3 x 4 x 4", "a map or tokens"),
    }
    data = Heads(vector(1, 2), vector(1, 8), vector(1, 64))
    assert [head.guess for head in list_heads(data)] == ["gaze", "8 action units", "features"]
    assert [head.output for head in list_heads((vector(1, 8), [vector(1, 2)]))] == ["0", "1.0"]
    assert [head.output for head in list_heads(vector(1, 8))] == [""]


class Reads(nn.Module):
    """Reads the class from the brightness of a picture; the output has other heads beside."""

    def __init__(self, wrap: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.wrap = wrap

    def forward(self, x: Tensor) -> Any:
        level = x.mean((1, 2, 3)) + 0 * self.conv(x).mean((1, 2, 3))
        places = torch.linspace(0.1, 0.9, 8)
        torch.manual_seed(0)
        return self.wrap(-((level[:, None] - places) ** 2), torch.rand(len(x), 8))


def faces() -> LabelledFaces:
    levels = np.linspace(0.1, 0.9, 8)
    images = [np.full((20, 20, 3), round(255 * levels[i % 8]), np.uint8) for i in range(40)]
    return LabelledFaces(tuple(images), tuple(ORDER[i % 8] for i in range(40)))


@pytest.mark.parametrize(
    ("wrap", "best"),
    [
        (lambda z, r: (r, z, r[:, :2]), "1"),
        (lambda z, r: {"au": r, "heads": [z]}, "heads.0"),
        (lambda z, r: torch.cat([z, r[:, :2]], 1), ":8"),
        (lambda z, r: torch.cat([r[:, :4], z], 1), "4:"),
        (lambda z, r: (r[:, :2], torch.cat([z, r], 1)), "1[:8]"),
    ],
)
def test_the_output_that_classifies_is_found(wrap: Any, best: str) -> None:
    model = interpfer.load_model(Reads(wrap), classes=ORDER, input_size=20)
    trial = try_heads(model, faces())
    assert trial.best == best
    assert (trial.heads[0].accuracy, trial.heads[0].order, trial.heads[0].n) == (1.0, "affectnet8", 40)
    assert f"output {best} classifies: 100.0% of 40 faces are right" in trial.verdict
    chosen = interpfer.load_model(Reads(wrap), classes=ORDER, input_size=20, output=best)
    images = torch.stack([torch.from_numpy(image).permute(2, 0, 1) / 255 for image in faces().images])
    assert chosen.predict_logits(images).argmax(1).tolist() == [i % 8 for i in range(40)]


def test_noise_is_not_chosen() -> None:
    model: Model = interpfer.load_model(Reads(lambda z, r: (r, r[:, :7])), classes=ORDER, input_size=20)
    trial = try_heads(model, faces())
    assert trial.best == ""
    assert "no output classifies significantly better than chance" in trial.verdict


def test_inspect_proposes_the_output(tmp_path: Path) -> None:
    from PIL import Image

    labelled = faces()
    (tmp_path / "images").mkdir()
    lines = ["image,label"]
    for i, (image, label) in enumerate(zip(labelled.images, labelled.labels, strict=True)):
        Image.fromarray(image).save(tmp_path / "images" / f"{i}.png")
        lines.append(f"images/{i}.png,{label}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.conv = nn.Conv2d(3, 4, 3, padding=1)\n"
        "    def forward(self, x):\n        level = x.mean((1, 2, 3)) + 0 * self.conv(x).mean((1, 2, 3))\n"
        "        z = -((level[:, None] - torch.linspace(0.1, 0.9, 8)) ** 2)\n"
        "        return z * 0, z, z[:, :2]\n"
    )
    torch.save({f"conv.{k}": v for k, v in nn.Conv2d(3, 4, 3).state_dict().items()}, tmp_path / "m.pt")
    call = ["inspect", str(tmp_path / "m.pt"), "--arch", "net.py:Net", "--trust", "--dataset", "csv", "--data-root",
            str(tmp_path), "--split", "all", "--input-size", "20"]  # fmt: skip
    done = CliRunner().invoke(group, [*call, "--json"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["outputs_tried"]["best"] == "1"
    assert facts["card"]["output"] in (1, "1")
    assert facts["card"]["classes"] == list(ORDER)
    assert [head["guess"] for head in facts["heads"]][2] == "valence and arousal, or gaze"
    shown = CliRunner().invoke(group, call).stdout
    assert "output 1 classifies: 100.0% of 40 faces are right" in shown
    assert "outputs tried on 40 labelled faces" in shown
