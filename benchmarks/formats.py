"""What becomes of the same network in every format: is it read, are its logits the same, which maps does it give?

Usage: python -m benchmarks.formats

A small network with random weights is written in each format that can be made on this machine, and scored on drawn
faces as the network in memory is. The table is benchmarks/results/formats.csv and docs/formats.md.
"""

import argparse
import importlib.util
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

import interpfer
from benchmarks.report import write_results
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.export import write_csv_layout
from interpfer.errors import InterpferError
from interpfer.models.input import describe_input
from interpfer.models.model import Model
from interpfer.models.program import largest_difference
from interpfer.models.readers import READERS
from interpfer.models.readers.foreign import FORMATS
from interpfer.models.small import SmallCNN

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"
SIZE, FACES = 48, 8
CLASSES = "anger,disgust,fear,happiness,neutral,sadness,surprise"
CARD: dict[str, Any] = {"classes": CLASSES, "input_size": SIZE, "mean": 0.5, "std": 0.25}
ARCH = {"arch": "interpfer:small", "arch_args": {"width": 8}}
TOLERANCE = 1e-4
"""Largest difference of logits and scores that count as the same."""
MAPS = ("gradcam", "saliency", "occlusion")
"""One map of each kind: of layers, by gradients of the input, by perturbation."""
KINDS = {3: "all", 2: "of the input", 1: "by perturbation", 0: "none"}
SKIPPED = "not made here"


def main() -> None:
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        rows = list_results(Path(folder))
    write_results("formats", rows, {"size": SIZE, "faces": FACES, "maps": list(MAPS)})
    PAGE.write_text(draw_page(rows))


def make_network() -> nn.Module:
    """Return the network, with weights that keep signals large, and statistics of its normalisation of their own."""
    torch.manual_seed(0)
    network = SmallCNN(7, width=8)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    return network.eval()


