"""Rows of a leaderboard: a CSV file to which many runs append, also at the same time.

The lock is an empty file beside the CSV. It is not deleted after use: deleting it while another process waits for it
would let two write at once.
"""

import hashlib
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from interpfer.errors import RunError
from interpfer.files import csv_bytes, write_atomic
from interpfer.occlusion import CLEAN
from interpfer.reports.escape import FORMULA, guard, unguard
from interpfer.results.metric_facts import (
    DECIMALS,
    DEFINITIONS,
    LOWER,
    leaderboard_columns,
    read_metric_facts,
    separate_definitions,
)
from interpfer.results.published import PUBLISHED
from interpfer.results.run import Run, load_whole_run
from interpfer.truth.options import CODEBOOK_SETTINGS, TruthOptions

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
SETTINGS = ("target", "truth", "codebook", "geometry", "align")
"""Arguments that change the meaning of a score."""

PUBLISHED_COLUMNS = ("published", "reproduces")
"""Accuracy published for the model, and whether the run reproduces it."""

OCCLUSION = "occlusion"
"""Column of a leaderboard with rows of covered faces: what covers them, "" for faces as they are."""

DATA_COLUMNS = ("dataset_name", "landmarks", "landmarks_digest")
"""The data set's own name, and the landmarks at which the truth was drawn."""

WORST_GROUP = "worst_group"
"""The group of ``--by`` with the worst value of the first metric, and that value; empty in a run without groups."""

NETWORK_COLUMNS = ("architecture", "parameters", "lineage")
"""What tells models of one name apart."""

TRAILER = (
    *("date", "version", "checkpoint_sha256", "dataset_digest", "seed"),
    *(*SETTINGS, *PUBLISHED_COLUMNS, WORST_GROUP, LOWER, DECIMALS, DEFINITIONS, *DATA_COLUMNS, *NETWORK_COLUMNS),
)

RUN = (
    *("model", "dataset", "split", "protocol", "map", "layer", "n"),
    *("checkpoint_sha256", "dataset_digest", "seed", *SETTINGS),
)
"""Columns of every version in which a repetition of a row agrees with it."""

IDENTITY = (*RUN, *DATA_COLUMNS, *NETWORK_COLUMNS)
"""Columns in which a repetition of a row agrees with it."""


def leaderboard_rows(run: Run) -> pd.DataFrame:
    """Return one row per map and layer of a run; of a run with occlusions also one for each of them."""
    if run.occluded is None:
        return _order_columns(_rows(run, run.scores, run.manifest["classification"], run.manifest["counts"]["scored"]))
    tables = []
    for name, scores in run.occluded.scores.groupby(OCCLUSION, sort=False):
        is_clean = name == CLEAN
        facts = run.manifest["classification"] if is_clean else run.manifest[OCCLUSION][str(name)]
        scored = run.manifest["counts"]["scored"] if is_clean else facts["scored"]
        tables.append(_rows(run, scores, facts, scored).assign(**{OCCLUSION: "" if is_clean else name}))
    return _order_columns(pd.concat(tables, ignore_index=True))


def _rows(run: Run, table: pd.DataFrame, classification: dict[str, Any], scored: int) -> pd.DataFrame:
    """Return one row per map and layer of the scores of the clean faces, or of one occlusion."""
    manifest, arguments, rows = run.manifest, run.manifest["arguments"], []
    facts = manifest.get("readings") or leaderboard_columns(run.metric_facts)
    metric_facts = read_metric_facts(manifest, dict.fromkeys(map(str, table["metric"])))
    for (name, layer), scores in table.groupby(["map", "layer"], sort=False):
        row = {key: arguments[key] for key in ("model", "dataset", "split", "protocol")}
        row |= {"map": name, "layer": layer, "n": scored}
        row["same_as"] = manifest.get("same", {}).get(f"{name}@{layer}", "").partition("@")[0]
        row |= {key: classification.get(key) for key in ("accuracy", "macro_f1")}
        if (aus := classification.get("aus")) is not None:
            row["au_f1"] = aus["mean_f1"]
        for metric, values in scores.groupby("metric", sort=False):
            headline = values[values["group"] == metric_facts[str(metric)].headline]
            row[str(metric)] = headline["value"].iloc[0]
        row[WORST_GROUP] = _worst_group(run, scores)
        row |= {"date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"), "version": manifest["versions"]["interpfer"]}
        row |= {key: manifest[key] for key in ("checkpoint_sha256", "dataset_digest", "seed")}
        row |= {key: arguments.get(key, "") for key in SETTINGS} | {
            "truth": _truth(arguments),
            "codebook": _codebook(arguments),
        }
        if published := manifest.get(PUBLISHED):
            verdict = "yes" if published["reproduces"] else "no"
            row |= dict(zip(PUBLISHED_COLUMNS, (f"{published['accuracy']:g}", verdict), strict=True))
        row |= {"dataset_name": arguments.get("dataset_name", arguments["dataset"]), "landmarks": run.landmarks}
        row |= {"landmarks_digest": manifest["landmarks_digest"]} | run.network | facts
        rows.append(row)
    return pd.DataFrame(rows)


def _worst_group(run: Run, scores: pd.DataFrame) -> str:
    """Return the group with the worst value of the first metric of a map, such as ``gender=female cosine 0.412``."""
    metric = str(scores["metric"].iloc[0])
    is_group = scores["group"].astype(str).str.startswith(tuple(f"{column}=" for column in run.attributes) or ("=",))
    values = scores[is_group & (scores["metric"] == metric)].dropna(subset=["value"])
    if values.empty:
        return ""
    facts = run.metric_facts[metric]
    worst = values.sort_values("value", ascending=facts.higher_is_better).iloc[0]
    return f"{worst['group']} {metric} {worst['value']:.{facts.decimals}f}"


