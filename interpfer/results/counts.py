"""How many images a run has read, scored and left out."""

from collections import Counter
from typing import Any

import numpy as np

from interpfer.labels import NEUTRAL
from interpfer.results.tables import Tables


def count_images(tables: Tables) -> dict[str, Any]:
    """Return the number of images, of scored ones, and of those left out by reason."""
    first = next(iter(tables.values.values()), np.zeros((len(tables.rows), 0)))
    undefined_counts = (tables.valid[:, None] & ~np.isfinite(first)).sum(0).tolist()
    undefined = {
        name if layer == "-" else f"{name}@{layer}": count
        for (name, layer), count in zip(tables.columns, undefined_counts, strict=False)
        if count
    }
    states = list(zip(tables.labels, tables.class_names, tables.valid.tolist(), strict=True))
    return {
        "images": len(tables.rows) + len(tables.skipped),
        "scored": int(tables.valid.sum()),
        "neutral": sum(label == NEUTRAL and not is_valid for label, _, is_valid in states),
        "unlabelled": sum(not name and not is_valid for _, name, is_valid in states),
        "without_truth": _without_truth(tables),
        "skipped": {"unreadable": tables.skipped, **tables.faceless},
        "undefined_maps": undefined,
        **({"partly_seen": cut} if (cut := sum(len(part.partly_seen) for part in tables.parts)) else {}),
    }


def _without_truth(tables: Tables) -> dict[str, int]:
    """Return how many labelled faces with landmarks have no truth, per label; neutral is counted apart."""
    faceless = {row for part in tables.parts for row in part.faceless}
    rows = zip(tables.rows, tables.class_names, tables.valid.tolist(), strict=True)
    return dict(Counter(name for row, name, ok in rows if not ok and name not in ("", NEUTRAL) and row not in faceless))
