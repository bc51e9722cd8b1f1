"""Puts a head on any network: everything up to its last layer with a grid is the trunk, and the rest is left out."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models import ARCHITECTURES
from interpfer.models.card import ModelCard
from interpfer.models.heads import HEADS
from interpfer.models.heads.base import Head
from interpfer.models.heads.network import HeadedNetwork
from interpfer.models.hooks import first_tensor, hooked
from interpfer.models.layer import Layer
from interpfer.models.model import Model

ARCH = "interpfer:headed"
"""Architecture of a card of these networks."""

SOURCES = ("torchvision", "timm", "interpfer", "hf")
"""Sources of trunks that a card can name; any other network is kept as a whole."""

FINER_STAGES = 2
"""Number of stages that ``large_maps`` keeps at the grid of the one before."""

STRIDED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


def attach_head(
    model: Model,
    head: str,
    classes: Sequence[str] | None = None,
    large_maps: bool = False,
    **arguments: Any,
) -> Model:
    """Return a classifier of the same trunk with a new head, with random weights.

    Args:
        model: the classifier whose trunk is copied; it stays unchanged.
        head: name in ``interpfer.models.heads.HEADS``.
        classes: canonical expressions in output order; None for those of the model.
        large_maps: remove the strides of the last two stages, so that maps have the grid of the stage before them.
        arguments: of the head.

    Raises:
        ModelError: the last layer cannot be cut off, or its grid cannot be made finer.

    Examples:
        >>> from interpfer.models.loading import load_model
        >>> from interpfer.models.small import SmallCNN
        >>> model = load_model(SmallCNN(3), classes=["anger", "fear", "sadness"], input_size=64)
        >>> wildcat = attach_head(model, "wildcat", modalities=2)
        >>> wildcat.layers("last"), wildcat.classes
        (('trunk.stages.3',), ('anger', 'fear', 'sadness'))
    """
    _require_trunk(model, large_maps)
    names = tuple(classes or model.classes)
    if isinstance(model.module, HeadedNetwork):
        return _replace_head(model, head, names, arguments)
    trunk = copy.deepcopy(model.module)
    widened = strided_modules(model) if large_maps else ()
    _remove_strides(trunk, widened)
    last = _last_layer(model)
    layer = Model(model.name, trunk, model.card).layer(last)
    if large_maps and layer.grid[0] <= model.layer(last).grid[0]:
        raise ModelError(
            f"model {model.name}: --large-maps removes strides of convolutions and pooling, and its last stages have "
            "none that makes the grid smaller."
        )
    facts: dict[str, Any] = {"layer": layer_facts(layer), "head": head} | (
        {"head_args": arguments} if arguments else {}
    )
    if widened:
        facts["without_stride"] = list(widened)
    network = HeadedNetwork(trunk, layer, _make_head(head, layer.channels, len(names), arguments))
    if unused := _unused_modules(network, model.noise):
        facts["unused"] = list(unused)
        _leave_out(trunk, unused)
    card = _headed_card(model.card, names, facts)
    note = f"{head} head with random weights in place of the head of {model.name}"
    texts = None if model.card.prompts is None else model.card.prompts.describe()
    return Model(model.name, network, card, notes=(*(each for each in model.notes if each != texts), note))


def _replace_head(model: Model, head: str, classes: tuple[str, ...], arguments: Mapping[str, Any]) -> Model:
    """Return a network with a head of interpfer with another one on the same layer."""
    assert isinstance(model.module, HeadedNetwork)
    network, card = copy.deepcopy(model.module), model.card
    layer = network.layer
    replaced = HeadedNetwork(network.trunk, layer, _make_head(head, layer.channels, len(classes), arguments))
    facts = {name: value for name, value in card.arch_args.items() if name not in ("head", "head_args")}
    given: dict[str, Any] = {"head": head} | ({"head_args": arguments} if arguments else {})
    is_named = card.arch == ARCH
    card = replace(
        card,
        arch_args=facts | given if is_named else card.arch_args,
        head=None if is_named or card.arch is None else head,
        head_args={} if is_named or card.arch is None else arguments,
        classes=classes,
        published={},
    )
    note = f"{head} head with random weights in place of the {type(network.head).__name__} of {model.name}"
    return Model(model.name, replaced, card, notes=(*model.notes, note))


def build_headed(
    classes: int,
    trunk: str,
    layer: Mapping[str, Any],
    head: str,
    trunk_args: Mapping[str, Any] | None = None,
    head_args: Mapping[str, Any] | None = None,
    without_stride: Sequence[str] = (),
    unused: Sequence[str] = (),
) -> HeadedNetwork:
    """Return the untrained network that a card of ``attach_head`` describes.

    Args:
        classes: number of outputs.
        trunk: source and name of a network, such as "torchvision:resnet18".
        layer: name of its last layer and how its output lies on a grid.
        head: name of the head.
        trunk_args: keyword arguments of the trunk.
        head_args: those of the head.
        without_stride: modules of the trunk whose stride is 1.
        unused: modules of the trunk that run after the layer, and are left out.

    Raises:
        ModelError: the trunk is no network of a library, or has no such layer.
    """
    source, _, name = trunk.partition(":")
    if source not in SOURCES:
        raise ModelError(f"{ARCH}: trunk must be a network of {', '.join(SOURCES)}, got '{trunk}'.")
    network = ARCHITECTURES.get(source)(name, **({"classes": classes} | dict(trunk_args or {})))
    _remove_strides(network, without_stride)
    place = layer_of(layer)
    if place.name not in dict(network.named_modules()):
        raise ModelError(f"{ARCH}: {trunk} has no layer '{place.name}'.")
    _leave_out(network, unused)
    return HeadedNetwork(network, place, _make_head(head, place.channels, classes, head_args or {}))


def _headed_card(card: ModelCard, classes: tuple[str, ...], facts: Mapping[str, Any]) -> ModelCard:
    """Return the card of a network with a new head; it names no architecture where the trunk's is none of a library."""
    is_nameable = (card.arch or "").partition(":")[0] in SOURCES
    return replace(
        card,
        arch=ARCH if is_nameable else None,
        arch_args={"trunk": card.arch, "trunk_args": dict(card.arch_args), **facts} if is_nameable else {},
        classes=classes,
        output=None,
        aus=(),
        aus_output=None,
        layers=None if card.layers is None else tuple(f"trunk.{name}" for name in card.layers),
        published={},
        prompts=None,
    )