def list_results(folder: Path, chosen: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return one row per format.

    Args:
        folder: an empty folder.
        chosen: names of formats; empty for all.
    """
    faces = folder / "faces"
    write_csv_layout(DemoDataset("test", count=FACES, size=72), faces)
    network, rows = make_network(), []
    expected = _score(interpfer.load_model(network, **CARD), faces)
    for number, (name, (write, options)) in enumerate(WRITERS.items()):
        if chosen and name not in chosen:
            continue
        (folder / str(number)).mkdir()
        try:
            path = write(network, folder / str(number))
        except ImportError as error:
            rows.append(_row(name, SKIPPED, reason=f"needs {error.name or error}"))
            continue
        rows.append(_examine(name, path, options, network, expected, faces))
    if not chosen:
        rows.append(_examine_hugging_face(folder / "hf", faces))
        rows += [_row(each.name, "refused, with what to do") for each in {each.name: each for each in FORMATS}.values()]
    return rows


def _examine(
    name: str, path: Path, options: Mapping[str, Any], network: nn.Module, expected: pd.Series, faces: Path
) -> dict[str, Any]:
    try:
        model = interpfer.load_model(path, **CARD, **options)
        scores = _score(model, faces)
    except InterpferError as error:
        return _row(name, "refused", reason=str(error).replace(str(path), path.name))
    x = torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    outputs = network(model.normalise(x))
    logits = largest_difference(model.predict_logits(x), getattr(outputs, "logits", outputs))
    common = expected.index.intersection(scores.index)
    score = float((scores[common] - expected[common]).abs().max())
    is_same = max(logits, score) <= TOLERANCE
    maps = KINDS[len(set(scores.index.get_level_values("map")) & set(MAPS))]
    return _row(name, "same" if is_same else "differs", maps, logits, score)


def _examine_hugging_face(folder: Path, faces: Path) -> dict[str, Any]:
    """Return the row of a small ResNet of transformers, which the other formats do not hold."""
    name = "Hugging Face folder (another network)"
    if importlib.util.find_spec("transformers") is None:
        return _row(name, SKIPPED, reason="needs transformers")
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    labels = dict(enumerate(CLASSES.split(",")))
    config = ResNetConfig(embedding_size=8, hidden_sizes=[16, 32], depths=[1, 1], id2label=labels)
    network = ResNetForImageClassification(config).eval()
    network.save_pretrained(folder)
    prepared = describe_input(interpfer.load_model(folder, **CARD).card.input)
    expected = _score(interpfer.load_model(network, classes=CLASSES, input=prepared), faces)
    return _examine(name, folder, {}, network, expected, faces)


def _score(model: Model, faces: Path) -> pd.Series:
    """Return the cosine of each map and face; maps that the model does not give are absent."""
    tables = []
    for name in MAPS:
        try:
            result = interpfer.score(model, "csv", data_root=faces, landmarks=faces / "landmarks.txt", maps=[name])
        except InterpferError:
            continue
        tables.append(result.per_image)
    return pd.concat(tables).set_index(["map", "image"])["cosine"].dropna()


def _row(
    name: str, result: str, maps: str = "", logits: float | None = None, score: float | None = None, reason: str = ""
) -> dict[str, Any]:
    texts = ["" if value is None else f"{value:.0e}" if value else "0" for value in (logits, score)]
    return {"format": name, "result": result, "maps": maps, "logits": texts[0], "cosine": texts[1], "reason": reason}


def _save(name: str, content: Callable[[nn.Module], Any], **options: Any) -> Callable[[nn.Module, Path], Path]:
    def write(network: nn.Module, folder: Path) -> Path:
        torch.save(content(network), folder / name, **options)
        return folder / name

    return write


def _write_safetensors(network: nn.Module, folder: Path) -> Path:
    from safetensors.torch import save_file

    save_file(network.state_dict(), folder / "m.safetensors")
    return folder / "m.safetensors"


def _write_torchscript(network: nn.Module, folder: Path) -> Path:
    torch.jit.save(torch.jit.trace(network, torch.zeros(2, 3, SIZE, SIZE)), folder / "m.pt")
    return folder / "m.pt"


def _write_exported(network: nn.Module, folder: Path) -> Path:
    batch = torch.export.Dim("n", min=1, max=64)
    shapes = {"x": {0: batch}}
    program = torch.export.export(network, (torch.zeros(2, 3, SIZE, SIZE),), dynamic_shapes=shapes)
    torch.export.save(program, folder / "m.pt2")
    return folder / "m.pt2"


def _onnx(opset: int, images: int | None = None, dynamo: bool = False) -> Callable[[nn.Module, Path], Path]:
    """Return a writer of an ONNX file for a number of images, None for any."""

    def write(network: nn.Module, folder: Path) -> Path:
        if dynamo and importlib.util.find_spec("onnxscript") is None:
            raise ImportError("onnxscript", name="onnxscript")
        import onnx

        path, axes = folder / "m.onnx", None if images else {"x": {0: "n"}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network, (torch.zeros(images or 2, 3, SIZE, SIZE),), str(path), dynamo=dynamo, input_names=["x"],
                opset_version=opset if dynamo else min(opset, 20), dynamic_axes=axes, verbose=False,
            )  # fmt: skip
        if not dynamo and opset > 20:
            onnx.save(onnx.version_converter.convert_version(onnx.load(path), opset), path)
        return path

    return write


def _write_half(network: nn.Module, folder: Path) -> Path:
    import onnx
    from onnx import numpy_helper

    path = _onnx(17)(network, folder)
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(model, path)
    return path


def _write_quantised(network: nn.Module, folder: Path) -> Path:
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(_onnx(17)(network, folder), folder / "int8.onnx")
    return folder / "int8.onnx"


def _write_tflite(network: nn.Module, folder: Path) -> Path:
    from benchmarks.write_tflite import write_tflite

    assert isinstance(network, SmallCNN)
    convolutions = []
    for stage in network.stages:
        for convolution, norm in zip(stage[0::3], stage[1::3], strict=True):
            factor = norm.weight / (norm.running_var + norm.eps).sqrt()
            weight, bias = convolution.weight * factor[:, None, None, None], norm.bias - norm.running_mean * factor
            convolutions.append((weight.detach().numpy(), bias.detach().numpy(), convolution.stride[0]))
    head = network.head.weight.detach().numpy(), network.head.bias.detach().numpy()
    write_tflite(folder / "m.tflite", convolutions, head, SIZE)
    return folder / "m.tflite"


def _keras(name: str) -> Callable[[nn.Module, Path], Path]:
    """Return a writer of a Keras file; Keras runs on torch, which is chosen before it is imported."""

    def write(network: nn.Module, folder: Path) -> Path:
        if "keras" not in READERS:
            raise ImportError("a reader of Keras files")
        import os

        os.environ.setdefault("KERAS_BACKEND", "torch")
        import keras

        assert isinstance(network, SmallCNN)
        layers: list[Any] = [keras.Input((SIZE, SIZE, 3))]
        weights: list[Any] = []
        for stage in network.stages:
            for convolution, norm in zip(stage[0::3], stage[1::3], strict=True):
                layers += [
                    keras.layers.ZeroPadding2D(1),
                    keras.layers.Conv2D(len(norm.weight), 3, convolution.stride[0], use_bias=False),
                    keras.layers.BatchNormalization(epsilon=norm.eps),
                    keras.layers.ReLU(),
                ]
                values = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
                weights += [convolution.weight.permute(2, 3, 1, 0), *values]
        model = keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(7)])
        model.set_weights([each.detach().numpy() for each in (*weights, network.head.weight.T, network.head.bias)])
        model.save(folder / name)
        return folder / name

    return write


WRITERS: dict[str, tuple[Callable[[nn.Module, Path], Path], dict[str, Any]]] = {
    "state_dict (.pt)": (_save("m.pt", lambda m: m.state_dict()), ARCH),
    "state_dict, torch before 1.6": (
        _save("m.pth", lambda m: m.state_dict(), _use_new_zipfile_serialization=False), ARCH,
    ),
    "Lightning (.ckpt)": (
        _save("m.ckpt", lambda m: {"state_dict": {f"model.{k}": v for k, v in m.state_dict().items()}}), ARCH,
    ),
    "pickled module, --arch": (_save("m.pt", lambda m: m), ARCH),
    "pickled module, --trust": (_save("m.pt", lambda m: m), {"trust": True}),
    "safetensors": (_write_safetensors, ARCH),
    "TorchScript": (_write_torchscript, {}),
    "TorchScript, --arch": (_write_torchscript, ARCH),
    "torch.export (.pt2)": (_write_exported, {}),
    "torch.export (.pt2), --arch": (_write_exported, ARCH),
    **{f"ONNX, opset {opset}": (_onnx(opset), {}) for opset in (7, 9, 11, 12, 13, 15, 17, 18, 20, 21)},
    "ONNX, today's exporter, opset 18": (_onnx(18, dynamo=True), {}),
    "ONNX, today's exporter, opset 20": (_onnx(20, dynamo=True), {}),
    "ONNX of one image": (_onnx(17, images=1), {}),
    "ONNX, half precision": (_write_half, {}),
    "ONNX, int8": (_write_quantised, {}),
    "TensorFlow Lite": (_write_tflite, {}),
    "Keras (.h5)": (_keras("m.h5"), {}),
    "Keras (.keras)": (_keras("m.keras"), {}),
}  # fmt: skip
"""Format -> function that writes the network into a folder, and options of ``load_model``."""


def draw_page(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the page docs/formats.md."""
    lines = [
        "# Formats",
        "",
        "The same small network with random weights, written in each format, read again and scored on drawn faces by",
        "`python -m benchmarks.formats`. How each is read: [checkpoint formats](howto/your-checkpoint.md).",
        "",
        "- **result**: *same* if logits and cosines differ by at most 1e-4 from those of the network in memory; half",
        "  precision and int8 change the weights, so they *differ*.",
        "- **maps**: *all*; those *of the input*, by its gradients or by perturbation; those *by perturbation* alone.",
        "- **logits, cosine**: largest difference; logits relative to the largest one.",
        "",
        "| format | result | maps | logits | cosine |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        result = row["result"] + (f": {row['reason']}" if row["reason"] else "")
        cells = (row["format"], result.replace("|", "/"), row["maps"], row["logits"], row["cosine"])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