def append_rows(path: str | Path, rows: pd.DataFrame) -> None:
    """Append rows to a leaderboard under a file lock; columns that either side lacks stay empty.

    Raises:
        RunError: the file is not a leaderboard, or cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            new = _read(io.BytesIO(_bytes(rows)))
            if path.exists():
                table = _fill_unknown(pd.concat([_read(path), new], ignore_index=True).fillna(""))
                table = pd.concat([_drop_repeated(table[: -len(new)], new), new], ignore_index=True)
            else:
                table = new
            write_atomic(path, _bytes(_order_columns(table)))
    except OSError as error:
        raise RunError(f"cannot write the leaderboard {path}: {error.strerror}; pass another file.") from error


def require_leaderboard(path: str | Path) -> None:
    """Refuse a file that ``append_rows`` could not append to, before any work is done for it.

    Raises:
        RunError: the file is not a leaderboard, or cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if path.exists():
                _read(path)
                with path.open("ab"):
                    pass
    except OSError as error:
        raise RunError(f"cannot write the leaderboard {path}: {error.strerror}; pass another file.") from error


def read_rows(sources: Iterable[str | Path]) -> pd.DataFrame:
    """Return the rows of leaderboards and run folders as text; columns that a source lacks are empty.

    Raises:
        RunError: a source is neither.
    """
    tables = []
    for source in map(Path, sources):
        if source.is_dir():
            tables.append(_read(io.BytesIO(_bytes(leaderboard_rows(load_whole_run(source))))))
        elif source.is_file():
            tables.append(_read(source))
        else:
            raise RunError(f"no leaderboard or run folder at {source}.")
    if not tables:
        return pd.DataFrame()
    return separate_definitions(_fill_unknown(pd.concat(tables, ignore_index=True).fillna("")))


def _truth(arguments: dict[str, Any]) -> str:
    """Return the name of a truth; of one with settings beside codebook, geometry and protocol, with their digest."""
    decided = (*CODEBOOK_SETTINGS, *(["au_planes"] if arguments.get("truth") == TruthOptions.truth else []))
    own = {name: arguments[name] for name in arguments.get("truth_settings", ()) if name not in decided}
    digest = hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:8]
    return str(arguments.get("truth", TruthOptions.truth)) + (f"#{digest}" if own else "")


def _codebook(arguments: dict[str, str]) -> str:
    """Return the name of a codebook; of a file its name and digest, because files of one name can differ."""
    name = arguments.get("codebook", "")
    digest = arguments.get("codebook_digest", "")
    return f"{Path(name).name}#{digest[:8]}" if name.endswith((".yaml", ".yml")) else name


def _fill_unknown(table: pd.DataFrame) -> pd.DataFrame:
    """Give rows of older versions, which name no landmarks and no network, those of the row that they repeat."""
    added = [*DATA_COLUMNS, *NETWORK_COLUMNS]
    if not {*RUN, *added, "accuracy"} <= set(table):
        return table
    keys = list(table[[*RUN, "accuracy"]].itertuples(index=False, name=None))
    values = table[added].to_numpy().tolist()
    known = {key: row for key, row in zip(keys, values, strict=True) if any(row)}
    filled = [row if any(row) else known.get(key, row) for key, row in zip(keys, values, strict=True)]
    return table.assign(**dict(zip(added, map(list, zip(*filled, strict=True)), strict=True)))


def _drop_repeated(table: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Leave out the rows that ``new`` repeats: those of the same run, appended again."""
    if not set(IDENTITY) <= set(table) & set(new):
        return table
    keys = [*IDENTITY, *({OCCLUSION} & set(table))]
    new = new if OCCLUSION in new else new.assign(**{OCCLUSION: ""})
    repeated = set(new[keys].itertuples(index=False, name=None))
    return table[[row not in repeated for row in table[keys].itertuples(index=False, name=None)]]


def _bytes(table: pd.DataFrame) -> bytes:
    """Return rows as CSV; text that a spreadsheet would run as a formula is escaped."""
    table = table.rename(columns=lambda name: guard(str(name)))
    for name in table:
        if pd.api.types.is_string_dtype(table[name]):
            risky = table[name].astype(str).str.match(FORMULA.pattern)
            if risky.any():
                table[name] = table[name].where(~risky, table[name].map(str).map(guard))
    return csv_bytes(table)


def _read(path: Path | io.BytesIO) -> pd.DataFrame:
    """Return rows as text, so that no digit changes."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:  # those of pandas are ValueErrors
        raise RunError(f"{path} is not a leaderboard ({error}); pass another file.") from error
    table = table.rename(columns=lambda name: unguard(str(name)))
    for name in table:
        if table[name].str.startswith("'").any():
            table[name] = table[name].map(unguard)
    table["truth"] = table["truth"].replace("", TruthOptions.truth) if "truth" in table else TruthOptions.truth
    if not {"model", "map"} <= set(table):
        raise RunError(f"{path} is not a leaderboard: it has no columns model and map; pass another file.")
    return table


def _order_columns(table: pd.DataFrame) -> pd.DataFrame:
    between = [name for name in table if name not in (*COLUMNS, *TRAILER)]
    return table.reindex(columns=[*COLUMNS, *between, *TRAILER])
