"""Keras models: the same numbers as a restatement in torch, all forms of files, and files that would do harm."""

import copy
import json
import os
import pickle
import shutil
import sys
import textwrap
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from torch import Tensor, nn

import interpfer
from interpfer.cli import group
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import ModelError, TrustError
from interpfer.models.checkpoint import read_checkpoint
from interpfer.models.keras_network import KerasNetwork, import_keras
from interpfer.models.keras_network.heads import as_torch_layer
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.readers import keras_checks
from interpfer.models.readers.keras_known import DEEPFACE, DEEPFACE_SHAPES
from tests.conftest import SHARED
from tests.oracles.keras_layers import run_hdf5

h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras that saves

MINI = SHARED / "models" / "fer2013_mini_XCEPTION.102-0.66.hdf5"
CLASSES = ["anger", "fear", "happiness"]
CARD = {"classes": CLASSES, "input": {"size": 24, "color": "gray"}}


@pytest.fixture(scope="module", autouse=True)
def keras(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Keras, imported first where the user's settings want TensorFlow and another order of axes."""
    home = tmp_path_factory.mktemp("home")
    settings = {"backend": "tensorflow", "image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.1}
    (home / "keras.json").write_text(json.dumps(settings))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "tensorflow")
        patch.setenv("KERAS_HOME", str(home))
        patch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
        module = import_keras()
        assert (os.environ["KERAS_BACKEND"], os.environ["KERAS_HOME"]) == ("tensorflow", str(home))
        assert "TF_FORCE_GPU_ALLOW_GROWTH" not in os.environ
    assert json.loads((home / "keras.json").read_text()) == settings
    assert module.backend.backend() == "torch"
    return module


class Twin(nn.Module):
    """The small network below in torch, with the weights of the Keras model."""

    def __init__(self, model: Any = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, bias=False)
        self.norm = nn.BatchNorm2d(6, eps=1e-3)
        self.depthwise = nn.Conv2d(6, 6, 3, groups=6, bias=False)
        self.pointwise = nn.Conv2d(6, 8, 1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(8, 3)
        if model is not None:
            self.copy_from(model)

    def copy_from(self, model: Any) -> None:
        values = [torch.tensor(value) for value in model.get_weights()]
        kernel, gamma, beta, mean, variance, depthwise, pointwise, bias, matrix, offset = values
        state = {
            "conv.weight": kernel.permute(3, 2, 0, 1),
            "norm.weight": gamma,
            "norm.bias": beta,
            "norm.running_mean": mean,
            "norm.running_var": variance,
            "depthwise.weight": depthwise.permute(2, 3, 0, 1),
            "pointwise.weight": pointwise.permute(3, 2, 0, 1),
            "pointwise.bias": bias,
            "head.weight": matrix.T,
            "head.bias": offset,
        }
        self.load_state_dict(state, strict=False)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv(x)))
        x = self.pool(F.relu(self.pointwise(self.depthwise(x))))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


