"""Programs of torch.export: special numbers are read, other texts in their place are refused."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from interpfer.errors import TrustError
from interpfer.inspection.checkpoint import inspect_checkpoint
from interpfer.models.loading import load_model

pytestmark = pytest.mark.filterwarnings("ignore")
CARD = {"classes": "anger,fear", "input_size": 8}


class Padded(nn.Module):
    """Pads with a number before it takes maxima, and masks with others."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.conv, self.fc, self.value = nn.Conv2d(3, 4, 3), nn.Linear(4, 2), value

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(nn.functional.pad(self.conv(x), (1, 2, 1, 2), value=self.value), 3, 2)
        x = torch.masked_fill(x, x < -0.3, self.value).clamp(-2, 2)
        return self.fc(x.mean((2, 3)).nan_to_num(0.5))


def export(path: Path, value: float) -> nn.Module:
    torch.manual_seed(0)
    network = Padded(value).eval()
    torch.export.save(torch.export.export(network, (torch.zeros(1, 3, 8, 8),)), path)
    return network


def altered(path: Path, change: Callable[[str], str]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, change(content.decode()).encode() if name.endswith("model.json") else content)


@pytest.mark.parametrize("value", [-float("inf"), float("inf"), float("nan")])
def test_special_numbers(tmp_path: Path, value: float) -> None:
    path = tmp_path / "m.pt2"
    network = export(path, value)
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("model.json"))
        text = archive.read(name).decode()
    assert any(f'"as_float": "{name}"' in text for name in ("Infinity", "-Infinity", "NaN"))
    assert json.loads(text)
    model = load_model(path, **CARD)
    x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(model.module(x), network(x), equal_nan=True)
    _, inspected = inspect_checkpoint(path, **CARD)
    assert inspected is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"as_float": "-Infinity"', '"as_float": "-Infinity or print(1)"'),
        ('"as_float": "-Infinity"', '"as_sym_float": {"as_name": "-Infinity"}'),
        ('{"name": "x"', '{"name": "-Infinity"'),
    ],
)
def test_the_texts_elsewhere_are_refused(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "m.pt2"
    export(path, -float("inf"))
    before = path.read_bytes()
    altered(path, lambda text: text.replace(old, new))
    assert path.read_bytes() != before
    with pytest.raises(TrustError, match="would run the name -Infinity"):
        load_model(path, **CARD)
