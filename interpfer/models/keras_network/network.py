"""A Keras model as a network of torch.

Keras layers on the torch backend are modules, but a model does not list its layers as children. Here they are, under
their own names, so that hooks, freezing and names of layers work as in any other network.
"""

import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Variable

from interpfer.errors import ModelError
from interpfer.models.keras_network.backend import import_keras, standard_settings

CHANNELS = (1, 3)
"""Numbers of channels of images."""


class KerasNetwork(nn.Module):
    """A Keras model that takes (n, c, h, w) and returns what the model returns; a list of one output is that output.

    Args:
        model: the Keras model, on the torch backend.
        has_trust: whether code in it may run when it is copied.

    Attributes:
        layout: "nhwc" or "nchw", the order of the axes of its layers' outputs.
        image_shape: (channels, height, width) of its input; None for a side that may have any size.
        keras_model: the Keras model itself.
    """

    keras_model: Any

    def __init__(self, model: Any, has_trust: bool = False) -> None:
        super().__init__()
        self.__dict__["keras_model"] = model  # no child, as its parameters are those of its layers
        self.has_trust = has_trust
        self.image_shape, self._is_turned = _describe_input(model)
        self.layout = "nhwc" if self._is_turned else "nchw"
        _add_layers(self, model.layers)
        for layer in self.modules():
            if layer is not self and not isinstance(layer, nn.ParameterDict | nn.ParameterList):
                layer.register_forward_pre_hook(_use_own_mode, with_kwargs=True)
                if "Conv" in type(layer).__name__:
                    layer.register_forward_hook(_guard_weights)

    def forward(self, x: Tensor) -> Any:
        """Run the model; in training mode as Keras trains, with dropout and statistics of the batch."""
        keras = import_keras()
        inputs = x.permute(0, 2, 3, 1) if self._is_turned else x
        with keras.device(str(x.device)):
            output = self.keras_model(inputs, training=self.training)
        is_list = isinstance(output, list | tuple) and len(output) == 1
        return output[0] if is_list else output

    def __reduce__(self) -> Any:
        """Pickle and copy the model as Keras saves it, with the mode and the frozen parameters."""
        modes = [module.training for module in self.modules()]
        grads = [parameter.requires_grad for parameter in self.parameters()]
        device = next((str(parameter.device) for parameter in self.parameters()), "cpu")
        return _restore, (_save(self.keras_model), self.has_trust, modes, grads, device)


def as_network(module: nn.Module) -> nn.Module:
    """Return a module, or the network of a Keras model in memory, whose axes are in another order."""
    keras = sys.modules.get("keras")
    is_keras = keras is not None and isinstance(module, getattr(keras, "Model", ()))
    return KerasNetwork(module) if is_keras else module


def _save(model: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras converts tensors as numpy 1 does
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def _restore(content: bytes, has_trust: bool, modes: list[bool], grads: list[bool], device: str) -> KerasNetwork:
    network = KerasNetwork(load_archive(content, has_trust), has_trust)
    for module, mode in zip(network.modules(), modes, strict=True):
        module.training = mode
    for parameter, grad in zip(network.parameters(), grads, strict=True):
        parameter.requires_grad_(grad)
    return network.to(device)


def load_archive(content: bytes, has_trust: bool) -> Any:
    """Return the Keras model in the bytes of a ``.keras`` file."""
    keras = import_keras()
    with tempfile.TemporaryDirectory() as folder, standard_settings(keras), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.keras"
        path.write_bytes(content)
        return keras.models.load_model(path, compile=False, safe_mode=not has_trust)


def _describe_input(model: Any) -> tuple[tuple[int, int | None, int | None], bool]:
    """Return (channels, height, width), and whether the input is channels last.

    Raises:
        ModelError: the model does not take one batch of images.
    """
    inputs = getattr(model, "inputs", None) or []
    shapes = [tuple(each.shape) for each in inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise ModelError(f"a Keras model must take one batch of images (n, height, width, channels), got {shapes}.")
    _, first, second, third = shapes[0]
    if third in CHANNELS:
        return (third, first, second), True
    if first in CHANNELS:
        return (first, second, third), False
    raise ModelError(f"a Keras model must take grey or colour images, got an input of shape {shapes[0]}.")


def _add_layers(parent: nn.Module, layers: list[Any]) -> None:
    """Register layers as children, and the layers of a model inside a model as children of that one."""
    known = {id(child) for child in parent._modules.values()}
    for layer in layers:
        if id(layer) in known or type(layer).__name__ == "InputLayer":
            continue
        name = _free_name(parent, layer.name.replace(".", "_"))
        parent._modules[name] = layer
        inner = [each for each in _list_inner(layer) if each is not layer]
        _add_layers(layer, inner)


def _list_inner(layer: Any) -> Iterator[Any]:
    if hasattr(layer, "layers"):
        yield from layer.layers
    else:
        yield from layer._flatten_layers(recursive=False, include_self=False)


def _free_name(parent: nn.Module, name: str) -> str:
    taken = {*vars(parent), *parent._modules, *dir(type(parent))}
    while name in taken:
        name += "_"
    return name


def _use_own_mode(module: nn.Module, arguments: Any, keywords: dict[str, Any]) -> Any:
    """Let each layer follow its own ``training``, as modules of torch do: a frozen one may be in evaluation mode."""
    if "training" in keywords:
        keywords = keywords | {"training": module.training}
    return arguments, keywords


def _guard_weights(module: nn.Module, _: Any, output: Any) -> None:
    """Compute gradients of the weights of convolutions without oneDNN.

    With it a convolution that steps by more than its kernel writes out of bounds (torch 2.13 and 2.14), as Keras passes
    turned tensors.
    """
    if isinstance(output, Tensor) and output.requires_grad and any(p.requires_grad for p in module.parameters()):
        output.register_hook(_switch_off)  # type: ignore[no-untyped-call]


def _switch_off(_: Tensor) -> None:
    """Switch oneDNN off until the end of the backward that runs."""
    if torch._C._get_mkldnn_enabled():
        torch._C._set_mkldnn_enabled(False)
        Variable._execution_engine.queue_callback(lambda: torch._C._set_mkldnn_enabled(True))
