"""Presets: the model cards of published classifiers.

``interpfer ls presets`` lists them with the accuracies that are claimed, and those that somebody measured.

A preset is a YAML file in ``interpfer/models/presets``; the architecture is built by the user's copy of the published
code::

    interpfer score best.pth --preset poster_v2/rafdb --arch build.py:build --trust ...

If the class order depends on the training data, the preset has variants, which are named after a slash.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from interpfer.errors import ModelError, nearest
from interpfer.models.measured import list_measured
from interpfer.models.published import parse_published


@dataclass(frozen=True)
class Preset:
    """The card of a published classifier.

    Attributes:
        name: name with the variant, such as "poster/rafdb".
        summary: one line on the classifier.
        code: address of the published code.
        citation: authors and year.
        arch: network that --arch has to build; None if the checkpoint contains its network.
        card: raw fields of a card.
        notes: notes on its checkpoints.
        sources: files and pages that the card was read from.
        sure: how sure the fields of the card are; "" where it was not recorded.
        sha256: file of the publisher -> its hash, where it is known.
        variants: names of the variants.
    """

    name: str
    summary: str
    code: str
    citation: str
    arch: str | None
    card: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    variants: tuple[str, ...] = field(default=())
    sources: tuple[str, ...] = ()
    sure: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)


@cache
def preset_names() -> tuple[str, ...]:
    """Return the names of all presets, without their variants."""
    folder = files("interpfer.models") / "presets"
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def load_preset(name: str) -> Preset:
    """Return a preset.

    Args:
        name: name of the preset, with or without a variant; without one its card has no classes if these depend on the
            training data.

    Raises:
        ModelError: there is no such preset or variant.

    Examples:
        >>> load_preset("poster/rafdb").card["classes"]
        'rafdb'
    """
    base, slash, variant = name.partition("/")
    if base not in preset_names():
        raise ModelError(f"unknown preset '{base}'.{nearest(base, preset_names())} Known: {', '.join(preset_names())}.")
    text = (files("interpfer.models") / "presets" / f"{base}.yaml").read_text(encoding="utf-8")
    raw = yaml.safe_load(text)
    variants = raw.get("variants") or {}
    if slash and variant not in variants:
        known = f"Known: {', '.join(variants)}." if variants else "It has none."
        raise ModelError(f"preset '{base}' has no variant '{variant}'.{nearest(variant, variants)} {known}")
    return Preset(
        name,
        raw["summary"],
        raw["code"],
        raw["citation"],
        raw["arch"],
        merge_cards(raw["card"], variants.get(variant, {})),
        tuple(raw.get("notes") or ()),
        tuple(variants),
        tuple(raw.get("sources") or ()),
        str(raw.get("sure") or ""),
        dict(raw.get("sha256") or {}),
    )


def merge_cards(card: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the raw fields of a card with overrides; ``input`` is merged field by field.

    Examples:
        >>> merge_cards({"input": {"size": 112, "color": "bgr"}}, {"input": {"size": 64}})
        {'input': {'size': 64, 'color': 'bgr'}}
    """
    merged = {**card, **overrides}
    if isinstance(card.get("input"), Mapping) and isinstance(overrides.get("input"), Mapping):
        merged["input"] = {**card["input"], **overrides["input"]}
    return merged


def _list_claims(name: str, variants: Sequence[str]) -> Iterator[str]:
    """Yield the accuracies that a paper or page claims, one a line."""
    for full in dict.fromkeys((name, *(f"{name}/{variant}" for variant in variants))):
        card = load_preset(full).card
        if full != name and card.get("published") == load_preset(name).card.get("published"):
            continue
        for dataset, claim in parse_published(card.get("published") or {}, full).items():
            yield f"{dataset} {claim.accuracy:.4g}" + (f" ({claim.source})" if claim.source else "")


def _list_measurements(name: str) -> Iterator[str]:
    for entry in list_measured():
        if entry.preset.partition("/")[0] == name:
            low, high = entry.accuracy.low, entry.accuracy.high
            yield f"{entry.dataset} {entry.accuracy.value:.3f} [{low:.3f}, {high:.3f}], n = {entry.n}"


def list_presets() -> dict[str, dict[str, str]]:
    """Return the facts of each preset by its name and those of its variants, one a line."""
    presets = {name: load_preset(name) for name in preset_names()}
    return {
        "\n".join([name, *(f"{name}/{variant}" for variant in preset.variants)]): {
            "what": f"{preset.summary}\n{preset.citation}",
            "--arch": preset.arch or "contained in the file",
            "claimed": "\n".join(_list_claims(name, preset.variants)) or "nothing found",
            "measured": "\n".join(_list_measurements(name)) or "by nobody yet",
            "sha256": "\n".join(f"{file} {digest}" for file, digest in preset.sha256.items()) or "not known",
            "worth knowing": "\n".join(filter(None, (*preset.notes, f"sure: {preset.sure}" if preset.sure else ""))),
            "code": preset.code,
        }
        for name, preset in presets.items()
    }
