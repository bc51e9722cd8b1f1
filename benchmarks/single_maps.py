"""What LeGrad and relevance cost: interpfer against torchcam, captum and pytorch-grad-cam, interleaved in one run.

Times are of the processor, so that other programs on a busy machine count little; ratios are taken within a repeat, to
one forward and one backward, and their medians reported.

    python -m benchmarks.single_maps [--repeats 5] [--batch 4] [--size 224]
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.maps import CLASSES
from benchmarks.report import write_results
from interpfer.maps import MAPS
from interpfer.maps.engine import run_maps
from interpfer.models.hooks import hooked
from interpfer.models.loading import load_model
from interpfer.models.model import Model

Contestant = Callable[[], None]


def vit(size: int) -> nn.Module:
    """The size of ViT-tiny, in torchvision, which is what torchcam's LeGrad takes."""
    from torchvision.models import VisionTransformer

    return VisionTransformer(size, 16, 12, 3, 192, 768, num_classes=len(CLASSES))


def plain(size: int) -> nn.Module:
    """A network of the layers that captum's LRP has rules for."""
    from torchvision.models import vgg11

    del size
    return vgg11(num_classes=len(CLASSES))


def floor(model: Model, x: Tensor) -> Contestant:
    """One forward and one backward to the input, parameters frozen."""

    def run() -> None:
        with hooked(model.module, {}), torch.enable_grad():
            given = x.clone().requires_grad_()
            torch.autograd.grad(model.logits(given).amax(1).sum(), given)

    return run


def ours(name: str) -> Callable[[Model, Tensor], Contestant]:
    def make(model: Model, x: Tensor) -> Contestant:
        def run() -> None:
            found = run_maps(model, x, {name: MAPS.get(name)}, ())
            assert not found.refused, found.refused

        return run

    return make


def torchcam_legrad(model: Model, x: Tensor) -> Contestant:
    from torchcam.methods import LeGrad

    def run() -> None:
        network = model.module.eval()
        with LeGrad(network, list(network.encoder.layers)[-2:]) as peer:
            scores = network(x.clone().requires_grad_())
            peer(scores.argmax(1).tolist(), scores)

    return run


def grad_cam(model: Model, x: Tensor) -> Contestant:
    """pytorch-grad-cam has neither map: one Grad-CAM of the last block, for scale."""
    import pytorch_grad_cam as peer

    def run() -> None:
        layer = model.layers("last")[0]
        layout = None if model.layer(layer).layout == "nchw" else lambda tokens: model.to_grid(layer, tokens)
        with peer.GradCAM(model.module.eval(), [model.module.get_submodule(layer)], layout) as cam:
            cam(x, None)
        model.module.zero_grad()

    return run


def captum_lrp(model: Model, x: Tensor) -> Contestant:
    from captum.attr import LRP
    from captum.attr._utils.lrp_rules import EpsilonRule

    def run() -> None:
        network = model.module.eval()
        for module in network.modules():
            if isinstance(module, nn.Flatten | nn.Dropout):
                module.rule = EpsilonRule()
            if getattr(module, "inplace", False):
                module.inplace = False
        LRP(network).attribute(x.clone().requires_grad_(), target=network(x).argmax(1))

    return run


TRIALS: dict[str, tuple[Callable[[int], nn.Module], dict[str, Callable[[Model, Tensor], Contestant]]]] = {
    "vit": (
        vit,
        {
            "interpfer legrad": ours("legrad"),
            "torchcam LeGrad": torchcam_legrad,
            "interpfer relevance": ours("relevance"),
            "pytorch-grad-cam GradCAM": grad_cam,
        },
    ),
    "vgg11": (plain, {"interpfer relevance": ours("relevance"), "captum LRP": captum_lrp}),
}
"""Network -> what is timed on it."""


def measure(name: str, repeats: int, batch: int, size: int) -> list[dict[str, object]]:
    build, makers = TRIALS[name]
    torch.manual_seed(0)
    model = load_model(build(size).eval(), classes=CLASSES, input_size=size, name=name)
    x = torch.randn(batch, 3, size, size)
    contestants = {"floor": floor(model, x)} | {key: make(model, x) for key, make in makers.items()}
    seconds: dict[str, list[float]] = {key: [] for key in contestants}
    for repeat in range(repeats + 1):  # the first warms up
        for key, contestant in contestants.items():
            started = time.process_time()
            contestant()
            if repeat:
                seconds[key].append(time.process_time() - started)
    rows: list[dict[str, object]] = []
    for key, times in seconds.items():
        ratios = [one / other for one, other in zip(times, seconds["floor"], strict=True)]
        row = {"model": name, "contestant": key, "processor_seconds": round(statistics.median(times), 3)}
        rows.append(row | {"times_floor": round(statistics.median(ratios), 2)})
        print(*rows[-1].values(), sep="\t", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=224)
    options = parser.parse_args()
    write(options.repeats, options.batch, options.size)


def write(repeats: int, batch: int, size: int) -> None:
    """Measure every network, and write the table."""
    warnings.simplefilter("ignore")
    rows = [row for name in TRIALS for row in measure(name, repeats, batch, size)]
    settings = {"repeats": repeats, "batch": batch, "size": size}
    write_results("single_maps", rows, settings | {"time": "of the processor", "ratio": "median within a repeat"})


if __name__ == "__main__":
    main()
