"""The run folder: what a score leaves behind.

While a run goes on, every finished batch is one file under ``.parts``, written whole or not at all; a kill loses at
most the batch at hand. At the end the parts become tables, each replaced atomically, ``run.json`` last: a folder with
a ``run.json`` is complete.
"""

import io
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpfer.errors import RunError
from interpfer.files import csv_bytes, json_bytes, write_atomic
from interpfer.results.pictures import REPORT_DATA, Pictures
from interpfer.results.run import MANIFEST

PARTS = ".parts"
REPORT = "report.html"
FIGURES = "figures"
PICTURES = tuple(each.name for each in fields(Pictures))


@dataclass(frozen=True)
class BatchResult:
    """What a batch of images gave.

    Attributes:
        rows: positions in the data set of the images that were read.
        predicted: class index per row.
        confidence: probability of the predicted class per row.
        digests: sha256 of the pixels per row.
        scores: (rows, maps, image metrics), NaN where undefined.
        counts: metric name -> (rows, maps, bins) counts; metrics that count the same share the first one's.
        single: metric name -> (rows, maps) score of each image alone.
        profiles: (rows, maps + 2, regions) AU evidence of each map, of a uniform one and of the AU heatmap.
        valid: whether each row has a truth.
        faceless: positions without landmarks -> why, "" where the provider does not say.
        skipped: position -> why the image could not be read.
        refused: (map, layer) -> why it cannot be made.
        unlike: (map, layer) pairs that are the same as another in general, and were not in this batch.
        pictures: small pictures for the report, if they are kept.
    """

    rows: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    digests: tuple[str, ...]
    scores: NDArray[np.float64]
    counts: dict[str, NDArray[np.unsignedinteger]]
    single: dict[str, NDArray[np.float64]]
    profiles: NDArray[np.float64]
    valid: NDArray[np.bool_]
    faceless: dict[int, str]
    skipped: dict[int, str]
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    unlike: frozenset[tuple[str, str]] = frozenset()
    pictures: Pictures | None = None


