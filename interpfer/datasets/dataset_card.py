"""Names of classes in the README of a data set of Hugging Face, whose head is YAML."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interpfer.errors import DataError
from interpfer.files import parse_yaml

LONGEST = 1_000_000
"""Bytes of a README that are read."""


def class_names_in_readme(root: Path, column: str) -> tuple[str, ...]:
    """Return the names of the classes of a column that README.md states, by number; empty for none.

    Args:
        root: folder of the data set.
        column: name of the column.

    Raises:
        DataError: the head of the README cannot be read, or numbers are missing, or its configurations differ.
    """
    path = root / "README.md"
    if not path.is_file():
        return ()
    with path.open("rb") as file:
        lines = file.read(LONGEST).decode("utf-8", "replace").splitlines()
    if not lines or lines[0].strip() != "---":
        return ()
    end = next((i for i, line in enumerate(lines[1:], 1) if line.strip() == "---"), len(lines))
    try:
        head = parse_yaml("\n".join(lines[1:end]))
    except ValueError as error:
        raise DataError(f"{path}: its head is not YAML ({' '.join(str(error).split())[:200]}).") from error
    infos = head.get("dataset_info") if isinstance(head, Mapping) else None
    found = {
        names for info in (infos if isinstance(infos, list) else [infos]) if (names := _names_of(info, column, path))
    }
    if len(found) > 1:
        raise DataError(f"{path}: its configurations name the classes of '{column}' differently.")
    return next(iter(found), ())


def _names_of(info: Any, column: str, path: Path) -> tuple[str, ...]:
    features = info.get("features") if isinstance(info, Mapping) else None
    for feature in features if isinstance(features, list) else []:
        kind = feature.get("dtype") if isinstance(feature, Mapping) and feature.get("name") == column else None
        label = kind.get("class_label") if isinstance(kind, Mapping) else None
        names = label.get("names") if isinstance(label, Mapping) else None
        if isinstance(names, list):
            return tuple(str(name) for name in names)
        if isinstance(names, Mapping):
            numbered = {str(number): str(name) for number, name in names.items()}
            if set(numbered) != {str(i) for i in range(len(numbered))}:
                raise DataError(f"{path}: the classes of '{column}' must be numbered from 0.")
            return tuple(numbered[str(i)] for i in range(len(numbered)))
    return ()
