"""Weights stored as factors, and names with wrappers inside: the network's own outputs are the right values."""

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from interpfer.errors import ModelError
from interpfer.inspection.checkpoint import inspect_checkpoint
from interpfer.models.identify import identify_architecture
from interpfer.models.load_weights import load_weights
from interpfer.models.loading import load_model
from interpfer.models.reparametrised import compute_weights, find_remedy, rename_factors

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
X = torch.linspace(-1, 1, 2 * 3 * 8 * 8).view(2, 3, 8, 8)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.ConvTranspose2d(4, 4, 3), nn.Conv2d(4, 6, 1))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2))
    return nn.Sequential(body, head).eval()


def prune_layers(net: nn.Sequential) -> None:
    for layer in (net[0][0], net[1][2]):
        prune.l1_unstructured(layer, "weight", amount=0.4)
    prune.random_unstructured(net[1][2], "bias", amount=0.5)


def apply(function: Callable[..., Any], **options: Any) -> Callable[[nn.Sequential], None]:
    def change(net: nn.Sequential) -> None:
        for layer in (net[0][0], net[0][2], net[1][2]):
            function(layer, **options)
        with torch.no_grad():
            for name, value in net.named_parameters():
                if name.endswith(("_g", "original0")):
                    value.mul_(1.5)

    return change


