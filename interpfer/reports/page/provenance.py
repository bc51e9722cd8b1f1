"""What was left out, how to make the run again, and whom to cite."""

import shlex
from typing import Any

from interpfer.au.codebook import load_codebook
from interpfer.errors import InterpferError
from interpfer.maps import MAPS, select_maps
from interpfer.results.run import Run

NAMED = 12
"""Images that a reason names; the others are counted."""

PAPER = """@inproceedings{belharbi2024guided,
  title     = {Guided Interpretable Facial Expression Recognition via Spatial Action Unit Cues},
  author    = {Belharbi, Soufiane and Pedersoli, Marco and Koerich, Alessandro Lameiras and Bacon, Simon and
               Granger, Eric},
  booktitle = {International Conference on Automatic Face and Gesture Recognition (FG)},
  year      = {2024},
  note      = {arXiv:2402.00281}
}"""


def command(run: Run) -> str:
    """Return the command that makes a run again; MODEL and DIR stand for what run.json knows by its hash alone."""
    facts = run.manifest["arguments"]
    options: list[tuple[str, Any]] = [
        ("dataset", facts["dataset"]),
        ("data-root", "DIR"),
        ("split", facts["split"]),
        ("maps", ",".join(_grouped(facts["maps"]))),
        ("layers", ",".join(facts["layers"])),
        ("metrics", ",".join(facts["metrics"])),
        ("target", facts["target"]),
        ("protocol", facts["protocol"]),
        ("codebook", facts["codebook"]),
        ("geometry", facts["geometry"]),
        ("seed", facts["seed"]),
        ("limit", run.manifest.get("limit")),
        ("autocast", None if facts.get("autocast") == "off" else facts.get("autocast")),
    ]
    lines = [f"--{name} {shlex.quote(str(value))}" for name, value in options if value not in (None, "")]
    lines += ["--align"] if facts.get("align") else []
    return " \\\n    ".join(["interpfer score MODEL", *lines, "--out RUN"])


def _grouped(maps: list[str]) -> list[str]:
    """Name the group of all baselines where it is meant."""
    own = [name for name in maps if not name.startswith("baseline:")]
    return [*own, "baselines"] if [*own, *select_maps("baselines")] == maps else maps


def hashes(run: Run) -> list[tuple[str, str]]:
    """Return what tells the inputs of a run from others."""
    facts = run.manifest
    found = [
        ("checkpoint (sha256)", facts["checkpoint_sha256"]),
        ("data set (names, labels, pixels)", facts["dataset_digest"]),
        ("landmarks", facts["landmarks_digest"]),
        ("codebook", facts["arguments"].get("codebook_digest")),
    ]
    return [(name, str(value)) for name, value in found if value]


def setting(run: Run) -> list[tuple[str, str]]:
    """Return the rules by which a run was scored."""
    facts = run.manifest["arguments"]
    said = [
        ("data set", f"{facts['dataset']}, split {facts['split']}"),
        ("protocol", facts["protocol"]),
        ("codebook", facts["codebook"]),
        ("geometry", facts["geometry"]),
        ("class-specific maps explain", f"the {facts['target']}{'' if facts['target'] == 'label' else ' class'}"),
        ("faces aligned", "yes" if facts.get("align") else "no"),
        ("intervals", run.manifest.get("intervals", "95 % bootstrap")),
        ("device", run.manifest.get("device", "")),
        ("seed", facts["seed"]),
    ]
    return [(name, str(value)) for name, value in said]


def left_out(run: Run) -> list[tuple[str, int, list[str]]]:
    """Return why images or maps were left out: reason, how many, and what they are as far as named."""
    counts = run.manifest["counts"]
    skipped = counts["skipped"]
    reasons: list[tuple[str, int, list[str]]] = []
    if counts["neutral"]:
        reasons.append(("neutral faces: no action units, so no heatmap", counts["neutral"], []))
    if counts["unlabelled"]:
        reasons.append(("images without a label", counts["unlabelled"], []))
    if skipped["no landmarks"]:
        reasons.append(("faces without landmarks", len(skipped["no landmarks"]), skipped["no landmarks"][:NAMED]))
    by_cause: dict[str, list[str]] = {}
    for name, why in skipped["unreadable"].items():
        by_cause.setdefault(str(why).replace(name, "…"), []).append(name)
    reasons += [(f"unreadable: {why}", len(names), names[:NAMED]) for why, names in by_cause.items()]
    for key, count in counts.get("undefined_maps", {}).items():
        reasons.append((f"maps of {key} that are constant, zero or not finite", count, []))
    refused: dict[str, list[str]] = {}
    for key, why in run.manifest.get("refused", {}).items():
        refused.setdefault(why, []).append(key)
    reasons += [(f"maps that cannot be made: {why}", len(keys), keys[:NAMED]) for why, keys in refused.items()]
    return reasons


def sources(run: Run) -> list[tuple[str, str]]:
    """Return the paper behind each map and the codebook, as far as they are known here."""
    found = []
    for name in run.manifest["arguments"]["maps"]:
        try:
            source = MAPS.get(name).source
        except InterpferError:
            continue
        if source != "baseline":
            found.append((str(name), source))
    try:
        book = load_codebook(run.manifest["arguments"]["codebook"])
        found.append((f"codebook {book.name}", book.citation))
    except InterpferError:
        pass
    return found


def software(run: Run) -> str:
    """Return a BibTeX entry for the version that made a run."""
    version = run.manifest["versions"]["interpfer"]
    return f"@software{{interpfer,\n  title   = {{interpfer}},\n  version = {{{version}}}\n}}"
