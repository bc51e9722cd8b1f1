"""Finds the code that a Hugging Face folder would run."""

from collections.abc import Iterator, Mapping
from typing import Any


def find_code(config: Any, field: str = "") -> Iterator[str]:
    """Yield all that transformers would run or load beside its own code: classes, kernels, checkpoints of timm."""
    if isinstance(config, Mapping):
        for name, value in config.items():
            yield from find_code(value, "auto_map" if field == "auto_map" else str(name))
    elif isinstance(config, list):
        for value in config:
            yield from find_code(value, field)
    elif config is not None and (
        field in ("auto_map", "checkpoint_path") or (field.endswith("attn_implementation") and "/" in str(config))
    ):
        yield str(config)
