"""What maps cost: interpfer against pytorch-grad-cam, torchcam and captum, interleaved in one run.

Every contestant makes the same maps of the same images at the same layers. Ratios are taken within a repeat, to the
floor (one forward and one backward that captures the same layers) and to interpfer, and their medians reported.

    python -m benchmarks.maps [--models resnet50,...] [--layers 1,5,all] [--repeats 5] [--batch 16] [--size 224]
        [--device cuda]
    python -m benchmarks.maps --single    maps that no layer has (LeGrad, relevance) and refiners, beside their peers:
        the same as ``benchmarks.single_maps`` and ``benchmarks.refiners cost``
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.report import write_results
from interpfer.maps import MAPS
from interpfer.maps.engine import run_maps
from interpfer.models.hooks import hooked
from interpfer.models.loading import load_model
from interpfer.models.model import Model

CLASSES = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
MODELS = ("torchvision:resnet18", "torchvision:resnet50", "timm:vit_tiny_patch16_224")
OURS = ("attention", "gradcam", "gradcam++", "layercam", "xgradcam", "hirescam")
STEM = {"resnet18": ["maxpool"], "resnet50": ["maxpool"]}
Contestant = Callable[[], None]


def build(name: str, size: int) -> Model:
    torch.manual_seed(0)
    source, _, arch = name.partition(":")
    if source == "timm":
        import timm

        network: nn.Module = timm.create_model(arch, num_classes=len(CLASSES), img_size=size)
    else:
        from torchvision.models import get_model

        network = get_model(arch, num_classes=len(CLASSES))
    return load_model(network, classes=CLASSES, input_size=size, name=arch)


def choose(model: Model, count: str) -> list[str]:
    """The last layer, five spread over the depth, or every end of a stage and the stem."""
    found = [*STEM.get(model.name, []), *model.layers("all")]
    if count == "all":
        return found
    wanted = min(int(count), len(found))
    return [found[round((index + 1) * len(found) / wanted) - 1] for index in range(wanted)]


def floor(model: Model, x: Tensor, layers: list[str]) -> Contestant:
    """One forward and one backward with plain hooks and frozen parameters."""

    def run() -> None:
        seen: list[Tensor] = []

        def keep(_: nn.Module, __: object, output: Tensor) -> Tensor:
            output = output if output.requires_grad else output.detach().requires_grad_()
            seen.append(output)
            return output.clone()

        with hooked(model.module, {model.module.get_submodule(name): keep for name in layers}):
            torch.autograd.grad(model.logits(x).amax(1).sum(), seen)

    return run


def ours(model: Model, x: Tensor, layers: list[str], names: tuple[str, ...] = OURS) -> Contestant:
    methods = {name: MAPS.get(name) for name in names}
    return lambda: None if run_maps(model, x, methods, layers) else None


def grad_cam(model: Model, x: Tensor, layers: list[str]) -> Contestant:
    """One call per method and layer, as its interface wants it; it has no attention: five methods."""
    import pytorch_grad_cam as peer

    methods = (peer.GradCAM, peer.GradCAMPlusPlus, peer.LayerCAM, peer.XGradCAM, peer.HiResCAM)

    def run() -> None:
        for method in methods:
            for name in layers:
                layout = None if model.layer(name).layout == "nchw" else lambda t, name=name: model.to_grid(name, t)
                with method(model.module, [model.module.get_submodule(name)], layout) as cam:
                    cam(x, None)
        model.module.zero_grad()

    return run


def torch_cam(model: Model, x: Tensor, layers: list[str]) -> Contestant:
    """Several layers per call, one call per method; it has no attention and no HiResCAM: four methods."""
    from torchcam import methods as peer

    methods = (peer.GradCAM, peer.GradCAMpp, peer.LayerCAM, peer.XGradCAM)

    def run() -> None:
        model.module.eval()
        for method in methods:
            with method(model.module, list(layers), input_shape=tuple(x.shape[1:])) as cam:
                scores = model.module(x.clone().requires_grad_())
                cam(scores.argmax(1).tolist(), scores)
        model.module.zero_grad()

    return run


def captum(model: Model, x: Tensor, layers: list[str]) -> Contestant:
    """One call per layer of its one layer CAM."""
    from captum.attr import LayerGradCam

    def run() -> None:
        model.module.eval()
        target = model.module(x).argmax(1)
        for name in layers:
            LayerGradCam(model.module, model.module.get_submodule(name)).attribute(x, target=target)

    return run


def measure(name: str, counts: list[str], repeats: int, batch: int, size: int, device: str) -> list[dict[str, object]]:
    model = build(name, size).to(torch.device(device))
    x = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    ours(model, x, choose(model, "1"))()  # warms up
    rows: list[dict[str, object]] = []
    for count, layers in _distinct(model, counts):
        contestants = {
            "floor": floor(model, x, layers),
            "interpfer": ours(model, x, layers),
            "pytorch-grad-cam": grad_cam(model, x, layers),
            "captum LayerGradCam": captum(model, x, layers),
        }
        if all(model.layer(layer).layout == "nchw" for layer in layers):
            contestants["torchcam"] = torch_cam(model, x, layers)
        seconds: dict[str, list[float]] = {key: [] for key in contestants}
        if x.is_cuda:  # the first calls choose kernels
            for contestant in contestants.values():
                contestant()
        for _ in range(repeats):
            for key, contestant in contestants.items():
                _wait(x)
                started = time.perf_counter()
                contestant()
                _wait(x)
                seconds[key].append(time.perf_counter() - started)
        made = {"floor": 0, "interpfer": 6, "pytorch-grad-cam": 5, "torchcam": 4, "captum LayerGradCam": 1}
        for key, times in seconds.items():
            against = {other: _ratio(times, seconds[other]) for other in ("floor", "interpfer")}
            row = {"model": model.name, "layers": count, "layer_count": len(layers), "contestant": key}
            row |= {"methods": made[key], "seconds": round(statistics.median(times), 4)}
            row |= {f"times_{other}": round(ratio, 3) for other, ratio in against.items()}
            rows.append(row)
            print(*row.values(), sep="\t", flush=True)
    return rows


def _wait(x: Tensor) -> None:
    if x.is_cuda:
        torch.cuda.synchronize()


def _distinct(model: Model, counts: list[str]) -> list[tuple[str, list[str]]]:
    """Each choice of layers once: a ResNet's stem and stages are five."""
    chosen: dict[tuple[str, ...], str] = {}
    for count in counts:
        chosen.setdefault(tuple(choose(model, count)), count)
    return [(count, list(layers)) for layers, count in chosen.items()]


