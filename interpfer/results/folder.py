"""The run folder, while a score fills it.

Each finished batch is one file under ``.parts``, written atomically, so a kill loses at most the current batch. At the
end the batches become tables, each replaced atomically, ``run.json`` last: a folder with a ``run.json`` is complete.
The batches of a shard are under ``shard`` and stay there: ``interpfer merge`` makes one run out of those of all shards.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpfer.errors import RunError
from interpfer.files import json_bytes, write_atomic
from interpfer.results.batch_file import PICTURES, BatchResult, equal_blocks, open_batch
from interpfer.results.image_rows import ImageRows
from interpfer.results.image_table import IMAGE_FILES, table_blocks
from interpfer.results.occluded import EXAMPLES_FILE, OCCLUSION_FILE
from interpfer.results.pictures import REPORT_DATA, Pictures
from interpfer.results.plans import PARTS, PLAN, SHARD_PARTS, require_same_plan
from interpfer.results.run import AU_RECALL_FILE, CLIPS_FILE, GAPS_FILE, GROUPS_FILE, MANIFEST, SHARD

REPORT = "report.html"
FIGURES = "figures"
PROFILE_BLOCK = 4096
"""Images whose profiles are in memory at a time."""

OPTIONAL_TABLES = ("au_profile.csv", "au_shares.csv", "regions.csv", OCCLUSION_FILE, EXAMPLES_FILE, CLIPS_FILE,
                   AU_RECALL_FILE, GROUPS_FILE, GAPS_FILE, *IMAGE_FILES.values())  # fmt: skip
"""Tables that not every run has, so that those of a run that is replaced must go."""


class RunFolder:
    """A run folder being filled; without a path a temporary one, so that memory does not grow with the data set.

    Use ``begin`` to create or resume one, ``join`` to add batches to one that another process has begun.

    Args:
        path: the run folder; None for a run that is not written.
        batches: folder of the finished batches.
        scratch: the temporary folder that this object owns, if any.
        sources: folders whose batches are read, where these are others.
    """

    def __init__(
        self,
        path: Path | None,
        batches: Path,
        scratch: tempfile.TemporaryDirectory[str] | None = None,
        sources: Sequence[Path] = (),
    ) -> None:
        self.path = path
        self.batches = batches
        self._scratch = scratch
        self._sources = tuple(sources) or (batches,)

    @classmethod
    def begin(cls, path: Path | None, plan: Mapping[str, Any], resume: bool, overwrite: bool) -> "RunFolder":
        """Create a folder, or continue one.

        Args:
            path: the folder; its parents are created. None for a temporary one.
            plan: everything that decides the bytes of the result; a run is resumed only under the same plan. That of a
                shard says which it is.
            resume: continue the run in the folder.
            overwrite: replace the run in the folder.

        Raises:
            RunError: the folder holds a run and neither ``resume`` nor ``overwrite`` is true, or the plans differ.
        """
        if path is None:
            scratch = tempfile.TemporaryDirectory(prefix="interpfer-")
            return cls(None, Path(scratch.name), scratch)
        folder = cls(path, path / (SHARD_PARTS if SHARD in plan else PARTS))
        if path.exists() and not path.is_dir():
            raise RunError(f"{path} is a file: pass a folder to --out.")
        begun = [name for name in (PARTS, SHARD_PARTS) if (path / name / PLAN).exists()]
        existing = [*begun, *(name for name in (MANIFEST, "scores.csv") if (path / name).exists())]
        if existing and not resume and not overwrite:
            raise RunError(f"{path} already holds a run; pass --resume to continue it or --overwrite to replace it.")
        if path.is_dir() and {each.name for each in path.iterdir()} - {PARTS, SHARD_PARTS} and not existing:
            raise RunError(f"{path} is not empty and holds no run; choose another folder for --out.")
        if existing and resume:
            require_same_plan(path, plan)
        if folder.is_complete and resume:
            return folder
        folder._drop_unpaired()
        if overwrite and existing:
            for name in (PARTS, SHARD_PARTS):
                shutil.rmtree(path / name, ignore_errors=True)
            for name in (MANIFEST, REPORT_DATA, REPORT, *OPTIONAL_TABLES):
                (path / name).unlink(missing_ok=True)
        try:
            folder.batches.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"cannot write to {path}: {error}.") from error
        write_atomic(folder.batches / PLAN, json.dumps(plan).encode())
        return folder

    @classmethod
    def join(cls, path: Path | None, batches: Path) -> "RunFolder":
        """Return a folder that another process has begun, to add batches to.

        Args:
            path: the run folder of the other process.
            batches: its folder of finished batches.
        """
        return cls(path, batches)

    def over(self, sources: Sequence[Path]) -> "RunFolder":
        """Return the same folder with the finished batches of other folders, which are only read."""
        return RunFolder(self.path, self.batches, self._scratch, sources)

    def occluded(self, place: int) -> "RunFolder":
        """Return the folder of the batches of one of the occlusions of a run, one for each batch of this folder."""
        name = f"occlusion-{place}"
        batches = self.batches / name
        batches.mkdir(exist_ok=True)
        return RunFolder(None, batches, sources=[source / name for source in self._sources])

    def _files(self) -> list[Path]:
        """Return the files of the finished batches, in the order of the data set."""
        return sorted((path for source in self._sources for path in source.glob("*.npz")), key=lambda path: path.name)

    def _drop_unpaired(self) -> None:
        """Delete batches of occlusions that a kill left without the clean batch, which is written last."""
        for path in self.batches.glob("occlusion-*/*.npz"):
            if not (self.batches / path.name).is_file():
                path.unlink()

    @property
    def is_complete(self) -> bool:
        """Whether the folder holds a finished run."""
        return self.path is not None and (self.path / MANIFEST).is_file()

    def done(self) -> set[int]:
        """Return the positions of the images in finished batches."""
        rows = set[int]()
        for path in self._files():
            with open_batch(path) as arrays:
                rows.update(arrays["rows"].tolist(), map(int, json.loads(arrays["facts"].tobytes())["skipped"]))
        return rows

    def add(self, part: BatchResult) -> None:
        """Write a finished batch."""
        first = min([*part.rows.tolist(), *part.skipped])
        write_atomic(self.batches / f"{first:09d}.npz", part.to_bytes(), durable=False)

    def parts(self) -> Iterator[BatchResult]:
        """Yield the finished batches in the order of the data set, without their counts and profiles."""
        for path in self._files():
            with open_batch(path) as arrays:
                yield BatchResult.from_arrays(arrays)

    def profile_blocks(self) -> Iterator[NDArray[np.float64]]:
        """Yield the (rows, maps + 2, regions) profiles in blocks of one size, whatever the size of a batch was."""

        def read() -> Iterator[NDArray[np.float64]]:
            for path in self._files():
                with open_batch(path) as arrays:
                    yield arrays["profiles"]

        yield from equal_blocks(read(), PROFILE_BLOCK)

    def profiles(self, column: int) -> NDArray[np.float64]:
        """Return the (rows, regions) profiles of one map: those of all would be the largest part of a long run.

        Args:
            column: of the map; -2 for a uniform map, -1 for the truth.
        """
        found = []
        for path in self._files():
            with open_batch(path) as arrays:
                found.append(arrays["profiles"][:, column])
        return np.concatenate(found)

    def counts(self, name: str, column: int) -> Iterator[NDArray[np.unsignedinteger]]:
        """Yield the (rows, bins) counts of one map batch by batch: they are too large to hold all at once.

        Args:
            name: of the metric; after ``planes/`` the counts are those of the planes.
            column: of the map.
        """
        for path in self._files():
            planes, _, metric = name.rpartition("/")
            key = "/".join(filter(None, (planes, "counts", metric, str(column))))
            with open_batch(path) as arrays:
                if key in arrays:
                    yield arrays[key]

    def pictures(self) -> Iterator[tuple[list[int], Pictures | None]]:
        """Yield positions and small pictures batch by batch; None for a batch without pictures."""
        for path in self._files():
            with open_batch(path) as arrays:
                has_pictures = "pictures/maps" in arrays
                yield (
                    arrays["rows"].tolist(),
                    Pictures(**{name: arrays[f"pictures/{name}"] for name in PICTURES}) if has_pictures else None,
                )

    def discard(self) -> None:
        """Delete the batches of an unfinished run, also those of other processes."""
        shutil.rmtree(self.batches, ignore_errors=True)
        if self._scratch is not None:
            self._scratch.cleanup()

    def finish(
        self,
        tables: Mapping[str, pd.DataFrame | ImageRows],
        manifest: Mapping[str, Any],
        report_data: bytes | None = None,
        others: Mapping[str, bytes] | None = None,
    ) -> None:
        """Write the tables, the data of the report and the manifest, and delete the batches, but not of a shard.

        Args:
            tables: file name -> table.
            manifest: content of run.json.
            report_data: content of ``REPORT_DATA``, None for none.
            others: file name -> content of further files.
        """
        if self.path is not None:
            for name, table in tables.items():
                write_atomic(self.path / name, table_blocks(name, table))
            if report_data is not None:
                write_atomic(self.path / REPORT_DATA, report_data)
            for name, content in (others or {}).items():
                write_atomic(self.path / name, content)
            write_atomic(self.path / MANIFEST, json_bytes(manifest))
        if self.batches.name != SHARD_PARTS:
            self.discard()
