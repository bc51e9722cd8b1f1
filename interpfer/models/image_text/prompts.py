"""The texts that stand for classes and action units in an image-text model.

The field ``prompts`` of a card, or ``--prompts``, is one of::

    template                         # "a photo of an angry face"
    "a cropped photo of a {} face"   # a template of your own, or a list of several
    aus                              # the template, and one text per phrase of each action unit of the codebook
    aus:emfacs                       # the same with another codebook
    mine.yaml                        # a file that holds one of the others
    {anger: [an angry man], AU12: [a smiling mouth], AU0: [a neutral face]}    # texts of each class and action unit

A mapping or a list can be typed, too: it begins with a bracket.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interpfer.au.codebook import load_codebook
from interpfer.au.descriptions import AU_DESCRIPTIONS
from interpfer.errors import InterpferError, ModelError, nearest
from interpfer.files import is_file, parse_yaml
from interpfer.labels import NEUTRAL, canonical

TEMPLATE, AUS = "template", "aus"

CLASS_TEMPLATE, AU_TEMPLATE = "a photo of a {} face", "a photo of a face with {}"

WITHOUT_AUS = "AU0"
"""Key of the texts of a face without action units, FACS's number of a neutral face."""

DEFAULT_CODEBOOK = "belharbi2024"
"""Codebook of ``aus``, that of ``--codebook`` by default."""

ADJECTIVES: Mapping[str, str] = {
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "happiness": "happy",
    "sadness": "sad",
    "surprise": "surprised",
    NEUTRAL: "neutral",
    "contempt": "contemptuous",
}
"""Expression -> the word that a template takes; any other class goes in by its name."""

Texts = tuple[str, ...]


@dataclass(frozen=True)
class Prompts:
    """The texts of a classifier.

    Attributes:
        source: where they come from: "template", "aus:emfacs", the name of a file, or "the card".
        classes: class -> its texts, in output order.
        aus: FACS number -> its texts, in output order.
        without: texts of a face without action units.
    """

    source: str
    classes: Mapping[str, Texts]
    aus: Mapping[int, Texts] = field(default_factory=dict)
    without: Texts = ("a photo of a neutral face",)

    def to_dict(self) -> dict[str, list[str]]:
        """Return the mapping of a card."""
        texts = {name: list(own) for name, own in self.classes.items()}
        if self.aus:
            texts |= {f"AU{au}": list(own) for au, own in self.aus.items()} | {WITHOUT_AUS: list(self.without)}
        return texts

    @property
    def digest(self) -> str:
        """sha256 of the texts."""
        return hashlib.sha256(repr(self.to_dict()).encode()).hexdigest()

    def describe(self) -> str:
        """Return a sentence on the texts.

        Examples:
            >>> parse_prompts(None, ["anger", "fear"], [], Path(), "card").describe()
            "classes are texts (prompts template): anger 'a photo of an angry face', fear 'a photo of a fearful face'"
        """
        listed = ", ".join(f"{name} {_quote(own)}" for name, own in self.classes.items())
        first = next(iter(self.aus), 0)
        aus = f"; {len(self.aus)} action units are, too: AU{first} {_quote(self.aus[first])}, ..." if self.aus else ""
        return f"classes are texts (prompts {self.source}): {listed}{aus}"


def _quote(texts: Texts) -> str:
    return f"'{texts[0]}'" + (f" and {len(texts) - 1} more" if len(texts) > 1 else "")


def parse_prompts(value: Any, classes: Sequence[str], aus: Sequence[int], folder: str | Path, where: str) -> Prompts:
    """Return the texts of classes and action units.

    Args:
        value: ``prompts`` of a card; None for "template".
        classes: canonical classes in output order.
        aus: FACS numbers in output order.
        folder: folder that a file is relative to; else the working directory.
        where: name of the card, for messages.

    Raises:
        ModelError: a class or action unit has no text, a text is not of any, or two classes have the same ones.

    Examples:
        >>> parse_prompts("aus:emfacs", ["happiness"], [], Path(), "card").classes["happiness"][:2]
        ('a photo of a happy face', 'a photo of a face with raised cheeks')
        >>> parse_prompts({"anger": "rage"}, ["anger"], [12], Path(), "card").aus[12]
        ('a photo of a face with lip corners pulled up', 'a photo of a face with a smiling mouth')
    """
    where = f"model card {where}: prompts"
    source = "the card"
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")) and not value.startswith("{}"):
        value = _read_text(value, where)
    if isinstance(value, str) and value not in (TEMPLATE, AUS) and "{}" not in value and not _codebook_of(value):
        source, value = Path(value).name, _read_file(value, Path(folder), where)
    if isinstance(value, Mapping):
        prompts = _from_mapping(value, classes, aus, source, where)
    elif value is None or value == TEMPLATE:
        prompts = _from_templates((CLASS_TEMPLATE,), classes, aus, TEMPLATE, where)
    elif isinstance(value, str) and "{}" not in value:
        prompts = _from_codebook(_codebook_of(value) or DEFAULT_CODEBOOK, classes, aus, where)
    else:
        prompts = _from_templates(_texts(value, where), classes, aus, source, where)
    _require_different(prompts, where)
    return prompts


def fill_template(template: str, name: str) -> str:
    """Return a template with a word in place of ``{}``; ``a`` before it becomes ``an`` where it must.

    Examples:
        >>> fill_template("a photo of a {} face", "anger")
        'a photo of an angry face'
    """
    word = ADJECTIVES.get(name, name)
    article = r"\b([Aa])n? (?=\{\})"
    fitted = re.sub(article, lambda found: f"{found[1]}{'n' if word[0] in 'aeiou' else ''} ", template)
    return fitted.replace("{}", word)


