from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.finetuning.checkpoints import write_model
from interpfer.maps import MAPS
from interpfer.maps.engine import run_maps
from interpfer.models.heads.action_units import AUNetwork, attach_au_head
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.new_network import new_network
from interpfer.models.small import SmallCNN

CLASSES = ("anger", "fear", "sadness")
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = SmallCNN(3, width=4)

    def forward(self, x: Tensor) -> Any:
        return {"features": x, "heads": [self.inner(x), x.mean()]}


def small() -> Model:
    torch.manual_seed(0)
    return new_network("interpfer:small", classes=CLASSES, input_size=32, arch_args={"width": 4})


def test_expressions_stay_as_they_were_and_the_checkpoint_needs_no_flags(tmp_path: Path) -> None:
    model = small()
    before = model.predict_logits(IMAGES)
    headed = attach_au_head(model, (1, 4, 12, 15))
    assert torch.equal(headed.predict_logits(IMAGES), before)
    assert headed.sha256 == model.sha256
    write_model(tmp_path / "model.pt", headed.module, headed.card)
    again = load_model(tmp_path / "model.pt")
    assert torch.equal(again.predict_logits(IMAGES), before)
    aus = again.for_aus()
    assert aus.outputs == ("AU1", "AU4", "AU12", "AU15")
    assert torch.equal(aus.predict_logits(IMAGES), headed.for_aus().predict_logits(IMAGES))


def test_the_logits_are_linear_in_the_mean_of_the_last_layer() -> None:
    model = attach_au_head(small(), (4, 12)).for_aus()
    (last,) = model.layers("last")
    features = run_features(model, last)
    network = model.module
    assert isinstance(network, AUNetwork)
    wanted = features.mean((2, 3)) @ network.aus.weight.T + network.aus.bias
    torch.testing.assert_close(model.predict_logits(IMAGES), wanted.detach())
    targets = torch.tensor([0, 1])
    maps = run_maps(model, model.normalise(IMAGES), {"gradcam": MAPS.get("gradcam")}, (last,), targets)
    slow = torch.einsum("ncij,nc->nij", features, network.aus.weight[targets].detach()).clamp(min=0)
    slow = slow / features[0, 0].numel()
    torch.testing.assert_close(maps.maps["gradcam", last], slow, rtol=1e-4, atol=1e-7)


def run_features(model: Model, layer: str) -> Tensor:
    found: list[Tensor] = []
    handle = model.module.get_submodule(layer).register_forward_hook(lambda _, __, output: found.append(output))
    model.predict_logits(IMAGES)
    handle.remove()
    return found[0]


@pytest.mark.parametrize("output", [None, "heads.0"])
def test_logits_inside_the_output_of_a_network_are_found(output: str | None) -> None:
    model = load_model(Nested(), classes=list(CLASSES), input_size=32, **({"output": output} if output else {}))
    before = model.predict_logits(IMAGES)
    headed = attach_au_head(model, (4, 12, 15))
    assert str(headed.card.output) == "0.heads.0"
    assert torch.equal(headed.predict_logits(IMAGES), before)
    assert headed.for_aus().predict_logits(IMAGES).shape == (2, 3)


def test_a_head_that_is_there_is_kept_and_another_one_refused() -> None:
    headed = attach_au_head(small(), (4, 12))
    assert attach_au_head(headed, (4, 12)) is headed
    with pytest.raises(ModelError) as raised:
        attach_au_head(headed, (4,))
    assert str(raised.value) == (f"model {headed.name} has an output for action units (4, 12): leave out --au-head.")