class RunFolder:
    """A folder being filled; without a path, a temporary one, so that memory does not grow with the data set.

    Args:
        path: the folder; its parents are made.
        plan: everything that decides the bytes of the result; a run is resumed only under the same plan.
        resume: continue what is there.
        overwrite: replace what is there.

    Raises:
        RunError: the folder holds a run and neither ``resume`` nor ``overwrite`` is said, or the plans differ.
    """

    def __init__(self, path: Path | None, plan: Mapping[str, Any], resume: bool, overwrite: bool) -> None:
        self.path = path
        if path is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="interpfer-")
            self._parts = Path(self._scratch.name)
            return
        self._parts = path / PARTS
        if path.exists() and not path.is_dir():
            raise RunError(f"{path} is a file; --out names a folder.")
        held = [name for name in (PARTS, MANIFEST, "scores.csv") if (path / name).exists()]
        if held and not resume and not overwrite:
            raise RunError(f"{path} already holds a run; say --resume to continue it or --overwrite to replace it.")
        if path.is_dir() and any(path.iterdir()) and not held:
            raise RunError(f"{path} is not empty and holds no run; choose another folder for --out.")
        if held and resume:
            self._refuse_other_plan(plan)
        if self.complete and resume:
            return
        if overwrite and held:
            shutil.rmtree(self._parts, ignore_errors=True)
            for name in (MANIFEST, REPORT_DATA, REPORT):
                (path / name).unlink(missing_ok=True)
        try:
            self._parts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"cannot write to {path}: {error}.") from error
        write_atomic(self._parts / "plan.json", json.dumps(plan).encode())

    @classmethod
    def join(cls, path: Path | None, place: Path) -> "RunFolder":
        """Return a folder that another process has begun, to add batches to.

        Args:
            path: as the other process was told.
            place: where it keeps finished batches.
        """
        folder = cls.__new__(cls)
        folder.path, folder._parts = path, place
        return folder

    @property
    def place(self) -> Path:
        """Where finished batches are kept."""
        return self._parts

    def _refuse_other_plan(self, plan: Mapping[str, Any]) -> None:
        assert self.path is not None
        held = self.path / PARTS / "plan.json"
        if held.is_file():
            before = json.loads(held.read_text(encoding="utf-8"))
        elif (self.path / MANIFEST).is_file():
            before = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))["arguments"]
        else:
            raise RunError(f"{self.path} holds no run that could be resumed; say --overwrite.")
        changed = [key for key in plan if json.loads(json.dumps(plan[key])) != before.get(key)]
        if changed:
            raise RunError(
                f"{self.path} was started with another {', '.join(changed)}; give the same arguments to --resume, "
                "or say --overwrite."
            )

    @property
    def complete(self) -> bool:
        """Whether the folder holds a finished run."""
        return self.path is not None and (self.path / MANIFEST).is_file()

    def done(self) -> set[int]:
        """Return the positions of the images that finished batches cover."""
        return {row for part in self.parts() for row in [*part.rows.tolist(), *part.skipped]}

    def add(self, part: BatchResult) -> None:
        """Keep a finished batch."""
        first = min([*part.rows.tolist(), *part.skipped])
        buffer = io.BytesIO()
        arrays: dict[str, NDArray[Any]] = {"rows": part.rows, "predicted": part.predicted, "scores": part.scores}
        arrays |= {"valid": part.valid, "confidence": part.confidence, "profiles": part.profiles}
        for name, value in part.counts.items():
            arrays |= {f"counts/{name}/{column}": value[:, column] for column in range(value.shape[1])}
        arrays |= {f"single/{name}": value for name, value in part.single.items()}
        if part.pictures is not None:
            arrays |= {f"pictures/{name}": getattr(part.pictures, name) for name in PICTURES}
        facts = {"digests": part.digests, "skipped": part.skipped, "faceless": part.faceless}
        facts |= {"refused": [[*key, why] for key, why in part.refused.items()], "unlike": sorted(part.unlike)}
        arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        np.savez(buffer, allow_pickle=False, **arrays)
        write_atomic(self._parts / f"{first:09d}.npz", buffer.getvalue(), durable=False)

    def parts(self) -> Iterator[BatchResult]:
        """Yield the finished batches in the order of the data set, without their counts."""
        for path in sorted(self._parts.glob("*.npz")):
            with np.load(path) as arrays:
                facts = json.loads(arrays["facts"].tobytes())
                yield BatchResult(
                    arrays["rows"],
                    arrays["predicted"],
                    arrays["confidence"],
                    tuple(facts["digests"]),
                    arrays["scores"],
                    {},
                    {name[7:]: arrays[name] for name in arrays.files if name.startswith("single/")},
                    arrays["profiles"],
                    arrays["valid"],
                    {int(row): why for row, why in facts["faceless"].items()},
                    {int(row): why for row, why in facts["skipped"].items()},
                    {(name, layer): why for name, layer, why in facts["refused"]},
                    frozenset((name, layer) for name, layer in facts["unlike"]),
                )

    def counts(self, name: str, column: int) -> Iterator[NDArray[np.unsignedinteger]]:
        """Yield the (rows, bins) counts of one map, batch by batch: they are the bulk, and are never held together."""
        for path in sorted(self._parts.glob("*.npz")):
            with np.load(path) as arrays:
                if f"counts/{name}/{column}" in arrays:
                    yield arrays[f"counts/{name}/{column}"]

    def pictures(self) -> Iterator[tuple[list[int], Pictures | None]]:
        """Yield the positions and small pictures of the images, batch by batch: they are never held together."""
        for path in sorted(self._parts.glob("*.npz")):
            with np.load(path) as arrays:
                kept = "pictures/maps" in arrays
                yield (
                    arrays["rows"].tolist(),
                    Pictures(**{name: arrays[f"pictures/{name}"] for name in PICTURES}) if kept else None,
                )

    def discard(self) -> None:
        """Drop what an unfinished run left."""
        if self.path is None:
            self._scratch.cleanup()
        else:
            shutil.rmtree(self._parts, ignore_errors=True)

    def finish(
        self, tables: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any], exhibit: bytes | None = None
    ) -> None:
        """Write the tables, what the report shows and the manifest, and drop the parts."""
        if self.path is None:
            self._scratch.cleanup()
            return
        for name, table in tables.items():
            write_atomic(self.path / name, csv_bytes(table))
        if exhibit is not None:
            write_atomic(self.path / REPORT_DATA, exhibit)
        write_atomic(self.path / MANIFEST, json_bytes(manifest))
        shutil.rmtree(self._parts)
