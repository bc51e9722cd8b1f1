"""What a user's network raises becomes one line: what it was given, and what may help."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import interpfer
from interpfer.errors import ModelError
from interpfer.models.failures import find_input_sizes
from interpfer.models.model import Model
from interpfer.models.program import Program

CLASSES = ["anger", "fear", "sadness"]


class Flattened(nn.Module):
    """Takes grey pictures of 48 pixels only."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU())
        self.fc = nn.Linear(8 * 12 * 12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).flatten(1))


class WithLandmarks(Flattened):
    def forward(self, x: Tensor, landmarks: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x) + 0 * landmarks


class OneByOne(Flattened):
    def forward(self, x: Tensor) -> Tensor:
        assert len(x) == 1, "one image at a time"
        return super().forward(x)


class Moved(Flattened):
    def forward(self, x: Tensor) -> Tensor:
        if not torch.cuda.is_available():
            raise AssertionError("Torch not compiled with CUDA enabled")
        return super().forward(x).cuda()


def load(network: nn.Module, **card: Any) -> Model:
    return interpfer.load_model(network, classes=CLASSES, **({"input_size": 48, "color": "gray"} | card))


@pytest.mark.parametrize(
    ("network", "card", "message"),
    [
        (
            Flattened, {"input_size": 112},
            r"model \w+: its forward raised RuntimeError: mat1 and mat2 shapes cannot be multiplied .*, "
            r"given 2 x 1 x 112 x 112 pixels in gray; pass --input-size: it runs at 48 pixels\.",
        ),
        (Flattened, {"color": "rgb"}, r"given 2 x 3 x 48 x 48 pixels in rgb; pass --color gray\."),
        (WithLandmarks, {}, r"TypeError.*it takes more than the images: write landmarks into forward_args of the card"),
        (OneByOne, {}, r"AssertionError: one image at a time, .*or pass --batch-size 1 if it takes one image\."),
        (Moved, {}, r"it moves tensors to a device of its own: pass --device, or remove \.cuda\(\) from its forward\."),
    ],
)  # fmt: skip
def test_a_forward_that_raises(network: Callable[[], nn.Module], card: dict[str, Any], message: str) -> None:
    if network is Moved and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    model = load(network(), **card)
    x = torch.zeros(2, *model.noise.shape[1:])
    with pytest.raises(ModelError, match=message):
        model.forward(x)


def test_what_interpfer_raises_stays_as_it_is() -> None:
    model = interpfer.load_model(Flattened(), classes=CLASSES[:2], input_size=48, color="gray")
    with pytest.raises(ModelError, match=r"must return 2 x 2 logits, got"):
        model.logits(torch.zeros(2, 1, 48, 48))


def test_sizes_are_those_at_which_the_forward_runs() -> None:
    network = Flattened()
    assert find_input_sizes(torch.zeros(2, 1, 64, 64), network) == (48,)
    pooled = nn.Sequential(network.features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    assert len(find_input_sizes(torch.zeros(2, 1, 64, 64), pooled)) > 20


@pytest.mark.parametrize("kind", ["refuses", "mixes"])
def test_a_program_of_one_image_gets_them_one_by_one(kind: str) -> None:
    """One refuses a batch; the other returns numbers for it that are not those of its images."""
    network = Flattened().eval()

    def run(x: Tensor) -> Tensor:
        if kind == "refuses" and len(x) != 1:
            raise RuntimeError("shape '[1, 1152]' is invalid for input of size 2304")
        return network(x) if len(x) == 1 else network(x.mean(0, keepdim=True)).expand(len(x), -1)

    program = Program(run, "TorchScript program", differentiable=True)
    x = torch.randn(5, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(program(x), network(x))
    assert program.batch == 1


def test_a_program_of_any_batch_keeps_it() -> None:
    network = Flattened().eval()
    program = Program(network, "TorchScript program", differentiable=True)
    x = torch.randn(5, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(program(x), network(x))
    assert program.batch is None


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_program_traced_with_one_image(tmp_path: Any) -> None:
    """``view(1, -1)`` is in the program: gradients flow through it all the same."""

    class Traced(Flattened):
        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.features(x).view(1, -1))

    network = Traced().eval()
    path = tmp_path / "traced.pt"
    torch.jit.trace(network, torch.zeros(1, 1, 48, 48)).save(str(path))
    model = interpfer.load_model(path, classes=CLASSES, input_size=48, color="gray")
    x = torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    expected = torch.cat([network(one[None]) for one in model.normalise(x)])
    torch.testing.assert_close(model.predict_logits(x), expected.detach())
