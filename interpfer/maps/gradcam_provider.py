"""Maps that pytorch-grad-cam computes.

Its errors are avoided: one target layer and one target per image, parameters stay frozen and without gradients, modules
that work in place get a copy, train/eval is restored, and an exception becomes one clear error. Its maps are min-max
normalised per image.
"""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import InterpferError, ModelError
from interpfer.maps.base import MANY_PASSES, MapContext, RawMap, layer_map, model_map
from interpfer.maps.capture import LayerCapture
from interpfer.models.hooks import first_tensor, replace_first
from interpfer.models.keras_network.network import KerasNetwork
from interpfer.models.layers import split_call
from interpfer.models.model import Model

PROVIDER = "pytorch-grad-cam"


class Logits(nn.Module):
    """A model for other libraries: a module that returns logits, and keeps the gradients of its parameters."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = model.module
        self._model = model

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self._model.logits(x)

    def zero_grad(self, set_to_none: bool = True) -> None:  # noqa: ARG002
        """Keep the gradients of the parameters."""


def require_torch_layers(model: Model, name: str) -> None:
    """Check that the layers of a network are those of torch, for a library that tells them apart by their types.

    Raises:
        ModelError: they are those of Keras, which the library would pass over without a word.
    """
    if isinstance(model.module, KerasNetwork):
        raise ModelError(f"{name} needs layers of torch, by whose types it computes; this model has those of Keras.")


@contextmanager
def add_problem(name: str, provider: str) -> Iterator[None]:
    """Turn any exception of a library into one error that names the map; hide its warnings and prints."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        except InterpferError:
            raise
        except Exception as error:
            cause = (str(error).strip() or "no reason given").splitlines()[0]
            raise ModelError(
                f"{provider} cannot compute {name} for this model: {type(error).__name__}: {cause}"
            ) from error


@model_map(
    source="Srinivas and Fleuret 2019, arXiv 1905.00780", layer=False, gradient=True, provider=PROVIDER, inside=True
)
def fullgrad(context: MapContext) -> RawMap:
    """Absolute input gradient times input, plus that of every bias."""
    from pytorch_grad_cam import FullGrad

    require_torch_layers(context.model, "fullgrad")
    return _compute_by_image("fullgrad", context, lambda network, _, __: FullGrad(network, []), spatial=False)


@model_map(source="Finer-CAM, Zhang et al. 2025, arXiv 2501.11309", layer=True, gradient=True, provider=PROVIDER)
def finer_cam(context: MapContext) -> RawMap:
    """Grad-CAM of the target logit against those of the three most similar classes."""
    from pytorch_grad_cam import FinerCAM

    return _compute_by_image("finer-cam", context, FinerCAM, finer=True)


@model_map(source="Shapley-CAM, Cai 2025, arXiv 2501.06261", layer=True, gradient=True, provider=PROVIDER)
def shapley_cam(context: MapContext) -> RawMap:
    """ReLU of the channels weighted by gradient and Hessian."""
    from pytorch_grad_cam import ShapleyCAM

    require_torch_layers(context.model, "shapley-cam")

    class Shapley(ShapleyCAM):  # type: ignore[misc]
        def get_cam_weights(self, x: Any, layer: Any, targets: Any, activations: Tensor, grads: Tensor) -> Any:
            if grads.requires_grad:
                return super().get_cam_weights(x, layer, targets, activations, grads)
            weights = context.model.to_grid(context.layer, grads).mean((2, 3))  # linear: no Hessian
            return weights.cpu().numpy()

    return _compute_by_image("shapley-cam", context, Shapley)


@layer_map(source="KPCA-CAM, Karmani et al. 2024, arXiv 2410.00267", provider=PROVIDER, cost=MANY_PASSES)
def kpca_cam(layer: LayerCapture) -> RawMap:
    """ReLU of the first kernel principal component, the larger extreme positive; slow on large grids."""
    with add_problem("kpca-cam", PROVIDER):
        from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection_kernel

        maps = [torch.from_numpy(get_2d_projection_kernel(one[None].cpu().numpy())) for one in layer.activation]
    raw = torch.cat(maps).to(layer.activation)
    low, high = raw.amin((1, 2), keepdim=True), raw.amax((1, 2), keepdim=True)
    return (raw * torch.where(-low > high, -1, 1)).relu()


def _compute_by_image(
    name: str, context: MapContext, method: Callable[..., Any], spatial: bool = True, finer: bool = False
) -> Float[Tensor, "n gh gw"]:
    """Run a class of pytorch-grad-cam image by image."""
    with add_problem(name, PROVIDER):
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        network, maps = Logits(context.model), []
        layer = context.model.module.get_submodule(split_call(context.layer)[0]) if spatial else None
        for x, target in zip(context.x.detach(), context.targets.tolist(), strict=True):
            grid = context.model.layer(context.layer).grid if spatial else tuple(x.shape[-2:])
            extractor = method(network, [layer], lambda output: context.model.to_grid(context.layer, output))
            base = extractor.base_cam if finer else extractor
            base.get_target_width_height = lambda _, grid=grid: grid[::-1]
            with _copied(layer), torch.enable_grad(), _released(base):
                picture = x[None].clone().requires_grad_()
                if finer:
                    result = extractor(picture, None, target_idx=target)
                else:
                    result = extractor(picture, [ClassifierOutputTarget(target)])
            maps.append(torch.from_numpy(np.asarray(result, np.float32)))
    return torch.cat(maps).to(context.x.device)


@contextmanager
def _released(base: Any) -> Iterator[None]:
    try:
        yield
    finally:
        base.activations_and_grads.release()


@contextmanager
def _copied(layer: nn.Module | None) -> Iterator[None]:
    """Pass on a copy of the layer's output, since the next module may work in place."""

    def copy(_: nn.Module, __: Any, output: Any) -> Any:
        tensor = first_tensor(output)
        return None if tensor is None else replace_first(output, tensor.clone())

    if layer is None:
        yield
        return
    handle = layer.register_forward_hook(copy)
    try:
        yield
    finally:
        handle.remove()
