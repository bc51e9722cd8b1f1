"""The run folder, while a score fills it.

Each finished batch is one file under ``.parts``, written atomically, so a kill loses at most the current batch. At the
end the batches become tables, each replaced atomically, ``run.json`` last: a folder with a ``run.json`` is complete.
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
from interpfer.results.occluded import EXAMPLES_FILE, OCCLUSION_FILE
from interpfer.results.pictures import REPORT_DATA, Pictures
from interpfer.results.plane_scores import PlaneScores
from interpfer.results.run import MANIFEST
from interpfer.truth.options import CODEBOOK_SETTINGS, TruthOptions

PARTS = ".parts"
REPORT = "report.html"
FIGURES = "figures"
OPTIONAL_TABLES = ("au_profile.csv", "au_shares.csv", "regions.csv", OCCLUSION_FILE, EXAMPLES_FILE)
"""Tables that not every run has, so that those of a run that is replaced must go."""

PICTURES = tuple(each.name for each in fields(Pictures))


@dataclass(frozen=True)
class BatchResult:
    """Results of one batch of images.

    Attributes:
        rows: positions in the data set of the images that were read.
        predicted: class index per row.
        confidence: probability of the predicted class per row.
        digests: sha256 of the pixels per row.
        scores: (rows, maps, image metrics), NaN where undefined.
        counts: metric name -> (rows, maps, bins) counts; metrics with the same counts share those of the first.
        single: metric name -> (rows, maps) score of each image alone.
        profiles: (rows, maps + 2, regions) share of the energy of each map, of a uniform map and of the AU heatmap.
        valid: whether each row has a truth.
        faceless: position of each image without landmarks, or with no action unit of its label on the picture ->
            reason, "" where the provider gives none.
        skipped: position of each unreadable image -> reason.
        refused: (map, layer) that cannot be computed -> reason.
        unlike: (map, layer) pairs that are duplicates in general, but not in this batch.
        pictures: small pictures for the report, None if the run keeps none.
        partly_seen: positions of the faces with landmarks outside of what the network sees of the picture.
        planes: scores for each action unit that is present on a face; None where they are not asked for.
        au_logits: (rows, AUs) outputs of the model for its action units, above 0 for those that it reports; None where
            they are not asked for.
        covered: (rows, 3) of faces with an occlusion: whether it could be drawn, the area of its hole, and the change
            of the probability of the class predicted before; None for faces as they are.
        example: picture of an occlusion for the report, None for none.
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
    partly_seen: tuple[int, ...] = ()
    planes: PlaneScores | None = None
    au_logits: NDArray[np.float32] | None = None
    covered: NDArray[np.float64] | None = None
    example: NDArray[np.uint8] | None = None


