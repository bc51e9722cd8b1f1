import pytest
import torch
from torch import nn

from interpfer.errors import ModelError
from interpfer.models.card import ModelCard
from interpfer.models.input import InputSpec
from interpfer.models.load_weights import load_weights
from interpfer.models.readers.base import CheckpointData
from interpfer.models.rebuild import rebuild

CARD = ModelCard("own:network", ("anger", "fear"), input=InputSpec(size=8))


def network(activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), activation, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


def test_a_network_counts_only_if_its_outputs_are_the_programs() -> None:
    torch.manual_seed(0)
    program = network(nn.ReLU()).eval()
    data = CheckpointData("TorchScript program", program.state_dict())
    same = rebuild(data, program, network(nn.ReLU()), CARD)
    assert all(torch.equal(value, program.state_dict()[name]) for name, value in same.state_dict().items())
    with pytest.raises(ModelError, match=r"own:network is not the network in the TorchScript program: "):
        rebuild(data, program, network(nn.Tanh()), CARD)


@pytest.mark.parametrize("name", ["running_mean", "running_var", "weight"])
def test_a_normalisation_that_lacks_a_tensor_is_an_error(name: str) -> None:
    weights = {key: value for key, value in nn.BatchNorm2d(2).state_dict().items() if key != name}
    with pytest.raises(ModelError, match=f"missing: {name}"):
        load_weights(nn.BatchNorm2d(2), weights, "m.pt")
