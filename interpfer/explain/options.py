"""Options of `interpfer explain`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interpfer.choices import CROPS, PROTOCOLS, TARGETS
from interpfer.datasets.sampling import DEFAULT_SAMPLING, SAMPLINGS
from interpfer.models.options import ModelOptions
from interpfer.options import option
from interpfer.truth.options import TruthOptions

EXPLAINED_MAPS = ("attention", "gradcam", "gradcam++", "layercam")


@dataclass(frozen=True, kw_only=True)
class ExplainOptions(ModelOptions, TruthOptions):
    """How a picture is explained, and where the result goes; the other values are those of the base classes.

    Attributes:
        image: a picture, a folder of pictures, or a clip: a video, or a folder of frames.
        model: the checkpoint.
        label: the expression that the face shows, or the class of the picture, in any spelling.
        maps: names or groups; class-specific ones explain the class of ``target``.
        target: "predicted" or "label": the expression that class-specific maps explain, and are judged by.
        protocol: as for a score, but "corrected" by default: "paper" expects AU 5 of disgust, an error of the paper's
            code.
        layers: "last", "all", or names.
        landmarks: the name of a provider, or a landmark file; None for the embedded network.
        crop: "auto" cuts the face out where it is small in the picture; "face" always; "aligned" rotates it as well;
            "whole" never.
        occlude: an occluder that covers the face first (see ``interpfer ls occluders``); None for none.
        device: "auto", "cpu", "cuda", ...
        seed: of maps that draw at random.
        out: a picture, a JSON file or a folder; None for the current folder.
        clip: take a folder for the frames of one clip; a classifier of clips always does.
        sampling: which frames of a clip are explained, one of ``interpfer.datasets.sampling.SAMPLINGS``.
        frames: number of frames of a clip; None for those that the classifier takes, else 8.
        rationale: file that gets a line per picture, as ``interpfer rationales`` reads it; None for none.
    """

    image: str | Path | None = option(
        None, "Picture, folder of pictures, or clip", kind="path", metavar="IMAGE", flag="", required=True
    )
    model: str | Path | None = option(
        None, "Checkpoint", kind="path", metavar="MODEL", example="model.pt", required=True
    )
    label: str | None = option(
        None,
        "True class of the picture; its action units or its mask are drawn too",
        metavar="NAME",
        example="happiness",
    )
    maps: str | Sequence[str] = option(
        EXPLAINED_MAPS, "Maps or groups (see `ls maps`)", kind="names", metavar="LIST", example="attention,gradcam"
    )
    target: str = option("predicted", "Class that class-specific maps explain and are judged by", choices=TARGETS)
    protocol: str = option(
        "corrected", "Rules: corrected, or paper with the errors of published numbers", choices=PROTOCOLS
    )
    layers: str | Sequence[str] = option(
        "last", "Layers: last, all, or names", kind="names", metavar="LIST", example="layer4"
    )
    landmarks: str | None = option(
        None,
        "68 points per face; default: detected by `embedded`",
        metavar="FILE|PROVIDER",
        example="points.txt",
    )
    crop: str = option(
        "auto", "Part of the picture the model sees; auto cuts out a face that is small in it", choices=CROPS
    )
    occlude: str | None = option(
        None, "Cover the face first (see `ls occluders`)", metavar="KIND[:SHARE]", example="mask"
    )
    device: str = option("auto", "Device", metavar="NAME", example="cuda")
    seed: int = option(0, "Random seed", kind="integer", metavar="N", example="1")
    out: str | Path | None = option(
        None,
        "A .png, .svg, .pdf or .json file, or a folder; default: the current directory",
        kind="path",
        metavar="FILE|DIR",
        example="why.svg",
        repeats=False,
    )
    clip: bool = option(False, "The folder holds the frames of one clip", kind="switch")
    sampling: str = option(DEFAULT_SAMPLING, "Frames of a clip that are explained", choices=tuple(SAMPLINGS))
    frames: int | None = option(
        None,
        "Number of frames of a clip; default: the model's, else 8",
        kind="integer",
        metavar="N",
        example="16",
        least=1,
    )
    rationale: str | Path | None = option(
        None,
        "JSON lines to write prediction and action units to, for `interpfer rationales`",
        kind="path",
        metavar="FILE.jsonl",
        example="why.jsonl",
        repeats=False,
    )
