import pytest
import torch
from torchvision.models import resnet18

from interpfer.models.known_networks import build_without_storage, find_network_shapes, find_shapes, find_usual_input


def test_shapes_are_found_without_storage() -> None:
    expected = find_shapes(resnet18(num_classes=5).state_dict())
    assert find_network_shapes("torchvision:resnet18", {"num_classes": 5}) == expected
    network = build_without_storage("torchvision:resnet18", {})
    assert next(network.parameters()).device == torch.device("meta")
    assert network.get_submodule("fc").out_features == 1000


@pytest.mark.parametrize(
    ("arch", "size", "normalisation"),
    [
        ("torchvision:resnet18", 224, {"mean": "imagenet"}),
        ("torchvision:inception_v3", 299, {"mean": "imagenet"}),
        ("timm:resnet10t", 176, {"mean": "imagenet"}),
        ("timm:vit_tiny_patch16_224", 224, {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}),
    ],
)
def test_the_usual_input_is_that_of_the_pretrained_weights(
    arch: str, size: int, normalisation: dict[str, object]
) -> None:
    assert find_usual_input(build_without_storage(arch, {}), arch) == (size, normalisation)
