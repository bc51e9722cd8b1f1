"""Options of every verb that loads a model; most of them override a field of the model card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from interpfer.choices import COLORS
from interpfer.errors import InterpferError
from interpfer.options import Options, option


@dataclass(frozen=True, kw_only=True)
class ModelOptions(Options):
    """Facts about a checkpoint that override its model card; None leaves the card's value.

    Attributes:
        trust: whether code of the card or of a pickle may run.
        name: name of the model in tables; None for the file's stem or the module's class.
        preset: published classifier, such as "poster/rafdb"; it overrides the card, and the values below override it.
        key: place of the network in a file that holds several, keys joined with dots.
        arch: source and name of the architecture.
        head: head of interpfer that the checkpoint has in place of the architecture's own; see ``interpfer ls heads``.
        head_args: keyword arguments of that head.
        classes: expressions in output order, a list or one comma-separated text, or a known order such as "rafdb".
        input: fields of the card's ``input``, such as ``{"resize": 256, "crop": 224}``; the fields below override it.
        input_size: side of the input in pixels.
        color: rgb, bgr, gray, or gray3 for grey three times.
        scale: factor on pixels in [0, 1]; 255 for a model that expects bytes.
        mean: mean subtracted after scaling; "imagenet", "half", "caffe", ... set ``std`` and ``scale`` too.
        std: standard deviation to divide by after that.
        output: index or key of the logits in the output; see ``interpfer.models.output``.
        card_aus: FACS numbers of an output for action units, in order, or a known order such as "disfa8";
            ``aus`` of the card and of ``load_model``.
        aus_output: its place in the output, as ``output``.
        card_layers: names in ``named_modules()``, shallow to deep; ``layers`` of the card and of ``load_model``.
        prompts: texts of the classes of an image-text model: "template", "aus", a text with ``{}``, a YAML file, or a
            mapping of classes to texts; see ``interpfer.models.image_text.prompts``.
        arch_args: keyword arguments of the architecture.
        forward_args: arguments of ``forward`` beside the images.
    """

    trust: bool = option(False, "Allow code from the model card or a pickle to run", kind="switch")
    name: str | None = option(
        None, "Name of the model in tables; default: the file's", metavar="NAME", example="resnet-a"
    )
    preset: str | None = option(None, "Published model (see `ls presets`)", metavar="NAME", example="poster/rafdb")
    key: str | None = option(None, "Network in a file that holds several: its key", metavar="KEY", example="fold_0")
    arch: str | None = option(
        None, "Architecture, torchvision:NAME, timm:NAME or FILE.py:callable", metavar="ARCH", example="net.py:build"
    )
    head: str | None = option(
        None, "Head in place of the architecture's own (see `ls heads`)", metavar="NAME", example="wildcat"
    )
    head_args: Mapping[str, Any] | None = option(None, "Keyword arguments of the head", kind="mapping", flag="")
    classes: str | Sequence[str] | None = option(
        None,
        "Expressions in output order, or a known order (see `ls classes`)",
        kind="names",
        metavar="LIST",
        example="rafdb",
    )
    input: Mapping[str, Any] | None = option(None, "Fields of the card's input", kind="mapping", flag="")
    input_size: int | None = option(None, "Side of the input in pixels", kind="integer", metavar="N", example="112")
    color: str | None = option(None, "Channels of the input", choices=tuple(COLORS))
    scale: float | None = option(None, "Factor on pixels in [0, 1]", kind="number", metavar="X", example="255")
    mean: float | str | Sequence[float] | None = option(
        None, "Mean per channel, or a known normalisation", kind="numbers", metavar="LIST|NAME", example="imagenet"
    )
    std: float | str | Sequence[float] | None = option(
        None, "Standard deviation per channel", kind="numbers", metavar="LIST|NAME", example="0.229,0.224,0.225"
    )
    output: int | str | Mapping[int | str, float] | None = option(
        None,
        "Logits in the output: an index, a key, a slice or a weighted sum",
        kind="key",
        metavar="KEY",
        example="'0.6*0+0.4*1'",
    )
    card_aus: float | str | Sequence[float] | None = option(
        None,
        "FACS numbers of an AU output in order, or a known order: disfa8, bp4d12, ...",
        kind="numbers",
        metavar="LIST",
        example="1,2,4,6,12",
    )
    aus_output: int | str | Mapping[int | str, float] | None = option(
        None, "AU logits in the output, as --output", kind="key", metavar="KEY", example="'8:20'"
    )
    prompts: str | Sequence[str] | Mapping[str, str | Sequence[str]] | None = option(
        None,
        "Texts of the classes of CLIP or SigLIP: template, aus, a text with {} or a YAML file",
        kind="texts",
        metavar="NAME|TEXT|FILE",
        example="aus",
    )
    card_layers: Sequence[str] | None = option(None, "Layers of the model, shallow to deep", kind="names", flag="")
    arch_args: Mapping[str, Any] | None = option(None, "Keyword arguments of the architecture", kind="mapping", flag="")
    forward_args: Mapping[str, Any] | None = option(
        None, "Arguments of forward beside the images", kind="mapping", flag=""
    )

    def require_unset(self, model: str) -> None:
        """Refuse card overrides for a model in memory, on which they would have no effect.

        Raises:
            InterpferError: one is set; ``trust`` does not count.
        """
        names = [each.name for each in fields(ModelOptions) if each.name != "trust"]
        if given := [name for name in names if getattr(self, name) is not None]:
            raise InterpferError(f"model {model} is loaded already: pass {', '.join(given)} to load_model instead.")

    def model_values(self) -> dict[str, Any]:
        """Return the keyword arguments of ``load_model``."""
        values = {each.name: getattr(self, each.name) for each in fields(ModelOptions)}
        values |= {"layers": values.pop("card_layers"), "aus": values.pop("card_aus")}
        return values
