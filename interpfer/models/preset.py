"""Cards of published classifiers: what their code does not say in the checkpoint.

A preset is a YAML file in ``interpfer/models/presets``; the architecture is the user's own copy of the published code::

    interpfer score best.pth --preset poster_v2/rafdb --arch build.py:build --trust ...

Where the order of the classes depends on what a model was trained on, the preset has variants, named after a slash.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from interpfer.errors import ModelError, nearest


@dataclass(frozen=True)
class Preset:
    """The card of a published classifier.

    Attributes:
        name: with the variant, such as "poster/rafdb".
        summary: one line.
        code: where its code is published.
        citation: who and when.
        arch: what --arch has to build; None where the checkpoint brings its network along.
        notes: what to know of its checkpoints.
        card: raw fields of a card.
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


@cache
def preset_names() -> tuple[str, ...]:
    """Return the names of all presets, without their variants."""
    folder = files("interpfer.models") / "presets"
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def load_preset(name: str) -> Preset:
    """Return a preset; "poster" without a variant has no classes where these depend on the training data.

    Raises:
        ModelError: there is no such preset or variant.
    """
    base, slash, variant = name.partition("/")
    if base not in preset_names():
        raise ModelError(
            f"no preset is called '{base}'.{nearest(base, preset_names())} Known: {', '.join(preset_names())}."
        )
    text = (files("interpfer.models") / "presets" / f"{base}.yaml").read_text(encoding="utf-8")
    raw = yaml.safe_load(text)
    variants = raw.get("variants") or {}
    if slash and variant not in variants:
        known = f"It has: {', '.join(variants)}." if variants else "It has none."
        raise ModelError(f"preset '{base}' has no variant '{variant}'.{nearest(variant, variants)} {known}")
    return Preset(
        name,
        raw["summary"],
        raw["code"],
        raw["citation"],
        raw["arch"],
        merged(raw["card"], variants.get(variant, {})),
        tuple(raw.get("notes") or ()),
        tuple(variants),
    )


def merged(card: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a card with others laid over them; of ``input``, field by field.

    >>> merged({"input": {"size": 112, "color": "bgr"}}, {"input": {"size": 64}})
    {'input': {'size': 64, 'color': 'bgr'}}
    """
    both = {**card, **over}
    if isinstance(card.get("input"), Mapping) and isinstance(over.get("input"), Mapping):
        both["input"] = {**card["input"], **over["input"]}
    return both


def list_presets() -> dict[str, dict[str, str]]:
    """Return name -> what to know of each preset; its variants stand after a slash."""
    presets = {name: load_preset(name) for name in preset_names()}
    return {
        "\n".join([name, *(f"{name}/{variant}" for variant in preset.variants)]): {
            "what": f"{preset.summary}\n{preset.citation}",
            "--arch": preset.arch or "the file brings it",
            "worth knowing": "\n".join(preset.notes),
            "code": preset.code,
        }
        for name, preset in presets.items()
    }
