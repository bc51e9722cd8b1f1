"""The file of a finished batch: what a score keeps of it until the tables are made."""

import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interpfer.errors import RunError
from interpfer.files import parse_json
from interpfer.results.pictures import Pictures
from interpfer.results.plane_scores import PlaneScores

PICTURES = tuple(each.name for each in fields(Pictures))


@dataclass(frozen=True)
class BatchResult:
    """Results of one batch of images.

    Attributes:
        rows: positions in the data set of the images that were read.
        predicted: class index per row.
        confidence: probability of the predicted class per row.
        digests: sha256 of the pixels per row; read again as an array of ASCII, which takes half the memory.
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
        logits: (rows, classes) of the model, of frames of clips, whose means are predicted from; None for pictures.
        bridged: positions of the frames whose landmarks were interpolated between other frames of their clip.
    """

    rows: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    digests: tuple[str, ...] | NDArray[Any]
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
    logits: NDArray[np.float32] | None = None
    bridged: tuple[int, ...] = ()

    def to_bytes(self) -> bytes:
        """Return the content of the file of a finished batch, a npz; counts, mostly zeros, are compressed."""
        arrays: dict[str, NDArray[Any]] = {"rows": self.rows, "predicted": self.predicted, "scores": self.scores}
        arrays |= {"valid": self.valid, "confidence": self.confidence, "profiles": self.profiles}
        for name, value in self.counts.items():
            arrays |= {f"counts/{name}/{column}": value[:, column] for column in range(value.shape[1])}
        arrays |= {f"single/{name}": value for name, value in self.single.items()}
        if self.pictures is not None:
            arrays |= {f"pictures/{name}": getattr(self.pictures, name) for name in PICTURES}
        arrays |= {} if self.planes is None else self.planes.to_arrays()
        optional = {
            "au_logits": self.au_logits,
            "covered": self.covered,
            "example": self.example,
            "logits": self.logits,
        }
        arrays |= {name: value for name, value in optional.items() if value is not None}
        facts = {"digests": list(self.digests), "skipped": self.skipped, "faceless": self.faceless}
        facts |= {"refused": [[*key, reason] for key, reason in self.refused.items()], "unlike": sorted(self.unlike)}
        facts |= {"partly_seen": self.partly_seen, "bridged": self.bridged}
        arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, values in arrays.items():
                member = io.BytesIO()
                np.lib.format.write_array(member, np.asanyarray(values), allow_pickle=False)
                method = zipfile.ZIP_DEFLATED if "counts/" in name else zipfile.ZIP_STORED
                archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), method, compresslevel=1)
        return buffer.getvalue()

    @classmethod
    def from_arrays(cls, arrays: Any) -> "BatchResult":
        """Return what ``to_bytes`` has written, without counts, profiles and pictures.

        Args:
            arrays: of an open file.
        """
        facts = parse_json(arrays["facts"].tobytes())
        return cls(
            arrays["rows"],
            arrays["predicted"],
            arrays["confidence"],
            np.array(facts["digests"], np.bytes_),
            arrays["scores"],
            {},
            {name[7:]: arrays[name] for name in arrays.files if name.startswith("single/")},
            np.zeros((len(arrays["rows"]), 0, 0)),
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
            logits=arrays.get("logits"),
            bridged=tuple(facts.get("bridged", ())),
        )


@contextmanager
def open_batch(path: Path) -> Iterator[Any]:
    """Open the file of a finished batch.

    Raises:
        RunError: it is damaged.
    """
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            yield arrays
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} is damaged ({error}); score again with --overwrite.") from error


def equal_blocks(parts: Iterable[NDArray[Any]], size: int) -> Iterator[NDArray[Any]]:
    """Join arrays and cut them into blocks of one size, so that sums over blocks do not depend on the parts.

    Examples:
        >>> [block.tolist() for block in equal_blocks([np.arange(2), np.arange(2, 7)], 3)]
        [[0, 1, 2], [3, 4, 5], [6]]
    """
    kept: list[NDArray[Any]] = []
    for part in parts:
        kept.append(part)
        while sum(map(len, kept)) >= size:
            joined = np.concatenate(kept)
            yield joined[:size]
            kept = [joined[size:]]
    if any(map(len, kept)):
        yield np.concatenate(kept)
