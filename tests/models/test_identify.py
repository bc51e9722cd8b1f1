from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torchvision.models import mobilenet_v3_small, resnet18

from interpfer.models.fingerprints import INDEX, ODD_CLASSES, SKETCH, nearest_networks, sketch, write_index
from interpfer.models.identify import find_matches, identify_architecture, known_networks, shapes_of, shapes_of_weights

NAMES = st.text("abc.", min_size=1, max_size=6)


@given(st.dictionaries(NAMES, st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=80))
def test_a_sketch_depends_on_the_set_alone(shapes: dict[str, tuple[int, ...]]) -> None:
    own = sketch(shapes)
    assert len(own) <= min(SKETCH, len(shapes))
    assert np.array_equal(own, sketch(dict(reversed(shapes.items()))))
    assert np.array_equal(own, np.sort(own))


def test_the_index_is_written_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from interpfer.models import fingerprints

    body = {f"layer{i}.weight": (i + 1, 3) for i in range(60)}
    networks = {
        "x:one": body | {"fc.weight": (ODD_CLASSES, 60)},
        "x:same": body | {"fc.weight": (ODD_CLASSES, 60)},
        "x:like": body | {"layer0.weight": (9, 9), "fc.weight": (ODD_CLASSES, 60)},
        "x:other": {"a": (1,), "b": (ODD_CLASSES,)},
    }
    write_index(tmp_path / "index.npz", networks)
    monkeypatch.setattr(fingerprints, "INDEX", tmp_path / "index.npz")
    fingerprints._index.cache_clear()
    try:
        found = nearest_networks(body | {"fc.weight": (7, 60)}, 3, 0.2)
        assert found == [["x:one", "x:same"], ["x:like"]]
        assert nearest_networks({"a": (1,), "b": (7,)}, 3, 0.2) == [["x:other"]]
        assert nearest_networks({"q": (5,)}, 3, 0.2) == []
    finally:
        fingerprints._index.cache_clear()


def test_the_index_knows_the_networks_that_are_installed() -> None:
    with np.load(INDEX) as arrays:
        names = arrays["names"].tobytes().decode().split("\n")
    assert len(names) > 1000
    installed = [name for name in known_networks() if name.startswith("torchvision:")]
    assert len(set(installed) & set(names)) > 0.9 * len(installed)
    assert INDEX.stat().st_size < 250_000


def test_shapes_are_had_without_storage() -> None:
    assert shapes_of("torchvision:resnet18", {"num_classes": 5}) == shapes_of_weights(
        resnet18(num_classes=5).state_dict()
    )


def test_a_known_network_is_found_with_its_facts() -> None:
    network = mobilenet_v3_small(num_classes=8)
    verdict = identify_architecture(network.state_dict())
    assert verdict.chosen is not None
    assert (verdict.chosen.arch, verdict.chosen.classes, verdict.chosen.size) == (
        "torchvision:mobilenet_v3_small",
        8,
        224,
    )
    assert verdict.chosen.card() == {"arch": "torchvision:mobilenet_v3_small", "input": {"size": 224}}
    assert verdict.why.startswith(f"all {len(network.state_dict())} tensors fit torchvision:mobilenet_v3_small")


def test_another_classifier_and_a_wrapper_are_told() -> None:
    network = resnet18()
    network.fc = nn.Sequential(nn.Dropout(), nn.Linear(512, 7))  # type: ignore[assignment]
    best = find_matches(shapes_of_weights(network.state_dict()))[0]
    assert (best.arch, best.missing, best.unexpected) == (
        "torchvision:resnet18",
        ("fc.weight", "fc.bias"),
        ("fc.1.weight", "fc.1.bias"),
    )
    assert 0.96 < best.share < 0.97
    assert identify_architecture(network.state_dict()).chosen is None
    inside = {f"backbone.{name}": value for name, value in resnet18(num_classes=7).state_dict().items()}
    best = find_matches(shapes_of_weights(inside | {"extra.weight": torch.ones(2, 2)}))[0]
    assert (best.prefix, best.unexpected) == ("backbone.", ("1 outside backbone.",))


@pytest.mark.parametrize(
    ("name", "arguments", "size"),
    [
        ("vit_tiny_patch16_224", {"img_size": 112}, 112),
        ("resnet10t", {"in_chans": 1}, 224),
    ],
)
def test_picture_size_and_channels_of_timm(name: str, arguments: dict[str, int], size: int) -> None:
    best = find_matches(shapes_of(f"timm:{name}", {"num_classes": 7} | arguments))[0]
    assert best.complete
    assert (best.arch, best.arch_args, best.classes) == (f"timm:{name}", arguments, 7)
    assert best.channels == arguments.get("in_chans", 3)
    assert best.size in (size, 176)


def test_twins_that_differ_are_not_chosen() -> None:
    import timm

    verdict = identify_architecture(timm.create_model("tf_efficientnet_b0", num_classes=8).state_dict())
    assert verdict.chosen is None
    assert "timm:efficientnet_b0, timm:tf_efficientnet_b0" in verdict.why
    assert verdict.why.endswith("say which")


def test_nothing_is_found_for_other_weights() -> None:
    verdict = identify_architecture({"a.weight": torch.ones(3, 3)})
    assert (verdict.matches, verdict.chosen) == ((), None)
    assert verdict.why == "no network of torchvision or timm has all these weights"
