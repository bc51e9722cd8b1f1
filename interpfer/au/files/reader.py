"""Recognition of the form of a file of action units.

A table names its images in a column such as ``image`` or ``input`` (py-feat). OpenFace and LibreFace write one table
per picture, without its name: of a folder of such tables, each belongs to the image of its own name.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from interpfer.au.files import blendshapes
from interpfer.au.files.columns import ColumnReader, find_columns
from interpfer.au.files.evidence import Decider, Evidence
from interpfer.au.files.lists import OPENFACE_3, OPENFACE_3_NOTE, ListReader, has_no_header, read_fmae, read_scores
from interpfer.au.files.table import AUTable
from interpfer.datasets.facs_text import parse_facs
from interpfer.errors import DataError
from interpfer.landmarks.files.faces import BestFaces, note_several
from interpfer.landmarks.files.rows import IMAGE_COLUMNS, Header, Row, image_name, open_text, read_rows
from interpfer.types import CodedAUs

ENDINGS = (".csv", ".tsv", ".json", ".jsonl")
"""Endings of the files of a folder."""

FACS_TEXT = "FACS text"

Value = TypeVar("Value")


UnitReader = ColumnReader | ListReader | blendshapes.BlendshapeReader
"""Reads what a row of a table says of action units."""


@dataclass(frozen=True)
class FileAUs:
    """Action units of a file.

    Attributes:
        codes: name of an image -> its action units; None where not coded.
        program: what wrote the file.
        rule: what decides whether an action unit is present.
        several: images with several faces.
    """

    codes: dict[str, CodedAUs | None]
    program: str
    rule: str
    several: Sequence[str] = ()


def read_aus(path: Path, threshold: float = 0.0) -> AUTable:
    """Read the action units of images.

    Args:
        path: a table (CSV or TSV) or JSON of any known form, or a folder of such, one per image.
        threshold: smallest intensity in [0, 1] of a present unit; 0 for the rule of the file: the presence that it
            holds, else intensity A (1 of 5), or .5 of a value from 0 to 1.

    Raises:
        DataError: there is no such file, it has no column that names images or none of action units, or a cell is not a
            number or FACS text; the message names the row.
    """
    decide = Decider(threshold)
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if each.suffix.lower() in ENDINGS)
        names = [each.relative_to(path).with_suffix("").as_posix() for each in files]
        if not files:
            raise DataError(f"{path} holds no CSV of action units; pass a table, or a folder of one table per image.")
        return _merge(
            [(each, _read_file(each, decide, name)) for each, name in zip(files, names, strict=True)], path, decide
        )
    if not path.is_file():
        raise DataError(f"file of action units not found: {path}.")
    return _merge([(path, _read_file(path, decide, None))], path, decide)


def _merge(read: Sequence[tuple[Path, FileAUs]], path: Path, decide: Decider) -> AUTable:
    codes: dict[str, CodedAUs | None] = {}
    for each, content in read:
        if repeated := codes.keys() & content.codes.keys():
            raise DataError(f"{each}: the image '{min(repeated)}' is in another file of the folder, too.")
        codes |= content.codes
    programs = list(dict.fromkeys(content.program for _, content in read))
    rules = list(dict.fromkeys(content.rule for _, content in read))
    rule = f"intensity of at least {decide.threshold:g} of 1, else {' or '.join(rules)}" if decide.threshold else ""
    notes = [*note_several([name for _, content in read for name in content.several], path.name)]
    notes += [note for program, note in NOTES.items() if program in programs]
    if decide.contradictions:
        decisive = "the threshold on the intensity" if decide.threshold else "presence"
        notes.append(
            f"presence and intensity contradict each other in {decide.contradictions} of {decide.compared} cases in "
            f"{path.name}: {decisive} decides"
        )
    return AUTable(codes, " and ".join(programs), rule or " or ".join(rules), tuple(notes))


NOTES = {blendshapes.PROGRAM: blendshapes.NOTE, "OpenFace 3": OPENFACE_3_NOTE}
"""Program -> what is said of its files."""


def _read_file(path: Path, decide: Decider, name: str | None) -> FileAUs:
    """Read one file.

    Args:
        path: the file.
        decide: decides which units are present.
        name: of the image of a table that names none; None if it must name them.
    """
    default = path.stem if name is None else name
    if path.suffix.lower() in (".json", ".jsonl"):
        with open_text(path) as lines:
            first = lines.readline()
        if '"img_path"' in first:
            return FileAUs(read_fmae(path), "FMAE", "listed; of others nothing is known")
        found = blendshapes.read_json(path, default)
        return FileAUs(_decided(found, decide), blendshapes.PROGRAM, blendshapes.RULE)
    rows = read_rows(path)
    header = next(rows)
    assert isinstance(header, Header)
    if has_no_header(header):
        return FileAUs(_decided(read_scores(path), decide), "scores without a header", "score of at least 0.5")
    body = (row for row in rows if isinstance(row, Row))
    if name is None and header.image is None:
        raise DataError(
            f"{path} names no image: it has no column {', '.join(IMAGE_COLUMNS)}. Add one, or pass a folder of one "
            "table per image, each with the name of its image."
        )
    if (text := header.find("aus")) is not None:
        return FileAUs(_read_text(path, default, header, body, text, decide.threshold), FACS_TEXT, "listed")
    if (places := _long_columns(header)) is not None:
        return FileAUs(_read_long(path, default, header, body, places, decide), blendshapes.PROGRAM, blendshapes.RULE)
    return _read_faces(path, default, header, body, decide)


def _decided(found: dict[str, list[Evidence]], decide: Decider) -> dict[str, CodedAUs | None]:
    return {name: decide(evidence) for name, evidence in found.items()}


def _read_text(
    path: Path, default: str, header: Header, rows: Iterable[Row], place: int, threshold: float
) -> dict[str, CodedAUs | None]:
    codes: dict[str, CodedAUs | None] = {}
    for row in rows:
        name = image_name(row, header, default)
        if name in codes:
            raise DataError(f"{row.where}: the image stands on several lines.")
        found = parse_facs(row.text(place), row.where)
        codes[name] = found and found.at_least(threshold)
    return _require_rows(codes, path)


def _read_faces(path: Path, default: str, header: Header, rows: Iterable[Row], decide: Decider) -> FileAUs:
    """Read a table with a row for each face."""
    reader = _unit_reader(path, header)
    best: BestFaces[list[Evidence]] = BestFaces(header, str(path))
    for row in rows:
        best.add(image_name(row, header, default), row, [] if best.has_failed(row) else list(reader(row)))
    codes = _decided(_require_rows(best.faces, path), decide)
    return FileAUs(codes, reader.program, reader.rule, best.several_faces())


def _unit_reader(path: Path, header: Header) -> UnitReader:
    choices: list[Callable[[], UnitReader | None]] = [
        lambda: None if (place := header.find(OPENFACE_3)) is None else ListReader(place),
        lambda: ColumnReader(columns, header) if (columns := find_columns(header, path)) else None,
        lambda: blendshapes.BlendshapeReader(header) if blendshapes.has_blendshapes(header.names) else None,
    ]
    for choose in choices:
        if (reader := choose()) is not None:
            return reader
    raise DataError(
        f"{path} has no action units: no column aus (FACS text), AU01_r and AU01_c (OpenFace 2), AU01 (py-feat), au_1 "
        "(LibreFace), action_units (OpenFace 3) or mouthSmileLeft (MediaPipe)."
    )


def _long_columns(header: Header) -> tuple[int, int] | None:
    """Return the columns of the name and score of a blendshape, of a table with a line for each of them."""
    for name, score in (
        ("blendshape", "score"),
        ("category_name", "score"),
        ("categoryName", "score"),
        ("name", "score"),
    ):
        places = header.find(name), header.find(score)
        if places[0] is not None and places[1] is not None and places[0] != header.image:
            return places[0], places[1]
    if len(header.names) == 2 and [name.lower() for name in header.names] == ["name", "score"]:
        return 0, 1
    return None


def _read_long(
    path: Path, default: str, header: Header, rows: Iterable[Row], places: tuple[int, int], decide: Decider
) -> dict[str, CodedAUs | None]:
    """Read a table with a line for each blendshape of an image."""
    scores: dict[str, dict[str, float]] = {}
    is_named = header.image is not None and header.image not in places
    for row in rows:
        image = image_name(row, header, default) if is_named else default
        name = row.text(places[0])
        if blendshapes.split_name(name) is None:
            raise DataError(f"{row.where}: unknown blendshape '{name[:40]}'.")
        of_image = scores.setdefault(image, {})
        if name in of_image:
            raise DataError(f"{row.where}: '{image}' has {name} on an earlier line, too.")
        of_image[name] = row.number(places[1], "score")
    found = {
        image: list(blendshapes.evidence_of(values.items(), f"{path}, '{image}'")) for image, values in scores.items()
    }
    return _decided(_require_rows(found, path), decide)


def _require_rows(found: dict[str, Value], path: Path) -> dict[str, Value]:
    if not found:
        raise DataError(f"{path} has no rows; it needs a line for each image.")
    return found
