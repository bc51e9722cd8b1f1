"""Provenance of a run: what was left out, how to reproduce it, and what to cite."""

import shlex
from collections.abc import Sequence
from typing import Any

from interpfer.landmarks.reasons import EMPTY_MASK, IMPLAUSIBLE, NO_LANDMARKS, OFF_PICTURE, OUT_OF_VIEW
from interpfer.maps import MEANS, for_truth, select_maps
from interpfer.options import RUN_OPTIONS
from interpfer.reports.words import words_of
from interpfer.results.run import COMMAND, Run
from interpfer.truth.options import MASK

MAX_NAMED = 12
"""Most images that a reason names."""

PLACEHOLDERS = ("MODEL", "DIR")
"""Words of a command that stand for inputs known by their hashes alone."""

FORMER_FLAGS = {"--align": "--align-faces"}
"""Spelling of a flag of ``score`` in older runs -> the present one."""

PAPER = """@inproceedings{belharbi2024guided,
  title     = {Guided Interpretable Facial Expression Recognition via Spatial Action Unit Cues},
  author    = {Belharbi, Soufiane and Pedersoli, Marco and Koerich, Alessandro Lameiras and Bacon, Simon and
               Granger, Eric},
  booktitle = {International Conference on Automatic Face and Gesture Recognition (FG)},
  year      = {2024},
  note      = {arXiv:2402.00281}
}"""

MASK_FAULTS = {EMPTY_MASK: "an empty mask", OUT_OF_VIEW: "a mask outside of what the network sees"}
"""Reason as run.json has it -> the same on the page."""


def reproduce_command(run: Run) -> str:
    """Return the command that repeats a run, one option per line; paths are those that the user gave.

    A run of an older version does not record its options: MODEL and DIR stand for its inputs.
    """
    words = command_words(run)
    lines: list[str] = []
    for word in [*words[3:], "--out", "RUN"]:
        if word.startswith("--") or not lines:
            lines.append(shlex.quote(word))
        else:
            lines[-1] += f" {shlex.quote(word)}"
    return " \\\n    ".join([shlex.join(words[:3]), *lines])


def command_words(run: Run) -> list[str]:
    """Return the words of the command that repeats a run, without ``--out``; see ``reproduce_command``."""
    words = run.manifest.get(COMMAND) or _command_of_arguments(run)
    return [FORMER_FLAGS.get(word, word) for word in words]


def placeholder_note(run: Run) -> str:
    """Return a sentence on the placeholders in the command of a run."""
    words = run.manifest.get(COMMAND) or PLACEHOLDERS
    names = {"MODEL": "the checkpoint", "DIR": "the folder of the data set"}
    meanings = [f"{word} is {names[word]}" for word in PLACEHOLDERS if word in words]
    chosen = run.manifest.get(RUN_OPTIONS, {})
    is_older = run.manifest.get("limit") is not None and "sample_seed" not in chosen
    sample = (
        " An older version drew the images of --limit in another way, so this command scores others: the run cannot be "
        "repeated to the byte."
    )
    note = f"{', '.join([*meanings, 'RUN is a new folder'])}. The inputs have the hashes below."
    return note + (sample if is_older else "")


def _command_of_arguments(run: Run) -> list[str]:
    arguments = run.manifest["arguments"]
    present = set(run.scores["map"])
    options: list[tuple[str, Any]] = [
        ("dataset", arguments["dataset"]),
        ("data-root", "DIR"),
        ("split", arguments["split"]),
        ("maps", ",".join(_with_groups([name for name in arguments["maps"] if name in present]))),
        ("layers", ",".join(arguments["layers"])),
        ("metrics", ",".join(arguments["metrics"])),
        ("target", arguments["target"]),
        ("protocol", arguments["protocol"]),
        ("truth", arguments.get("truth")),
        ("codebook", arguments.get("codebook")),
        ("geometry", arguments.get("geometry")),
        ("seed", arguments["seed"]),
        ("limit", run.manifest.get("limit")),
        ("autocast", None if arguments.get("autocast") == "off" else arguments.get("autocast")),
    ]
    flags = [word for name, value in options if value not in (None, "") for word in (f"--{name}", str(value))]
    return ["interpfer", "score", "MODEL", *flags, *(["--align-faces"] if arguments.get("align") else [])]


def _with_groups(maps: list[str]) -> list[str]:
    """Return names of maps, with the group of all baselines in place of its members."""
    own = [name for name in maps if not name.startswith("baseline:")]
    group = [for_truth(select_maps("baselines"), noun) for noun in MEANS]
    return [*own, "baselines"] if any([*own, *baselines] == maps for baselines in group) else maps


