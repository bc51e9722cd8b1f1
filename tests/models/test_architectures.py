import builtins
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from interpfer.errors import ModelError, TrustError
from interpfer.models.architectures import build
from interpfer.models.card import ModelCard

CLASSES = ("anger", "fear", "sadness")


def card(arch: str, folder: Path = Path(), **arguments: Any) -> ModelCard:
    return ModelCard(arch, CLASSES, arguments, folder=folder)


def outputs(network: nn.Module, size: int = 64) -> int:
    return int(network.eval()(torch.zeros(1, 3, size, size)).shape[1])


@pytest.mark.parametrize("arch", ["torchvision:resnet18", "timm:resnet10t"])
def test_libraries_need_no_trust_and_get_one_output_per_class(arch: str) -> None:
    assert outputs(build(card(arch), trust=False)) == 3
    arguments = {"num_classes": 5}
    assert outputs(build(card(arch, **arguments), trust=False)) == 5


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("torchvision:resnet81", "torchvision has no model 'resnet81'. Did you mean resnet18"),
        ("timm:resnet10x", "timm has no model 'resnet10x'. Did you mean resnet10t"),
        ("resnet18", "timm:NAME, got 'resnet18'."),
        ("torchvision:", "timm:NAME, got 'torchvision:'."),
        (":resnet18", "timm:NAME, got ':resnet18'."),
    ],
)
def test_unknown_names(arch: str, message: str) -> None:
    with pytest.raises(ModelError) as error:
        build(card(arch), trust=True)
    assert message in str(error.value)


def test_arguments_that_the_architecture_does_not_take() -> None:
    with pytest.raises(ModelError, match=r"resnet18' cannot be built: TypeError: .*'widht'.*Check arch_args"):
        build(card("torchvision:resnet18", widht=3), trust=False)


def test_a_card_cannot_make_timm_read_other_files(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({}, path)
    with pytest.raises(
        ModelError, match="arch_args must not contain checkpoint_path: the weights come from the checkpoint alone"
    ):
        build(card("timm:resnet10t", checkpoint_path=str(path)), trust=False)


@pytest.mark.parametrize(
    "arch", ["os:system", "subprocess:run", "builtins:exec", "interpfer.cli:group", "os.path:join"]
)
def test_any_importable_callable_needs_trust(arch: str) -> None:
    with pytest.raises(TrustError, match="would run the module"):
        build(card(arch, command="true"), trust=False)


def test_a_missing_timm_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name == "timm":
            raise ModuleNotFoundError("No module named 'timm'", name="timm")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ModelError, match=r"'timm:resnet10t' needs the package timm.*'interpfer\[timm\]'"):
        build(card("timm:resnet10t"), trust=False)


FILE = """
from dataclasses import dataclass
from torch import nn

@dataclass
class Options:
    width: "int" = 2

class Net(nn.Linear):
    def __init__(self, width=2):
        super().__init__(width, 3)

def thing():
    return 7
"""


def test_a_file_beside_the_card_needs_trust(tmp_path: Path) -> None:
    (tmp_path / "my-net.py").write_text(FILE)
    model_card = card("my-net.py:Net", tmp_path, width=5)
    with pytest.raises(TrustError) as error:
        build(model_card, trust=False)
    assert str(error.value) == (
        f"arch 'my-net.py:Net' would run the file {tmp_path / 'my-net.py'}; review it, then pass --trust (trust=True)."
    )
    assert build(model_card, trust=True).in_features == 5


def test_two_files_of_one_name_are_two(tmp_path: Path) -> None:
    for folder, width in (("a", 4), ("b", 6)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.py").write_text(
            f"from torch import nn\ndef build():\n    return nn.Linear({width}, 3)\n"
        )
    assert [build(card("net.py:build", tmp_path / folder), trust=True).in_features for folder in "ab"] == [4, 6]


def test_what_a_file_may_get_wrong(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FILE)
    (tmp_path / "broken.py").write_text("1 / 0")
    for arch, message in {
        "none.py:Net": "arch: file not found: .*none.py",
        "broken.py:Net": "broken.py cannot be imported: ZeroDivisionError: division by zero",
        "net.py:Nett": r"arch 'net.py:Nett': net.py has no 'Nett'\. Did you mean Net",
        "net.py:thing": "arch 'net.py:thing' must return a torch.nn.Module, got a int",
    }.items():
        with pytest.raises(ModelError, match=message):
            build(card(arch, tmp_path), trust=True)


def test_an_installed_module_needs_trust() -> None:
    model_card = card("torch.nn:Linear", in_features=4, out_features=3)
    with pytest.raises(TrustError, match="arch 'torch.nn:Linear' would run the module torch.nn; review it"):
        build(model_card, trust=False)
    assert build(model_card, trust=True).in_features == 4
    with pytest.raises(ModelError, match="module no_such.module cannot be imported: ModuleNotFoundError"):
        build(card("no_such.module:Net"), trust=True)
