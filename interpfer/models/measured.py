"""The registry of measured checkpoints: what ``interpfer score --submit`` writes, and what the package contains.

An entry says which accuracy and agreement were measured, of which file (sha256), on which images (digest), and by which
version.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from interpfer.errors import ModelError
from interpfer.files import parse_yaml

DIGEST = re.compile(r"[0-9a-f]{64}")
VERSION = re.compile(r"\d+(\.\d+)+([a-z0-9.+-]*)")
FIELDS = ("model", "preset", "sha256", "dataset", "dataset_digest", "n", "accuracy", "agreement", "version")


@dataclass(frozen=True)
class Value:
    """A measured value with its 95 % confidence interval.

    Attributes:
        value: the value.
        low: lower end.
        high: upper end.
        name: what it is, such as "gradcam@layer4 cosine"; "" for an accuracy.
    """

    value: float
    low: float
    high: float
    name: str = ""


@dataclass(frozen=True)
class Measured:
    """What was measured of a checkpoint.

    Attributes:
        model: name in tables.
        preset: published classifier; "" for none.
        sha256: hash of the checkpoint.
        dataset: name and split, as "rafdb/test".
        dataset_digest: digest of the images and labels.
        n: number of images of the accuracy.
        accuracy: share of correct images.
        agreement: headline values of the maps.
        version: of interpfer.
    """

    model: str
    preset: str
    sha256: str
    dataset: str
    dataset_digest: str
    n: int
    accuracy: Value
    agreement: tuple[Value, ...]
    version: str

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as values of YAML."""
        plain = asdict(self)
        plain["accuracy"].pop("name")
        return plain | {"agreement": list(plain["agreement"])}


def parse_measured(raw: Any, where: str) -> tuple[Measured, ...]:
    """Check a list of entries.

    Args:
        raw: content of the file.
        where: the file, for messages.

    Raises:
        ModelError: an entry is not well formed; the message names its number and field.
    """
    if raw is not None and not isinstance(raw, list):
        raise ModelError(f"{where}: must hold a list of entries, got {type(raw).__name__}.")
    return tuple(_parse_entry(entry, f"{where}: entry {number}") for number, entry in enumerate(raw or (), 1))


def read_measured(path: Path) -> tuple[Measured, ...]:
    """Return the entries of a file; none where there is no file.

    Raises:
        ModelError: it is not YAML, or an entry is not well formed.
    """
    if not path.exists():
        return ()
    try:
        raw = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not YAML ({' '.join(str(error).split())}).") from error
    return parse_measured(raw, str(path))


@cache
def list_measured() -> tuple[Measured, ...]:
    """Return the entries that the package contains."""
    text = (files("interpfer.models") / "measured.yaml").read_text(encoding="utf-8")
    return parse_measured(yaml.safe_load(text), "measured.yaml")


def _parse_entry(raw: Any, where: str) -> Measured:
    if not isinstance(raw, Mapping):
        raise ModelError(f"{where}: must be a mapping, got {raw!r}.")
    if unknown := sorted(set(map(str, raw)) ^ set(FIELDS)):
        raise ModelError(f"{where}: must have the fields {', '.join(FIELDS)}; check '{unknown[0]}'.")
    for name in ("sha256", "dataset_digest"):
        if not DIGEST.fullmatch(str(raw[name])):
            raise ModelError(f"{where}: {name} must be 64 hexadecimal digits, got '{raw[name]}'.")
    if not VERSION.fullmatch(str(raw["version"])):
        raise ModelError(f"{where}: version must be a version such as 1.2.0, got '{raw['version']}'.")
    if not re.fullmatch(r"[^/]+/[^/]+", str(raw["dataset"])):
        raise ModelError(f"{where}: dataset must be NAME/SPLIT, got '{raw['dataset']}'.")
    if not isinstance(raw["n"], int) or isinstance(raw["n"], bool) or raw["n"] < 1:
        raise ModelError(f"{where}: n must be at least 1, got {raw['n']!r}.")
    accuracy = _parse_value(raw["accuracy"], f"{where}: accuracy")
    if not 0 <= accuracy.low <= accuracy.high <= 1:
        raise ModelError(f"{where}: accuracy must lie between 0 and 1, got {accuracy.low} to {accuracy.high}.")
    if not isinstance(raw["agreement"], Sequence) or isinstance(raw["agreement"], str):
        raise ModelError(f"{where}: agreement must be a list, got {raw['agreement']!r}.")
    agreement = tuple(_parse_value(each, f"{where}: agreement") for each in raw["agreement"])
    return Measured(
        str(raw["model"]),
        str(raw["preset"] or ""),
        raw["sha256"],
        raw["dataset"],
        raw["dataset_digest"],
        raw["n"],
        accuracy,
        agreement,
        str(raw["version"]),
    )


def _parse_value(raw: Any, where: str) -> Value:
    if not isinstance(raw, Mapping) or set(raw) - {"name", "value", "low", "high"}:
        raise ModelError(f"{where} must have value, low and high, got {raw!r}.")
    numbers = [raw.get(name) for name in ("value", "low", "high")]
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
        raise ModelError(f"{where} must have the numbers value, low and high, got {raw!r}.")
    value, low, high = (float(number) for number in numbers if number is not None)
    if not low <= value <= high:
        raise ModelError(f"{where}: the interval {low} to {high} must contain the value {value}.")
    return Value(value, low, high, str(raw.get("name") or ""))
