import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from interpfer.models.identify import identify_architecture
from interpfer.models.known_networks import find_network_shapes, find_shapes
from interpfer.models.match import find_matches


def test_another_classifier_and_a_wrapper_are_recognised() -> None:
    network = resnet18()
    network.fc = nn.Sequential(nn.Dropout(), nn.Linear(512, 7))  # type: ignore[assignment]
    best = find_matches(find_shapes(network.state_dict()))[0]
    assert (best.arch, best.missing, best.unexpected) == (
        "torchvision:resnet18",
        ("fc.weight", "fc.bias"),
        ("fc.1.weight", "fc.1.bias"),
    )
    assert 0.96 < best.share < 0.97
    assert identify_architecture(network.state_dict()).chosen is None
    inside = {f"backbone.{name}": value for name, value in resnet18(num_classes=7).state_dict().items()}
    best = find_matches(find_shapes(inside | {"extra.weight": torch.ones(2, 2)}))[0]
    assert (best.prefix, best.unexpected) == ("backbone.", ("1 outside backbone.",))


@pytest.mark.parametrize(
    ("name", "arguments", "size"),
    [
        ("vit_tiny_patch16_224", {"img_size": 112}, 112),
        ("resnet10t", {"in_chans": 1}, 224),
    ],
)
def test_picture_size_and_channels_of_timm(name: str, arguments: dict[str, int], size: int) -> None:
    best = find_matches(find_network_shapes(f"timm:{name}", {"num_classes": 7} | arguments))[0]
    assert best.is_complete
    assert (best.arch, best.arch_args, best.classes) == (f"timm:{name}", arguments, 7)
    assert best.channels == arguments.get("in_chans", 3)
    assert best.size in (size, 176)
