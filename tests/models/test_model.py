from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.hooks import unwrap
from interpfer.models.loading import load_model
from interpfer.models.model import Model

CLASSES = ["anger", "fear", "sadness"]


class Returns(nn.Module):
    """Two convolutions, and an output of any shape."""

    def __init__(self, wrap: Any = lambda logits, features: logits) -> None:  # noqa: ARG005
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.head = nn.Conv2d(4, 3, 1)
        self.wrap = wrap

    def forward(self, x: Tensor) -> Any:
        features = self.body(x)
        return self.wrap(self.head(features).mean((2, 3)), features)


def model(wrap: Any = None, **card: Any) -> Model:
    return load_model(Returns() if wrap is None else Returns(wrap), **{"classes": CLASSES, "input_size": 8} | card)


X = torch.rand(2, 3, 8, 8)


@pytest.mark.parametrize(
    ("wrap", "output"),
    [
        (lambda z, f: z, None),
        (lambda z, f: z, 0),
        (lambda z, f: z[:, :, None, None], None),
        (lambda z, f: (z, f), None),
        (lambda z, f: (z, f), 0),
        (lambda z, f: [f, z], None),
        (lambda z, f: [f, z], 1),
        (lambda z, f: {"features": f, "expression": z, "note": "x"}, None),
        (lambda z, f: {"features": f, "expression": z}, "expression"),
        (lambda z, f: SimpleNamespace(logits=z, loss=None), None),
        (lambda z, f: SimpleNamespace(logits=z, other=z + 1), "logits"),
        (lambda z, f: (z + 1, z), 1),
        (lambda z, f: (f, z[..., None, None]), None),
    ],
)
def test_logits_are_found(wrap: Any, output: int | str | None) -> None:
    chosen = model(wrap, output=output)
    expected = chosen.module.head(chosen.module.body(X)).mean((2, 3))
    assert torch.equal(chosen.logits(X), expected)


@pytest.mark.parametrize(
    ("wrap", "output", "message"),
    [
        (
            lambda z, f: (z, z, f),
            None,
            "model Returns returned a tuple (0: (2, 3), 1: (2, 3), 2: (2, 4, 8, 8)): specify which one holds the "
            "logits (output: in the card, or --output).",
        ),
        (
            lambda z, f: {"a": f},
            None,
            "model Returns returned a dict (a: (2, 4, 8, 8)): specify which one holds the logits",
        ),
        (
            lambda z, f: z[:, :2],
            None,
            "model Returns must return 2 x 3 logits, got a tensor (2, 2); its classes are anger, fear, sadness.",
        ),
        (lambda z, f: f, None, "must return 2 x 3 logits, got a tensor (2, 4, 8, 8)"),
        (lambda z, f: (z, f), 1, "must return 2 x 3 logits, got a tensor (2, 4, 8, 8)"),
        (lambda z, f: (z, f), 2, "the output has no element 2; it is a tuple (0: (2, 3), 1: (2, 4, 8, 8))."),
        (lambda z, f: z, "logits", "the output has no element 'logits'; it is a tensor (2, 3)."),
        (lambda z, f: {"a": "text"}, "a", "model Returns must return 2 x 3 logits, got a str"),
        (lambda z, f: None, None, "model Returns returned a NoneType: specify which one holds the logits"),
    ],
)
def test_an_unclear_output_lists_what_was_returned(wrap: Any, output: int | str | None, message: str) -> None:
    with pytest.raises(ModelError) as error:
        model(wrap, output=output).logits(X)
    assert message in str(error.value)


@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
@pytest.mark.parametrize("scale", [1, 255])
@pytest.mark.parametrize(("mean", "std"), [(0.5, 0.25), (None, None), ([0.1, 0.2, 0.3], [1, 2, 4])])
def test_preprocess_follows_the_formula(color: str, scale: float, mean: Any, std: Any) -> None:
    if scale == 255 and mean == 0.5:
        mean, std = 127.5, 63.75
    if color == "gray" and isinstance(mean, list):
        mean, std = mean[:1], std[:1]
    network = nn.Conv2d(1 if color == "gray" else 3, 3, 8)
    chosen = load_model(network, classes=CLASSES, input_size=8, color=color, scale=scale, mean=mean, std=std)
    images = torch.rand(2, 3, 8, 8)
    before = images.clone()
    ours = chosen.preprocess(images)
    for image, prepared in zip(images.numpy(), ours.numpy(), strict=True):
        red, green, blue = image.astype(np.float64)
        channels = {
            "rgb": [red, green, blue],
            "bgr": [blue, green, red],
            "gray": [0.299 * red + 0.587 * green + 0.114 * blue],
        }[color]
        for index, channel in enumerate(channels):
            m = np.ravel(0 if mean is None else mean)
            s = np.ravel(1 if std is None else std)
            expected = (channel * scale - m[index % len(m)]) / s[index % len(s)]
            np.testing.assert_allclose(prepared[index], expected, rtol=1e-5, atol=1e-4)
    assert torch.equal(images, before)


