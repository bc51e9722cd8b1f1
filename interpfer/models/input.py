"""Model input: the ``input`` of a model card.

input: {size: 112, color: rgb, scale: 1, mean: [0, 0, 0], std: [1, 1, 1]}     # x = (pixel/255*scale - mean)/std
input: {size: 224, mean: imagenet}                                            # the same by name
input: {resize: 256, crop: 224, interpolation: bicubic, rounded: true}        # the centre of a larger picture
input: {size: 112, frames: 16, layout: ncthw}                                 # clips of 16 frames

``interpfer.models.preparation`` does what it says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from interpfer.choices import COLORS, INTERPOLATIONS
from interpfer.errors import ModelError, nearest
from interpfer.models.input_fields import CLIP_LAYOUTS, CONVERTERS, CROP_CORNERS, ROUNDED
from interpfer.models.normalisations import NORMALISATIONS, expand_names, parse_color, require_same_unit

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey image (ITU-R BT.601)."""

FIELDS = (
    *("size", "color", "scale", "mean", "std"),
    *("resize", "crop", "crop_corner", "interpolation", "antialias", "rounded", "pad", "flip_channels", "offset"),
    *("frames", "layout"),
)
"""Fields of ``input``."""

GEOMETRY = ("resize", "crop", "crop_corner", "interpolation", "antialias", "rounded", "pad")
"""Fields that say how a picture becomes a square of the input size."""

CLIP = ("frames", "layout")
"""Fields that say how pictures become clips."""

ALIASED = ("nearest", "bilinear", "bicubic")
"""Interpolations that exist without antialiasing."""


@dataclass(frozen=True, repr=False)
class InputSpec:
    """Input of a model: x = (pixel / 255 * scale - mean) / std, at size x size.

    Attributes:
        size: side in pixels.
        color: "rgb", "bgr", "gray" or "gray3".
        scale: factor on pixels in [0, 1]; 255 for a model that expects bytes.
        mean: one value, or one per channel in the model's channel order; an offset is added to it.
        std: standard deviation, likewise.
        resize: size before the crop: of the shorter side, or (height, width); None for that of the picture.
        crop: side of the square that is cut out of the centre; None for the whole picture.
        crop_corner: corner of a crop with an odd margin: "round" to even as torchvision, or "floor" as transformers.
        interpolation: kind of every resize.
        antialias: whether a picture that is shrunk is smoothed.
        rounded: whose arithmetic of bytes each resize has, "pillow" or "torchvision"; "" for no rounding.
        pad: red, green and blue in bytes of the border that makes a picture square first; None for no border.
        frames: number of frames of the clips that the network takes; 1 for one that takes pictures.
        layout: order of the axes of a batch of clips, one of ``CLIP_LAYOUTS``.
    """

    size: int = 224
    color: str = "rgb"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    resize: int | tuple[int, int] | None = None
    crop: int | None = None
    crop_corner: str = "round"
    interpolation: str = "bilinear"
    antialias: bool = True
    rounded: str = ""
    pad: tuple[int, int, int] | None = None
    frames: int = 1
    layout: str = CLIP_LAYOUTS[0]

    def __repr__(self) -> str:
        """Return the fields; those after ``std`` only where they are set, so that identities of old cards stay."""
        always = ("size", "color", "scale", "mean", "std")
        shown = [
            f"{each.name}={getattr(self, each.name)!r}"
            for each in fields(self)
            if each.name in always or getattr(self, each.name) != each.default
        ]
        return f"InputSpec({', '.join(shown)})"

    @property
    def is_whole(self) -> bool:
        """Whether the network sees the whole picture and nothing else."""
        return self.resize is None and self.crop is None and self.pad is None

    @property
    def picture_size(self) -> int:
        """Side of a square picture that is neither enlarged nor shrunk before the crop."""
        sides = self.resize if isinstance(self.resize, tuple) else (self.resize or self.crop or self.size,)
        return min(sides)

    @property
    def is_plain(self) -> bool:
        """Whether the picture is prepared by a plain resize: bilinear, antialiased, not rounded."""
        return self.is_whole and self.interpolation == "bilinear" and self.antialias and not self.rounded

    def at(self, size: int) -> "InputSpec":
        """Return the same input at another size: it shows the same part of a picture, up to a pixel of the resize.

        Examples:
            >>> InputSpec(224, resize=256, crop=224).at(256)
            InputSpec(size=256, color='rgb', scale=1.0, mean=(0.0,), std=(1.0,), resize=293, crop=256)
        """
        factor = size / self.size
        if size == self.size or self.resize is None or self.crop is None:
            return replace(self, size=size)
        height_width = self.resize if isinstance(self.resize, tuple) else (self.resize,)
        scaled = tuple(max(round(side * factor), 1) for side in height_width)
        resize = (scaled[0], scaled[1]) if len(scaled) == 2 else scaled[0]
        return replace(self, size=size, resize=resize, crop=max(round(self.crop * factor), 1))