def describe_au(au: int, where: str) -> Texts:
    """Return the texts of an action unit.

    Raises:
        ModelError: it has no description.
    """
    if au not in AU_DESCRIPTIONS:
        raise ModelError(f"{where}: AU {au} has no description; write texts for AU{au} into prompts.")
    return tuple(AU_TEMPLATE.replace("{}", phrase) for phrase in AU_DESCRIPTIONS[au])


def _codebook_of(value: str) -> str:
    """Return the codebook that a text names after ``aus:``; "" for none."""
    return value.partition(":")[2].strip() if value.startswith(f"{AUS}:") else ""


def _read_file(name: str, folder: Path, where: str) -> Any:
    path = next((path for path in (folder / name, Path(name)) if is_file(path)), None)
    if path is None:
        raise ModelError(
            f"{where} must be {TEMPLATE}, {AUS}, {AUS}:CODEBOOK, a text with {{}}, a YAML file or a mapping of classes "
            f"to texts, got '{name}', and there is no such file.{nearest(name, (TEMPLATE, AUS))}"
        )
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{where}: {path} is not YAML ({error}).") from error
    if isinstance(content, Mapping | list) or (isinstance(content, str) and "{}" in content):
        return content
    raise ModelError(f"{where}: {path} must map classes to texts, or hold templates with {{}}, got {content!r}.")


def _read_text(value: str, where: str) -> Any:
    try:
        return parse_yaml(value)
    except ValueError as error:
        raise ModelError(f"{where}: '{value}' is neither a text nor a mapping ({error}).") from error


def _texts(value: Any, where: str) -> Texts:
    items = [value] if isinstance(value, str) else value
    if (
        not isinstance(items, Sequence)
        or not items
        or not all(isinstance(each, str) and each.strip() for each in items)
    ):
        raise ModelError(f"{where}: texts must be a text or a list of texts, got {value!r}.")
    return tuple(each.strip() for each in items)


def _from_templates(
    templates: Sequence[str], classes: Sequence[str], aus: Sequence[int], source: str, where: str
) -> Prompts:
    if wrong := next((each for each in templates if "{}" not in each), None):
        raise ModelError(f"{where}: a template must hold {{}} for the class, got '{wrong}'.")
    texts = {name: tuple(fill_template(each, name) for each in templates) for name in classes}
    name = source if source != "the card" else f"'{templates[0]}'" + (", ..." if len(templates) > 1 else "")
    return Prompts(name, texts, {au: describe_au(au, where) for au in aus})


def _from_codebook(name: str, classes: Sequence[str], aus: Sequence[int], where: str) -> Prompts:
    try:
        codebook = load_codebook(name)
    except InterpferError as error:
        raise ModelError(f"{where}: {error}") from error
    texts: dict[str, Texts] = {}
    for each in classes:
        units = tuple(unit.au for unit in codebook.units(each))
        if not units and each != NEUTRAL:
            raise ModelError(
                f"{where}: codebook {codebook.name} lists no action units of class '{each}': pass {TEMPLATE}, another "
                f"codebook ({AUS}:CODEBOOK), or texts of each class."
            )
        described = (text for au in dict.fromkeys(units) for text in describe_au(au, where))
        texts[each] = (fill_template(CLASS_TEMPLATE, each), *described)
    return Prompts(f"{AUS}:{codebook.name}", texts, {au: describe_au(au, where) for au in aus})


def _from_mapping(
    value: Mapping[Any, Any], classes: Sequence[str], aus: Sequence[int], source: str, where: str
) -> Prompts:
    named: dict[str, Texts] = {}
    for key, texts in value.items():
        name = _canonical_key(str(key), where)
        if name in named:
            raise ModelError(f"{where}: '{key}' repeats {name}.")
        named[name] = _texts(texts, f"{where}: {key}")
    if missing := [name for name in classes if name not in named]:
        raise ModelError(f"{where}: no texts of {', '.join(missing)}; write some, or leave these classes out.")
    of_aus = {au: named.get(f"AU{au}") or describe_au(au, where) for au in aus}
    known = {*classes, *(f"AU{au}" for au in aus), WITHOUT_AUS}
    if unknown := [name for name in named if name not in known and not (name.startswith("AU") and not aus)]:
        raise ModelError(f"{where}: '{unknown[0]}' is no output of the model.{nearest(unknown[0], known)}")
    without = {"without": named[WITHOUT_AUS]} if WITHOUT_AUS in named else {}
    return Prompts(source, {name: named[name] for name in classes}, of_aus, **without)


def _canonical_key(key: str, where: str) -> str:
    digits = re.fullmatch(r"[Aa][Uu] ?(\d+)", key.strip())
    if digits:
        return f"AU{int(digits[1])}"
    try:
        return canonical(key)
    except InterpferError as error:
        raise ModelError(f"{where}: {error}") from error


def _require_different(prompts: Prompts, where: str) -> None:
    """Check that no two outputs have the same texts, as they would have the same logits."""
    for outputs in (prompts.classes, {f"AU{au}": own for au, own in prompts.aus.items()}):
        seen: dict[frozenset[str], str] = {}
        for name, texts in outputs.items():
            if other := seen.get(frozenset(texts)):
                raise ModelError(f"{where}: {other} and {name} have the same texts, so no picture can tell them apart.")
            seen[frozenset(texts)] = name


def list_texts(prompts: Prompts) -> Iterator[str]:
    """Yield every text once, in order."""
    everything = [*prompts.classes.values(), *prompts.aus.values(), *([prompts.without] if prompts.aus else [])]
    yield from dict.fromkeys(text for texts in everything for text in texts)
