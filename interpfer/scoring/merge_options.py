"""Options of `interpfer merge`."""

from dataclasses import dataclass
from pathlib import Path

from interpfer.options import Options, option


@dataclass(frozen=True, kw_only=True)
class MergeOptions(Options):
    """Where the merged run goes, and where things lie that have another place here than where the shards were scored.

    Attributes:
        out: the run folder.
        model: the checkpoint; None for the path that the shards name. So with the following.
        data_root: folder of the data set.
        landmarks: landmark file or name of a provider.
        aus: file with the action units of each image.
        masks: file or folder of masks.
        codebook: name or file.
        only: text file with the names of the images to score.
        device: where the few maps are made that the report shows beside those of the shards.
        trust: whether code of the card or of a pickle may run.
        leaderboard: a CSV to append one row per map and layer to.
        submit: YAML file to append accuracy and agreement to.
        resume: continue an interrupted merge into ``out``; a finished one is left as it is.
        overwrite: replace the run in ``out``.
    """

    out: str | Path | None = option(
        None, "Run folder", kind="path", metavar="DIR", example="runs/mine", required=True, repeats=False
    )
    model: str | Path | None = option(
        None,
        "Checkpoint, if it is not where the shards found it",
        kind="path",
        metavar="MODEL",
        example="model.pt",
    )
    data_root: str | Path | None = option(
        None, "Folder of the data set, as above", kind="path", metavar="DIR", example="faces"
    )
    landmarks: str | None = option(None, "Landmarks, as above", metavar="FILE|PROVIDER", example="landmarks.txt")
    aus: str | Path | None = option(
        None, "Action units of each image, as above", kind="path", metavar="FILE", example="openface.csv"
    )
    masks: str | Path | None = option(
        None, "Masks of the pictures, as above", kind="path", metavar="PATH", example="masks.csv"
    )
    codebook: str | None = option(None, "Codebook, as above", metavar="NAME|FILE", example="mine.yaml")
    only: str | Path | None = option(
        None, "List of the images to score, as above", kind="path", metavar="FILE", example="occluded.txt"
    )
    device: str | None = option(None, "Device; default: that of the shards", metavar="NAME", example="cpu")
    trust: bool = option(False, "Allow code from the model card or a pickle to run", kind="switch")
    leaderboard: str | Path | None = option(
        None, "CSV to append rows to", kind="path", metavar="FILE", example="board.csv", repeats=False
    )
    submit: str | Path | None = option(
        None,
        "YAML file to append what was measured to, for the registry of checkpoints",
        kind="path",
        metavar="FILE",
        example="measured.yaml",
        repeats=False,
    )
    resume: bool = option(False, "Continue the interrupted merge into --out", kind="switch", repeats=False)
    overwrite: bool = option(False, "Replace the run in --out", kind="switch", repeats=False)
