import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from interpfer.errors import ModelError, TrustError
from interpfer.inspection.checkpoint import inspect_checkpoint
from interpfer.models.card import parse_card, read_card
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_parallel_resnet_without_a_card_needs_but_its_classes(tmp_path: Path) -> None:
    content = {"epoch": 3, "state_dict": nn.DataParallel(resnet18(num_classes=7)).state_dict(), "optimizer": {"lr": 1}}
    path = saved(tmp_path / "m.pth", content)
    report, model = inspect_checkpoint(path)
    assert report.verdict.startswith("all 122 tensors fit torchvision:resnet18")
    assert (report.matches[0].share, report.matches[0].classes, report.matches[0].channels) == (1.0, 7, 3)
    assert (report.outputs, report.output_count) == ("a tensor (1, 7)", 7)
    assert report.missing == (
        "classes: 7 expressions in output order; pass --classes with a list or a known order such as rafdb; --dataset "
        "finds the most likely order",
    )
    assert not report.is_ready
    layers = {layer.name: layer for layer in report.layers}
    assert [name for name, layer in layers.items() if layer.all] == ["layer1", "layer2", "layer3", "layer4"]
    assert [name for name, layer in layers.items() if layer.last] == ["layer4"]
    assert layers["layer4"].shape == "512 x 7 x 7"
    assert layers["layer4"].spatial
    assert not layers["fc"].spatial
    assert model is not None
    assert {group.prefix: group.tensors for group in report.keys}["layer4"] == 30
    (tmp_path / "m.yaml").write_text(report.card_yaml().replace("[]", "rafdb"))
    assert parse_card(read_card(tmp_path / "m.yaml"), "C", tmp_path).arch == "torchvision:resnet18"
    assert inspect_checkpoint(path)[0].is_ready
    chosen = load_model(path)
    assert chosen.classes[:2] == ("surprise", "fear")
    assert chosen.layers("last") == ("layer4",)


def test_load_model_uses_the_one_architecture_that_fits_and_says_so(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pth", resnet18(num_classes=7).state_dict())
    model = load_model(path, classes="rafdb")
    assert model.notes[0].startswith("architecture inferred: all 122 tensors fit torchvision:resnet18")
    (tmp_path / "m.yaml").write_text("arch: torchvision:resnet18\nclasses: rafdb\ninput: {size: 224}\n")
    assert load_model(path).notes == ()
    with pytest.raises(
        ModelError, match=r"'arch' is missing, and no network of torchvision or timm has all these .*the"
    ):
        load_model(saved(tmp_path / "other.pt", SmallCNN(7).state_dict()), classes="rafdb")


def test_a_known_card_is_ready(checkpoint: Path) -> None:
    report, model = inspect_checkpoint(checkpoint)
    assert report.is_ready
    assert report.verdict == "interpfer:small, as the card says"
    assert report.to_dict()["ready"]
    assert parse_card(report.card, "C", checkpoint.parent) == model.card
    assert not report.assumed


def test_an_own_network_lacks_its_architecture(tmp_path: Path) -> None:
    report, model = inspect_checkpoint(saved(tmp_path / "m.pt", SmallCNN(7, width=8).state_dict()))
    assert model is None
    assert [line.partition(":")[0] for line in report.missing] == ["classes", "arch"]
    assert "7 expressions" in report.missing[0]
    assert report.layers == ()


def test_a_file_of_the_card_is_not_run_without_trust(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pt", SmallCNN(7).state_dict())
    (tmp_path / "net.py").write_text(
        f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n"
        "from interpfer.models.small import SmallCNN\ndef build():\n    return SmallCNN(7)\n"
    )
    report, model = inspect_checkpoint(path, arch="net.py:build", classes="rafdb", input_size=32)
    assert model is None
    assert report.missing == (
        f"trust: arch 'net.py:build' would run the file {tmp_path / 'net.py'}; "
        "review it, then pass --trust (trust=True).",
    )
    assert not (tmp_path / "ran").exists()
    report, model = inspect_checkpoint(path, trust=True, arch="net.py:build", classes="rafdb", input_size=32)
    assert report.is_ready
    assert model is not None


def test_a_pickled_module_is_described_and_not_run(tmp_path: Path) -> None:
    network = SmallCNN(7, width=8)
    report, model = inspect_checkpoint(saved(tmp_path / "m.pt", network))
    assert model is None
    assert report.class_name == "interpfer.models.small.SmallCNN"
    assert "interpfer.models.small.SmallCNN" in report.wants
    assert report.parameters == sum(value.numel() for value in network.state_dict().values())
    assert "would import interpfer.models.small.SmallCNN" in " ".join(report.missing)
    report, model = inspect_checkpoint(tmp_path / "m.pt", trust=True, classes="rafdb", input_size=32)
    assert report.is_ready
    assert model is not None


def test_a_pickled_module_of_a_library_is_rebuilt_without_running_it(tmp_path: Path) -> None:
    network = resnet18(num_classes=8).eval()
    path = saved(tmp_path / "m.pt", network)
    report, model = inspect_checkpoint(path)
    assert report.card["arch"] == "torchvision:resnet18"
    assert report.missing[0].startswith("classes: 8 expressions")
    loaded = load_model(path, classes="hsemotion", input_size=64)
    x = torch.rand(2, 3, 64, 64)
    loaded.module.eval()
    torch.testing.assert_close(loaded.logits(x), network(x), rtol=1e-4, atol=1e-4)


def test_a_hostile_pickle_is_named_and_does_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pt", {"state_dict": SmallCNN(7).state_dict(), "extra": Bomb(tmp_path / "boom")})
    with pytest.raises(TrustError, match=r"would import and run posix\.mkdir, which no weights need"):
        inspect_checkpoint(path)
    assert not (tmp_path / "boom").exists()


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 7, 3, stride=4)

    def forward(self, x: Tensor) -> Any:
        return {"a": self.body(x).mean((2, 3)), "b": self.body(x).amax((2, 3))}


def test_an_open_output_is_listed(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pt", Two())
    report, _ = inspect_checkpoint(path, trust=True, classes="rafdb")
    assert report.outputs == "a dict (a: (1, 7), b: (1, 7))"
    assert report.missing == (
        "output: model m returned a dict (a: (1, 7), b: (1, 7)): specify which one holds the logits "
        "(output: in the card, or --output).",
    )
    assert inspect_checkpoint(path, trust=True, classes="rafdb", output="b")[0].is_ready


def test_a_wrong_number_of_classes(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pt", resnet18(num_classes=8).state_dict())
    report, model = inspect_checkpoint(path, classes="rafdb")
    assert model is None
    assert "The file has 8 classes, the card names 7: fix classes (--classes)." in report.missing[0]
