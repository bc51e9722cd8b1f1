"""How faithful the maps of a finished cell of ``benchmarks.table1`` are: its network is read again, never trained."""

import json
from typing import Any

from benchmarks.table1_study import ROWS, Cell, layers_of, open_faces
from interpfer.files import json_bytes, write_atomic
from interpfer.models.loading import load_model
from interpfer.scoring.score import score
from interpfer.statistics.summary import macro_mean

METRICS = ("insertion", "deletion")


def explain_cell(cell: Cell, faces: int) -> None:
    """Measure insertion and deletion of the maps of a finished cell on some held-out faces; nothing where that is done.

    Args:
        cell: the cell.
        faces: number of faces, drawn from all that are held out; 0 for none.
    """
    if not faces or not cell.result.is_file() or is_explained(cell, faces):
        return
    rows = [row for row in ROWS.values() if row.training == cell.training]
    maps = list(dict.fromkeys(name for row in rows for name in (row.attention, row.class_map)))
    model = load_model(cell.folder / "training" / "model.pt", trust=True)
    _, test = open_faces(cell)
    run = score(
        model, test, maps=maps, layers=layers_of(cell), metrics=",".join(METRICS), device=cell.device,
        protocol="corrected", limit=min(faces, len(test)),
    )  # fmt: skip
    table = run.per_image
    content: dict[str, Any] = {"faces": faces, "maps": {}}
    for key, own in table.groupby("map", sort=False):
        labels = own["label"].tolist()
        insertion, deletion = (macro_mean(own[name].astype(float).tolist(), labels) for name in METRICS)
        content["maps"][key] = insertion - deletion
    write_atomic(cell.explained, json_bytes(content))


def is_explained(cell: Cell, faces: int) -> bool:
    """Return whether the maps of a cell were measured on as many faces."""
    return cell.explained.is_file() and json.loads(cell.explained.read_text())["faces"] == faces