CHANGES: dict[str, tuple[Callable[[nn.Sequential], None], str]] = {
    "pruned": (prune_layers, "pruned weights were computed as weight_orig * weight_mask"),
    "weight_norm": (apply(nn.utils.weight_norm), "weights were computed from their norms and directions (weight_norm)"),
    "weight_norm of another axis": (
        apply(nn.utils.weight_norm, dim=1),
        "weights were computed from their norms and directions (weight_norm)",
    ),
    "weight_norm of everything": (
        apply(nn.utils.weight_norm, dim=None),
        "weights were computed from their norms and directions (weight_norm)",
    ),
    "weight_norm as parametrisation": (
        apply(parametrizations.weight_norm),
        "weights were computed from their norms and directions (weight_norm)",
    ),
    "spectral_norm": (apply(nn.utils.spectral_norm), "weights were divided by their spectral norms (spectral_norm)"),
    "spectral_norm as parametrisation": (
        apply(parametrizations.spectral_norm),
        "weights were divided by their spectral norms (spectral_norm)",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_weights_are_computed_as_the_network_does(case: str) -> None:
    change, note = CHANGES[case]
    source, target = network(), network()
    change(source)
    source.train()
    for _ in range(5):
        source(X)  # the singular vectors of spectral_norm are found in training
    source.eval()
    with torch.no_grad():
        for value in target.parameters():
            value.zero_()
    assert load_weights(target, source.state_dict(), "m.pt") == (note,)
    with torch.no_grad():
        torch.testing.assert_close(target(X), source(X), atol=1e-5, rtol=1e-5)


def test_a_network_that_has_the_factors_itself_is_filled_as_it_is() -> None:
    for case in ("pruned", "weight_norm", "weight_norm as parametrisation", "spectral_norm"):
        source, target = network(), network()
        CHANGES[case][0](source)
        CHANGES[case][0](target)
        assert load_weights(target, source.state_dict(), "m.pt") == ()
        assert all(torch.equal(target.state_dict()[name], value) for name, value in source.state_dict().items())


@pytest.mark.parametrize("names", [("weight_norm", "weight_norm as parametrisation")])
def test_older_and_newer_names_of_weight_norm(names: tuple[str, str]) -> None:
    for one, other in (names, names[::-1]):
        source, target = network(), network()
        CHANGES[one][0](source)
        CHANGES[other][0](target)
        with torch.no_grad():
            target[0][0].bias.add_(1)
        assert load_weights(target, source.state_dict(), "m.pt") == ()
        with torch.no_grad():
            torch.testing.assert_close(target(X), source(X))
        assert set(rename_factors(source.state_dict())) == set(target.state_dict())


def test_names_that_only_look_like_factors_stay() -> None:
    weights = {
        "a_g": torch.ones(2), "b_orig": torch.ones(2), "b_mask": torch.ones(3), "c_g": torch.ones(3, 1),
        "c_v": torch.ones(2, 2), "d": torch.ones(1), "d_orig": torch.ones(1), "d_mask": torch.ones(1),
    }  # fmt: skip
    assert compute_weights(weights) == (weights, ())


def test_another_parametrisation_is_named() -> None:
    class Symmetric(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + x.mT

    source = nn.Sequential(nn.Linear(3, 3))
    parametrize.register_parametrization(source[0], "weight", Symmetric())
    with pytest.raises(ModelError, match=r"0\.parametrizations\.weight\.original is of a parametrisation: call torch"):
        load_weights(nn.Sequential(nn.Linear(3, 3)), source.state_dict(), "m.pt")


WRAPPED: dict[str, Callable[[str], str]] = {
    "compiled part": lambda name: name.replace("0.", "0._orig_mod.", 1) if name.startswith("0.") else name,
    "fsdp": lambda name: "_fsdp_wrapped_module." + name.replace("0.", "0._fsdp_wrapped_module.", 1),
    "activation checkpointing": lambda name: name.replace("0.0.", "0.0._checkpoint_wrapped_module."),
    "parallel features": lambda name: name.replace("0.", "0.module.", 1) if name.startswith("0.") else name,
    "several": lambda name: "model." + name.replace("0.", "0._fsdp_wrapped_module._orig_mod.module.", 1),
}


@pytest.mark.parametrize("case", WRAPPED)
def test_wrappers_inside_names(case: str) -> None:
    source, target = network(), network()
    weights = {WRAPPED[case](name): value + 1 for name, value in source.state_dict().items()}
    assert set(weights) != set(source.state_dict())
    assert load_weights(target, weights, "m.pt") == ()
    assert all(torch.equal(value, source.state_dict()[name] + 1) for name, value in target.state_dict().items())


def test_a_network_with_a_wrapper_inside() -> None:
    source, target = network(), network()
    target[0] = nn.DataParallel(target[0])
    with torch.no_grad():
        target[1][2].bias.add_(1)
    assert load_weights(target, source.state_dict(), "m.pt") == ()
    assert torch.equal(target[1][2].bias, source[1][2].bias)
    compiled = {name.replace("0.", "0._orig_mod.", 1): value for name, value in source.state_dict().items()}
    assert load_weights(target, {f"model.{name}": value for name, value in compiled.items()}, "m.pt") == ()


def test_a_part_whose_name_is_that_of_a_wrapper() -> None:
    source = nn.ModuleDict({"module": nn.Linear(2, 2), "head": nn.Linear(2, 1)})
    target = copy.deepcopy(source)
    with torch.no_grad():
        target["module"].weight.zero_()
    assert load_weights(target, source.state_dict(), "m.pt") == ()
    assert torch.equal(target["module"].weight, source["module"].weight)


def test_architectures_are_recognised_through_wrappers_and_factors(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = torchvision.models.squeezenet1_1(num_classes=3).eval()
    plain = source.state_dict()
    wrapped = {name.replace("features.", "features.module."): value for name, value in plain.items()}
    prune.l1_unstructured(source.features[0], "weight", amount=0.3)
    product = source.features[0].weight_orig * source.features[0].weight_mask
    x = torch.rand(1, 3, 64, 64)
    for number, weights in enumerate((wrapped, source.state_dict())):
        assert identify_architecture(weights).chosen is not None
        torch.save(weights, tmp_path / f"{number}.pt")
        model = load_model(tmp_path / f"{number}.pt", classes="anger,fear,sadness")
        assert model.card.arch == "torchvision:squeezenet1_1"
        report, inspected = inspect_checkpoint(tmp_path / f"{number}.pt", classes="anger,fear,sadness")
        assert inspected is not None
        assert "torchvision:squeezenet1_1" in report.verdict
        network = torchvision.models.squeezenet1_1(num_classes=3).eval()
        network.load_state_dict(plain if number == 0 else plain | {"features.0.weight": product.detach()})
        with torch.no_grad():
            assert torch.equal(model.module(x), network(x))
            assert torch.equal(inspected.module(x), network(x))


def quantised() -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.ones(2, 6), 0.1, 0, torch.qint8)


REMEDIES: dict[str, tuple[dict[str, Tensor], str]] = {
    "lora": (
        {"1.2.base_layer.weight": torch.ones(2, 6), "1.2.lora_A.default.weight": torch.ones(1, 6)},
        r"1\.2\.base_layer\.weight is of an adapter: merge the adapter with merge_and_unload\(\)",
    ),
    "loralib": (
        {"1.2.lora_A": torch.ones(1, 6), "1.2.lora_B": torch.ones(2, 1), "1.2.weight": torch.ones(2, 6)},
        r"1\.2\.lora_A is of an adapter: merge",
    ),
    "dynamically quantised": (
        {"1.2.scale": torch.ones(()), "1.2.zero_point": torch.zeros((), dtype=torch.int64)},
        r"1\.2\.zero_point is of a quantised network: save the network before its quantisation, or dequantise it",
    ),
    "gptq": (
        {"1.2.qweight": torch.ones(1, 6, dtype=torch.int32), "1.2.scales": torch.ones(2)},
        r"1\.2\.qweight is of a quantised network",
    ),
    "bitsandbytes": (
        {"1.2.weight": torch.ones(2, 6, dtype=torch.int8), "1.2.SCB": torch.ones(2)},
        r"1\.2\.SCB is of a quantised network",
    ),
    "integers": (
        {"1.2.weight": torch.ones(2, 6, dtype=torch.int8)},
        r"1\.2\.weight is of a quantised network: .*; 1\.2\.weight is torch\.int8 in the file\.",
    ),
    "quantised tensors": (
        {"1.2.weight": quantised()},
        r"1\.2\.weight is of a quantised network: .*; 1\.2\.weight is torch\.qint8 in the file\.",
    ),
    "bytes": ({"1.2.weight": torch.ones(2, 6).to(torch.float8_e4m3fn)}, r"1\.2\.weight is torch\.float8_e4m3fn in the"),
}


@pytest.mark.parametrize("case", REMEDIES)
def test_the_remedy_is_named_and_nothing_is_loaded(case: str) -> None:
    extra, message = REMEDIES[case]
    target = network()
    weights = {name: value for name, value in target.state_dict().items() if not name.startswith("1.2.w")} | extra
    with pytest.raises(ModelError, match=message):
        load_weights(target, weights, "m.pt")
    assert torch.equal(target[1][2].weight, network()[1][2].weight)


def test_the_remedy_without_an_architecture(tmp_path: Path) -> None:
    source = torch.ao.quantization.quantize_dynamic(network(), {nn.Linear}, dtype=torch.qint8)
    torch.save(source.state_dict(), tmp_path / "m.pt")
    message = r"1\.2\.zero_point is of a quantised network: save the network before its quantisation"
    with pytest.raises(ModelError, match=rf"the weights of .*m\.pt cannot be loaded: {message}"):
        load_model(tmp_path / "m.pt", classes="anger,fear")
    report, model = inspect_checkpoint(tmp_path / "m.pt", classes="anger,fear")
    assert model is None
    assert any("save the network before its quantisation" in line for line in report.missing)
    assert find_remedy(["fc.weight"], {"fc.weight": torch.ones(2, 2)}) == ""
