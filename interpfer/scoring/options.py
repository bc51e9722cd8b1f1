"""Options of `interpfer score`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interpfer.choices import AU, AUTOCAST, TARGETS
from interpfer.datasets.options import DataOptions
from interpfer.errors import InterpferError
from interpfer.models.options import ModelOptions
from interpfer.options import option
from interpfer.runtime.shards import Shard
from interpfer.truth.options import TruthOptions

DEFAULT_BATCH = 32

TABLE_FORMATS = ("csv", "parquet")


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(ModelOptions, TruthOptions, DataOptions):
    """What is scored, how, and where the results go; the other values are those of the base classes.

    Attributes:
        model: the checkpoint.
        maps: names or groups, a list or one comma-separated text; None for the default, which a model that can only be
            called narrows down to maps of the input.
        dataset_name: the data set's own name in tables; None for that of its folder, where any folder can be one.
        layers: "last", "all", or names.
        target: the class that class-specific maps explain: "label", "predicted", the name of a class for all faces, or
            "au" for a map of each action unit that is present on a face.
        metrics: names or groups; None for the default.
        align: rotate, scale and shift each face by its landmarks first (``--align-faces``).
        limit: score a random sample of so many images, each class in proportion.
        sample_seed: random seed of that sample.
        seed: of the bootstrap, of random maps and of synthetic data sets.
        batch_size: faces per forward, or "auto" for as many as fit into memory; results do not depend on it beyond
            rounding.
        device: "auto", "cpu", "cuda", ...
        autocast: "bf16" or "fp16" lets the network compute in half precision where it can: faster, but maps of early
            layers change.
        by: attributes of the data set by whose values images are also scored in groups, a list or one comma-separated
            text; None for none.
        min_group: smallest number of images of such a group.
        only: text file with the names of the images to score, such as published lists of occluded faces; None for all.
        occlude: occluders that cover each face in turn (see ``interpfer ls occluders``), a list or one comma-separated
            text; None for faces as they are alone.
        occlude_map: name of the map that the occluder ``guided`` follows; None for the first one of the classifier.
        shard: the share to score, "I/N" or a pair of numbers: every Nth batch, from batch I on; ``interpfer.merge``
            makes one run of all shares. None for all images.
        sanity: check on a sample of faces whether the maps depend on the weights, are stable, and are faithful.
        out: the run folder; None keeps the run in memory.
        leaderboard: a CSV to append one row per map and layer to; one that cannot be written is refused before any
            work.
        resume: continue an interrupted run in ``out``.
        submit: YAML file to append accuracy and agreement to, with the hashes of file and images; None for none.
        overwrite: replace the run in ``out``.
        report: write report.html into ``out``, and what it shows, so that it can be rebuilt.
        faces: let the report show photographs; else it draws landmarks, and no picture is copied into ``out``.
        figures: write the figures for a paper into ``out``/figures, as ``interpfer report --figures`` does.
        tables: "csv", or "parquet" for per_image.parquet in place of per_image.csv.
        au_shares: write au_shares.csv: the share of each map's energy on the regions of action units, per image.
    """

    model: str | Path | None = option(None, "Checkpoint", kind="path", metavar="MODEL", flag="", required=True)
    maps: str | Sequence[str] | None = option(
        None, "Maps or groups (see `ls maps`)", kind="names", metavar="LIST", example="gradcam,attention,baselines"
    )
    dataset_name: str | None = option(
        None, "Name of the data set in tables; default: that of its folder", metavar="NAME", example="clinic-2026"
    )
    layers: str | Sequence[str] = option(
        "last", "Layers: last, all, or names", kind="names", metavar="LIST", example="layer3,layer4"
    )
    target: str = option(
        "label",
        f"Class that class-specific maps explain: {', '.join(TARGETS)}, {AU} (each action unit), or a class",
        metavar="NAME",
        example="predicted",
    )
    metrics: str | Sequence[str] | None = option(
        None,
        "Metrics or groups: agreement, faithfulness, regions, all (see `ls metrics`)",
        kind="names",
        metavar="LIST",
        example="cosine,pxap",
    )
    align: bool = option(
        False,
        "Rotate, scale and shift each face by its landmarks first",
        kind="switch",
        flag="--align-faces",
        former_flag="--align",
    )
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
    seed: int = option(0, "Random seed", kind="integer", metavar="N", example="1", least=0)
    batch_size: int | str = option(
        DEFAULT_BATCH, "Faces per forward", kind="count", metavar="N|auto", example="auto", least=1
    )
    device: str = option("auto", "Device", metavar="NAME", example="cuda")
    autocast: str = option(
        "off", "Half precision where possible: faster, but maps of early layers change", choices=tuple(AUTOCAST)
    )
    by: str | Sequence[str] | None = option(
        None,
        "Also score the groups of images by these attributes of the data set, and test the largest gaps",
        kind="names",
        metavar="COLUMN,...",
        example="gender,age",
    )
    min_group: int = option(
        10, "Smallest number of images of a group of --by", kind="integer", metavar="N", example="30", least=2
    )
    only: str | Path | None = option(
        None, "Score the images that this text file names", kind="path", metavar="FILE", example="occluded.txt"
    )
    occlude: str | Sequence[str] | None = option(
        None,
        "Also score the faces with each of these occluders (see `ls occluders`)",
        kind="names",
        metavar="KIND[:SHARE],...",
        example="mask,patches:0.1,patches:0.3",
    )
    occlude_map: str | None = option(
        None, "Map that the occluder guided follows", metavar="NAME", example="gradcam", flag="--occlude-map"
    )
    shard: str | Sequence[int] | None = option(
        None, "Score share I of N; `interpfer merge` makes one run of all", kind="share", metavar="I/N", example="0/3"
    )
    sanity: bool = option(
        False, "Also check on a sample whether maps depend on the weights and are faithful", kind="switch"
    )
    out: str | Path | None = option(None, "Run folder", kind="path", metavar="DIR", example="runs/mine", repeats=False)
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
    resume: bool = option(False, "Continue the interrupted run in --out", kind="switch", repeats=False)
    overwrite: bool = option(False, "Replace the run in --out", kind="switch", repeats=False)
    report: bool = option(True, "Write no report.html", kind="switch", flag="--no-report")
    faces: bool = option(
        True,
        "Do not copy photographs into --out: the report draws landmarks instead",
        kind="switch",
        flag="--no-faces",
    )
    figures: bool = option(False, "Also write figures for a paper into --out (PDF, SVG, PNG)", kind="switch")
    tables: str = option(
        "csv", "Format of the table of all images: per_image.csv, or per_image.parquet", choices=TABLE_FORMATS
    )
    au_shares: bool = option(
        False, "Also write the share of each map on the regions of action units, per image", kind="switch"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shard is None:
            return
        object.__setattr__(self, "shard", str(Shard.of(self.shard)))
        for name in ("leaderboard", "submit"):
            if getattr(self, name) is not None:
                raise InterpferError(f"a shard is only a share of a run: pass --{name} to interpfer merge.")
        if self.batch_size == "auto":
            raise InterpferError("shards are made of whole batches: pass a number to --batch-size with --shard.")