def _ratio(times: list[float], others: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(times, others, strict=True))


def peak(name: str, contestant: str, count: str, batch: int, size: int) -> int:
    """Peak resident megabytes of one contestant, in a process of its own."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); from benchmarks import maps; "
        f"maps.alone({name!r}, {contestant!r}, {count!r}, {batch}, {size})"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def alone(name: str, contestant: str, count: str, batch: int, size: int) -> None:
    model = build(name, size)
    x = torch.randn(batch, 3, size, size)
    makers = {"floor": floor, "interpfer": ours, "pytorch-grad-cam": grad_cam, "torchcam": torch_cam}
    (makers | {"captum LayerGradCam": captum})[contestant](model, x, choose(model, count))()
    status = Path("/proc/self/status")
    if status.is_file():  # a process inherits the ru_maxrss of the one that started it, but not this
        lines = dict(line.split(":") for line in status.read_text().splitlines())
        print(int(lines["VmHWM"].split()[0]) // 1024)
    else:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--models", default=",".join(MODELS), help="torchvision:NAME or timm:NAME, comma-separated")
    parser.add_argument("--layers", default="1,5,all")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--device", default="cpu", help="cuda: without memory, and written as maps_cuda")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--single", action="store_true", help="LeGrad, relevance and refiners instead")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.single:
        from benchmarks import refiners, single_maps  # which import this module

        single_maps.write(options.repeats, 4, options.size)
        refiners.write_cost(options.repeats, 4, options.size, every=True)
        return
    rows: list[dict[str, object]] = []
    for name in options.models.split(","):
        found = measure(name, options.layers.split(","), options.repeats, options.batch, options.size, options.device)
        for row in found if not (options.no_memory or options.device != "cpu") else ():
            row["peak_mb"] = peak(name, str(row["contestant"]), str(row["layers"]), options.batch, options.size)
        rows += found
    settings = {key: str(value) for key, value in vars(options).items()}
    write_results(
        "maps" if options.device == "cpu" else f"maps_{options.device}",
        rows,
        settings | {"ours": list(OURS), "ratio": "median over repeats of the ratio within one"},
    )


if __name__ == "__main__":
    main()
