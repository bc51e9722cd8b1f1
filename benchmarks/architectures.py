"""What networks interpfer reads rightly: last layer, Grad-CAM and place of maps, one small member of every family.

Usage: python -m benchmarks.architectures [--families resnet vit ...] [--seconds 60]

The families are the modules of timm and of torchvision.models; the member with the fewest parameters among the names
that say so is built with random weights. Its `last` layer is compared with the last feature map of timm's
`forward_intermediates` and with the layers that run later, Grad-CAM with autograd by hand, and the place of its values
with bright patches on the input. The table is benchmarks/results/architectures.csv and docs/architectures.md.
"""

import argparse
import re
import signal
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn

from benchmarks.report import write_results
from interpfer.errors import InterpferError
from interpfer.maps.compute import compute_maps
from interpfer.models.hooks import first_tensor
from interpfer.models.layer import Layer
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.placement import RIGHT

CLASSES = "anger,disgust,fear,happiness,neutral,sadness,surprise"
PAGE = Path(__file__).parents[1] / "docs" / "architectures.md"
MAX_PARAMETERS, CANDIDATES, SMALL_SIZE = 30_000_000, 8, 128
SIZES = (
    *("test", "femto", "atto", "pico", "zepto", "nano", "xxt", "xxs", "xt", "xs", "tiny", "_ti", "_t0", "small"),
    *("_s_", "_0", "b0", "a0", "128s", "18"),
)
"""Parts of names of small networks, the smallest first."""
TOLERANCE = 1e-3
"""Largest difference of a map from that of autograd, relative to its largest value."""
RIGHT_VERDICT, REFUSED, WRONG_VERDICT, SKIPPED = "right", "refused", "wrong", "not built"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--families", nargs="*", help="modules of timm, such as levit, and torchvision; default all")
    parser.add_argument("--seconds", type=int, default=60, help="time limit of each network")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    started, rows = time.monotonic(), []
    for library, family, names in list_families(options.families):
        row = {"library": library, "family": family} | examine_family(library, names, options.seconds)
        print({name: value for name, value in row.items() if value != ""}, flush=True)
        rows.append(row)
    if options.families:
        return
    write_results("architectures", rows, {"seconds": round(time.monotonic() - started)})
    PAGE.write_text(draw_page(rows))


def list_families(chosen: Sequence[str] | None = None) -> Iterator[tuple[str, str, list[str]]]:
    """Yield library, family and names of its networks, those first whose names say that they are small."""
    for family in timm.list_modules():
        if not chosen or family in chosen:
            yield "timm", family, sorted(timm.list_models(module=family), key=_rank_size)
    if not chosen or "torchvision" in chosen:
        families: dict[str, list[str]] = {}
        for name in torchvision.models.list_models(module=torchvision.models):
            families.setdefault(torchvision.models.get_model_builder(name).__module__.rpartition(".")[2], []).append(
                name
            )
        for family, names in families.items():
            yield "torchvision", family, sorted(names, key=_rank_size)


def _rank_size(name: str) -> tuple[int, list[int], str]:
    ranks = [rank for rank, text in enumerate(SIZES) if text in name]
    return min(ranks, default=len(SIZES)), [int(number) for number in re.findall(r"\d+", name)], name


def build(library: str, name: str) -> nn.Module:
    """Build a network with random weights."""
    if library == "timm":
        return timm.create_model(name, num_classes=len(CLASSES.split(",")))
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(name, num_classes=len(CLASSES.split(",")), **extra)


def examine_family(library: str, names: Sequence[str], seconds: int) -> dict[str, Any]:
    """Examine the smallest network of a family."""
    sizes: dict[str, int] = {}
    for name in names[:CANDIDATES]:
        try:
            with torch.device("meta"), time_limit(seconds):
                sizes[name] = sum(parameter.numel() for parameter in build(library, name).parameters())
        except (Exception, TimeLimit):  # some networks cannot be built without memory
            sizes[name] = MAX_PARAMETERS
    name = min(sizes, key=lambda name: sizes[name])
    if sizes[name] > MAX_PARAMETERS:
        return _row(name, SKIPPED, f"{sizes[name] / 1e6:.0f} million parameters")
    try:
        with time_limit(seconds):
            torch.manual_seed(0)
            network = build(library, name).eval()
            return examine(name, network, _input_size(network))
    except InterpferError as error:
        return _row(name, REFUSED, str(error))
    except TimeLimit as error:
        return _row(name, SKIPPED, str(error))
    except Exception as error:  # a network may need packages or sizes that are not there
        return _row(name, SKIPPED, f"{type(error).__name__}: {' '.join(str(error).split())[:100]}")


