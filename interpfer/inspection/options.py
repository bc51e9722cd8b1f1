"""Options of `interpfer inspect`."""

from dataclasses import dataclass
from pathlib import Path

from interpfer.models.options import ModelOptions
from interpfer.options import option


@dataclass(frozen=True, kw_only=True)
class InspectOptions(ModelOptions):
    """Options of `interpfer inspect`: a checkpoint, and labelled faces on which model cards are tried.

    Attributes:
        model: the checkpoint.
        dataset: labelled faces to try class orders and inputs on; None for none.
        data_root: folder of the faces.
        split: split of the faces.
        limit: largest number of faces.
        seed: random seed of the sample of faces.
        show_layers: layers to list: the ends of the stages, all, or the spatial ones.
        write: write the card beside the checkpoint.
    """

    model: str | Path | None = option(None, "Checkpoint", kind="path", metavar="MODEL", flag="", required=True)
    dataset: str | None = option(
        None, "Labelled faces to try class orders and inputs on", metavar="NAME", example="csv"
    )
    data_root: str | Path | None = option(None, "Folder of these faces", kind="path", metavar="DIR", example="faces")
    split: str = option("test", "Split of these faces", metavar="NAME", example="val")
    limit: int = option(140, "Number of faces", kind="integer", metavar="N", example="350", least=1)
    seed: int = option(0, "Random seed for sampling faces", kind="integer", metavar="N", example="1")
    show_layers: str = option("stages", "Layers to list", choices=("stages", "all", "spatial"), flag="--layers")
    write: bool = option(False, "Write the card beside the checkpoint, for `interpfer score`", kind="switch")
