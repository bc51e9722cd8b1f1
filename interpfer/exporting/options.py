"""Options of `interpfer export`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interpfer.options import Options, option
from interpfer.scoring.options import DEFAULT_BATCH


@dataclass(frozen=True, kw_only=True)
class ExportOptions(Options):
    """What of a run is exported, to what, and where it goes.

    Attributes:
        run: the run folder.
        out: the folder that gets the files; other files in it stay.
        to: name of a target.
        maps: maps whose pictures are exported, each a name or NAME@LAYER; None for those of the report's headline.
        threshold: share of a map's maximum from which on a pixel is in its mask, where maps become masks.
        model: the checkpoint, where it has moved since the run.
        data_root: the folder of the data set, where it has moved since the run.
        trust: allow code from the model card or a pickle to run, which a run does not pass on.
        value: the number for ``hf-eval``: "accuracy", "macro_f1", or METRIC:MAP@LAYER.
        hub_dataset: data set of the Hugging Face hub that the run's images are of, OWNER/NAME.
        hub_task: task of that benchmark, as its eval.yaml names it.
        license: of the model, for the header of a model card.
        batch_size: faces per forward, where maps are computed again.
        device: on which they are.
        overwrite: replace files of an earlier export.
    """

    run: str | Path | None = option(None, "Run folder", kind="path", metavar="RUN", flag="", required=True)
    out: str | Path | None = option(
        None, "Folder to write", kind="path", metavar="DIR", flag="", required=True, repeats=False
    )
    to: str | None = option(None, "Target (see `ls exports`)", metavar="NAME", example="model-card", required=True)
    maps: str | Sequence[str] | None = option(
        None,
        "Maps to export as pictures; default: those of the report's headline",
        kind="names",
        metavar="MAP@LAYER,...",
        example="gradcam@layer4,attention",
    )
    threshold: float = option(
        0.5,
        "Share of a map's maximum from which on a pixel is in its mask, for coco",
        kind="number",
        metavar="X",
        example="0.7",
        above=0,
        most=1,
    )
    model: str | Path | None = option(
        None, "Checkpoint, if it has moved since the run", kind="path", metavar="MODEL", example="model.pt"
    )
    data_root: str | Path | None = option(
        None, "Folder of the data set, if it has moved since the run", kind="path", metavar="DIR", example="faces"
    )
    trust: bool = option(False, "Allow code from the model card or a pickle to run", kind="switch")
    value: str = option(
        "accuracy",
        "Number for hf-eval: accuracy, macro_f1 or METRIC:MAP@LAYER",
        metavar="NAME",
        example="cosine:gradcam@layer4",
    )
    hub_dataset: str | None = option(
        None, "The images as a data set of the Hugging Face hub", metavar="OWNER/NAME", example="owner/faces"
    )
    hub_task: str | None = option(
        None, "Task of that benchmark, as its eval.yaml names it", metavar="ID", example="default"
    )
    license: str | None = option(
        None, "License of the model, for the header of a model card", metavar="ID", example="mit"
    )
    batch_size: int = option(
        DEFAULT_BATCH,
        "Faces per forward, where maps are computed again",
        kind="integer",
        metavar="N",
        example="8",
        least=1,
    )
    device: str = option("auto", "Device, where maps are computed again", metavar="NAME", example="cuda")
    overwrite: bool = option(False, "Replace files of an earlier export", kind="switch", repeats=False)
