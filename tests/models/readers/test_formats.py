"""The same network in many formats gives the same scores."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

import interpfer
from interpfer.errors import ModelError
from interpfer.models.checkpoint import read_checkpoint
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from tests.conftest import EXPRESSIONS

pytestmark = pytest.mark.filterwarnings("ignore")
SIZE = 48
ARCH: dict[str, Any] = {"arch": "interpfer:small", "arch_args": {"width": 8}}
CARD: dict[str, Any] = {"classes": EXPRESSIONS, "input_size": SIZE, "mean": 0.5, "std": 0.25}
MAPS = ["attention", "gradcam", "saliency", "baseline:uniform"]


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(1)
    classifier = SmallCNN(7, width=8)
    for _ in range(3):
        classifier(torch.randn(8, 3, SIZE, SIZE))
    with torch.no_grad():
        for parameter in classifier.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return classifier.eval()


def averaged(network: nn.Module) -> Any:
    return torch.optim.swa_utils.AveragedModel(network).state_dict()


def script(network: nn.Module, path: Path) -> None:
    torch.jit.trace(network, torch.zeros(2, 3, SIZE, SIZE)).save(str(path))


def export(network: nn.Module, path: Path, fixed: bool = False) -> None:
    batch = None if fixed else ({0: torch.export.Dim("n", min=1, max=64)},)
    program = torch.export.export(network, (torch.zeros(2, 3, SIZE, SIZE),), dynamic_shapes=batch)
    torch.export.save(program, path)


def onnx(network: nn.Module, path: Path) -> None:
    pytest.importorskip("onnxruntime")
    torch.onnx.export(
        network, (torch.zeros(2, 3, SIZE, SIZE),), str(path), dynamo=False, opset_version=13,
        input_names=["x"], dynamic_axes={"x": {0: "n"}},
    )  # fmt: skip


def safetensors(network: nn.Module, path: Path) -> None:
    from safetensors.torch import save_file

    save_file(network.state_dict(), path)


def prefixed(network: nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in network.state_dict().items()}


def zeros(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: torch.zeros_like(value) for name, value in network.state_dict().items()}


WRITERS: dict[str, Callable[[nn.Module, Path], Any]] = {
    "plain.pth": lambda m, p: torch.save(m.state_dict(), p),
    "parallel.tar": lambda m, p: torch.save({"epoch": 1, "model_state_dict": prefixed(m, "module.")}, p),
    "lightning.ckpt": lambda m, p: torch.save(
        {"state_dict": prefixed(m, "model.") | {"criterion.weight": torch.ones(7)}, "hyper_parameters": {"lr": 0.1}}, p
    ),
    "average.pt": lambda m, p: torch.save({"model": zeros(m), "model_ema": averaged(m)}, p),
    "old.t7": lambda m, p: torch.save({"net": m.state_dict()}, p, _use_new_zipfile_serialization=False),
    "module.pt": lambda m, p: torch.save(m, p),
    "parts.pt": lambda m, p: torch.save(
        {"stages": m.stages.state_dict(), "head": m.head.state_dict(), "optimizer": {"state": {}}}, p
    ),
    "weights.safetensors": safetensors,
    "script.pt": script,
    "program.pt2": export,
    "fixed.pt2": lambda m, p: export(m, p, fixed=True),
    "program.onnx": onnx,
}


def scored(model: Model, faces: Path, maps: list[str] | None) -> pd.DataFrame:
    scores = interpfer.score(
        model, "csv", data_root=faces, landmarks=faces / "landmarks.txt", maps=maps, limit=10
    ).scores
    return scores[scores["metric"] == "cosine"].set_index(["map", "group"])["value"]


@pytest.fixture(scope="module")
def expected(network: nn.Module, faces: Path) -> pd.Series:
    return scored(load_model(network, **CARD), faces, MAPS)


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_network_gives_the_same_scores(
    tmp_path: Path, network: nn.Module, faces: Path, expected: pd.Series, name: str
) -> None:
    WRITERS[name](network, tmp_path / name)
    model = load_model(tmp_path / name, **ARCH, **CARD)
    assert model.program is None
    scores = scored(model, faces, MAPS)
    pd.testing.assert_series_equal(scores, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["script.pt", "program.pt2", "fixed.pt2"])
def test_a_program_without_its_architecture(
    tmp_path: Path, network: nn.Module, faces: Path, expected: pd.Series, name: str
) -> None:
    WRITERS[name](network, tmp_path / name)
    model = load_model(tmp_path / name, **CARD)
    assert model.program is not None
    assert any("are not accessible, so attention and CAMs are not available" in note for note in model.notes)
    run = interpfer.score(model, "csv", data_root=faces, landmarks=faces / "landmarks.txt", limit=10)
    assert set(run.scores["map"]) == {
        "saliency", "input-x-gradient", "occlusion", "baseline:uniform", "baseline:class-mean-au",
    }  # fmt: skip
    cosines = run.scores[run.scores["metric"] == "cosine"].set_index(["map", "group"])["value"]
    assert abs(cosines["saliency", "macro"] - expected["saliency", "macro"]) < 1e-4
    assert any("are not accessible" in warning for warning in run.manifest["warnings"])
    with pytest.raises(ModelError, match=r"map 'gradcam' cannot be .* are not accessible; pass --arch"):
        scored(model, faces, ["gradcam"])
    everything = interpfer.score(
        model, "csv", data_root=faces, landmarks=faces / "landmarks.txt", maps="all", limit=4, layers="all"
    )
    assert "are not accessible; pass --arch" in everything.manifest["refused"]["gradcam@all"]
    assert "attention" not in set(everything.scores["map"])


def test_a_program_without_gradients(tmp_path: Path, network: nn.Module, faces: Path) -> None:
    pytest.importorskip("onnxruntime")
    from interpfer.models.program import Program

    onnx(network, tmp_path / "m.onnx")
    from interpfer.models.readers import onnxfile

    def refuse(*_: object) -> None:
        raise onnxfile.UnsupportedGraphError("operator Conv (opset 13)")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnxfile, "convert_graph", refuse)
        model = load_model(tmp_path / "m.onnx", **CARD)
        again = load_model(tmp_path / "m.onnx", **ARCH, **CARD)
    assert isinstance(model.program, Program)
    assert not model.program.differentiable
    assert set(scored(model, faces, None).index.get_level_values("map")) == {
        "occlusion", "baseline:uniform", "baseline:class-mean-au",
    }  # fmt: skip
    with pytest.raises(ModelError, match="this ONNX program has no gradients; choose"):
        scored(model, faces, ["saliency"])
    assert again.program is None
    x = torch.randn(3, 3, SIZE, SIZE)
    torch.testing.assert_close(again.logits(x), network(x), atol=1e-4, rtol=1e-4)
    assert again.notes == ("the ONNX program was rebuilt as interpfer:small: same outputs",)


def test_another_architecture_is_not_taken_for_a_program(tmp_path: Path, network: nn.Module) -> None:
    script(network, tmp_path / "m.pt")
    model = load_model(tmp_path / "m.pt", arch="interpfer:small", arch_args={"width": 12}, **CARD)
    assert model.program is not None
    assert "interpfer:small is not the network in the TorchScript program: " in model.notes[0]


def test_a_hugging_face_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    labels = dict(enumerate(["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]))
    config = transformers.ViTConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8,
        id2label=labels,
    )  # fmt: skip
    network = transformers.ViTForImageClassification(config).eval()
    network.save_pretrained(tmp_path / "vit")
    (tmp_path / "vit" / "preprocessor_config.json").write_text(
        '{"size": {"height": 32, "width": 32}, "do_normalize": true, "image_mean": [0.5, 0.5, 0.5], '
        '"image_std": [0.5, 0.5, 0.5], "do_rescale": true, "rescale_factor": 0.00392156862745098}'
    )
    model = load_model(tmp_path / "vit")
    assert model.name == "vit"
    assert model.classes == tuple(EXPRESSIONS)
    assert (model.card.input.size, model.card.input.mean) == (32, (0.5, 0.5, 0.5))
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(model.logits(x), network(x).logits)
    assert model.layers("last")


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ({0: "angry", 1: "fear", 2: "happpy"}, "unknown expression 'happpy'. Did you mean happy"),
        ({1: "angry", 2: "fear", 3: "happy"}, "id2label must number the outputs 0, 1, 2, ..., got 1, 2, 3"),
        ({0: "angry", 1: "anger", 2: "happy"}, "classes must name each expression once, got anger more than once"),
        ({0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}, "'LABEL_0' is a number, not the name of a class"),
    ],
)
def test_labels_of_a_hugging_face_folder_that_are_not_used(
    labels: dict[int, str], problem: str, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=24, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8,
        id2label={index: f"name {index}" for index in range(3)},
    )  # fmt: skip
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path / "vit")
    file = tmp_path / "vit" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"id2label": labels}))
    with pytest.raises(ModelError) as error:
        load_model(tmp_path / "vit")
    assert f"the labels in its config.json are not used: {problem}" in str(error.value)
    assert "pass --classes" in str(error.value)
    assert load_model(tmp_path / "vit", classes="anger, fear, happiness").classes == ("anger", "fear", "happiness")


def test_a_folder_of_the_reference(tmp_path: Path) -> None:
    from interpfer.models.reference import ReferenceClassifier

    network = ReferenceClassifier(7, "resnet18", "WGAP", dense=[16], large_maps=True).eval()
    parts = {name: getattr(network, name).state_dict() for name in ("encoder", "classification_head")}
    torch.save(parts, tmp_path / "model.pt")
    (tmp_path / "config_model.yaml").write_text(
        "!!python/object:dlib.utils.tools.Dict2Obj\nmethod: CAM\ncrop_size: 64\nlarge_maps: true\ndense_dims: '16'\n"
        "model: !!python/object:munch.Munch {encoder_name: resnet18, encoder_weights: imagenet,\n"
        "  spatial_pooling: WGAP}\n"
    )
    model = load_model(tmp_path)
    assert model.classes[:3] == ("neutral", "happiness", "surprise")
    assert model.card.input.mean == (0.485, 0.456, 0.406)
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(model.logits(x), network(x))
    assert model.layer(model.layers("last")[0]).grid == (8, 8)
    read = read_checkpoint(tmp_path)
    assert "the order of the classes is the one in the code of the reference" in read.notes[-1]


def test_classes_of_main_are_found_in_the_file_of_arch(tmp_path: Path, network: nn.Module) -> None:
    class Own(SmallCNN):
        pass

    Own.__module__, Own.__qualname__ = "__main__", "Own"
    import __main__

    classifier = Own(7, width=8)
    classifier.load_state_dict(network.state_dict())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(__main__, "Own", Own, raising=False)
        torch.save(classifier, tmp_path / "m.pt")
    with pytest.raises(ModelError, match=r"cannot be unpickled|have an architecture|is a pickle"):
        load_model(tmp_path / "m.pt", trust=False, **CARD)
    (tmp_path / "own.py").write_text(
        "from interpfer.models.small import SmallCNN\n\nclass Own(SmallCNN):\n    def __init__(self):\n"
        "        super().__init__(7, width=8)\n"
    )
    model = load_model(tmp_path / "m.pt", trust=True, arch="own.py:Own", **CARD)
    assert type(model.module).__module__ == "interpfer_arch_own"
    x = torch.randn(1, 3, SIZE, SIZE)
    torch.testing.assert_close(model.logits(x), network(x))


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