def _input_size(network: nn.Module) -> int:
    config = getattr(network, "pretrained_cfg", {"input_size": (3, 224, 224), "fixed_input_size": True})
    size: int = config["input_size"][-1]
    if config.get("fixed_input_size") or not hasattr(network, "pretrained_cfg"):
        return size
    return min(size, max(SMALL_SIZE, config.get("min_input_size", (3, 0, 0))[-1]))


def examine(name: str, network: nn.Module, size: int) -> dict[str, Any]:
    """Return what interpfer reads of a network, and whether it is right.

    Raises:
        InterpferError: it is refused.
    """
    fill_zeros(network)
    try:
        model = load_model(network, classes=CLASSES, input_size=size)
        model.logits(model.noise)
    except InterpferError:
        size = network.pretrained_cfg["input_size"][-1]  # some fail at a smaller size than their own
        model = load_model(network, classes=CLASSES, input_size=size)
    last = model.layers("last")[0]
    layer, x = model.layer(last), torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    activation, by_hand, target = gradcam_by_hand(model, layer, x)
    ours = compute_maps(model, x, maps="gradcam", layers=[last], targets=[target])
    scale = float(by_hand.abs().max()) or 1.0
    error = float((ours["gradcam", last] - by_hand).abs().max()) / scale
    place = model.find_places([last])[last]
    problem = find_later(model, layer)
    reference, problem = compare_with_timm(model, layer, activation, x) if not problem else ("", problem)
    if not error < TOLERANCE:
        problem = f"Grad-CAM differs by {error:.1g}"
    assumed = place.verdict != RIGHT and place.order is None and reference != "the same map"
    return _row(name, WRONG_VERDICT if problem else RIGHT_VERDICT, problem) | {
        "last": last,
        "grid": f"{layer.channels} x {layer.grid[0]} x {layer.grid[1]}",
        "all": len(model.layers("all")),
        "timm": reference,
        "gradcam_error": f"{error:.0e}",
        "place": f"{place.describe()}{', assumed' if assumed and layer.layout == 'tokens' else ''}",
    }


def fill_zeros(network: nn.Module) -> None:
    """Give parameters that are all zero, as no trained network has them, other values."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.abs().max() == 0:
                is_scale = ("bn" in name or "norm" in name) and name.endswith("weight")
                parameter.fill_(1.0) if is_scale else parameter.normal_(0, 0.05)


def gradcam_by_hand(model: Model, layer: Layer, x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return the activation (1, c, gh, gw) of a layer, and Grad-CAM of the class that has most of it, by autograd."""
    kept: list[Tensor] = []
    module = model.module.get_submodule(layer.name)
    handle = module.register_forward_hook(lambda _, __, output: kept.append(first_tensor(output, layer.part)))
    try:
        with torch.enable_grad():
            logits = model.select(model.module(model.preprocess(x)), 1)[0]
            slopes = [torch.autograd.grad(logit, kept[-1], retain_graph=True)[0] for logit in logits]
    finally:
        handle.remove()
    activation = model.to_grid(layer.name, kept[-1].detach())
    weights = [model.to_grid(layer.name, slope).mean((2, 3), keepdim=True) for slope in slopes]
    maps = [(weight * activation).sum(1).relu() for weight in weights]
    target = max(range(len(maps)), key=lambda index: float(maps[index].max()))
    return activation, maps[target], target


def find_later(model: Model, layer: Layer) -> str:
    """Return a layer that the logits depend on and that runs later, other than a norm or a part of the same block."""
    names = [each.name for each in model.spatial_layers]
    block = layer.name.rpartition(".")[0]
    for later in model.spatial_layers[names.index(layer.name) + 1 :]:
        is_inside = bool(block) and later.name.startswith(f"{block}.")
        is_outside = layer.name.startswith(f"{later.name}.") or later.source == layer.source
        is_plain = later.is_norm or not later.has_weights or later.calls > 1
        if later.is_used and not (is_inside or is_outside or is_plain):
            return f"{later.describe()} runs later"
    return ""


