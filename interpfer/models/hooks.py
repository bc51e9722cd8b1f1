"""Forward hooks that leave the network as it was, its wrappers, and the tensor in the output of a module."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
import torch.utils.checkpoint as checkpointing
from torch import Tensor, nn

Hook = Callable[[nn.Module, Any, Any], Any]

GENERATORS = ("_checkpoint_without_reentrant_generator", "_checkpoint_without_reentrant_generator_impl")
"""Functions of torch, by version, that make the backward of a checkpointed function run it again."""


@contextmanager
def hooked(network: nn.Module, hooks: Mapping[nn.Module, Hook]) -> Iterator[None]:
    """Put a network into evaluation mode with frozen parameters and forward hooks.

    Hooks, the training mode of every submodule and ``requires_grad`` are restored afterwards, also after an error.
    Compiled submodules run uncompiled inside the block, as hooks in them would not fire, and gradient checkpointing is
    off, as it runs modules a second time in the backward; hooks pass over what other code runs there.

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
        handles += [module.register_forward_hook(in_forward(hook)) for module, hook in hooks.items()]
        with _uncompiled(network), _without_checkpointing():
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


def in_forward(hook: Hook) -> Hook:
    """Return a hook that does nothing while a backward runs: a module that runs there is recomputed."""

    def guarded(module: nn.Module, arguments: Any, output: Any) -> Any:
        is_backward = torch._C._current_graph_task_id() != -1
        return None if is_backward else hook(module, arguments, output)

    return guarded


@contextmanager
def _without_checkpointing() -> Iterator[None]:
    """Run what ``torch.utils.checkpoint`` wraps as it is, so that each module runs once and in the graph."""

    def run(function: Callable[..., Any], _: bool, *arguments: Any) -> Any:
        return function(*arguments)

    def keep_activations(*_: Any, **__: Any) -> Iterator[None]:
        yield

    names = [name for name in GENERATORS if hasattr(checkpointing, name)]
    changes: list[tuple[Any, str, Any]] = [(checkpointing.CheckpointFunction, "apply", staticmethod(run))]
    changes += [(checkpointing, name, keep_activations) for name in names]
    missing = object()
    before = [(owner, name, vars(owner).get(name, missing)) for owner, name, _ in changes]
    try:
        for owner, name, value in changes:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            if value is missing:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


def first_tensor(output: Any, part: int = 0) -> Tensor | None:
    """Return the output of a module if it is a tensor, else its first tensor or ``last_hidden_state``.

    Args:
        output: what the module returned.
        part: index of the tensor in a tuple or list.
    """
    if isinstance(output, Tensor):
        return output
    if isinstance(output, tuple | list) and len(output) > part and isinstance(output[part], Tensor):
        tensor: Tensor = output[part]
        return tensor
    hidden = getattr(output, "last_hidden_state", None)
    return hidden if isinstance(hidden, Tensor) else None


def replace_first(output: Any, tensor: Tensor, part: int = 0) -> Any:
    """Return the output of a module with ``tensor`` in place of ``first_tensor(output, part)``."""
    if isinstance(output, Tensor):
        return tensor
    if isinstance(output, tuple | list):
        parts = [*output[:part], tensor, *output[part + 1 :]]
        return parts if isinstance(output, list) else tuple(parts)
    output.last_hidden_state = tensor
    return output


def unwrap(module: nn.Module) -> nn.Module:
    """Return the network inside DataParallel and compiled wrappers."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if inner is None and isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = module.module
        if inner is None:
            return module
        module = inner
