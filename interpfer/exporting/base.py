"""What an export target is: one class in one file, which writes a run in the form of another program."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from interpfer.exporting.again import MapsAgain
from interpfer.exporting.options import ExportOptions
from interpfer.exporting.recorded import MapBatch
from interpfer.maps.engine import Key
from interpfer.reports.page.scores import Scores
from interpfer.results.run import Run
from interpfer.runtime.progress import Progress


@dataclass(frozen=True)
class ExportRequest:
    """A run that is to be exported.

    Attributes:
        run: the run.
        scores: its scores.
        options: what of it is exported.
        again: makes its maps again; None where the target needs none.
        progress: called with (what, done, total).
    """

    run: Run
    scores: Scores
    options: ExportOptions
    again: MapsAgain | None
    progress: Progress

    def maps(self, keys: tuple[Key, ...]) -> Iterator[MapBatch]:
        """Yield the faces of the run with their maps, computed again and compared with what the run recorded.

        Args:
            keys: (map, layer) pairs of the run.

        Raises:
            InterpferError: the model, an image or a map is not what it was.
        """
        assert self.again is not None
        yield from self.again.batches(keys, self.progress)


class ExportTarget(ABC):
    """One form in which a run is handed on.

    Attributes:
        summary: what it writes, in one line.
        needs_maps: whether the maps have to be computed again.
    """

    summary: ClassVar[str]
    needs_maps: ClassVar[bool] = False

    @abstractmethod
    def files(self, request: ExportRequest) -> tuple[str, ...]:
        """Return the files and folders that are written, relative to the output folder.

        Raises:
            InterpferError: the run or the options lack something.
        """

    @abstractmethod
    def write(self, request: ExportRequest, folder: Path) -> list[str]:
        """Write them.

        Args:
            request: the run, and what of it is exported.
            folder: an empty folder.

        Returns:
            Sentences for the user.
        """
