"""Forward hooks that leave the network as it was, and the tensor in the output of a module."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

Hook = Callable[[nn.Module, Any, Any], Any]


@contextmanager
def hooked(network: nn.Module, hooks: Mapping[nn.Module, Hook]) -> Iterator[None]:
    """Put a network into evaluation mode with frozen parameters and forward hooks.

    Hooks, the training mode of every submodule and ``requires_grad`` are restored afterwards, also after an error.
    Compiled submodules run uncompiled inside the block, as hooks in them would not fire.

    Args:
        network: the network.
        hooks: module -> hook, as for ``register_forward_hook``.
    """
    training = {module: module.training for module in network.modules()}
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    handles = []
    try:
        for module in training:
            module.training = False
        for parameter in trainable:
            parameter.requires_grad_(False)
        handles += [module.register_forward_hook(hook) for module, hook in hooks.items()]
        with _uncompiled(network):
            yield
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode
        for parameter in trainable:
            parameter.requires_grad_()


def _uncompiled(network: nn.Module) -> AbstractContextManager[Any]:
    compiled = any(hasattr(m, "_orig_mod") or m._compiled_call_impl is not None for m in network.modules())
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


def first_tensor(output: Any) -> Tensor | None:
    """Return the output of a module if it is a tensor, else its first tensor or ``last_hidden_state``."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, tuple | list) and output and isinstance(output[0], Tensor):
        return output[0]
    hidden = getattr(output, "last_hidden_state", None)
    return hidden if isinstance(hidden, Tensor) else None


def replace_first(output: Any, tensor: Tensor) -> Any:
    """Return the output of a module with ``tensor`` in place of ``first_tensor(output)``."""
    if isinstance(output, Tensor):
        return tensor
    if isinstance(output, tuple):
        return (tensor, *output[1:])
    if isinstance(output, list):
        return [tensor, *output[1:]]
    output.last_hidden_state = tensor
    return output
