"""The image processor of a Hugging Face folder as the field ``input`` of a card."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from interpfer.choices import INTERPOLATIONS
from interpfer.models.hugging_face_clips import takes_clips
from interpfer.models.input import describe_input, parse_input
from interpfer.models.messages import first_line
from interpfer.models.readers.proof import PublishedInput, prove
from interpfer.models.readers.signatures import read_json
from interpfer.models.readers.transforms import read_transforms

FILES = ("preprocessor_config.json", "processor_config.json")
"""Files with the settings of an image processor."""

RESAMPLE = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""Interpolations in the order of Pillow's numbers."""

DEFAULT_SIZE = 224
"""Input size where neither an image processor nor the config gives one."""

LEVIT_RATIO = 256 / 224
"""Size before the crop over ``shortest_edge`` in the image processor of LeViT."""

CONVNEXT_WHOLE = 384
"""Smallest size at which the image processor of ConvNext resizes the whole picture."""

UNDERSTOOD = {
    *("do_resize", "do_rescale", "do_normalize", "do_center_crop", "do_convert_rgb", "do_flip_channel_order"),
    *("do_reduce_labels", "crop_pct", "include_top", "rescale_offset", "size", "crop_size", "resample"),
    *("rescale_factor", "image_mean", "image_std", "default_to_square"),
}
"""Settings that a card can say, or that have no effect on classification."""


def read_processor(path: Path, config: Any, trust: bool) -> PublishedInput:
    """Return the input that the image processor in a folder prepares.

    Args:
        path: folder with config.json and weights.
        config: the config of the network, a ``PretrainedConfig``.
        trust: allow code of the folder to run.
    """
    file = next((path / name for name in FILES if read_json(path / name)), None)
    is_timm = getattr(config, "model_type", "") == "timm_wrapper"
    if file is None and not is_timm:
        return _assume(path, config)
    where = str(file or path / "config.json")
    try:
        from transformers import AutoImageProcessor

        load: Any = AutoImageProcessor.from_pretrained
        processor = load(str(path), local_files_only=True, trust_remote_code=trust)
    except Exception as error:  # the file may hold anything
        return PublishedInput(
            {}, f"{where} cannot be read as an image processor: {type(error).__name__}: {first_line(error)}"
        )
    if hasattr(processor, "val_transforms"):
        return read_transforms(processor.val_transforms, f"{where}: pretrained_cfg")

    def publisher(picture: Image.Image) -> Tensor:
        given = {} if takes_clips(str(getattr(config, "model_type", ""))) else {"images": picture}
        values = processor(*([] if given else [[picture]]), **given, return_tensors="pt")["pixel_values"]
        assert isinstance(values, Tensor)
        return values[0] if given else values[0, 0]

    colors = _read_colors(processor)
    candidates = ({**colors, **fields} for fields in _list_geometries(processor))
    return prove(candidates, publisher, where, ", ".join(_suspects(processor)))


def _assume(path: Path, config: Any) -> PublishedInput:
    """Return the defaults of the library's processor for this kind of network, for the size of its config."""
    size = getattr(config, "image_size", None) or getattr(getattr(config, "vision_config", None), "image_size", None)
    size = size[0] if isinstance(size, Sequence) and len(set(size)) == 1 else size
    source = "image_size of config.json" if isinstance(size, int) else "a guess"
    processor = _default_processor(config)
    fields: dict[str, Any] = {"size": size if isinstance(size, int) else DEFAULT_SIZE}
    kind = "RGB in [0, 1]"
    if processor is not None:
        fields |= _read_colors(processor) | _read_resize(processor)
        kind = f"colours and interpolation of a {type(processor).__name__}"
    spec = parse_input(fields, str(path))
    described = ", ".join(f"{name} {value}" for name, value in describe_input(spec).items())
    note = (
        f"no {FILES[0]} beside the weights: assumed the {kind}, and the size ({source}): {described}; copy the file, "
        "or write input into a card"
    )
    return PublishedInput(describe_input(spec), note=note)


