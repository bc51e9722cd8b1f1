"""Methods by name (``--method``): the values that they give to other options, and where each is from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from interpfer.errors import InterpferError
from interpfer.validation import require_choice

AUTHORS = "code of its authors"
REFERENCE = "code of arXiv 2402.00281"

BASELINES = ("baseline:uniform", "baseline:class-mean-au")


@dataclass(frozen=True)
class Published:
    """A value of an option.

    Attributes:
        value: as the option takes it.
        source: where it is from, in words.
    """

    value: Any
    source: str


@dataclass(frozen=True)
class Method:
    """A published method, or one of ours after an idea that is published without numbers.

    Attributes:
        source: where it is published.
        values: option -> value; an option that the caller passes keeps the caller's value.
        by_dataset: data set -> values that differ there.
        is_guide: whether it says how maps are guided, and so can be combined with another method.
        network: architecture that it is for; "" for any.
        is_ours: whether its form and its values are ours.
    """

    source: str
    values: Mapping[str, Published]
    by_dataset: Mapping[str, Mapping[str, Published]] = field(default_factory=dict)
    is_guide: bool = False
    network: str = ""
    is_ours: bool = False

    def values_for(self, dataset: str | None) -> dict[str, Published]:
        """Return option -> value on a data set."""
        return {**self.values, **self.by_dataset.get(dataset or "", {})}


def _from(source: str, **values: Any) -> dict[str, Published]:
    return {name: Published(value, source) for name, value in values.items()}


def _scored(*maps: str, **values: Any) -> dict[str, Published]:
    return _from("the map of the method", compare_maps=(*maps, *BASELINES), **values)


def _ours(idea: str, maps: Sequence[str], **values: Any) -> Method:
    return Method(f"ours, after {idea}", _from("ours", **values) | _scored(*maps), is_ours=True)


METHODS: Mapping[str, Method] = {
    "cam": Method("Zhou et al. 2016, arXiv 1512.04150", _scored("attention", "cam")),
    "wildcat": Method(
        "Durand et al. 2017, WILDCAT, CVPR",
        _from(f"8 maps per class, kmax and kmin 0.2, alpha 0.7: {AUTHORS}, VOC", head="wildcat")
        | _scored("attention", "cam"),
    ),
    "gradcam": Method("Selvaraju et al. 2017, arXiv 1610.02391", _scored("attention", "gradcam")),
    "gradcam++": Method(
        "Chattopadhay et al. 2018, arXiv 1710.11063", _scored("attention", "gradcam++", cam_map="gradcam++")
    ),
    "acol": Method(
        "Zhang et al. 2018, arXiv 1804.06962",
        _from("threshold 0.6: the paper", head="acol")
        | _from(AUTHORS, optimizer="sgd", lr=1e-4, head_lr=10.0, epochs=60)
        | _from("the paper trains all layers", freeze="none")
        | _scored("attention", "cam"),
    ),
    "prm": Method(
        "Zhou et al. 2018, arXiv 1804.00880",
        _from("peaks of 3 x 3 windows: the paper", head="prm") | _scored("attention", "cam"),
    ),
    "adl": Method(
        "Choe and Shim 2019, arXiv 1908.10028",
        _from(f"the paper, ResNet-50; {REFERENCE}: 0.4,0.1", adl="0.75,0.9") | _scored("attention", "cam"),
    ),
    "cutmix": Method(
        "Yun et al. 2019, arXiv 1905.04899",
        _from(f"every batch, Beta(1, 1): {REFERENCE}", cutmix=1.0) | _scored("attention", "cam"),
    ),
    "ts-cam": Method(
        "Gao et al. 2021, arXiv 2103.14862",
        _from("the paper", head="ts-cam", align_layers="token_attention", freeze="none")
        | _from(f"{AUTHORS}, CUB", lr=1e-3, batch_size=128, epochs=60, weight_decay=5e-4)
        | _from("the default of DeiT's code, on which theirs is built; unsure", optimizer="adamw")
        | _scored("ts-cam", "class-token-attention"),
    ),
    "layercam": Method("Jiang et al. 2021, IEEE TIP", _scored("attention", "layercam", cam_map="layercam")),
    "apvit": Method(
        "Xue et al. 2022, arXiv 2212.05463",
        _from("the layer by which patches are kept", align="attention", align_layers="vit.pooling")
        | _from(f"{AUTHORS}, RAF-DB", optimizer="sgd", lr=1e-3, weight_decay=5e-4, schedule="cosine")
        | _from(f"{AUTHORS}, RAF-DB", epochs=40, batch_size=128, clip=10.0, freeze="none")
        | _scored("attention", compare_layers="vit.pooling"),
        network="interpfer:apvit",
    ),
    "belharbi2024": Method(
        "Belharbi et al. 2024, arXiv 2402.00281",
        _from("the paper", protocol="paper", align="attention", loss="cosine", align_layers="last")
        | _from(f"{REFERENCE}, RAF-DB", weight=4.0)
        | _from("the paper trains one network", blend=0.0)
        | _from(REFERENCE, attention_map="attention", loss_resize="grid", loss_shift=False)
        | _from(f"{REFERENCE}, AffectNet", freeze="none", freeze_bn=False, optimizer="sgd", lr=2e-3, weight_decay=5e-4)
        | _from(f"{REFERENCE}, AffectNet", schedule="step", epochs=20, batch_size=224, augment="paper"),
        by_dataset={"affectnet": _from(f"{REFERENCE}, AffectNet", weight=9.0)},
        is_guide=True,
    ),
    "tempered-consistency": _ours(
        "USAGE, ICCV 2023, which publishes neither temperature nor weight",
        ("attention", "gradcam"),
        temperature=2.0,
        flip_consistency=1.0,
        flip_scale=1.25,
    ),
    "cut-patches": _ours(
        "progressive patch learning, IEEE TMM 2022, without code", ("attention", "cam"), cut_patches=0.5
    ),
    "expand-shrink": _ours(
        "ESOL, NeurIPS 2022, which publishes neither clip value nor weight of the area",
        ("attention", "cam"),
        head="expand-shrink",
        align="attention",
    ),
    "token-weights": _ours(
        "DOEI, 2025, which publishes no formula",
        ("ts-cam", "class-token-attention"),
        head="ts-cam",
        token_weights=0.25,
        align_layers="token_attention",
        freeze="none",
    ),
}
"""Name -> method. Mixed precision is left to the caller: it is the machine's."""

