"""A sample of the sweep of architectures; `python -m benchmarks.architectures` does all families."""

import pytest
import torch

from benchmarks.architectures import RIGHT_VERDICT, build, draw_page, examine

EXPECTED = {
    ("timm", "test_resnet", 128): ("layer4", "the same map"),
    ("timm", "test_byobnet", 128): ("stages.3", "the same map"),
    ("timm", "test_efficientnet", 128): ("bn2", "an earlier layer"),
    ("timm", "test_convnext", 128): ("stages.3", "the same map"),
    ("timm", "test_vit", 160): ("blocks.5.norm1", "not used by the logits"),
    ("timm", "levit_128s", 224): ("stages.2", "the same map"),
    ("timm", "levit_conv_128s", 224): ("stages.2", "the same map"),
    ("timm", "pit_ti_224", 224): ("transformers.2.blocks.3.norm1", "not used by the logits"),
    ("timm", "efficientvit_m0", 224): ("stages.2", "the same map"),
    ("torchvision", "squeezenet1_1", 64): ("features.12", "has none"),
}


@pytest.mark.parametrize(("library", "name", "size"), EXPECTED)
def test_the_last_layer_and_its_maps_are_right(library: str, name: str, size: int) -> None:
    torch.manual_seed(0)
    row = examine(name, build(library, name).eval(), size)
    assert (row["verdict"], row["reason"]) == (RIGHT_VERDICT, "")
    assert (row["last"], row["timm"]) == EXPECTED[library, name, size]
    assert float(row["gradcam_error"]) < 1e-4


def test_the_page_counts_and_lists_the_networks() -> None:
    row = {"family": "resnet", "network": "a", "last": "b", "grid": "1 x 2 x 2", "timm": "", "gradcam_error": "0e+00"}
    page = draw_page([row | {"place": "", "verdict": "wrong", "reason": "c runs later"}])
    assert "Of 1 networks 0 are right, 0 refused, 1 wrong, and 0 were not built." in page
    assert page.endswith("| resnet | `a` | `b` | 1 x 2 x 2 |  | 0e+00 |  | wrong: c runs later |\n")