def test_preprocess_resizes_with_antialiasing() -> None:
    chosen = model()
    checkers = torch.zeros(1, 3, 64, 64)
    checkers[..., ::2, ::2] = 1
    checkers[..., 1::2, 1::2] = 1
    prepared = chosen.preprocess(checkers)
    assert prepared.shape == (1, 3, 8, 8)
    torch.testing.assert_close(prepared, torch.full_like(prepared, 0.5), atol=0.01, rtol=0)
    assert chosen.preprocess(torch.rand(1, 3, 5, 9)).shape == (1, 3, 8, 8)


def test_input_takes_the_type_of_the_weights() -> None:
    chosen = load_model(nn.Conv2d(3, 3, 8).double(), classes=CLASSES, input_size=8)
    assert chosen.preprocess(X).dtype == torch.float64
    assert chosen.logits(chosen.preprocess(X)).dtype == torch.float32


def test_wrappers_are_taken_off() -> None:
    network = Returns()
    assert unwrap(nn.DataParallel(network)) is network
    compiled = torch.compile(nn.DataParallel(torch.compile(network)))
    chosen = load_model(compiled, classes=CLASSES, input_size=8)
    assert chosen.module is network
    assert all(not name.startswith(("module.", "_orig_mod.")) for name in chosen.layers("all"))


def test_the_hash_of_a_module_follows_its_weights() -> None:
    one, two = model(), model()
    assert one.sha256 != two.sha256
    two.module.load_state_dict(one.module.state_dict())
    fresh = load_model(two.module, classes=CLASSES)
    assert fresh.sha256 == one.sha256


def test_a_model_describes_itself() -> None:
    assert repr(model()) == "Model Returns: Returns, 8 px rgb, ('anger', 'fear', 'sadness')"
    assert load_model(Returns(), classes="anger,fear,sad", name="mine").name == "mine"
    with pytest.raises(ModelError, match="model card Returns: the field 'classes' is missing"):
        load_model(Returns())


def test_logits_become_probabilities_by_a_softmax() -> None:
    chosen = model()
    logits = chosen.predict_logits(X)
    assert torch.equal(chosen.probabilities(logits), logits.softmax(1))
    assert torch.equal(chosen.predict_probabilities(X), logits.softmax(1))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("how", ["tensor", "functional", "module"])
def test_of_a_network_that_ends_in_a_softmax_the_logits_before_it_are_taken(name: str, how: str) -> None:
    apply = {
        "tensor": lambda z: getattr(z, name)(1),
        "functional": lambda z: getattr(F, name)(z, 1),
        "module": {"softmax": nn.Softmax(1), "log_softmax": nn.LogSoftmax(1)}[name],
    }[how]
    plain, chosen = model(), model(lambda z, _: apply(z))
    chosen.module.load_state_dict(plain.module.state_dict())
    assert chosen.output_kind is None
    for _ in range(2):
        assert torch.equal(chosen.predict_logits(X), plain.predict_logits(X))
    assert torch.equal(chosen.predict_probabilities(X), plain.predict_probabilities(X))
    kind = {"softmax": "probabilities", "log_softmax": "log-probabilities"}[name]
    assert chosen.output_kind == kind
    assert chosen.notes == (f"the network returns {kind}: maps and metrics take the logits before its softmax",)
    assert (plain.output_kind, plain.notes) == ("logits", ())


def test_probabilities_without_a_softmax_stay_as_they_are() -> None:
    chosen = model(lambda z, _: z.exp() / z.exp().sum(1, keepdim=True))
    plain = model()
    plain.module.load_state_dict(chosen.module.state_dict())
    probabilities = chosen.predict_logits(X)
    torch.testing.assert_close(probabilities, plain.predict_probabilities(X))
    assert torch.equal(chosen.probabilities(probabilities), probabilities)
    assert torch.equal(chosen.predict_probabilities(X), probabilities)
    assert torch.equal(chosen.probabilities(torch.tensor([[1.0, 0.0, 0.0]])), torch.tensor([[1.0, 0.0, 0.0]]))
    assert chosen.notes == (
        "the network returns probabilities, and no softmax that gives them is found: maps explain the probabilities, "
        "not logits",
    )


def test_each_row_decides_for_itself_whether_it_is_a_distribution() -> None:
    rows = torch.tensor([[0.2, 0.3, 0.5], [2.0, 3.0, 5.0], [1.5, -0.5, 0.0], [0.4, 0.3, 0.2]])
    probabilities = model().probabilities(rows)
    assert torch.equal(probabilities[0], rows[0])
    assert torch.equal(probabilities[1:], rows[1:].softmax(1))
    for row, expected in zip(rows, probabilities, strict=True):
        assert torch.equal(model().probabilities(row[None])[0], expected)


def test_predictions_are_made_in_evaluation_mode_and_leave_the_network_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 8), nn.Dropout(0.5), nn.Flatten()).train()
    chosen = load_model(network, classes=CLASSES, input_size=8)
    assert torch.equal(chosen.predict_probabilities(X), chosen.predict_probabilities(X))
    assert not chosen.predict_logits(X).requires_grad
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
