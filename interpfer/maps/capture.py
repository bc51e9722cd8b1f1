"""One forward and one backward give the activations and gradients of all chosen layers.

The network is left as it was found (hooks, train/eval of every submodule, ``requires_grad``, ``.grad``), also when
something raises. Gradients are taken towards the layers alone: parameters are frozen meanwhile, and the graph begins at
the shallowest chosen layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.hooks import first_tensor, hooked, replace_first
from interpfer.models.model import Model


@dataclass(frozen=True)
class LayerCapture:
    """What one layer showed.

    Attributes:
        activation: (n, c, gh, gw), float32.
        gradient: (n, c, gh, gw) of the target logit, zero for a face without a target; None if not asked for.
    """

    activation: Float[Tensor, "n c gh gw"]
    gradient: Float[Tensor, "n c gh gw"] | None


@dataclass(frozen=True)
class Capture:
    """What a batch showed.

    Attributes:
        logits: (n, k), float32.
        targets: (n,) class index; -1 for none.
        layers: per layer name.
    """

    logits: Float[Tensor, "n k"]
    targets: Int[Tensor, " n"]
    layers: dict[str, LayerCapture]


def capture(
    model: Model,
    x: Float[Tensor, "n c s s"],
    layers: Sequence[str],
    targets: Int[Tensor, " n"] | None = None,
    gradients: bool = True,
) -> Capture:
    """Run a batch once and keep what the layers showed.

    Args:
        model: the classifier.
        x: prepared input (``Model.preprocess``).
        layers: names of spatial layers.
        targets: class index per face, -1 for none; None takes the predicted class.
        gradients: whether to go backward.

    Raises:
        ModelError: a layer did not run, or ran more than once.
    """
    outputs: dict[str, list[Tensor]] = {name: [] for name in layers}
    names = {model.module.get_submodule(name): name for name in layers}

    def keep(module: nn.Module, _: Any, output: Any) -> Any:
        tensor = first_tensor(output)
        assert tensor is not None
        if gradients and not tensor.requires_grad:
            tensor = tensor.detach().requires_grad_()
        outputs[names[module]].append(tensor)
        return replace_first(output, tensor.clone())  # the next module may work in place

    with hooked(model.module, dict.fromkeys(names, keep)), torch.set_grad_enabled(gradients):
        logits = model.logits(x)
        for name, calls in outputs.items():
            if len(calls) != 1:
                raise ModelError(
                    f"layer {name} of model {model.name} ran {len(calls)} times in one forward; "
                    "choose one that runs once."
                )
        kept = {name: calls[0] for name, calls in outputs.items()}
        if targets is None:
            targets = logits.argmax(1)
        slopes: Sequence[Tensor | None] = [None] * len(kept)
        if gradients:
            targets = targets.to(logits.device)
            chosen = logits.gather(1, targets.clamp(min=0)[:, None])[:, 0]
            slopes = torch.autograd.grad((chosen * (targets >= 0)).sum(), list(kept.values()))
    return Capture(
        logits.detach(),
        targets,
        {
            name: LayerCapture(
                model.to_grid(name, activation.detach()).float(),
                None if slope is None else model.to_grid(name, slope).float(),
            )
            for (name, activation), slope in zip(kept.items(), slopes, strict=True)
        },
    )
