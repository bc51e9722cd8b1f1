import pytest
import timm
import torch
from torch import nn

from interpfer.errors import ModelError
from interpfer.finetuning.freezing import freeze, frozen_names, set_frozen_to_eval
from interpfer.finetuning.optim import Optim, make_optimizer
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from tests.conftest import EXPRESSIONS


@pytest.fixture
def model() -> Model:
    return load_model(SmallCNN(7, width=8), classes=EXPRESSIONS, input_size=32)


def test_frozen_parts_do_not_train(model: Model) -> None:
    freeze(model.module, ["stages.0", "head.bias"])
    model.module.train()
    set_frozen_to_eval(model.module, ["stages.0"], statistics=False)
    assert not model.module.stages[0][1].training
    assert model.module.stages[1][1].training
    trained = {id(p) for group in make_optimizer(model, Optim()).param_groups for p in group["params"]}
    assert id(model.module.stages[0][0].weight) not in trained
    assert id(model.module.head.bias) not in trained
    set_frozen_to_eval(model.module, [], statistics=True)
    assert not model.module.stages[1][1].training
    assert model.module.dropout.training
    with pytest.raises(ModelError, match=r"--freeze stage: the network has no such module. Did you mean stages"):
        freeze(model.module, ["stage"])
    freeze(model.module, ["stages", "head"])
    with pytest.raises(ModelError, match="every parameter is frozen"):
        make_optimizer(model, Optim())


def test_half_of_a_network_is_what_comes_before_its_middle(model: Model) -> None:
    frozen = frozen_names(model, "half")
    freeze(model.module, frozen)
    moving = {name for name, parameter in model.module.named_parameters() if parameter.requires_grad}
    assert moving == {
        name for name, _ in model.module.named_parameters() if name.startswith(("stages.2", "stages.3", "head"))
    }
    model.module.train()
    set_frozen_to_eval(model.module, frozen, False)
    leaves = {name: child.training for name, child in model.module.named_modules() if not list(child.children())}
    assert [name for name, on in leaves.items() if not on] == [
        name for name in leaves if name.startswith(("stages.0", "stages.1"))
    ]
    assert frozen_names(model, ("head",)) == ("head",)


def test_half_of_a_transformer_holds_its_tokens() -> None:
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=4, embed_dim=24, num_heads=2,
                                num_classes=7)  # fmt: skip
    frozen = frozen_names(load_model(network, classes=EXPRESSIONS, input_size=32), "half")
    assert set(frozen) == {"cls_token", "pos_embed", "pos_drop", "patch_drop", "norm_pre", "patch_embed", "blocks.0",
                            "blocks.1"}  # fmt: skip


class HeadFirst(nn.Module):
    """Registers its classifier before its stages, and drops out after each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 7)
        self.last = nn.Conv2d(8, 8, 3, padding=1)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(self.stem(x))
        return self.head(self.drop(self.last(x)).mean((2, 3)))


def test_half_goes_by_what_runs_not_by_what_is_registered() -> None:
    model = load_model(HeadFirst(), classes=EXPRESSIONS, input_size=16, layers=["stem", "last"])
    frozen = frozen_names(model, "half")
    assert frozen == ("stem",)
    freeze(model.module, frozen)
    model.module.train()
    set_frozen_to_eval(model.module, frozen, False)
    assert [name for name, module in model.module.named_modules() if not module.training] == [
        "stem",
        "stem.0",
        "stem.1",
    ]
    assert {name for name, p in model.module.named_parameters() if p.requires_grad} == {
        "head.weight", "head.bias", "last.weight", "last.bias"
    }  # fmt: skip


def test_a_network_without_stages_has_no_half() -> None:
    flat = nn.Sequential(nn.Conv2d(3, 7, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert frozen_names(load_model(flat, classes=EXPRESSIONS, input_size=32), "half") == ()


def test_a_stage_of_fixed_filters_has_no_parameters() -> None:
    network = nn.Sequential()
    network.add_module("pool", nn.AvgPool2d(2))
    network.add_module("conv", nn.Conv2d(3, 8, 3, padding=1))
    network.add_module("head", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 7)))
    model = load_model(network, classes=EXPRESSIONS, input_size=16, layers=["pool", "conv"])
    assert frozen_names(model, "half") == ("pool",)