def parse_input(raw: Any, where: str) -> InputSpec:
    """Check the field ``input`` of a card.

    Args:
        raw: the field, as read from YAML.
        where: name of the card, for messages.

    Raises:
        ModelError: a field is unknown, has a wrong value or contradicts another one; the message names it.

    Examples:
        >>> parse_input({"size": 64, "mean": "half"}, "model.yaml")
        InputSpec(size=64, color='rgb', scale=1.0, mean=(0.5,), std=(0.5,))
        >>> parse_input({"resize": 256, "crop": 224}, "model.yaml").size
        224
    """
    if not isinstance(raw, Mapping):
        raise ModelError(f"model card {where}: input must be a mapping such as {{size: 112}}, got {raw!r}.")
    for name in raw:
        if name not in FIELDS:
            raise ModelError(
                f"model card {where}: input: unknown field '{name}'.{nearest(str(name), FIELDS)} "
                f"Known: {', '.join(FIELDS)}."
            )
    spec = InputSpec()
    values: dict[str, Any] = {}
    for name, value in expand_names(_resolve_flip(raw, where), where).items():
        convert, kind = CONVERTERS[name]
        try:
            values[name] = convert(value)
        except (TypeError, ValueError, OverflowError):
            raise ModelError(f"model card {where}: input.{name} must be {kind}, got {value!r}.") from None
    offset = values.pop("offset", 0.0)
    if values.get("crop") is not None:
        values.setdefault("size", values["crop"])
    spec = replace(spec, **values)
    _require_geometry(spec, where)
    _require_colors(spec, where)
    require_same_unit(spec.mean, spec.std, spec.scale, where)
    return replace(spec, mean=tuple(value + offset for value in spec.mean)) if offset else spec


def describe_input(spec: InputSpec) -> dict[str, Any]:
    """Return the shortest fields of a card that mean this input; a known normalisation is written by its name.

    Examples:
        >>> describe_input(InputSpec(112, "rgb", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        {'size': 112, 'color': 'rgb', 'mean': 'imagenet'}
        >>> describe_input(InputSpec(224, resize=(256, 256), crop=224, rounded="pillow"))
        {'size': 224, 'color': 'rgb', 'resize': [256, 256], 'crop': 224, 'rounded': 'pillow'}
    """
    plain = InputSpec()
    extra = {name: getattr(spec, name) for name in (*GEOMETRY, *CLIP)}
    extra = {name: value for name, value in extra.items() if value != getattr(plain, name)}
    written = {name: [*value] if isinstance(value, tuple) else value for name, value in extra.items()}
    for name in NORMALISATIONS:
        fields = {"size": spec.size, "color": spec.color, "mean": name}
        if name != "bytes" and parse_input(fields | written, name) == spec:
            return {"size": spec.size, "color": spec.color} | ({} if name == "none" else {"mean": name}) | written
    scale = int(spec.scale) if spec.scale == int(spec.scale) else spec.scale
    fields = {"size": spec.size, "color": spec.color, "scale": scale, "mean": [*spec.mean], "std": [*spec.std]}
    if max(spec.mean) > max(spec.scale, 1):  # with an offset
        fields["offset"] = offset = max(spec.mean)
        fields["mean"] = [value - offset for value in spec.mean]
    defaults = {"scale": 1, "mean": [0.0], "std": [1.0]}
    return {name: value for name, value in fields.items() if value != defaults.get(name)} | written


def _resolve_flip(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Replace ``flip_channels`` by the colour that it means."""
    resolved = dict(raw)
    flip = resolved.pop("flip_channels", None)
    if flip is None:
        return resolved
    if not isinstance(flip, bool):
        raise ModelError(f"model card {where}: input.flip_channels must be true or false, got {flip!r}.")
    color = raw.get("color")
    if color is not None and (parse_color(color) == "bgr") != flip:
        meaning = "is the same as color: bgr" if flip else "means that the color is not bgr"
        raise ModelError(
            f"model card {where}: input.flip_channels: {str(flip).lower()} {meaning}, but color is '{color}': leave "
            "one of them out."
        )
    return resolved | ({"color": "bgr"} if flip else {})


def _require_geometry(spec: InputSpec, where: str) -> None:
    sides = spec.resize if isinstance(spec.resize, tuple) else (spec.resize,)
    own = (("crop", spec.crop), ("size", spec.size), ("frames", spec.frames))
    for name, value in (*(("resize", side) for side in sides), *own):
        if value is not None and value < 1:
            raise ModelError(f"model card {where}: input.{name} must be at least 1, got {value}.")
    if spec.resize is not None and spec.crop is None:
        raise ModelError(
            f"model card {where}: input.resize is the size before a centre crop: give crop, or size alone for a resize "
            "of the whole picture."
        )
    if spec.interpolation not in INTERPOLATIONS:
        raise ModelError(
            f"model card {where}: input.interpolation must be one of {', '.join(INTERPOLATIONS)}, got "
            f"'{spec.interpolation}'.{nearest(spec.interpolation, INTERPOLATIONS)}"
        )
    if spec.layout not in CLIP_LAYOUTS:
        raise ModelError(
            f"model card {where}: input.layout must be one of {', '.join(CLIP_LAYOUTS)}, got '{spec.layout}'."
        )
    if spec.crop_corner not in CROP_CORNERS:
        raise ModelError(
            f"model card {where}: input.crop_corner must be one of {', '.join(CROP_CORNERS)}, got '{spec.crop_corner}'."
        )
    if spec.rounded and spec.rounded not in ROUNDED:
        raise ModelError(
            f"model card {where}: input.rounded must be true, false, {' or '.join(ROUNDED)}, got '{spec.rounded}'."
        )
    if not spec.antialias and spec.interpolation not in ALIASED:
        raise ModelError(
            f"model card {where}: input.antialias: false is for {', '.join(ALIASED)}, got '{spec.interpolation}'."
        )


def _require_colors(spec: InputSpec, where: str) -> None:
    if spec.color not in COLORS:
        raise ModelError(
            f"model card {where}: input.color must be one of {', '.join(COLORS)}, got '{spec.color}'."
            f"{nearest(spec.color, COLORS)}"
        )
    channels = COLORS[spec.color]
    for name in ("mean", "std"):
        count = len(getattr(spec, name))
        if count not in (1, channels):
            counts = "1 value" if channels == 1 else f"1 or {channels} values"
            raise ModelError(
                f"model card {where}: input.{name} must have {counts} for the color {spec.color}, got {count}."
            )
    if 0 in spec.std:
        raise ModelError(f"model card {where}: input.std must not contain 0.")
