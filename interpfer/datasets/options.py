"""Options of the data set, shared by all verbs that read one."""

from dataclasses import dataclass
from pathlib import Path

from interpfer.datasets.sampling import SAMPLINGS
from interpfer.options import Options, option


@dataclass(frozen=True, kw_only=True)
class DataOptions(Options):
    """Data set and landmarks.

    Attributes:
        dataset: name of the data set.
        data_root: folder of the data set.
        split: split of the data set.
        landmarks: landmark file or name of a provider; None for the data set's own, else the embedded network.
        sampling: which frames of a clip are read, one of ``interpfer.datasets.sampling.SAMPLINGS``; None for "uniform".
        frames: frames of a clip, or of each window of it; None for 16.
    """

    dataset: str | None = option(None, "Data set (see `ls datasets`)", metavar="NAME", example="csv", required=True)
    data_root: str | Path | None = option(None, "Folder of the data set", kind="path", metavar="DIR", example="faces")
    split: str = option("test", "Split of the data set", metavar="NAME", example="test")
    landmarks: str | None = option(
        None,
        "68 points per face; default: the data set's own, else detected",
        metavar="FILE|PROVIDER",
        example="landmarks.txt",
    )
    sampling: str | None = option(
        None, "Frames of each clip; default: uniform", metavar="NAME", example="dfer-clip", choices=tuple(SAMPLINGS)
    )
    frames: int | None = option(
        None, "Number of frames of each clip; default: 16", kind="integer", metavar="N", example="8", least=1
    )


@dataclass(frozen=True, kw_only=True)
class CheckDataOptions(DataOptions):
    """Data set that ``interpfer check-data`` checks.

    Attributes:
        split: split of the data set; None for all.
    """

    split: str | None = option(  # type: ignore[assignment]
        None, "One split; default: all", metavar="NAME", example="test"
    )
    landmarks: str | None = option(None, "Not used", flag="")
    sampling: str | None = option(None, "Not used", flag="")
    frames: int | None = option(None, "Not used", flag="")
