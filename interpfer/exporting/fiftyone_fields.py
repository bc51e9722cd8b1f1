"""The document of a data set of FiftyOne: which fields its samples have, in the words of its database."""

from collections.abc import Sequence
from typing import Any

VERSION = "1.0.0"
"""Of the documents; newer versions of FiftyOne migrate them."""

CORE = "fiftyone.core"

TEXT, NUMBER, WHOLE = (f"{CORE}.fields.{kind}Field" for kind in ("String", "Float", "Int"))

ID = ("id", f"{CORE}.fields.ObjectIdField")


def dataset_document(
    name: str, heatmaps: Sequence[str], numbers: Sequence[str], texts: Sequence[str]
) -> dict[str, Any]:
    """Return the content of metadata.json.

    Args:
        name: of the data set.
        heatmaps: fields with a heatmap.
        numbers: fields with a number.
        texts: fields with a text, beside ``image`` and ``subject``.
    """
    fields = [
        _field(*ID, "_id"),
        _field("filepath", TEXT),
        _tags(),
        _embedded(
            "metadata",
            f"{CORE}.metadata.ImageMetadata",
            [
                _field("size_bytes", WHOLE),
                _field("mime_type", TEXT),
                *(_field(each, WHOLE) for each in ("width", "height", "num_channels")),
            ],
        ),
        _field("_media_type", TEXT),
        _field("_rand", NUMBER),
        _field("_dataset_id", f"{CORE}.fields.ObjectIdField"),
        *(_field(each, f"{CORE}.fields.DateTimeField", read_only=True) for each in ("created_at", "last_modified_at")),
        *(_classification(each) for each in ("ground_truth", "prediction")),
        *(_heatmap(each) for each in heatmaps),
        *(_field(each, NUMBER) for each in numbers),
        *(_field(each, TEXT) for each in dict.fromkeys(("image", "subject", *texts))),
    ]
    return {
        "name": name,
        "version": VERSION,
        "persistent": False,
        "media_type": "image",
        "tags": [],
        "info": {"made_by": "interpfer"},
        "app_config": {},
        "sample_fields": fields,
    }


def _field(name: str, kind: str, stored: str = "", read_only: bool = False, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "ftype": kind,
        "embedded_doc_type": None,
        "subfield": None,
        "fields": [],
        "db_field": stored or name,
        "description": None,
        "info": None,
        "read_only": read_only,
    } | more


def _tags() -> dict[str, Any]:
    return _field("tags", f"{CORE}.fields.ListField", subfield=TEXT)


def _embedded(name: str, kind: str, fields: Sequence[dict[str, Any]]) -> dict[str, Any]:
    document = f"{CORE}.fields.EmbeddedDocumentField"
    return _field(name, document, embedded_doc_type=kind, fields=list(fields))


def _classification(name: str) -> dict[str, Any]:
    own = [_field("label", TEXT), _field("confidence", NUMBER), _field("logits", f"{CORE}.fields.VectorField")]
    return _embedded(name, f"{CORE}.labels.Classification", [_field(*ID, "_id"), _tags(), *own])


def _heatmap(name: str) -> dict[str, Any]:
    own = [
        _field("map", f"{CORE}.fields.ArrayField"),
        _field("map_path", TEXT),
        _field("range", f"{CORE}.fields.HeatmapRangeField", subfield=NUMBER),
    ]
    return _embedded(name, f"{CORE}.labels.Heatmap", [_field(*ID, "_id"), _tags(), *own])