def _default_processor(config: Any) -> Any:
    """Return the image processor that the library has for a kind of network, with its defaults; None if it has none."""
    try:
        from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING

        kinds: Any = IMAGE_PROCESSOR_MAPPING[type(config)]
    except Exception:  # the library knows no processor for this kind
        return None
    choices = list(kinds.values()) if isinstance(kinds, Mapping) else kinds
    choices = list(choices) if isinstance(choices, Sequence) else [choices]
    for kind in choices:
        try:
            return kind()
        except Exception:  # a package is missing, or None stands for a class
            continue
    return None


def _read_colors(processor: Any) -> dict[str, Any]:
    """Return color, scale, offset, mean and std."""
    scale = 255.0
    if _is_on(processor, "do_rescale"):
        scale = float(getattr(processor, "rescale_factor", 1 / 255)) * 255
        scale = float(round(scale)) if abs(scale - round(scale)) < 1e-6 else scale
    fields: dict[str, Any] = {"scale": scale}
    std = _numbers(getattr(processor, "image_std", None) or 1.0)
    if _is_on(processor, "do_normalize"):
        fields |= {"mean": _numbers(getattr(processor, "image_mean", None) or 0.0), "std": std}
    if _is_on(processor, "rescale_offset"):
        fields["offset"] = 1.0
    if _is_on(processor, "include_top"):
        fields["std"] = [a * b for a, b in zip(fields.get("std", [1.0] * len(std)), std, strict=True)]
    if _is_on(processor, "do_flip_channel_order"):
        fields["color"] = "bgr"
    return fields


def _list_geometries(processor: Any) -> Iterator[dict[str, Any]]:
    """Yield the fields that resize and crop may mean; classes of processors read the same settings differently."""
    fields: dict[str, Any] = {**_read_resize(processor), "crop_corner": "floor"}
    crop = None
    if _is_on(processor, "do_center_crop"):
        crop = _side(processor, "crop_size", "height") or _side(processor, "crop_size", "shortest_edge")
    if not _is_on(processor, "do_resize"):
        yield fields | ({"crop": crop} if crop else {})
        return
    height, width, short = (_side(processor, "size", name) for name in ("height", "width", "shortest_edge"))
    if short is None and height is None:
        yield fields
        return
    percent = getattr(processor, "crop_pct", None)
    sizes: list[Any] = [short] if short else [(height, width)]
    side = short or height
    assert side is not None
    if percent:
        sizes.insert(0, int(side / percent))
    if short:
        sizes.append(int(LEVIT_RATIO * short))
    for resize in sizes:
        for corner in ("floor", "round"):
            if crop:
                yield fields | {"resize": resize, "crop": crop, "crop_corner": corner}
            if percent and side < CONVNEXT_WHOLE:
                yield fields | {"resize": resize, "crop": side, "crop_corner": corner}
    yield fields | {"size": side, "crop_corner": "round"}


def _suspects(processor: Any) -> list[str]:
    """Return the settings to name if the processor cannot be repeated: those that cards cannot say, else all."""
    settings = processor.to_dict()
    unknown = [name for name, value in settings.items() if name.startswith("do_") and value and name not in UNDERSTOOD]
    names = ("size", "crop_size", "crop_pct", "resample", "rescale_factor", "image_mean", "image_std")
    return unknown or [name for name in names if settings.get(name) is not None]


def _is_on(processor: Any, name: str) -> bool:
    return bool(getattr(processor, name, False))


def _interpolation(processor: Any) -> str:
    value = getattr(processor, "resample", None)
    value = getattr(value, "value", value)
    if isinstance(value, int) and 0 <= value < len(RESAMPLE):
        return RESAMPLE[value]
    return value if isinstance(value, str) and value in INTERPOLATIONS else "bilinear"


def _read_resize(processor: Any) -> dict[str, Any]:
    is_tensor = getattr(processor, "backend", "") == "torchvision"
    return {"interpolation": _interpolation(processor), "rounded": "torchvision" if is_tensor else "pillow"}


def _side(processor: Any, name: str, key: str) -> int | None:
    size = getattr(processor, name, None)
    value = size.get(key) if isinstance(size, Mapping) else getattr(size, key, size if isinstance(size, int) else None)
    return int(value) if value else None


def _numbers(value: Any) -> list[float]:
    return [float(item) for item in value] if isinstance(value, Sequence) else [float(value)]
