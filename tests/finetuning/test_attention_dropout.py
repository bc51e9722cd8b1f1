"""`finetune --adl`: where features are dropped, what is dropped, and that the network is left as it was."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.models import resnet18

from interpfer import load_model
from interpfer.datasets.base import Dataset
from interpfer.errors import InterpferError
from interpfer.finetuning.accelerator import TrainingForward
from interpfer.finetuning.attention_dropout import FeatureDropout, find_dropout_layers, parse_rates
from interpfer.finetuning.recipe import Recipe
from interpfer.maps.capture import LayerRecorder
from interpfer.models.attention_dropout import AttentionDropout
from interpfer.models.model import Model
from interpfer.models.reference import ReferenceClassifier
from interpfer.models.small import SmallCNN
from tests.finetuning.trainings import QUICK, same, train, weights

CLASSES = ["anger", "fear", "sadness"]


def small() -> Model:
    torch.manual_seed(0)
    return load_model(
        SmallCNN(7, width=4), classes="rafdb", input_size=32, arch="interpfer:small", arch_args={"width": 4}
    )


def resnet() -> Model:
    torch.manual_seed(0)
    return load_model(resnet18(num_classes=3), classes=CLASSES, input_size=64)


def test_rate_and_threshold_are_two_numbers_between_0_and_1() -> None:
    assert parse_rates("0.75, 0.9") == parse_rates((0.75, 0.9)) == Recipe(adl="0.75,0.9").adl == (0.75, 0.9)
    assert parse_rates(None) is Recipe().adl is None
    for value in ("0.75", "0.75,1.5", "a,b", "0.1,0.2,0.3", (0.5,)):
        with pytest.raises(InterpferError) as caught:
            parse_rates(value)
        start = "adl must be RATE,THRESHOLD, two numbers between 0 and 1 such as 0.75,0.9, got"
        assert str(caught.value) == f"{start} '{value}'."


def test_features_are_dropped_where_choe_and_shim_drop_them_and_at_the_ends_of_stages_without_blocks() -> None:
    assert find_dropout_layers(resnet()) == ("layer3.0", "layer4.0", "layer4")
    assert find_dropout_layers(small()) == ("stages.2", "stages.3")


def test_the_mask_by_hand_in_each_layout() -> None:
    grid = torch.tensor([[[[4.0, 1.0], [2.0, 3.6]], [[4.0, 1.0], [0.0, 3.6]]]])  # attention 4, 1, 1, 3.6
    hidden = torch.tensor([[[[0.0, 1.0], [2.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]]])
    layer = AttentionDropout(rate=1.0, threshold=0.9)
    assert torch.equal(layer.drop(grid, "nchw"), hidden)
    assert torch.equal(layer.drop(grid.permute(0, 2, 3, 1), "nhwc"), hidden.permute(0, 2, 3, 1))
    token = torch.full((1, 1, 2), 9.0)
    tokens, kept = (torch.cat([token, each.flatten(2).mT], 1) for each in (grid, hidden))
    assert torch.equal(layer.drop(tokens, "tokens", 1), kept)
    weighed = AttentionDropout(rate=0.0, threshold=0.9).drop(tokens, "tokens", 1)
    torch.testing.assert_close(weighed[0, 1:, 0], grid[0, 0].flatten() * grid[0].mean(0).flatten().sigmoid())
    assert torch.equal(weighed[:, :1], token)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_gradients_pass_through_the_mask_and_the_weights(rate: float) -> None:
    torch.manual_seed(0)
    layer, features = AttentionDropout(rate, 0.9), torch.rand(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: layer.drop(x, "nchw"), features)


def test_a_training_forward_drops_behind_the_recorder_and_leaves_no_hook() -> None:
    model = resnet()
    recorder = LayerRecorder(model, ["layer4"])
    features: list[Tensor] = []
    handle = model.module.avgpool.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
    forward = TrainingForward(model.module, {}, [FeatureDropout(model, (1.0, 0.99))]).train()
    with recorder.attached():
        forward(torch.rand(2, 3, 64, 64), [(1.0, torch.tensor([0, 1]))])
    handle.remove()
    recorded = recorder.collect()["layer4"]
    attention = recorded.mean(1, keepdim=True)
    torch.testing.assert_close(features[0], recorded * (attention < 0.99 * attention.amax((2, 3), keepdim=True)))
    hidden = (features[0] == 0).all(1).flatten(1).float().mean(1)
    assert ((hidden > 0) & (hidden < 1)).all()
    assert not any(module._forward_hooks for module in model.module.modules())
    with torch.no_grad():
        forward.eval().module.layer3[0].training = True  # all others are as if they were frozen
        x, targets = torch.rand(2, 3, 64, 64), [(1.0, torch.tensor([0, 1]))]
        assert not torch.equal(forward(x, targets)[0], model.module(x))
        torch.testing.assert_close(forward.eval()(x, targets)[0], model.module(x))


def test_a_network_with_such_layers_gets_their_rates_instead() -> None:
    network = ReferenceClassifier(7, "resnet18", adl=True)
    model = load_model(network, classes="rafdb", input_size=64)
    assert FeatureDropout(model, (0.75, 0.9)).layers == ("encoder.layer3.1", "encoder.layer4.1", "encoder.layer4.3")
    own = [each for each in model.module.modules() if isinstance(each, AttentionDropout)]
    assert [(each.rate, each.threshold) for each in own] == [(0.75, 0.9)] * 3


def test_a_training_with_adl_differs_from_a_plain_one_and_resumes_to_the_same_bits(
    drawn: Dataset, tmp_path: Path
) -> None:
    recipe = replace(QUICK, adl="0.75,0.9")
    train(small(), drawn, tmp_path / "whole", recipe)
    train(small(), drawn, tmp_path / "plain", QUICK)
    assert not same(weights(tmp_path / "whole"), weights(tmp_path / "plain"))
    assert weights(tmp_path / "whole").keys() == weights(tmp_path / "plain").keys()

    class StoppedError(Exception):
        pass

    def stop(_: dict[str, object]) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        train(small(), drawn, tmp_path / "cut", recipe, report=stop)
    train(small(), drawn, tmp_path / "cut", recipe, resume=True)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    assert '"dropout_after": [\n' in (tmp_path / "whole" / "finetune.json").read_text()
