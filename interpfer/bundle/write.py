"""Writes a bundle."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from interpfer import __version__
from interpfer.bundle.archive import sha256, zip_bytes
from interpfer.bundle.board import board_members
from interpfer.bundle.commands import commands_script
from interpfer.bundle.comparisons import compare_pairs
from interpfer.bundle.options import BundleOptions
from interpfer.bundle.page import index_page
from interpfer.bundle.run_members import BundledRun, open_runs, run_members
from interpfer.errors import RunError
from interpfer.files import csv_bytes, json_bytes, write_atomic
from interpfer.options import resolve_options
from interpfer.reports.page.provenance import input_hashes
from interpfer.runtime.progress import Progress, no_progress

INDEX, COMMANDS, CONTENTS = "index.html", "commands.sh", "manifest.json"


class Bundle(NamedTuple):
    """A written bundle.

    Attributes:
        path: the zip file.
        members: names of its files.
        notes: what could not be included, one sentence each.
    """

    path: Path
    members: tuple[str, ...]
    notes: tuple[str, ...]


def write_bundle(
    runs: Sequence[str | Path],
    *,
    options: BundleOptions | None = None,
    progress: Progress = no_progress,
    **choices: object,
) -> Bundle:
    """Write one zip with everything about some runs: it opens from disk, and needs neither models nor data.

    The same runs give the same bytes. Photographs of faces are left out unless ``faces`` is true.

    Args:
        runs: finished run folders.
        options: where the bundle goes and what it holds.
        progress: called as work goes on.
        choices: single options by name, instead of ``options``.

    Returns:
        The bundle.

    Raises:
        RunError: a folder holds no finished run or is passed twice, the file cannot be written, or it would be larger
            than 20 MB.
    """
    chosen = resolve_options(BundleOptions, options, choices, "bundle")
    out = Path(chosen.out)
    _require_zip(out)
    if not runs:
        raise RunError("a bundle needs at least one run folder.")
    opened = open_runs(runs, chosen.faces)
    members: dict[str, bytes] = {}
    for place, bundled in enumerate(opened):
        members |= run_members(bundled, chosen.figures)
        progress("runs", place + 1, len(opened), bundled.name)
    pairs = compare_pairs(opened, chosen.seed, progress)
    members |= {f"{pair.name}.csv": csv_bytes(pair.table) for pair in pairs if pair.table is not None}
    members |= board_members([bundled.run for bundled in opened])
    compared = [(pair.a.name, pair.b.name) for pair in pairs if pair.table is not None]
    members[COMMANDS] = commands_script(opened, compared).encode()
    members[INDEX] = index_page(opened, pairs, [*members, CONTENTS], chosen.faces)
    members[CONTENTS] = _contents(opened, members)
    content = zip_bytes(members)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(out, content)
    return Bundle(out, tuple(sorted(members)), tuple(_notes(opened)))


def _require_zip(out: Path) -> None:
    if out.suffix.lower() != ".zip":
        raise RunError(f"a bundle is a zip file: pass --out NAME.zip, got {out}.")
    if out.is_dir():
        raise RunError(f"{out} is a folder: pass a file to --out.")


def _contents(runs: Sequence[BundledRun], members: dict[str, bytes]) -> bytes:
    """Return the manifest: hashes of all other members, and of the inputs of each run."""
    inputs = {bundled.name: dict(input_hashes(bundled.run)) for bundled in runs}
    versions = {bundled.name: bundled.run.manifest["versions"] for bundled in runs}
    return json_bytes({
        "interpfer": __version__,
        "sha256": {name: sha256(members[name]) for name in sorted(members)},
        "inputs": inputs,
        "versions": versions,
    })  # fmt: skip


def _notes(runs: Sequence[BundledRun]) -> list[str]:
    reasons: dict[str, Callable[[BundledRun], bool]] = {
        "scored with --no-report, so without pictures": lambda bundled: bundled.pictures is None,
    }
    return [
        f"{reason}: {', '.join(names)}"
        for reason, holds in reasons.items()
        if (names := [bundled.name for bundled in runs if holds(bundled)])
    ]
