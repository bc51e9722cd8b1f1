"""A run as an entry of the registry of measured checkpoints, for a pull request."""

from pathlib import Path

import yaml
from filelock import FileLock

from interpfer.errors import ModelError, RunError
from interpfer.files import write_atomic
from interpfer.models.measured import Measured, Value, read_measured
from interpfer.results.run import Run

DIGITS = 4
METRIC = "cosine"


def describe_run(run: Run, preset: str = "") -> Measured:
    """Return the entry of a run: its accuracy, and the cosine of each of its own maps with the truth.

    Args:
        run: a finished run.
        preset: name of the published classifier; "" for none.

    Raises:
        ModelError: the run has no accuracy.
    """
    facts, arguments = run.manifest["classification"], run.manifest["arguments"]
    accuracy = facts.get("accuracy")
    low, high = facts.get("accuracy_ci") or (None, None)
    if accuracy is None or accuracy != accuracy or low is None or high is None or low != low:
        raise ModelError("--submit needs labelled images: the run has no accuracy.")
    headline = {name: each.headline for name, each in run.metric_facts.items()}
    rows = run.scores[(run.scores["metric"] == METRIC) & (run.scores["group"] == headline.get(METRIC, "macro"))]
    agreement = [
        _round(row["value"], row["ci_low"], row["ci_high"], f"{row['map']}@{row['layer']} {METRIC}")
        for row in rows.to_dict("records")
        if row["layer"] != "-" and row["ci_low"] == row["ci_low"]
    ]
    return Measured(
        str(arguments["model"]),
        preset,
        str(run.manifest["checkpoint_sha256"]),
        f"{arguments.get('dataset_name', arguments['dataset'])}/{arguments['split']}".replace(" ", "-"),
        str(run.manifest["dataset_digest"]),
        int(facts["n"]) if "n" in facts else int(run.manifest["counts"]["images"]),
        _round(accuracy, low, high),
        tuple(agreement),
        str(run.manifest["versions"]["interpfer"]),
    )


def append_submission(path: Path, run: Run, preset: str = "") -> None:
    """Append the entry of a run to a file; an entry of the same checkpoint, images and version is replaced.

    Args:
        path: YAML file; it is made if there is none.
        run: a finished run.
        preset: name of the published classifier; "" for none.

    Raises:
        ModelError: the file holds something else, or the run has no accuracy.
        RunError: the file cannot be written.
    """
    entry = describe_run(run, preset)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            kept = [each for each in read_measured(path) if _key(each) != _key(entry)]
            text = yaml.safe_dump([each.to_dict() for each in [*kept, entry]], sort_keys=False, width=120)
            write_atomic(path, text.encode())
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}; pass another file.") from error


def _key(entry: Measured) -> tuple[str, str, str]:
    return entry.sha256, entry.dataset_digest, entry.version


def _round(value: float, low: float, high: float, name: str = "") -> Value:
    value, low, high = (round(float(number), DIGITS) for number in (value, low, high))
    return Value(value, min(low, value), max(high, value), name)