def strided_modules(model: Model) -> tuple[str, ...]:
    """Return the convolutions and poolings that make the grid of the last ``FINER_STAGES`` stages smaller."""
    side = model.layer(_last_layer(model)).grid[0] * 2**FINER_STAGES
    names: dict[nn.Module, str] = {
        module: name for name, module in model.module.named_modules() if isinstance(module, STRIDED)
    }
    found: list[str] = []

    def record(module: nn.Module, inputs: Any, output: Any) -> None:
        before, after = first_tensor(inputs), first_tensor(output)
        if before is not None and after is not None and after.shape[-1] < before.shape[-1] <= side:
            found.append(names[module])

    with hooked(model.module, dict.fromkeys(names, record)), torch.no_grad():
        model.forward(model.noise)
    return tuple(dict.fromkeys(found))


def _make_head(name: str, channels: int, classes: int, arguments: Mapping[str, Any]) -> Head:
    kind = HEADS.get(name)
    try:
        return kind(channels, classes, **arguments)
    except TypeError as error:
        raise ModelError(f"head {name}: {error}; check head_args.") from error


def _require_trunk(model: Model, large_maps: bool) -> None:
    """Check that a network can be the trunk of another head.

    Raises:
        ModelError: its layers are not accessible, or its grid is to change with a head of interpfer.
    """
    if isinstance(model.module, HeadedNetwork) and large_maps:
        raise ModelError(
            f"model {model.name} has a head of interpfer ({type(model.module.head).__name__}), whose grid is kept: "
            "--large-maps is for the network that it was trained from."
        )
    if model.program is not None:
        raise ModelError(f"model {model.name}: the layers of a program are not accessible, so it takes no other head.")


def _last_layer(model: Model) -> str:
    """Return the last layer; of tokens the last of all, which a head on the class token does not use."""
    (last,) = model.layers("last")
    if "@" in last:
        raise ModelError(f"model {model.name}: its last layer runs several times ({last}), so it takes no other head.")
    layer = model.layer(last)
    if layer.layout != "tokens":
        return last
    return [each.name for each in model.spatial_layers if (each.layout, each.grid) == (layer.layout, layer.grid)][-1]


def layer_of(facts: Mapping[str, Any]) -> Layer:
    """Return the layer that a card describes; see ``layer_facts``."""
    return Layer(
        str(facts["name"]),
        int(facts["channels"]),
        (int(facts["grid"][0]), int(facts["grid"][1])),
        str(facts["layout"]),
        int(facts.get("prefix", 0)),
        part=int(facts.get("part", 0)),
        order=tuple(facts["order"]) if facts.get("order") else None,
    )


def layer_facts(layer: Layer) -> dict[str, Any]:
    """Return what a card says of a layer."""
    facts: dict[str, Any] = {
        "name": layer.name,
        "channels": layer.channels,
        "grid": list(layer.grid),
        "layout": layer.layout,
    }
    facts |= {"prefix": layer.prefix} if layer.prefix else {}
    facts |= {"part": layer.part} if layer.part else {}
    return facts | ({"order": list(layer.order)} if layer.order else {})


def _remove_strides(network: nn.Module, names: Sequence[str]) -> None:
    for name in names:
        module: Any = network.get_submodule(name)
        module.stride = (1, 1) if isinstance(module, nn.Conv2d) else 1


def _unused_modules(network: HeadedNetwork, noise: Tensor) -> tuple[str, ...]:
    """Return the outermost modules of the trunk that do not run before the layer, and whose weights it does not use."""
    trunk = network.trunk
    names = {module: name for name, module in trunk.named_modules() if name}
    ran: set[str] = set()

    def record(module: nn.Module, _: Any, __: Any) -> None:
        ran.add(names[module])

    parameters = [parameter for parameter in trunk.parameters() if parameter.is_floating_point()]
    with hooked(network, dict.fromkeys(names, record)), torch.enable_grad():
        for parameter in parameters:
            parameter.requires_grad_()
        slopes = torch.autograd.grad(network(noise).sum(), parameters, allow_unused=True)
        for parameter in parameters:
            parameter.requires_grad_(False)
    used = {parameter for parameter, slope in zip(parameters, slopes, strict=True) if slope is not None}
    running = {name for name in ran for name in _with_parents(name)} | set(_with_parents(network._layer.name))
    idle: list[str] = []
    for module, name in names.items():
        is_inside = any(name.startswith(f"{outer}.") for outer in idle)
        if not is_inside and module.state_dict() and name not in running and used.isdisjoint(module.parameters()):
            idle.append(name)
    return tuple(idle)


def _with_parents(name: str) -> tuple[str, ...]:
    parts = name.split(".")
    return tuple(".".join(parts[: end + 1]) for end in range(len(parts)))


def _leave_out(network: nn.Module, names: Sequence[str]) -> None:
    for name in names:
        parent, _, own = name.rpartition(".")
        if network.get_submodule(name).state_dict():  # others may be read by the modules that hold them
            setattr(network.get_submodule(parent), own, nn.Identity())
