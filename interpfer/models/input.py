"""What a model eats: the ``input`` of its card, and well-known normalisations by name.

input: {size: 112, color: rgb, scale: 1, mean: [0, 0, 0], std: [1, 1, 1]}     # x = (pixel/255*scale - mean)/std
input: {size: 224, mean: imagenet}                                            # the same by name
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from interpfer.errors import ModelError, nearest

COLORS = {"rgb": 3, "bgr": 3, "gray": 1, "gray3": 3}
"""Channels per kind of colour; "gray3" is the grey picture three times."""

FIELDS = ("size", "color", "scale", "mean", "std")


@dataclass(frozen=True)
class Normalisation:
    """A well-known way to prepare pixels.

    Attributes:
        mean: in the order red, green, blue, or one value.
        std: likewise.
        scale: 255 for one that is told in bytes.
        color: the channels it goes with.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1.0
    color: str = "rgb"

    def fields(self, color: str | None = None) -> dict[str, Any]:
        """Return the fields of a card's ``input``, in the order of the channels of ``color``."""
        color = color or self.color
        mean, std = (_arranged(values, color) for values in (self.mean, self.std))
        return {"color": color, "scale": self.scale, "mean": mean, "std": std}


NORMALISATIONS: dict[str, Normalisation] = {
    "none": Normalisation(),
    "bytes": Normalisation(scale=255.0),
    "half": Normalisation((0.5,), (0.5,)),
    "imagenet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": Normalisation((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "caffe": Normalisation((123.68, 116.779, 103.939), scale=255.0, color="bgr"),
    "vggface2": Normalisation((131.0912, 103.8827, 91.4953), scale=255.0, color="bgr"),
}
"""By the name that ``mean:`` of a card or ``--mean`` takes; caffe and vggface2 are BGR unless told otherwise."""


@dataclass(frozen=True)
class InputSpec:
    """What the model eats: x = (pixel / 255 * scale - mean) / std, at size x size.

    Attributes:
        size: side in pixels.
        color: "rgb", "bgr", "gray" or "gray3".
        scale: 255 for a model that wants bytes.
        mean: one value, or one per channel in the model's own order.
        std: likewise.
    """

    size: int = 224
    color: str = "rgb"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


def parse_input(raw: Any, where: str) -> InputSpec:
    """Check the field ``input`` of a card.

    Raises:
        ModelError: a field is unknown or of the wrong kind; the message names it.
    """
    if not isinstance(raw, Mapping):
        raise ModelError(f"model card {where}: input should be a mapping such as {{size: 112}}, found {raw!r}.")
    for name in raw:
        if name not in FIELDS:
            raise ModelError(
                f"model card {where}: input: unknown field '{name}'.{nearest(str(name), FIELDS)} "
                f"Known: {', '.join(FIELDS)}."
            )
    spec = InputSpec()
    readers: dict[str, Callable[[Any], Any]] = {
        "size": int,
        "color": lambda value: str(value).lower().replace("grey", "gray"),
        "scale": float,
        "mean": _numbers,
        "std": _numbers,
    }
    for name, value in _spelled_out(raw, where).items():
        try:
            spec = replace(spec, **{name: readers[name](value)})
        except (TypeError, ValueError):
            hint = f"; known by name: {', '.join(NORMALISATIONS)}" if name in ("mean", "std") else ""
            raise ModelError(f"model card {where}: input.{name} cannot be {value!r}{hint}.") from None
    if spec.size < 1:
        raise ModelError(f"model card {where}: input.size {spec.size} is not a number of pixels.")
    if spec.color not in COLORS:
        raise ModelError(f"model card {where}: input.color '{spec.color}' is none of {', '.join(COLORS)}.")
    for name in ("mean", "std"):
        if len(getattr(spec, name)) not in (1, COLORS[spec.color]):
            raise ModelError(
                f"model card {where}: input.{name} has {len(getattr(spec, name))} values for the "
                f"{COLORS[spec.color]} channel(s) of {spec.color}."
            )
    if 0 in spec.std:
        raise ModelError(f"model card {where}: input.std holds a zero.")
    return spec


def describe_input(spec: InputSpec) -> dict[str, Any]:
    """Return the shortest fields of a card that mean this input, normalisations by name where they have one."""
    for name in NORMALISATIONS:
        if name != "bytes" and parse_input({"size": spec.size, "color": spec.color, "mean": name}, name) == spec:
            return {"size": spec.size, "color": spec.color} | ({} if name == "none" else {"mean": name})
    scale = int(spec.scale) if spec.scale == int(spec.scale) else spec.scale
    told = {"size": spec.size, "color": spec.color, "scale": scale, "mean": [*spec.mean], "std": [*spec.std]}
    return {name: value for name, value in told.items() if name == "size" or value not in (1, [0.0], [1.0])}


def _spelled_out(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Replace names of normalisations by what they stand for; what the card says itself stays."""
    color = raw.get("color")
    color = None if color is None else str(color).lower().replace("grey", "gray")
    spelled: dict[str, Any] = {}
    for name in ("std", "mean"):
        value = raw.get(name)
        if isinstance(value, str):
            known = NORMALISATIONS.get(value.lower())
            if known is None:
                raise ModelError(
                    f"model card {where}: input.{name} '{value}' is no known normalisation."
                    f"{nearest(value.lower(), NORMALISATIONS)} Known: {', '.join(NORMALISATIONS)}."
                )
            fields = known.fields(color)
            spelled |= fields if name == "mean" else {"std": fields["std"]}
    own = {name: value for name, value in raw.items() if not (name in ("mean", "std") and isinstance(value, str))}
    return spelled | own


def _arranged(values: tuple[float, ...], color: str) -> tuple[float, ...]:
    if len(values) == 1 or color not in COLORS:
        return values
    if color == "bgr":
        return values[::-1]
    return (sum(values) / len(values),) if color == "gray" else values


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(float(item) for item in (value if isinstance(value, Sequence) else [value]))