class RunFolder:
    """A run folder being filled; without a path a temporary one, so that memory does not grow with the data set.

    Use ``begin`` to create or resume one, ``join`` to add batches to one that another process has begun.

    Args:
        path: the run folder; None for a run that is not written.
        batches: folder of the finished batches.
        scratch: the temporary folder that this object owns, if any.
    """

    def __init__(
        self, path: Path | None, batches: Path, scratch: tempfile.TemporaryDirectory[str] | None = None
    ) -> None:
        self.path = path
        self.batches = batches
        self._scratch = scratch

    @classmethod
    def begin(cls, path: Path | None, plan: Mapping[str, Any], resume: bool, overwrite: bool) -> "RunFolder":
        """Create a folder, or continue one.

        Args:
            path: the folder; its parents are created. None for a temporary one.
            plan: everything that decides the bytes of the result; a run is resumed only under the same plan.
            resume: continue the run in the folder.
            overwrite: replace the run in the folder.

        Raises:
            RunError: the folder holds a run and neither ``resume`` nor ``overwrite`` is true, or the plans differ.
        """
        if path is None:
            scratch = tempfile.TemporaryDirectory(prefix="interpfer-")
            return cls(None, Path(scratch.name), scratch)
        folder = cls(path, path / PARTS)
        if path.exists() and not path.is_dir():
            raise RunError(f"{path} is a file: pass a folder to --out.")
        existing = [name for name in (PARTS, MANIFEST, "scores.csv") if (path / name).exists()]
        if existing and not resume and not overwrite:
            raise RunError(f"{path} already holds a run; pass --resume to continue it or --overwrite to replace it.")
        if path.is_dir() and any(path.iterdir()) and not existing:
            raise RunError(f"{path} is not empty and holds no run; choose another folder for --out.")
        if existing and resume:
            _require_same_plan(path, plan)
        if folder.is_complete and resume:
            return folder
        folder._drop_unpaired()
        if overwrite and existing:
            shutil.rmtree(folder.batches, ignore_errors=True)
            for name in (MANIFEST, REPORT_DATA, REPORT, *OPTIONAL_TABLES):
                (path / name).unlink(missing_ok=True)
        try:
            folder.batches.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"cannot write to {path}: {error}.") from error
        write_atomic(folder.batches / "plan.json", json.dumps(plan).encode())
        return folder

    @classmethod
    def join(cls, path: Path | None, batches: Path) -> "RunFolder":
        """Return a folder that another process has begun, to add batches to.

        Args:
            path: the run folder of the other process.
            batches: its folder of finished batches.
        """
        return cls(path, batches)

    def occluded(self, place: int) -> "RunFolder":
        """Return the folder of the batches of one of the occlusions of a run, one for each batch of this folder."""
        batches = self.batches / f"occlusion-{place}"
        batches.mkdir(exist_ok=True)
        return RunFolder(None, batches)

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
        return {row for part in self.parts() for row in [*part.rows.tolist(), *part.skipped]}

    def add(self, part: BatchResult) -> None:
        """Write a finished batch."""
        first = min([*part.rows.tolist(), *part.skipped])
        buffer = io.BytesIO()
        arrays: dict[str, NDArray[Any]] = {"rows": part.rows, "predicted": part.predicted, "scores": part.scores}
        arrays |= {"valid": part.valid, "confidence": part.confidence, "profiles": part.profiles}
        for name, value in part.counts.items():
            arrays |= {f"counts/{name}/{column}": value[:, column] for column in range(value.shape[1])}
        arrays |= {f"single/{name}": value for name, value in part.single.items()}
        if part.pictures is not None:
            arrays |= {f"pictures/{name}": getattr(part.pictures, name) for name in PICTURES}
        arrays |= {} if part.planes is None else part.planes.to_arrays()
        optional = {"au_logits": part.au_logits, "covered": part.covered, "example": part.example}
        arrays |= {name: value for name, value in optional.items() if value is not None}
        facts = {"digests": part.digests, "skipped": part.skipped, "faceless": part.faceless}
        facts |= {"refused": [[*key, reason] for key, reason in part.refused.items()], "unlike": sorted(part.unlike)}
        facts["partly_seen"] = part.partly_seen
        arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        np.savez(buffer, allow_pickle=False, **arrays)
        write_atomic(self.batches / f"{first:09d}.npz", buffer.getvalue(), durable=False)

    def parts(self) -> Iterator[BatchResult]:
        """Yield the finished batches in the order of the data set, without their counts."""
        for path in sorted(self.batches.glob("*.npz")):
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
                    arrays["valid" if "valid" in arrays else "heat"],  # versions before 0.2
                    {int(row): reason for row, reason in facts["faceless"].items()},
                    {int(row): reason for row, reason in facts["skipped"].items()},
                    {(name, layer): reason for name, layer, reason in facts["refused"]},
                    frozenset((name, layer) for name, layer in facts["unlike"]),
                    partly_seen=tuple(facts.get("partly_seen", ())),
                    planes=PlaneScores.from_arrays(arrays),
                    au_logits=arrays.get("au_logits"),
                    covered=arrays.get("covered"),
                    example=arrays.get("example"),
                )

    def counts(self, name: str, column: int) -> Iterator[NDArray[np.unsignedinteger]]:
        """Yield the (rows, bins) counts of one map batch by batch: they are too large to hold all at once.

        Args:
            name: of the metric; after ``planes/`` the counts are those of the planes.
            column: of the map.
        """
        for path in sorted(self.batches.glob("*.npz")):
            planes, _, metric = name.rpartition("/")
            key = "/".join(filter(None, (planes, "counts", metric, str(column))))
            with np.load(path) as arrays:
                if key in arrays:
                    yield arrays[key]

    def pictures(self) -> Iterator[tuple[list[int], Pictures | None]]:
        """Yield positions and small pictures batch by batch; None for a batch without pictures."""
        for path in sorted(self.batches.glob("*.npz")):
            with np.load(path) as arrays:
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
        tables: Mapping[str, pd.DataFrame],
        manifest: Mapping[str, Any],
        report_data: bytes | None = None,
        others: Mapping[str, bytes] | None = None,
    ) -> None:
        """Write the tables, the data of the report and the manifest, and delete the batches.

        Args:
            tables: file name -> table.
            manifest: content of run.json.
            report_data: content of ``REPORT_DATA``, None for none.
            others: file name -> content of further files.
        """
        if self.path is not None:
            for name, table in tables.items():
                write_atomic(self.path / name, csv_bytes(table))
            if report_data is not None:
                write_atomic(self.path / REPORT_DATA, report_data)
            for name, content in (others or {}).items():
                write_atomic(self.path / name, content)
            write_atomic(self.path / MANIFEST, json_bytes(manifest))
        self.discard()


def _require_same_plan(path: Path, plan: Mapping[str, Any]) -> None:
    """Refuse to resume the run in a folder under another plan."""
    file = path / PARTS / "plan.json"
    if file.is_file():
        before = json.loads(file.read_text(encoding="utf-8"))
    elif (path / MANIFEST).is_file():
        before = json.loads((path / MANIFEST).read_text(encoding="utf-8"))["arguments"]
    else:
        raise RunError(f"{path} holds no run to resume; pass --overwrite.")
    before = {"truth": TruthOptions.truth, "truth_settings": list(CODEBOOK_SETTINGS)} | before
    names = [key for key in dict.fromkeys([*plan, *(set(before) & {"occlusions"})]) if key != "truth_settings"]
    changed = [key for key in names if json.loads(json.dumps(plan.get(key))) != before.get(key)]
    if changed:
        raise RunError(
            f"{path} was started with another {', '.join(changed)}; pass the same arguments with --resume, "
            "or --overwrite."
        )
