"""Normalisations of pixels by name, and the check that mean, std and scale have the same unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interpfer.choices import COLORS
from interpfer.errors import ModelError, nearest

BYTES = 255.0
"""Scale of pixels in bytes."""

SMALLEST_SCALE = 0.01
"""A smaller scale is a factor on bytes, such as 1/255, which pixels in [0, 1] already have."""


LARGEST_STD = 10
"""Largest standard deviation over the range of pixels that can be meant."""


@dataclass(frozen=True)
class Normalisation:
    """A well-known normalisation of pixels.

    Attributes:
        mean: one value, or one each for red, green and blue.
        std: standard deviation, likewise.
        scale: factor on pixels in [0, 1]; 255 for values in bytes.
        color: channel order that it is published for.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1.0
    color: str = "rgb"

    def fields(self, color: str | None = None) -> dict[str, Any]:
        """Return the fields of a card's ``input``, in the channel order of ``color``."""
        color = color or self.color
        mean, std = (_reorder(values, color) for values in (self.mean, self.std))
        return {"color": color, "scale": self.scale, "mean": mean, "std": std}


NORMALISATIONS: dict[str, Normalisation] = {
    "none": Normalisation(),
    "bytes": Normalisation(scale=BYTES),
    "half": Normalisation((0.5,), (0.5,)),
    "imagenet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": Normalisation((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "caffe": Normalisation((123.68, 116.779, 103.939), scale=BYTES, color="bgr"),
    "vggface2": Normalisation((131.0912, 103.8827, 91.4953), scale=BYTES, color="bgr"),
}
"""Normalisations by the name that ``mean:`` of a card or ``--mean`` takes; caffe and vggface2 are BGR by default."""


def expand_names(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Replace names of normalisations by their fields; fields that the card has take precedence.

    Raises:
        ModelError: there is no normalisation of that name.
    """
    color = None if raw.get("color") is None else parse_color(raw["color"])
    expanded: dict[str, Any] = {}
    for name in ("std", "mean"):
        value = raw.get(name)
        if isinstance(value, str):
            normalisation = NORMALISATIONS.get(value.lower())
            if normalisation is None:
                raise ModelError(
                    f"model card {where}: input.{name}: unknown normalisation '{value}'."
                    f"{nearest(value.lower(), NORMALISATIONS)} Known: {', '.join(NORMALISATIONS)}."
                )
            fields = normalisation.fields(color)
            expanded |= fields if name == "mean" else {"std": fields["std"]}
    numeric = {name: value for name, value in raw.items() if not (name in ("mean", "std") and isinstance(value, str))}
    return expanded | numeric


def parse_color(value: Any) -> str:
    """Return a colour as cards spell it."""
    return str(value).lower().replace("grey", "gray")


def require_same_unit(mean: tuple[float, ...], std: tuple[float, ...], scale: float, where: str) -> None:
    """Check that mean and std are in the unit that the scale gives pixels.

    Args:
        mean: as in the card, without an offset.
        std: as in the card.
        scale: factor on pixels in [0, 1].
        where: name of the card, for messages.

    Raises:
        ModelError: they cannot be meant; the message names the scale that fits.

    Examples:
        >>> require_same_unit((123.675, 116.28, 103.53), (58.4, 57.1, 57.4), 255, "model.yaml")
        >>> require_same_unit((123.675, 116.28, 103.53), (58.4, 57.1, 57.4), 1, "model.yaml")
        Traceback (most recent call last):
            ...
        interpfer.errors.ModelError: model card model.yaml: input.mean looks like bytes: scale: 255 ...
    """
    place = f"model card {where}: input"
    if scale <= 0:
        raise ModelError(f"{place}.scale must be above 0, got {scale:g}.")
    if scale < SMALLEST_SCALE:
        raise ModelError(
            f"{place}.scale looks like a factor on bytes: leave it out (it multiplies pixels in [0, 1], got {scale:g})."
        )
    for name, values, largest in (("mean", mean, 1), ("std", std, LARGEST_STD)):
        if max(values) > largest * max(scale, 1):
            raise ModelError(
                f"{place}.{name} looks like bytes: scale: {BYTES:g} (pixels are in [0, {scale:g}] before the mean is "
                f"subtracted, got {name} {', '.join(f'{value:g}' for value in values)})."
            )
    if scale >= BYTES and any(mean) and max(*mean, *std) <= 1 and any(value < 1 for value in std):
        raise ModelError(
            f"{place}.mean and std look like shares of 1: leave scale out (pixels are in [0, {scale:g}] before the "
            f"mean is subtracted, got mean {', '.join(f'{value:g}' for value in mean)})."
        )


def _reorder(values: tuple[float, ...], color: str) -> tuple[float, ...]:
    """Return values per red, green and blue in the channel order of a colour."""
    if len(values) == 1 or color not in COLORS:
        return values
    if color == "bgr":
        return values[::-1]
    return (sum(values) / len(values),) if color == "gray" else values
