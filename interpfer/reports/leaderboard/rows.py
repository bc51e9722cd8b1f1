"""The leaderboard: one CSV to which many runs, also at the same time, append their rows.

The lock stands in a file of its own beside the CSV, and stays there: whoever deleted it while another waits for it
would let two write at once. It is empty, and may be deleted when nothing runs.
"""

import io
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from filelock import FileLock

from interpfer.errors import RunError
from interpfer.files import csv_bytes, write_atomic
from interpfer.reports.escape import FORMULA, guard, unguard
from interpfer.results.metric_facts import DECIMALS, LOWER, write_readings
from interpfer.results.run import Run, headline_group, load_run

COLUMNS = (
    "model",
    "dataset",
    "split",
    "protocol",
    "n",
    "map",
    "layer",
    "accuracy",
    "macro_f1",
    "cosine",
    "pxap",
)
SETTINGS = ("target", "codebook", "geometry", "align")
"""Arguments that change what a score means."""

TRAILER = ("date", "version", "checkpoint_sha256", "dataset_digest", "seed", *SETTINGS, LOWER, DECIMALS)

IDENTITY = (
    *("model", "dataset", "split", "protocol", "map", "layer", "n"),
    *("checkpoint_sha256", "dataset_digest", "seed", *SETTINGS),
)
"""What makes a row a repetition of another."""


def leaderboard_rows(run: Run) -> pd.DataFrame:
    """Return one row per map and layer of a run."""
    facts, rows = run.manifest, []
    readings = facts.get("readings") or write_readings(list(dict.fromkeys(map(str, run.scores["metric"]))))
    for (name, layer), scores in run.scores.groupby(["map", "layer"], sort=False):
        row = {key: facts["arguments"][key] for key in ("model", "dataset", "split", "protocol")}
        row |= {"map": name, "layer": layer, "n": facts["counts"]["scored"]}
        row["same_as"] = facts.get("same", {}).get(f"{name}@{layer}", "").partition("@")[0]
        row |= {key: facts["classification"][key] for key in ("accuracy", "macro_f1")}
        for metric, values in scores.groupby("metric", sort=False):
            headline = values[values["group"] == headline_group(str(metric))]
            row[str(metric)] = headline["value"].iloc[0]
        row |= {"date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"), "version": facts["versions"]["interpfer"]}
        row |= {key: facts[key] for key in ("checkpoint_sha256", "dataset_digest", "seed")}
        row |= {key: facts["arguments"][key] for key in SETTINGS} | {"codebook": _codebook(facts["arguments"])}
        row |= readings
        rows.append(row)
    return _ordered(pd.DataFrame(rows))


def append(path: Path, rows: pd.DataFrame) -> None:
    """Append rows to a leaderboard under a file lock; columns that either side lacks stay empty.

    Raises:
        RunError: the file is there but is no leaderboard, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            new = _read(io.BytesIO(_bytes(rows)))
            table = pd.concat([_without(_read(path), new), new], ignore_index=True) if path.exists() else new
            write_atomic(path, _bytes(_ordered(table)))
    except OSError as error:
        raise RunError(f"cannot write the leaderboard {path}: {error.strerror}; name another file.") from error


def require_board(path: Path) -> None:
    """Refuse a file that ``append`` could not add to, before any work is done for it.

    Raises:
        RunError: the file is there but is no leaderboard, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if path.exists():
                _read(path)
                with path.open("ab"):
                    pass
    except OSError as error:
        raise RunError(f"cannot write the leaderboard {path}: {error.strerror}; name another file.") from error


def gather(sources: Iterable[Path]) -> pd.DataFrame:
    """Return the rows of leaderboards and of run folders, as text; columns that some lack are empty there.

    Raises:
        RunError: a source is neither.
    """
    tables = []
    for source in sources:
        if source.is_dir():
            tables.append(_read(io.BytesIO(_bytes(leaderboard_rows(load_run(source))))))
        elif source.is_file():
            tables.append(_read(source))
        else:
            raise RunError(f"there is no leaderboard and no run folder {source}.")
    return pd.concat(tables, ignore_index=True).fillna("") if tables else pd.DataFrame()


def _codebook(arguments: dict[str, str]) -> str:
    """Return the name of a codebook; of a file, its name and what it holds, since another may be called the same."""
    name = arguments["codebook"]
    digest = arguments.get("codebook_digest", "")
    return f"{Path(name).name}#{digest[:8]}" if name.endswith((".yaml", ".yml")) else name


def _without(table: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Leave out the rows that ``new`` says again: the same run, appended once more."""
    if not set(IDENTITY) <= set(table) & set(new):
        return table
    again = set(new[list(IDENTITY)].itertuples(index=False, name=None))
    return table[[row not in again for row in table[list(IDENTITY)].itertuples(index=False, name=None)]]


def _bytes(table: pd.DataFrame) -> bytes:
    """Return rows as CSV, text that a spreadsheet would run escaped."""
    table = table.rename(columns=lambda name: guard(str(name)))
    for name in table:
        if pd.api.types.is_string_dtype(table[name]):
            risky = table[name].astype(str).str.match(FORMULA.pattern)
            if risky.any():
                table[name] = table[name].where(~risky, table[name].map(str).map(guard))
    return csv_bytes(table)


def _read(path: Path | io.BytesIO) -> pd.DataFrame:
    """Read rows as they are written, digit by digit."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is no leaderboard ({error}); name another file.") from error
    table = table.rename(columns=lambda name: unguard(str(name)))
    for name in table:
        if table[name].str.startswith("'").any():
            table[name] = table[name].map(unguard)
    if not {"model", "map"} <= set(table):
        raise RunError(f"{path} is no leaderboard: it has no columns model and map; name another file.")
    return table


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    between = [name for name in table if name not in (*COLUMNS, *TRAILER)]
    return table.reindex(columns=[*COLUMNS, *between, *TRAILER])