@pytest.fixture(scope="module")
def small(keras: Any) -> Any:
    """Convolution, batch normalisation, separable convolution, pooling, linear layer, softmax."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((24, 24, 1)),
            layers.Conv2D(6, 3, use_bias=False, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.Activation("relu"),
            layers.SeparableConv2D(8, 3, activation="relu", name="second"),
            layers.MaxPooling2D(2, name="pool"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax", name="head"),
        ]
    )
    generator = torch.Generator().manual_seed(0)
    model.set_weights([(torch.rand(each.shape, generator=generator) - 0.3).abs().numpy() for each in model.weights])
    return model


@pytest.fixture(scope="module")
def files(small: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The small network in every form, under names that say nothing of the format."""
    folder = tmp_path_factory.mktemp("keras")
    paths = {name: folder / name / "network.bin" for name in ("h5", "keras", "described", "described3")}
    for name, path in paths.items():
        path.parent.mkdir()
        saved = path.with_name({"h5": "m.h5", "keras": "m.keras"}.get(name, "m.weights.h5"))
        if name in ("h5", "keras"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                small.save(saved)
        else:
            small.save_weights(saved)
            path.with_suffix(".json").write_text(small.to_json())
        saved.rename(path)
    with h5py.File(paths["h5"]) as source, h5py.File(paths["described"], "w") as target:
        for layer in source["model_weights"]:
            source.copy(f"model_weights/{layer}", target)
        target.attrs.update(source["model_weights"].attrs)
        paths["described"].with_suffix(".json").write_text(source.attrs["model_config"])
    return paths


FORMS = ("h5", "keras", "described", "described3")


def noise(count: int = 3, size: int = 24, channels: int = 3) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def mini() -> Model:
    if not MINI.is_file():
        pytest.skip("the shared models are not here")
    return load_model(MINI)


@pytest.fixture(scope="module")
def twin_of_mini() -> Model:
    return load_model(MINI.with_name("fer_mini_xception.pt"), trust=True)


def test_the_real_file_gives_the_probabilities_of_a_restatement(mini: Model) -> None:
    x = noise(9, 64, 1) * 2 - 1
    with torch.no_grad():
        assert (mini.module(x) - run_hdf5(MINI, x)).abs().max() < 1e-5
    images = noise(9, 64)
    expected = run_hdf5(MINI, mini.normalise(images))
    assert (mini.predict_probabilities(images) - expected).abs().max() < 1e-5
    assert (mini.predict_logits(images).softmax(1) - expected).abs().max() < 1e-5


def test_the_real_file_is_known(mini: Model) -> None:
    assert mini.classes == ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    spec = mini.card.input
    assert (spec.size, spec.color, spec.mean, spec.std) == (64, "gray", (0.5,), (0.5,))
    assert mini.layers("last") == ("add_4",)
    assert mini.sha256 == "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e"
    assert not any("assumed" in note for note in mini.notes)


def test_maps_of_the_real_file_are_those_of_the_same_network_in_torch(mini: Model, twin_of_mini: Model) -> None:
    names = (
        "attention",
        "cam",
        "gradcam",
        "gradcam++",
        "layercam",
        "hirescam",
        "eigengradcam",
        "saliency",
        "finer-cam",
    )
    ours = interpfer.compute_maps(mini, noise(2, 64), maps=names)
    theirs = interpfer.compute_maps(twin_of_mini, noise(2, 64), maps=names)
    for (name, _), one, other in zip(ours, ours.values(), theirs.values(), strict=True):
        assert (one - other).abs().max() <= 1e-4 * other.abs().max(), name


@pytest.mark.parametrize("name", ["fullgrad", "deeplift", "guided-backprop", "guided-gradcam", "lrp", "shapley-cam"])
def test_maps_that_need_layers_of_torch_are_refused(mini: Model, name: str) -> None:
    with pytest.raises(ModelError, match=f"{name} needs layers of torch, by whose types it computes"):
        interpfer.compute_maps(mini, noise(1, 64), maps=name)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_numbers_of_torch(files: dict[str, Path], small: Any, form: str) -> None:
    ours, twin = load_model(files[form], classes=CLASSES), load_model(Twin(small), **CARD)
    assert (ours.card.input.size, ours.card.input.color) == (24, "gray")
    for count in (1, 2, 5):
        images = noise(count, 48)
        images = F.interpolate(images, 24)
        assert torch.allclose(ours.predict_logits(images), twin.predict_logits(images), atol=1e-5)
        assert torch.allclose(ours.predict_probabilities(images), twin.predict_probabilities(images), atol=1e-6)
    assert "the network returns probabilities: maps and metrics take the logits before its softmax" in ours.notes
    assert any("pixels are assumed in [0, 1]" in note for note in ours.notes)
    assert [layer.grid for layer in ours.spatial_layers] == [(22, 22), (22, 22), (22, 22), (20, 20), (10, 10)]
    assert [layer.channels for layer in ours.spatial_layers] == [6, 6, 6, 8, 8]
    assert ours.layers("last") == ("pool",)
    names = ("attention", "cam", "gradcam", "layercam", "occlusion")
    one, other = (interpfer.compute_maps(each, noise(2, 24), maps=names, layers="pool") for each in (ours, twin))
    for key, expected in other.items():
        assert (one[key] - expected).abs().max() <= 1e-4 * expected.abs().max(), key


def test_a_model_in_memory_is_taken_as_it_is(small: Any) -> None:
    ours, twin = load_model(small, **CARD), load_model(Twin(small), **CARD)
    assert torch.allclose(ours.predict_logits(noise(2, 24)), twin.predict_logits(noise(2, 24)), atol=1e-5)
    assert ours.layers("last") == ("pool",)


def test_gradcam_is_that_of_the_definition(files: dict[str, Path], small: Any) -> None:
    model, twin, images = load_model(files["h5"], classes=CLASSES), Twin(small), noise(3, 24)
    x = model.normalise(images)
    with torch.no_grad():
        activation = twin.pool(F.relu(twin.pointwise(twin.depthwise(F.relu(twin.norm(twin.conv(x)))))))
        weights = twin.head.weight[twin(x).argmax(1)] / (10 * 10)
    maps = interpfer.compute_maps(model, images, maps="gradcam")
    expected = torch.einsum("nc,nchw->nhw", weights, activation).relu()
    assert torch.allclose(maps["gradcam", "pool"], expected, atol=1e-6)


@pytest.fixture(scope="module")
def others(small: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The network in the formats of torch and ONNX, with its weights alone where ``Twin`` is its architecture."""
    pytest.importorskip("onnxruntime")
    from safetensors.torch import save_file

    folder, twin = tmp_path_factory.mktemp("others"), Twin(small)
    torch.save(twin.state_dict(), folder / "twin.pt")
    save_file(twin.state_dict(), folder / "twin.safetensors")
    for opset in (11, 13, 17, 18, 20):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                twin, (torch.zeros(2, 1, 24, 24),), str(folder / f"opset{opset}.onnx"), dynamo=False,
                opset_version=opset, input_names=["x"], dynamic_axes={"x": {0: "n"}},
            )  # fmt: skip
    return {path.name: path for path in sorted(folder.iterdir())}


def test_the_same_network_gives_the_same_scores_in_every_format(
    files: dict[str, Path], others: dict[str, Path], small: Any
) -> None:
    options: dict[str, Any] = {"maps": "attention, gradcam", "metrics": "cosine, deletion", "report": False}
    faces = DemoDataset("test", count=2, size=48)
    sources = {"torch": Twin(small), "h5": files["h5"], "keras": files["keras"], **others}
    assert len(sources) == 10
    scores = {}
    for name, source in sources.items():
        arch = {"arch": f"{__file__}:Twin", "trust": True} if name.startswith("twin") else {}
        loaded = load_model(source, name="network", **CARD, **arch)
        layer = [each.name for each in loaded.spatial_layers if each.channels == 8 and each.grid == (20, 20)][-1]
        run = interpfer.score(loaded, faces, layers=layer, **options)
        scores[name] = run.per_image.select_dtypes("number").reset_index(drop=True)
    assert len(scores["torch"]) >= 4
    for name, values in scores.items():
        assert values.sub(scores["torch"]).abs().max().max() < 1e-4, name


def test_one_hdf5_file_may_hold_the_weights_of_an_architecture(
    files: dict[str, Path], small: Any, tmp_path: Path
) -> None:
    source = """
        import keras
        import torch
        def other():
            return torch.nn.Flatten()
        def smaller():
            return keras.Sequential(build().layers[:4])
        def build():
            return keras.Sequential([
                keras.Input((24, 24, 1)), keras.layers.Conv2D(6, 3, use_bias=False, name="first"),
                keras.layers.BatchNormalization(name="norm"), keras.layers.Activation("relu"),
                keras.layers.SeparableConv2D(8, 3, activation="relu", name="second"), keras.layers.MaxPooling2D(2),
                keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax", name="head")])
    """
    (tmp_path / "net.py").write_text(textwrap.dedent(source))
    arch = f"{tmp_path / 'net.py'}:build"
    expected = load_model(Twin(small), **CARD).predict_logits(noise(2, 24))
    for form in ("described", "described3"):
        weights = tmp_path / f"{form}.h5"
        shutil.copy(files[form], weights)
        model = load_model(weights, arch=arch, trust=True, **CARD)
        assert torch.allclose(model.predict_logits(noise(2, 24)), expected, atol=1e-5)
        with pytest.raises(TrustError, match="would run the file"):
            load_model(weights, arch=arch, **CARD)
        with pytest.raises(ModelError, match="the field 'arch' is missing"):
            load_model(weights, **CARD)
        with pytest.raises(ModelError, match="arch must return a Keras model, got a Flatten"):
            load_model(weights, arch=arch.replace("build", "other"), trust=True, **CARD)
        with pytest.raises(ModelError, match="do not fit the architecture: it has 8 arrays, the file 10"):
            load_model(weights, arch=arch.replace("build", "smaller"), trust=True, **CARD)


def test_a_description_finds_its_weights(files: dict[str, Path], tmp_path: Path) -> None:
    model = load_model(files["described"].with_suffix(".json"), classes=CLASSES)
    assert "the layers are those of network.json, the weights those of network.bin" in model.notes
    assert model.sha256 == load_model(files["described"], classes=CLASSES).sha256
    lonely = tmp_path / "model.json"
    shutil.copy(files["described"].with_suffix(".json"), lonely)
    with pytest.raises(ModelError, match="describes a Keras model without its weights; there is none beside it"):
        load_model(lonely, classes=CLASSES)
    weights = tmp_path / "w.h5"
    shutil.copy(files["described"], weights)
    shutil.copy(lonely, tmp_path / "other.json")
    with pytest.raises(ModelError, match="beside it lie model.json, other.json: pass the .json of its model"):
        load_model(weights, classes=CLASSES)


def test_weights_of_deepface_are_known(tmp_path: Path) -> None:
    layers, file = (
        ("conv2d_1", "conv2d_2", "conv2d_3", "conv2d_4", "conv2d_5", "dense_1", "dense_2", "dense_3"),
        tmp_path / "w.h5",
    )
    arrays = [
        torch.randn(shape, generator=torch.Generator().manual_seed(i)) / 30 for i, shape in enumerate(DEEPFACE_SHAPES)
    ]
    with h5py.File(file, "w") as target:
        target.attrs["layer_names"] = [name.encode() for name in layers]
        for name, kernel, bias in zip(layers, arrays[::2], arrays[1::2], strict=True):
            part = target.create_group(name)
            part.attrs["weight_names"] = [f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()]
            part[f"{name}/kernel:0"], part[f"{name}/bias:0"] = kernel.numpy(), bias.numpy()
    model = load_model(file)
    assert DEEPFACE.describe() in model.notes
    assert (model.card.input.size, model.card.input.color, model.classes[-1]) == (48, "gray", "neutral")
    x = noise(2, 48, 1)
    kernels = [each.permute(3, 2, 0, 1) for each in arrays[:10:2]]
    y = F.max_pool2d(F.conv2d(x, kernels[0], arrays[1]).relu(), 5, 2)
    y = F.conv2d(F.conv2d(y, kernels[1], arrays[3]).relu(), kernels[2], arrays[5]).relu()
    y = F.avg_pool2d(y, 3, 2)
    y = F.conv2d(F.conv2d(y, kernels[3], arrays[7]).relu(), kernels[4], arrays[9]).relu()
    y = F.avg_pool2d(y, 3, 2).flatten(1)
    y = ((y @ arrays[10] + arrays[11]).relu() @ arrays[12] + arrays[13]).relu() @ arrays[14] + arrays[15]
    with torch.no_grad():
        assert torch.allclose(model.module(x), y.softmax(1), atol=1e-6)


@pytest.mark.usefixtures("mini")
def test_same_layers_of_another_file_are_assumed(tmp_path: Path) -> None:
    shutil.copy(MINI, tmp_path / "m.h5")
    (tmp_path / "m.h5").chmod(0o644)
    with h5py.File(tmp_path / "m.h5", "a") as file:
        file.attrs["more"] = 1
    notes = load_model(tmp_path / "m.h5").notes
    assert any(
        "the layers are those of mini-XCEPTION for FER2013: its classes, their order and its input" in n for n in notes
    )


def test_copies_train_and_move_as_modules_of_torch(files: dict[str, Path]) -> None:
    model = load_model(files["keras"], **CARD)
    network, x = model.module, noise(4, 24, 1)
    assert isinstance(network, KerasNetwork)
    with torch.no_grad():
        before = network(x)
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert not other.training
        with torch.no_grad():
            assert torch.equal(other(x), before)
        other.load_state_dict({name: value * 0 + 1 for name, value in other.state_dict().items()})
    with torch.no_grad():
        assert torch.equal(network(x), before)
    with model.autocast("bf16"):
        assert torch.allclose(
            model.predict_logits(noise(4, 24)), load_model(files["h5"], **CARD).predict_logits(noise(4, 24)), atol=0.05
        )


def test_gradients_of_weights_are_those_of_torch(files: dict[str, Path], small: Any) -> None:
    network, twin, x = load_model(files["keras"], **CARD).module, Twin(small), noise(4, 24, 1)
    network.train()
    twin.train()
    network(x).log()[:, 0].sum().backward()
    twin(x).log_softmax(1)[:, 0].sum().backward()
    grads = {name: value.grad for name, value in network.named_parameters() if value.grad is not None}
    assert len(grads) == 8
    kernel = grads["first._torch_params.first/kernel"]
    assert torch.allclose(kernel.permute(3, 2, 0, 1), twin.conv.weight.grad, atol=1e-4)
    mean = next(value for name, value in network.named_parameters() if name.endswith("moving_mean"))
    batch_mean = twin.conv(x).mean((0, 2, 3))
    start = torch.tensor(small.get_weights()[3])
    assert torch.allclose(mean, 0.99 * start + 0.01 * batch_mean, atol=1e-5)
    assert torch.backends.mkldnn.enabled
    network.norm.training = False  # a frozen layer keeps its statistics
    network(x)
    assert torch.equal(mean, next(value for name, value in network.named_parameters() if name.endswith("moving_mean")))


def test_a_step_of_training_of_the_real_file_does_not_crash(mini: Model) -> None:
    network = copy.deepcopy(mini.module).train()
    optimiser = torch.optim.SGD(network.parameters(), 1e-3)
    for _ in range(3):
        network(noise(4, 64, 1)).log()[:, 0].mean().backward()
        optimiser.step()
    assert torch.backends.mkldnn.enabled
    assert all(bool(value.isfinite().all()) for value in network.parameters())


def test_layers_of_torch_are_the_same_function(keras: Any) -> None:
    x = noise(2, 8)
    for options in (
        {"padding": "same"},
        {"padding": "valid", "strides": 2},
        {"use_bias": False, "dilation_rate": 2},
        {"groups": 3},
    ):
        layer = keras.layers.Conv2D(6, 3, **options)
        expected = layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        assert torch.allclose(as_torch_layer(layer)(x), expected, atol=1e-5)
    layer = keras.layers.Dense(4, bias_initializer="ones")
    assert torch.allclose(layer(x), as_torch_layer(layer)(x), atol=1e-5)
    strided = keras.layers.Conv2D(6, 3, strides=2, padding="same")
    strided(x.permute(0, 2, 3, 1))
    assert as_torch_layer(strided) is None


def test_a_model_in_a_model_and_the_scale_of_its_input(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    inner = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.DepthwiseConv2D(3, name="deep"), layers.ReLU()], name="trunk"
    )
    image = keras.Input((16, 16, 3))
    x = inner(layers.Rescaling(1 / 127.5, offset=-1)(image))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:  # as Keras 2 wrote it
        config = file.attrs["model_config"]
        text = config.decode() if isinstance(config, bytes) else config
        assert '"depth_multiplier": 1' in text
        file.attrs["model_config"] = text.replace('"depth_multiplier": 1', '"groups": 1, "depth_multiplier": 1')
    loaded = load_model(tmp_path / "m.h5", classes=CLASSES)
    assert loaded.card.input.scale == 255
    assert not any("assumed" in note for note in loaded.notes)
    names = [name for name, _ in loaded.module.named_modules()]
    assert {"trunk", "trunk.deep", "trunk.re_lu"} <= {name.replace("re_lu_1", "re_lu") for name in names}
    assert "trunk.deep" in [layer.name for layer in loaded.spatial_layers]
    images = noise(2, 16)
    y = F.conv2d(images * 2 - 1, torch.tensor(inner.get_weights()[0]).permute(2, 3, 0, 1), None, groups=3).relu()
    kernel, bias = map(torch.tensor, model.get_weights()[-2:])
    expected = y.permute(0, 2, 3, 1).flatten(1) @ kernel + bias
    assert torch.allclose(loaded.predict_logits(images), expected, atol=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_attention_of_keras_is_rolled_out(keras: Any, dropout: float) -> None:
    layers = keras.layers
    image = keras.Input((16, 16, 3))
    tokens = layers.Reshape((16, 8))(layers.Conv2D(8, 4, strides=4)(image))
    attended = layers.MultiHeadAttention(2, 4, dropout=dropout, kernel_initializer="random_normal", name="mha")
    x = layers.Add()([tokens, attended(tokens, tokens)])
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))
    loaded, images = load_model(model, classes=CLASSES, input_size=16), noise(2, 16)
    kernel, bias, query, query_bias, key, key_bias, *_ = map(torch.tensor, model.get_weights())
    t = F.conv2d(images, kernel.permute(3, 2, 0, 1), bias, 4).flatten(2).mT
    q, k = (torch.einsum("ntc,chd->nhtd", t, w) + b[:, None] for w, b in ((query, query_bias), (key, key_bias)))
    mixed = (q @ k.mT / 2).softmax(-1).mean(1) + torch.eye(16)
    expected = (mixed / mixed.sum(2, keepdim=True)).mean(1).reshape(2, 4, 4)
    maps = interpfer.compute_maps(loaded, images, maps="attention-rollout, gradient-rollout")
    assert torch.allclose(next(iter(maps.values())), expected, atol=1e-6)
    assert all(bool(each.isfinite().all()) for each in maps.values())


# What does harm, or cannot be read


def rewrite(path: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Copy a ``.keras`` archive with another configuration."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as copied:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith(".json"):
                config = json.loads(content)
                change(config if name == "config.json" else {"metadata": config})
                content = json.dumps(config).encode()
            copied.writestr(name, content)
    return target


def add_layer(node: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["config"]["layers"].insert(1, node) if "config" in config else None


@pytest.fixture(scope="module")
def harmful(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path]:
    """Files with a Lambda layer whose code makes a file."""
    folder = tmp_path_factory.mktemp("harmful")
    trace = folder / "trace"
    text = f"lambda x: [x, open({str(trace)!r}, 'w').close()][0]"
    layers = [
        keras.Input((8, 8, 1)),
        keras.layers.Lambda(eval(text), output_shape=(8, 8, 1)),
        keras.layers.Flatten(),
        keras.layers.Dense(3),
    ]
    model = keras.Sequential(layers)
    paths = [folder / "m.h5", folder / "m.keras"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in paths:
            model.save(path)
    trace.unlink(missing_ok=True)
    return paths, trace


def test_lambda_layers_need_trust(harmful: tuple[list[Path], Path]) -> None:
    paths, trace = harmful
    for path in paths:
        with pytest.raises(
            TrustError, match=r"its layer 'lambda\w*' \(Lambda\) would run code of the file; if you trust"
        ):
            load_model(path, classes=CLASSES)
        result = CliRunner().invoke(group, ["inspect", str(path)])
        assert result.exit_code == 1
        assert not trace.exists()
    model = load_model(paths[1], classes=CLASSES, trust=True)
    assert model.predict_logits(noise(1, 8)).shape == (1, 3)
    assert trace.exists()
    assert copy.deepcopy(model.module)(noise(1, 8, 1)).shape == (1, 3)


@pytest.mark.parametrize(
    ("node", "error", "message"),
    [
        ({"module": "os", "class_name": "system", "config": "touch"}, TrustError, "would import and run os.system"),
        ({"module": "keras.utils", "class_name": "get_file", "config": {}}, TrustError, "run keras.utils.get_file"),
        ({"module": "keras", "class_name": "function", "config": "load"}, TrustError, "run keras.function"),
        (
            {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"name": "t"}},
            TrustError,
            r"its layer 't' \(TorchModuleWrapper\) would run code",
        ),
        (
            {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
            ModelError,
            "is for texts or tables, not for images",
        ),
        (
            {"class_name": "TFOpLambda", "config": {"name": "tf.math.truediv"}},
            ModelError,
            r"layer 'tf.math.truediv' is an operation of TensorFlow .*; `python -m tf2onnx.convert --keras",
        ),
        ({"module": "keras.layers", "class_name": 3, "config": {}}, ModelError, "class_name 3 is no text"),
        (
            {"module": None, "class_name": "Mystery", "config": {}},
            ModelError,
            r"it has no layer 'Mystery'.*pass --arch FILE.py",
        ),
    ],
)
def test_configurations_that_would_do_more_are_refused(
    files: dict[str, Path], tmp_path: Path, node: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_model(rewrite(files["keras"], tmp_path / "m.keras", add_layer(node)), classes=CLASSES)


def test_archives_of_keras_2_are_refused_with_the_command_that_converts(files: dict[str, Path], tmp_path: Path) -> None:
    def make_old(config: dict[str, Any]) -> None:
        if "metadata" in config:
            config["metadata"]["keras_version"] = "2.15.0"

    path = rewrite(files["keras"], tmp_path / "m.keras", make_old)
    with pytest.raises(ModelError, match=r"archive of Keras 2.15.0, which Keras 3 cannot read; `python -m tf2onnx"):
        load_model(path, classes=CLASSES)


def test_what_unpacks_to_too_much_is_refused(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras_checks, "SMALLEST_LIMIT", 1 << 20)
    bomb = tmp_path / "m.keras"
    with zipfile.ZipFile(files["keras"]) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target:
        for name in ("config.json", "metadata.json"):
            target.writestr(name, source.read(name))
        target.writestr("model.weights.h5", bytes(20 << 20))
    with pytest.raises(ModelError, match="would unpack to more than 1 MiB, too much for its size"):
        load_model(bomb, classes=CLASSES)
    path = tmp_path / "m.h5"
    shutil.copy(files["h5"], path)
    with h5py.File(path, "a") as file:
        file["model_weights"].create_dataset("huge", (1 << 30, 1 << 10), "f4", chunks=(1 << 10, 1 << 10))
    with pytest.raises(ModelError, match=r"would unpack to more than \d MiB \(/model_weights/huge is"):
        load_model(path, classes=CLASSES)


def test_a_layer_larger_than_its_weights_is_refused_before_it_is_built(files: dict[str, Path], tmp_path: Path) -> None:
    def enlarge(config: dict[str, Any]) -> None:
        for layer in config.get("config", config).get("layers", ()):
            if layer["config"]["name"] == "head":
                layer["config"]["units"] = 10**9

    message = r"is not built: its layers would hold 9,000,000,\d{3} weights, but its file has \d{3}; copy or"
    with pytest.raises(ModelError, match=message):
        load_model(rewrite(files["keras"], tmp_path / "m.keras", enlarge), classes=CLASSES)
    old = tmp_path / "m.h5"
    shutil.copy(files["h5"], old)
    with h5py.File(old, "a") as file:
        config = json.loads(file.attrs["model_config"])
        enlarge(config)
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ModelError, match=message):
        load_model(old, classes=CLASSES)


def test_an_archive_stays_in_its_folder(files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    shutil.copy(files["keras"], path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../outside", b"")
    with pytest.raises(ModelError, match=r"its part '../../outside' would be written outside of its folder"):
        load_model(path, classes=CLASSES)


@pytest.mark.parametrize("kind", ["external", "soft", "raw", "virtual"])
def test_an_hdf5_file_reads_no_other_file(files: dict[str, Path], tmp_path: Path, kind: str) -> None:
    path = tmp_path / "m.h5"
    shutil.copy(files["h5"], path)
    with h5py.File(path, "a") as file:
        if kind == "external":
            file["model_weights"]["other"] = h5py.ExternalLink(str(files["h5"]), "/model_weights")
        elif kind == "soft":
            file["model_weights"]["other"] = h5py.SoftLink("/model_weights")
        elif kind == "raw":
            file.create_dataset("other", (4,), "f4", external=[(str(files["keras"]), 0, 16)])
        else:
            layout = h5py.VirtualLayout((1,), "f4")
            layout[0] = h5py.VirtualSource(str(files["keras"]), "x", (1,))[0]
            file.create_virtual_dataset("other", layout)
    message = "is a link to another place or file" if kind in ("external", "soft") else "lies in another file"
    with pytest.raises(ModelError, match=message):
        load_model(path, classes=CLASSES)


def test_broken_and_other_files(files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(files["h5"].read_bytes()[:3000])
    with pytest.raises(ModelError, match="is not a readable HDF5 file"):
        load_model(path, classes=CLASSES)
    with h5py.File(path, "w") as file:
        file["data"] = [1.0]
    with pytest.raises(ModelError, match=r"is an HDF5 file without a Keras network \(it holds data\)"):
        load_model(path, classes=CLASSES)
    archive = tmp_path / "m.keras"
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("config.json", "{")
        target.writestr("metadata.json", "{}")
    with pytest.raises(ModelError, match="is not a readable Keras model"):
        load_model(archive, classes=CLASSES)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((24, 20, 1), "must take square images, got 24 x 20"),
        ((24, 24, 5), "must take grey or colour images"),
        ((7,), "one batch"),
    ],
)
def test_other_inputs_are_refused(keras: Any, tmp_path: Path, shape: tuple[int, ...], message: str) -> None:
    model = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path / "m.keras", classes=CLASSES)


def test_without_keras_and_with_another_backend(monkeypatch: pytest.MonkeyPatch, files: dict[str, Path]) -> None:
    def other(version: str) -> Any:
        return SimpleNamespace(__version__=version, backend=SimpleNamespace(backend=lambda: "tensorflow"))

    monkeypatch.setitem(sys.modules, "keras", other("3.9"))
    with pytest.raises(
        ModelError, match="this process has imported Keras on tensorflow: set KERAS_BACKEND=torch before"
    ):
        load_model(files["h5"], classes=CLASSES)
    monkeypatch.setitem(sys.modules, "keras", other("2.15.0"))
    with pytest.raises(ModelError, match=r"needs Keras 3, got 2.15.0: run pip install 'interpfer\[keras\]'"):
        load_model(files["h5"], classes=CLASSES)
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setattr(sys, "meta_path", [Blocker(), *sys.meta_path])
    with pytest.raises(ModelError, match=r"reading it needs the package keras, .*: pip install 'interpfer\[keras\]'"):
        load_model(files["h5"], classes=CLASSES)


class Blocker:
    """An import system without Keras."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name == "keras":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_inspect_lists_the_layers(files: dict[str, Path]) -> None:
    result = CliRunner().invoke(group, ["inspect", str(files["h5"]), "--classes", ",".join(CLASSES), "--json"])
    report = json.loads(result.output)
    assert (report["format"], report["output_count"], report["ready"]) == ("Keras model", 3, True)
    assert [layer["name"] for layer in report["layers"]][:3] == ["first", "norm", "activation"]
    assert report["card"]["input"] == {"size": 24, "color": "gray"}
    assert read_checkpoint(files["h5"]).sha256 == report["sha256"]
