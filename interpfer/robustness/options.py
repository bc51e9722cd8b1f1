"""Options of `interpfer robustness`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interpfer.choices import PROTOCOL_TRUTH, PROTOCOLS, TARGETS
from interpfer.datasets.options import DataOptions
from interpfer.models.options import ModelOptions
from interpfer.options import option
from interpfer.truth.options import TruthOptions

Names = str | Sequence[str] | None


@dataclass(frozen=True, kw_only=True)
class RobustnessOptions(ModelOptions, DataOptions):
    """What is scored by which choices, and where the results go.

    Attributes:
        model: the first checkpoint; further ones follow it.
        landmarks: landmark files or providers; None for the data set's own, else the embedded network.
        truth: what maps are compared with; codebooks and geometries are choices of the codebook alone.
        masks: file or folder of masks, for the truth "masks".
        protocols: protocols; None for both.
        codebooks: names or files; None for those of the two protocols.
        geometries: names; None for that of each protocol.
        maps: names or groups; None for the default of ``interpfer score``.
        layers: "last", "all", or names.
        metrics: names or groups of metrics that do not run the model; None for the default.
        target: "label" or "predicted": the class that class-specific maps explain.
        limit: score a random sample of so many images, each class in proportion.
        sample_seed: random seed of that sample.
        seed: of bootstrap, tests and random maps.
        batch_size: faces per forward.
        device: "auto", "cpu", "cuda", ...
        out: folder of the tables and the page; None for none.
        overwrite: replace the files of an earlier study in ``out``.
    """

    model: str | Path | None = option(None, "Checkpoint", kind="path", metavar="MODEL", flag="", required=True)
    landmarks: Names = option(  # type: ignore[assignment]
        None,
        "Landmark files or providers; default: the data set's own, else detected",
        kind="names",
        metavar="LIST",
        example="landmarks.csv,embedded",
    )
    truth: str = option(TruthOptions.truth, "What maps are compared with", metavar="NAME", example="masks")
    masks: str | Path | None = option(
        None, "Masks of the pictures, with --truth masks", kind="path", metavar="PATH", example="masks.csv"
    )
    protocols: Names = option(
        None, "Protocols; default: all", kind="names", metavar="LIST", example=",".join(PROTOCOLS)
    )
    codebooks: Names = option(
        None,
        "Codebooks, names or files; default: those of the protocols, " + " and ".join(
            dict.fromkeys(codebook for codebook, _ in PROTOCOL_TRUTH.values())
        ),
        kind="names",
        metavar="LIST",
        example="belharbi2024,emfacs",
    )  # fmt: skip
    geometries: Names = option(
        None, "Geometries; default: that of each protocol", kind="names", metavar="LIST", example="reference,scaled"
    )
    maps: Names = option(
        None, "Maps or groups (see `ls maps`)", kind="names", metavar="LIST", example="gradcam,attention,baselines"
    )
    layers: str | Sequence[str] = option(
        "last", "Layers: last, all, or names", kind="names", metavar="LIST", example="layer3,layer4"
    )
    metrics: Names = option(
        None, "Metrics or groups that do not run the model", kind="names", metavar="LIST", example="cosine,pxap"
    )
    target: str = option("label", "Class that class-specific maps explain", choices=TARGETS)
    limit: int | None = option(
        None,
        "Score a random sample of N images, each class in proportion",
        kind="integer",
        metavar="N",
        example="100",
        least=1,
    )
    sample_seed: int = option(
        0, "Random seed of the sample of --limit", kind="integer", metavar="N", example="1", least=0
    )
    seed: int = option(0, "Random seed of bootstrap and tests", kind="integer", metavar="N", example="1", least=0)
    batch_size: int = option(32, "Faces per forward", kind="integer", metavar="N", example="64", least=1)
    device: str = option("auto", "Device", metavar="NAME", example="cuda")
    out: str | Path | None = option(
        None, "Folder of the tables and the page", kind="path", metavar="DIR", example="robustness", repeats=False
    )
    overwrite: bool = option(False, "Replace the study in --out", kind="switch", repeats=False)
