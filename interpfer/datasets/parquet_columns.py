"""Which columns of a table hold pictures, classes and attributes, and what the classes are called."""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from interpfer.datasets.dataset_card import class_names_in_readme
from interpfer.errors import DataError
from interpfer.files import parse_json
from interpfer.labels import canonical
from interpfer.types import Sample

LABELS = ("label", "labels", "emotion", "expression", "class")
"""Columns that hold the class where the schema says nothing, in order."""

IMAGES = ("image", "img", "img_bytes", "bytes", "jpg", "png")
"""Columns that hold the picture where the schema says nothing, in order."""

SUBJECT = "subject"


class TableColumns(NamedTuple):
    """Columns of a table.

    Attributes:
        picture: name of the column of pictures.
        has_path: whether its cells have a path beside the bytes.
        label: name of the column of labels; "" for none.
        names: names of the classes by number; empty where labels are texts.
        others: names of columns of texts and numbers.
    """

    picture: str
    has_path: bool
    label: str
    names: tuple[str, ...]
    others: tuple[str, ...]

    @classmethod
    def find(cls, schema: Any, path: Path, root: Path) -> "TableColumns":
        """Find the columns of a schema.

        Args:
            schema: schema of the file.
            path: the file.
            root: folder of the data set, whose README may name classes.

        Raises:
            DataError: one is missing or not clear, or numbers of classes have no names.
        """
        types = importlib.import_module("pyarrow.types")
        features = _features(schema, path)
        kinds = {name: each.get("_type") for name, each in features.items() if isinstance(each, Mapping)}
        pictures = [name for name in schema.names if kinds.get(name) == "Image"]
        pictures = pictures or [name for name in IMAGES if name in schema.names]
        classes = [name for name in schema.names if kinds.get(name) == "ClassLabel"]
        named = [name for name in LABELS if name in schema.names]
        labels = [name for name in named if name in classes] or (classes if len(classes) == 1 else named)
        if not pictures:
            raise DataError(f"{path}: no column holds pictures; it has {', '.join(schema.names)}.")
        if len(set(schema.names)) < len(schema.names):
            raise DataError(f"{path}: two columns have the same name; it has {', '.join(schema.names)}.")
        if len(classes) > 1 and not labels:
            raise DataError(f"{path}: several columns hold classes ({', '.join(classes)}); rename one to label.")
        label = labels[0] if labels else ""
        names = _names(features.get(label), path) or (class_names_in_readme(root, label) if label else ())
        if label:
            _require_classes(types, schema.field(label).type, label, names, path)
        cell = schema.field(pictures[0]).type
        others = tuple(
            each.name for each in schema if each.name not in (pictures[0], label) and _is_plain(types, each.type)
        )
        return cls(pictures[0], types.is_struct(cell) and cell.get_field_index("path") >= 0, label, names, others)

    @property
    def without_pictures(self) -> list[str]:
        """What is read of all rows at once."""
        label = [self.label] if self.label else []
        return [*label, *self.others, *([f"{self.picture}.path"] if self.has_path else [])]

    def samples(self, table: Any, start: int, split: str, path: Path) -> Iterator[Sample]:
        """Yield the samples of a table that begins with row ``start`` of the data set.

        Raises:
            DataError: a label is not a class.
        """
        rows = table.num_rows
        labels = table.column(self.label).to_pylist() if self.label else [None] * rows
        paths = (
            table.column(self.picture).combine_chunks().field("path").to_pylist() if self.has_path else [None] * rows
        )
        cells = [table.column(name).to_pylist() for name in self.others]
        for row in range(rows):
            label, name = labels[row], str(paths[row] or f"{split}_{start + row:07d}")
            attributes = {
                other: str(cell[row]) for other, cell in zip(self.others, cells, strict=True) if cell[row] is not None
            }
            subject = attributes.pop(SUBJECT, None)
            yield Sample(name, self._label(label, path, start + row), None, subject, None, attributes)

    def _label(self, label: Any, path: Path, row: int) -> str:
        if label is None or label == -1 or label == "":
            return ""
        if isinstance(label, int):
            if not 0 <= label < len(self.names):
                raise DataError(f"{path}, row {row}: class {label} is none of the {len(self.names)} that are named.")
            label = self.names[label]
        try:
            return canonical(str(label))
        except DataError as error:
            raise DataError(f"{path}, row {row}: {error}") from error


def _names(feature: object, path: Path) -> tuple[str, ...]:
    """Return the names of classes that a feature states; empty for none."""
    names = feature.get("names") if isinstance(feature, Mapping) else None
    if names is None:
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{path}: the names of the classes in its schema must be a list of texts.")
    return tuple(names)


def _require_classes(types: Any, kind: Any, label: str, names: tuple[str, ...], path: Path) -> None:
    """Check that a column holds texts, or numbers with names."""
    kind = kind.value_type if types.is_dictionary(kind) else kind
    if types.is_integer(kind):
        if not names:
            raise DataError(
                f"{path}: the classes of the column '{label}' are numbers, and the schema does not name them; write it "
                "again with a ClassLabel, or with texts."
            )
    elif not (types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind)):
        raise DataError(f"{path}: the column '{label}' must hold texts or numbers of classes, got {kind}.")


def _is_plain(types: Any, kind: Any) -> bool:
    checks = (types.is_string, types.is_large_string, types.is_integer, types.is_floating, types.is_boolean)
    return any(check(kind) for check in checks)


def _features(schema: Any, path: Path) -> dict[str, Any]:
    """Return the features that Hugging Face states in the schema, or beside an Arrow file; empty for none."""
    stated = (schema.metadata or {}).get(b"huggingface")
    info = path.parent / "dataset_info.json"
    try:
        if stated:
            found = parse_json(stated)["info"]["features"]
        else:
            found = parse_json(info.read_text("utf-8"))["features"] if info.is_file() else {}
        return dict(found or {})
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise DataError(f"{path}: the features of its schema cannot be read ({error}).") from error