def input_hashes(run: Run) -> list[tuple[str, str]]:
    """Return the hashes of the inputs of a run."""
    facts = run.manifest
    hashes = [
        ("checkpoint (sha256)", facts["checkpoint_sha256"]),
        ("data set (names, labels, pixels)", facts["dataset_digest"]),
        ("landmarks", facts["landmarks_digest"] if run.landmarks != NO_LANDMARKS else None),
        ("codebook", facts["arguments"].get("codebook_digest")),
        ("masks", facts["arguments"].get("masks_digest")),
    ]
    return [(name, str(value)) for name, value in hashes if value]


def scoring_rules(run: Run) -> list[tuple[str, str]]:
    """Return the rules by which a run was scored."""
    arguments, has_masks = run.manifest["arguments"], run.noun == MASK
    rules = [
        ("model", describe_model(run)),
        ("data set", f"{run.dataset}, split {arguments['split']}"),
        ("landmarks", None if run.landmarks == NO_LANDMARKS else run.landmarks),
        ("protocol", arguments["protocol"]),
        ("truth", arguments.get("truth")),
        ("codebook", arguments.get("codebook")),
        ("geometry", arguments.get("geometry")),
        ("masks", arguments.get("masks")),
        ("target of class maps", f"{arguments['target']}{'' if arguments['target'] == 'label' else ' class'}"),
        ("faces aligned", "yes" if arguments.get("align") else None if has_masks else "no"),
        ("intervals", run.manifest.get("intervals", "95 % bootstrap")),
        ("device", run.manifest.get("device", "")),
        ("seed", arguments["seed"]),
    ]
    return [(name, str(value)) for name, value in rules if value is not None]


def describe_model(run: Run) -> str:
    """Return name, architecture, size and lineage of the model."""
    network = run.network
    size = f"{network['parameters']:,} parameters" if network["parameters"] else ""
    return ", ".join(
        filter(None, (run.manifest["arguments"]["model"], network["architecture"], size, network["lineage"]))
    )


def left_out(run: Run) -> list[tuple[str, int, list[str]]]:
    """Return (reason, count, first names) of the images and maps that were left out."""
    counts = run.manifest["counts"]
    skipped = counts["skipped"]
    reasons: list[tuple[str, int, list[str]]] = []
    words = words_of(run.truth, run.noun)
    if counts["neutral"]:
        reasons.append((words.neutral, counts["neutral"], []))
    if no_truth := counts.get("without_truth"):
        labels = [f"{label} {count}" for label, count in no_truth.items()]
        reasons.append((words.missing, sum(no_truth.values()), labels))
    reasons += [
        _reason(f"images with {what}", list(skipped[kind])) for kind, what in MASK_FAULTS.items() if skipped.get(kind)
    ]
    if counts["unlabelled"]:
        reasons.append(("images without a label", counts["unlabelled"], []))
    if skipped["no landmarks"]:
        reasons.append(_reason("faces without landmarks", skipped["no landmarks"]))
    by_fault: dict[str, list[str]] = {}
    for name, fault in skipped.get(IMPLAUSIBLE, {}).items():
        by_fault.setdefault(fault, []).append(name)
    reasons += [_reason(f"faces with {IMPLAUSIBLE}: {fault}", names) for fault, names in by_fault.items()]
    if skipped.get(OFF_PICTURE):
        reasons.append(_reason("faces with no action unit of the label on the picture", skipped[OFF_PICTURE]))
    by_cause: dict[str, list[str]] = {}
    for name, cause in skipped["unreadable"].items():
        by_cause.setdefault(str(cause).replace(name, "…"), []).append(name)
    reasons += [_reason(f"unreadable: {cause}", names) for cause, names in by_cause.items()]
    if cut := counts.get("partly_seen"):
        reasons.append(("faces partly outside of what the network sees of a picture (they are scored)", cut, []))
    for key, count in counts.get("undefined_maps", {}).items():
        reasons.append((f"maps of {key} that are constant, zero or not finite", count, []))
    failed: dict[str, list[str]] = {}
    for key, cause in run.manifest.get("refused", {}).items():
        failed.setdefault(cause, []).append(key)
    return reasons + [_reason(f"maps that cannot be computed: {cause}", keys) for cause, keys in failed.items()]


def _reason(reason: str, names: Sequence[str]) -> tuple[str, int, list[str]]:
    return reason, len(names), list(names[:MAX_NAMED])


def cite_software(run: Run) -> str:
    """Return a BibTeX entry for the version that scored a run."""
    version = run.manifest["versions"]["interpfer"]
    return f"@software{{interpfer,\n  title   = {{interpfer}},\n  version = {{{version}}}\n}}"
