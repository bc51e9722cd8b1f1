"""Recognition of the form of a landmark file or folder, and its content as 68 points per picture."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interpfer.errors import DataError
from interpfer.files import parse_json
from interpfer.landmarks.files.content import LandmarkContent, collect
from interpfer.landmarks.files.faces import note_several
from interpfer.landmarks.files.numbered import is_wflw, read_wflw
from interpfer.landmarks.files.pts import read_counted, read_mat, read_pts
from interpfer.landmarks.files.rows import Header, open_text
from interpfer.landmarks.files.schemes import COUNTS, to_68
from interpfer.landmarks.files.table import parse_landmarks, plain_name
from interpfer.landmarks.files.tools import point_columns, program_of, read_table

Points = NDArray[np.float64]
Faces = Mapping[str, Points | None]

ONE_FACE: Mapping[str, tuple[str, Callable[[Path], Points | None]]] = {
    ".pts": (".pts of 300-W, from 1 (assumed)", read_pts),
    ".mat": (".mat of AFLW2000-3D, from 1 (assumed)", read_mat),
    ".txt": ("one .txt per picture", read_counted),
}
"""Ending of files of one picture -> what they are, and their reader."""

ASSUMED = (ONE_FACE[".pts"][0], ONE_FACE[".mat"][0])
"""Forms of which something is assumed."""

TABLES = (".csv", ".tsv")
"""Endings of the tables that a folder may have, one per picture."""

MAX_FRACTION = 1.5
"""Largest coordinate of a file whose points are fractions of the pictures."""


def read_content(path: Path) -> LandmarkContent:
    """Read a landmark file, or a folder of them, of any known form.

    Raises:
        DataError: it does not exist, it is of no known form, or a line is malformed; the message names the line.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise DataError(f"landmark file not found: {path}.")
    if path.suffix.lower() in (".pts", ".mat"):
        form, read = ONE_FACE[path.suffix.lower()]
        return _content({path.stem: read(path)}, form, path, [])
    if path.suffix.lower() == ".json":
        return _content(_read_json(path), "table", path, [])
    first = _first_line(path)
    if is_wflw(first):
        with open_text(path) as lines:
            faces, several = read_wflw(lines, str(path))
        return _content(faces, "WFLW list", path, several)
    separator = "\t" if "\t" in first else ","
    header = Header(tuple(cell.strip().strip('"') for cell in first.split(separator)))
    if _is_tool(header, path):
        faces_, program, several = read_table(path, path.stem)
        return _content(faces_, program, path, several)
    with open_text(path) as lines:
        return LandmarkContent(parse_landmarks(lines, str(path)))


def _is_tool(header: Header, path: Path) -> bool:
    """Return whether a table is not of interpfer's own form: x1 to x68, and no other point."""
    names = {name.lower().replace("_", "") for name in header.names}
    if "x1" in names and not names & {"x0", "x69"}:
        return False
    return program_of(header) != "table" or point_columns(header, f"landmark file {path}") is not None


def _read_folder(folder: Path) -> LandmarkContent:
    """Read a folder of files, one per picture, named as the pictures."""
    files = sorted(each for each in folder.rglob("*") if each.is_file() and not each.name.startswith("."))
    endings = sorted({each.suffix.lower() for each in files} & {*ONE_FACE, *TABLES})
    if not endings:
        raise DataError(f"landmark folder {folder} holds no .pts, .mat, .txt or .csv file.")
    if len(endings) > 1 and not set(endings) <= set(TABLES):
        raise DataError(f"landmark folder {folder} holds files of several kinds ({', '.join(endings)}); keep one kind.")
    files = [each for each in files if each.suffix.lower() in endings]
    if endings[0] in ONE_FACE:
        form, read = ONE_FACE[endings[0]]
        names = (each.relative_to(folder).with_suffix("").as_posix() for each in files)
        return _content({name: read(each) for name, each in zip(names, files, strict=True)}, form, folder, [])
    faces: dict[str, Points | None] = {}
    several: list[str] = []
    programs: dict[str, None] = {}
    for each in files:
        found, program, more = read_table(each, each.relative_to(folder).with_suffix("").as_posix())
        if repeated := found.keys() & faces.keys():
            raise DataError(f"landmark file {each}: '{min(repeated)}' is in another file of the folder, too.")
        faces |= found
        several += more
        programs[program] = None
    return _content(faces, " and ".join(programs), folder, several)


def _content(faces: Faces, form: str, path: Path, several: list[str]) -> LandmarkContent:
    """Return the faces as 68 points, in the scheme that their number tells."""
    counts = {len(points) for points in faces.values() if points is not None}
    if len(counts) > 1:
        raise DataError(
            f"landmark file {path}: faces have {' and '.join(map(str, sorted(counts)))} points; keep one kind."
        )
    count = counts.pop() if counts else 68
    names = list(faces)
    missing = np.full((count, 2), np.nan)
    stacked = (
        np.stack([missing if (face := faces[name]) is None else face for name in names]) if names else missing[None]
    )
    points, scheme = to_68(stacked, str(path))
    is_fraction = (
        "LibreFace" in form or count in COUNTS[3:] and bool(np.nanmax(abs(stacked), initial=0) <= MAX_FRACTION)
    )
    unit = "fractions of the picture" if is_fraction else "pixels"
    described = f"{form}: {scheme}, {unit}"
    notes = note_several(several, path.name)
    if count != len(points[0]) or form in ASSUMED:
        notes = (*notes, f"landmarks of {path.name} are read as {described}")
    return LandmarkContent(collect(zip(names, points, strict=False)), described, is_fraction, notes)


def _first_line(path: Path) -> str:
    with open_text(path) as lines:
        return next((line.strip() for line in lines if line.strip()), "")


def _read_json(path: Path) -> Faces:
    """Read a mapping from image to a list of points [x, y] or {"x": x, "y": y}, as people save MediaPipe's."""
    try:
        content = parse_json(path.read_text(encoding="utf-8-sig", errors="replace"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"landmark file {path}: not JSON ({error}).") from error
    if not isinstance(content, dict):
        raise DataError(f"landmark file {path}: expected a mapping from images to lists of points.")
    return {plain_name(name): _json_points(value, f"landmark file {path}, '{name}'") for name, value in content.items()}


def _json_points(value: Any, where: str) -> Points | None:
    if value is None or value == []:
        return None
    try:
        pairs = [
            (point["x"], point["y"]) if isinstance(point, dict) else (point[0], point[1]) for point in _listed(value)
        ]
        points = np.array(pairs, np.float64).reshape(len(pairs), 2)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        raise DataError(f"{where}: expected a list of points x, y.") from None
    if len(points) not in COUNTS:
        raise DataError(f"{where}: expected {', '.join(map(str, COUNTS))} landmarks, got {len(points)}.")
    return points if np.isfinite(points).all() else None


def _listed(value: Any) -> Iterable[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value
