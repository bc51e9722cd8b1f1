"""TS-CAM: where the class token attends to, times where the patch tokens speak for the class.

The class map comes from the head that the network has, and is proven on the very batch: either the patch tokens are
pooled by one linear layer or convolution, as in a network that was built for TS-CAM, or the class token alone is read
by one linear layer, which is then asked about the patch tokens too.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.maps.base import ONE_PASS, RawMap, Scene, model_map
from interpfer.maps.capture import forward
from interpfer.maps.head import class_map, same_logits
from interpfer.maps.rollout import by_head, exposed, to_grid
from interpfer.models.model import Model


@model_map(source="TS-CAM, Gao et al. 2021, arXiv 2103.14862", layer=False, cost=ONE_PASS, inside=True)
def ts_cam(scene: Scene) -> RawMap:
    """Attention of the class token, mean over heads and blocks, times the class's map of the patch tokens; signed."""
    model, found = scene.model, list[Tensor]()
    layers = [layer for layer in model.spatial_layers if layer.layout == "tokens" and layer.calls == 1]
    if not layers or not layers[-1].prefix:
        raise ModelError("ts-cam needs a transformer with a class token.")
    last = layers[-1].name
    with exposed(model.module, found), forward(model, scene.x, [last], gradients=False) as seen:
        logits, tokens, patches = seen.logits, seen.outputs[last].float(), seen.activations[last]
    blocks = by_head(found, len(scene.x))
    looked = to_grid(torch.stack([block.mean(1) for block in blocks]).mean(0), scene)
    semantic = _of_class_token(model, tokens[:, 0], patches, logits, scene.targets)
    if semantic is None:
        semantic = class_map(model.module, patches, logits, scene.targets, model.precision)
    return looked * semantic


def _of_class_token(
    model: Model,
    token: Float[Tensor, "n c"],
    patches: Float[Tensor, "n c gh gw"],
    logits: Float[Tensor, "n k"],
    targets: Tensor,
) -> RawMap | None:
    """Ask the linear layer that reads the class token about each patch; None where no layer reads it alone."""
    for module in model.module.modules():
        if isinstance(module, nn.Linear) and module.weight.shape == (logits.shape[1], token.shape[1]):
            weight = module.weight.detach().float()
            bias = 0 if module.bias is None else module.bias.detach().float()
            if same_logits(token @ weight.T + bias, logits, model.precision):
                return torch.einsum("nc,nchw->nhw", weight[targets], patches)
    return None