BOUND = (
    "head", "adl", "cutmix", "temperature", "flip_consistency", "flip_scale", "cut_patches", "token_weights", "align",
    "align_layers", "cam_map", "compare_maps", "compare_layers",
)  # fmt: skip
"""Options that belong to a method's network and map, which a guide leaves as they are."""

UNGUIDED = _from("without a guide of its own; --weight L or a method that guides adds one", weight=0.0)


def parse_methods(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of methods, the guiding one last.

    Args:
        names: names, a list or one text with commas.

    Raises:
        InterpferError: there is no such method, or two of a kind.

    Examples:
        >>> parse_methods("belharbi2024,wildcat")
        ('wildcat', 'belharbi2024')
    """
    if names is None:
        return ()
    found = [name.strip() for name in (names.split(",") if isinstance(names, str) else names)]
    for name in found:
        require_choice("method", name, tuple(METHODS))
    for is_guide in (False, True):
        same = [name for name in found if METHODS[name].is_guide == is_guide]
        if len(same) > 1:
            guides = ", ".join(name for name, method in METHODS.items() if method.is_guide)
            raise InterpferError(
                f"method must be one method, alone or with one that guides ({guides}), got {', '.join(same)}."
            )
    return tuple(sorted(found, key=lambda name: METHODS[name].is_guide))


def combine_methods(names: str | Sequence[str] | None, dataset: str | None) -> dict[str, Published]:
    """Return option -> value of all methods named; what does not belong to network or map is the guide's.

    Args:
        names: as for ``parse_methods``.
        dataset: name of the data set; some values differ by it.

    Examples:
        >>> [combine_methods(name, "affectnet")["weight"].value for name in ("belharbi2024", "wildcat")]
        [9.0, 0.0]
        >>> both = combine_methods("acol,belharbi2024", None)
        >>> both["head"].value, both["lr"].value, both["weight"].value
        ('acol', 0.002, 4.0)
    """
    combined: dict[str, Published] = {}
    methods = [METHODS[name] for name in parse_methods(names)]
    for method in methods:
        combined |= method.values_for(dataset)
    for method in methods:
        combined |= {} if method.is_guide else {name: method.values[name] for name in BOUND if name in method.values}
    is_guided = not methods or any(method.is_guide for method in methods)
    return combined if is_guided else combined | UNGUIDED


def describe_methods(options: Any) -> list[str]:
    """Return one line per method, and per value that it sets: "name: value (source)".

    Args:
        options: the ``FinetuneOptions``; a value that the caller passed is said to be passed.
    """
    names = parse_methods(options.method)
    lines = [f"method {name}: {METHODS[name].source}" for name in names]
    for name, published in combine_methods(names, options.dataset).items():
        value, usual = (_spell(each) for each in (getattr(options, name), published.value))
        passed = f"passed; {usual} by {published.source}"
        lines.append(f"  {name}: {value} ({published.source if value == usual else passed})")
    return lines


def require_network(names: str | Sequence[str] | None, model: str, arch: str | None) -> None:
    """Check that a model is the network that a method is for.

    Args:
        names: as for ``parse_methods``.
        model: name of the model.
        arch: source and name of its architecture.

    Raises:
        InterpferError: it is another one.

    Examples:
        >>> require_network("apvit", "mine", "interpfer:apvit-small")
    """
    for name in parse_methods(names):
        network = METHODS[name].network
        if network and not (arch or "").startswith(network):
            raise InterpferError(
                f"method {name} is for {network} and {network}-small, got model {model} ({arch or 'no arch'}); "
                f"pass {network} or a checkpoint of it as MODEL."
            )


def score_flags(options: Any) -> str:
    """Return the flags with which ``interpfer score`` scores the maps of a method or head; "" for neither.

    Args:
        options: the ``FinetuneOptions``.
    """
    if not options.method and not options.head:
        return ""
    layers = "" if options.compare_layers == "last" else f" --layers {_spell(options.compare_layers)}"
    return f" --maps {_spell(options.compare_maps)}{layers}"


def _spell(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