def compare_with_timm(model: Model, layer: Layer, activation: Tensor, x: Tensor) -> tuple[str, str]:
    """Return how a layer compares with the last feature map of timm, and the problem if there is one."""
    forward = getattr(model.module, "forward_intermediates", None)
    if forward is None:
        return "has none", ""
    with torch.no_grad():
        references = []
        for norm in (False, True):
            try:
                maps = forward(model.preprocess(x), norm=norm, output_fmt="NCHW", intermediates_only=True)
                references.append(maps[-1] if isinstance(maps[-1], Tensor) else maps[-1][0])
            except Exception:  # some take no norm, or not this format
                continue
    if not references:
        return "cannot be compared", ""
    if any(_is_close(activation, reference) for reference in references):
        return "the same map", ""
    outputs = _record_outputs(model, x)
    names = [each.name for each in model.spatial_layers]
    same = [
        each
        for each in model.spatial_layers
        if each.name in outputs and any(_is_close(each.to_grid(outputs[each.name]), other) for other in references)
    ]
    if same and all(not each.is_used for each in same):
        return "not used by the logits", ""
    if any(names.index(each.name) < names.index(layer.name) for each in same):
        return "an earlier layer", ""
    if same:
        return same[-1].name, f"timm's last feature map is {same[-1].describe()}"
    side = references[0].shape[-1]
    return f"another map, {side} x {side}", "" if side >= layer.grid[0] else "timm's last feature map is coarser"


def _record_outputs(model: Model, x: Tensor) -> dict[str, Tensor]:
    outputs: dict[str, Tensor] = {}

    def record(name: str, part: int) -> Callable[..., None]:
        def keep(_: nn.Module, __: Any, output: Any) -> None:
            tensor = first_tensor(output, part)
            if tensor is not None:
                outputs[name] = tensor.clone()

        return keep

    handles = [
        model.module.get_submodule(each.name).register_forward_hook(record(each.name, each.part))
        for each in model.spatial_layers
    ]
    with torch.no_grad():
        model.module(model.preprocess(x))
    for handle in handles:
        handle.remove()
    return outputs


def _is_close(activation: Tensor, reference: Tensor) -> bool:
    return activation.shape == reference.shape and torch.allclose(activation, reference, rtol=1e-4, atol=1e-4)


class TimeLimit(BaseException):
    """The time is over; no code that catches exceptions of a network catches it."""


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise ``TimeLimit`` where the block takes longer."""

    def stop(*_: Any) -> None:
        raise TimeLimit(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _row(name: str, verdict: str, reason: str = "") -> dict[str, Any]:
    blank = dict.fromkeys(("last", "grid", "all", "timm", "gradcam_error", "place"), "")
    return {"network": name} | blank | {"verdict": verdict, "reason": reason}


def draw_page(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the page docs/architectures.md."""
    counts = Counter(row["verdict"] for row in rows)
    lines = [
        "# Architectures",
        "",
        "One small member of every family of timm and of torchvision, built with random weights by "
        "`python -m benchmarks.architectures`.",
        "",
        "- **last**: what `--layers last` chooses. **timm**: how it compares with the last feature map of timm's",
        "  `forward_intermediates`: *the same map*, *an earlier layer* (ours runs later, as the conv of a head does),",
        "  or *not used by the logits* (patch tokens that a class token leaves behind).",
        "- **error**: largest difference of Grad-CAM from autograd by hand, relative to the largest value.",
        "- **place**: whether bright patches on the input prove where the values lie, and the correlation; a run notes",
        "  what is *assumed*.",
        "",
        f"Of {len(rows)} networks {counts[RIGHT_VERDICT]} are right, {counts[REFUSED]} refused, "
        f"{counts[WRONG_VERDICT]} wrong, and {counts[SKIPPED]} were not built.",
        "",
        "| family | network | last layer | grid | timm | error | place | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        verdict = row["verdict"] + (f": {row['reason']}" if row["reason"] else "")
        last = f"`{row['last']}`" if row["last"] else ""
        cells = (row["family"], f"`{row['network']}`", last, row["grid"], row["timm"], row["gradcam_error"])
        lines.append(f"| {' | '.join((*cells, row['place'], verdict.replace('|', '/')))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
