"""The attention probabilities of a transformer, recorded while it runs.

They are read from timm's attention (unfused meanwhile), the attention of Hugging Face models (eager meanwhile),
``nn.MultiheadAttention`` (with its weights returned, as in torchvision's ViT), and that of Keras.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


def attention_modules(network: nn.Module) -> list[nn.Module]:
    """Return the modules whose probabilities can be recorded, in the order of the network; of Keras, none."""
    return [module for module in network.modules() if _is_attention(module)]


def _is_attention(module: nn.Module) -> bool:
    if isinstance(module, nn.MultiheadAttention):
        return True
    if hasattr(module, "fused_attn") and isinstance(getattr(module, "attn_drop", None), nn.Module):
        return True
    has_config = hasattr(module, "config") and hasattr(module.config, "_attn_implementation")
    return has_config and any(isinstance(getattr(module, part, None), nn.Linear) for part in ("query", "q_proj"))


@contextmanager
def record_attention(
    network: nn.Module, recorded: list[Tensor], only: Collection[nn.Module] | None = None
) -> Iterator[None]:
    """Append the probabilities of attention modules to ``recorded``; the network is restored afterwards.

    Args:
        network: the network.
        recorded: list to append to.
        only: modules among which those of interest are; None for all of the network.
    """
    handles: list[Any] = []
    restore: list[tuple[Any, str, Any]] = []

    def change(owner: Any, name: str, value: Any) -> None:
        restore.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    def request_weights(_: nn.Module, arguments: Any, keywords: dict[str, Any]) -> Any:
        return arguments, keywords | {"need_weights": True, "average_attn_weights": False}

    def record_second(_: nn.Module, __: Any, output: Any) -> None:
        if isinstance(output, tuple) and len(output) > 1 and isinstance(output[1], Tensor):
            weights, base = output[1], output[1]._base
            recorded.append(weights if base is None or base.grad_fn is None else base)  # a view has no gradient

    def record(_: nn.Module, __: Any, output: Any) -> Any:
        recorded.append(output)
        return output

    def request_scores(_: nn.Module, arguments: Any, keywords: dict[str, Any]) -> Any:
        return arguments, keywords | {"return_attention_scores": True}

    def record_scores(_: nn.Module, __: Any, output: Any) -> Any:
        recorded.append(output[1])
        return output[0]

    try:
        for module in network.modules():
            if only is not None and module not in only:
                continue
            if isinstance(module, nn.MultiheadAttention):
                handles.append(module.register_forward_pre_hook(request_weights, with_kwargs=True))
                handles.append(module.register_forward_hook(record_second))
            elif type(module).__name__ == "MultiHeadAttention" and type(module).__module__.startswith("keras."):
                handles.append(module.register_forward_pre_hook(request_scores, with_kwargs=True))
                handles.append(module.register_forward_hook(record_scores))
            elif hasattr(module, "fused_attn") and isinstance(getattr(module, "attn_drop", None), nn.Module):
                change(module, "fused_attn", False)
                handles.append(module.get_submodule("attn_drop").register_forward_hook(record))
            elif hasattr(module, "config") and hasattr(module.config, "_attn_implementation"):
                if all(owner is not module.config for owner, _, _ in restore):
                    change(module.config, "_attn_implementation", "eager")
                if any(isinstance(getattr(module, part, None), nn.Linear) for part in ("query", "q_proj")):
                    handles.append(module.register_forward_hook(record_second))
        yield
    finally:
        for handle in handles:
            handle.remove()
        for owner, name, value in reversed(restore):
            setattr(owner, name, value)
