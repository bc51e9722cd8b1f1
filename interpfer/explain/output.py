"""Explanations on disk: a picture or JSON each, and a summary of a folder."""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interpfer.errors import RunError
from interpfer.explain.clip import ClipExplanation, clip_facts
from interpfer.explain.clip_sheet import clip_sheet
from interpfer.explain.explanation import Explanation
from interpfer.explain.facs import facts
from interpfer.explain.sheet import explanation_sheet
from interpfer.explain.sheet_file import SUFFIXES
from interpfer.files import DIGITS, json_bytes, write_atomic
from interpfer.reports.escape import guard

DEFAULT_FOLDER = Path("explained")


@dataclass(frozen=True)
class OutputPaths:
    """Output files of explanations.

    Attributes:
        paths: picture -> the file of its explanation; empty where only JSON is printed.
        folder: where a summary goes, or None.
    """

    paths: Mapping[Path, Path]
    folder: Path | None

    @classmethod
    def plan(cls, images: Sequence[Path], out: Path | None, several: bool, printed: bool) -> "OutputPaths":
        """Return the output paths, before anything is computed.

        Args:
            images: the pictures.
            out: what the user named, or None.
            several: whether the pictures are those of a folder.
            printed: whether the result goes to stdout, so that nothing needs to be written.

        Raises:
            RunError: ``out`` fits neither a picture nor a folder.
        """
        known = (*SUFFIXES, ".json")
        if out is None and printed:
            return cls({}, None)
        if out is not None and not out.is_dir() and out.suffix:
            if several:
                raise RunError(f"--out {out}: must be a folder, since the input is one.")
            if out.suffix.lower() not in known:
                raise RunError(
                    f"--out {out}: the suffix must be one of {', '.join(known)}; a name without one is a folder."
                )
            out.parent.mkdir(parents=True, exist_ok=True)
            return cls({images[0]: out}, None)
        if out is None and not several:
            return cls({images[0]: Path(f"{images[0].stem}-explained.png")}, None)
        folder = out or DEFAULT_FOLDER
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"cannot write to {folder}: {error}.") from error
        stems = [path.stem for path in images]
        names = [path.stem if stems.count(path.stem) == 1 else path.name for path in images]
        paths = {path: folder / f"{name}.png" for path, name in zip(images, names, strict=True)}
        for path, target in paths.items():
            if target.exists() and target.samefile(path):
                raise RunError(f"--out {folder}: {target} is an input picture; pass another folder.")
        return cls(paths, folder if several else None)


def plan_clip(clip: Path, out: Path | None, printed: bool) -> Path | None:
    """Return the output path of the explanation of a clip, before anything is computed; None for none.

    Args:
        clip: video, or folder of frames.
        out: what the user named, or None.
        printed: whether the result goes to stdout, so that nothing needs to be written.

    Raises:
        RunError: ``out`` is no kind of file that is written.
    """
    if out is None or out.is_dir() or not out.suffix:
        if out is None and printed:
            return None
        folder = out or Path()
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{clip.resolve().stem}-explained.png"
    known = (*SUFFIXES, ".json")
    if out.suffix.lower() not in known:
        raise RunError(f"--out {out}: the suffix must be one of {', '.join(known)}; a name without one is a folder.")
    out.parent.mkdir(parents=True, exist_ok=True)
    return out


def write_clip(explanation: ClipExplanation, path: Path | None) -> None:
    """Write the explanation of a clip in the format of its suffix; nowhere if ``path`` is None.

    Raises:
        RunError: the file cannot be written.
    """
    _write(path, lambda: clip_facts(explanation), lambda path: clip_sheet(explanation, path))


def write_explanation(explanation: Explanation, path: Path | None) -> None:
    """Write an explanation in the format of its suffix; nowhere if ``path`` is None.

    Raises:
        RunError: the file cannot be written.
    """
    _write(path, lambda: facts(explanation), lambda path: explanation_sheet(explanation, path))


def _write(path: Path | None, describe: Callable[[], dict[str, Any]], draw: Callable[[Path], None]) -> None:
    if path is None:
        return
    if path.suffix.lower() == ".json":
        write_atomic(path, json_bytes(describe()))
    else:
        draw(path)


def write_rationales(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the rows of ``interpfer.explain.facs.rationale``, one per line.

    Raises:
        RunError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, b"".join(_line(row) for row in rows))
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}; pass another file to --rationale.") from error


def write_summary(explanations: Sequence[Mapping[str, Any]], skipped: Mapping[str, str], folder: Path) -> None:
    """Write summary.jsonl, everything per picture, and summary.csv, one line per picture and map.

    Args:
        explanations: results of ``interpfer.explain.facs.facts``.
        skipped: name of a picture -> why it could not be explained.
        folder: it is there.
    """
    lines = [*explanations, *({"image": name, "skipped": why} for name, why in skipped.items())]
    write_atomic(folder / "summary.jsonl", b"".join(_line(line) for line in lines))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ("image", "predicted", "probability", "label", "map", "layer", "expression", "cosine", "skill", "uniform")
    writer.writerow([*head, "sentence", "skipped"])
    for line in explanations:
        first = [
            guard(line["image"]),
            line["predicted"],
            _number(line["probabilities"][line["predicted"]]),
            line["label"],
        ]
        for item in line["maps"]:
            for expression, score in (item["scores"] or {"": {}}).items():
                values = [_number(score.get(name, math.nan)) for name in ("cosine", "skill", "uniform")]
                row = [
                    *first,
                    guard(item["map"]),
                    guard(item["layer"]),
                    expression,
                    *values,
                    guard(line["sentence"]),
                    "",
                ]
                writer.writerow(row)
    for name, why in skipped.items():
        writer.writerow([guard(name), *[""] * 10, guard(why)])
    write_atomic(folder / "summary.csv", out.getvalue().encode())


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(json.loads(json_bytes(value))).encode() + b"\n"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.{DIGITS}f}"
