"""interpfer leaderboard."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interpfer.cli.options import as_json, quiet_option, verb
from interpfer.reports.leaderboard import FORMATS, SUFFIXES, Format
from interpfer.reports.leaderboard.options import LeaderboardOptions

if TYPE_CHECKING:
    from interpfer.reports.leaderboard.entries import Leaderboard


@verb("leaderboard", LeaderboardOptions)
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE|RUN...")
@as_json
@quiet_option
def command(sources: tuple[Path, ...], options: LeaderboardOptions, json_wanted: bool, quiet: bool) -> None:
    """Rank the rows of leaderboard files and run folders.

    Rows are ranked together only if data set, split, protocol, target, codebook, geometry and alignment agree, and the
    images and landmarks are the same. Identical runs, recognised by their hashes, count once. Checkpoints of one name,
    architecture and training are seeds: the table shows mean and standard deviation. Baselines have no rank. Of run
    folders, the page also says how stable the orders are when images are drawn again.

    \b
    interpfer leaderboard leaderboard.csv
    interpfer leaderboard a.csv b.csv runs/mine --sort pxap --out board.html
    interpfer leaderboard leaderboard.csv --format latex --metrics accuracy,cosine
    interpfer leaderboard runs/a runs/b --maps gradcam,layercam --best-layer --pivot maps --format latex
    interpfer leaderboard runs/a runs/b --out references.bib
    """
    from interpfer.cli.terminal import print_note
    from interpfer.files import json_bytes, write_atomic
    from interpfer.reports.leaderboard.ranking import rank_rows, require_metrics
    from interpfer.reports.leaderboard.rows import read_rows
    from interpfer.reports.leaderboard.selection import keep_best_layers, select_rows, with_decimals
    from interpfer.reports.leaderboard.text import records

    if json_wanted and (options.format or options.out):
        raise click.UsageError("--json cannot be combined with --format or --out.")
    write = _find_writer(options)
    table = read_rows(sources)
    maps = _resolve(_names(options.maps), {*table["map"], "baselines"}, "map")
    rows = select_rows(table, maps, *map(_names, (options.layers, options.models)))
    board = rank_rows(rows, options.sort, options.each)
    board = keep_best_layers(board) if options.best_layer else board
    board = board if options.decimals is None else with_decimals(board, options.decimals)
    if write is not None and write is FORMATS.get("html") and any(source.is_dir() for source in sources):
        board = _with_stability(board, [source for source in sources if source.is_dir()])
    wanted = _resolve(_names(options.metrics), table.columns, "metric")
    if options.pivot is not None:
        _write_pivot(board, options, options.pivot)
        return
    require_metrics(wanted or (), dict.fromkeys(name for ranking in board.rankings for name in ranking.metrics))
    hidden_columns: list[str] = []
    if json_wanted:
        click.echo(json_bytes(records(board.rankings, wanted)), nl=False)
    elif write is None:
        hidden_columns = _print_tables(board, wanted)
    elif options.out is None:
        click.echo(write(board.rankings, wanted), nl=False)
    else:
        out = Path(options.out)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(out, write(board.rankings, wanted).encode())
    for note in () if quiet else _notes(board, hidden_columns, options):
        print_note(note)


def _with_stability(board: "Leaderboard", folders: Sequence[Path]) -> "Leaderboard":
    from interpfer.reports.leaderboard.stability import add_stability
    from interpfer.results.run import load_whole_run

    return add_stability(board, [load_whole_run(folder) for folder in folders])


def _find_writer(options: LeaderboardOptions) -> "Format | None":
    """Return the writer of the format, or of the suffix of the output file; None for a table in the terminal."""
    from interpfer.errors import RunError

    if options.format is not None or options.out is None:
        return FORMATS.get(options.format) if options.format else None
    suffix = Path(options.out).suffix.lower()
    if suffix not in SUFFIXES:
        raise RunError(f"cannot infer the format from {options.out}: pass --format {'|'.join(FORMATS)}.")
    return FORMATS.get(SUFFIXES[suffix])


def _write_pivot(board: "Leaderboard", options: LeaderboardOptions, by: str) -> None:
    """Print a table of one metric, or write it.

    Raises:
        RunError: the format has no such table.
    """
    from interpfer.errors import RunError
    from interpfer.files import write_atomic
    from interpfer.reports.leaderboard.pivot import PIVOT_FORMATS, make_pivots

    suffix = SUFFIXES.get(Path(options.out).suffix.lower(), "") if options.out else "md"
    name = options.format or suffix
    if name not in PIVOT_FORMATS:
        raise RunError(f"--pivot has the formats {', '.join(PIVOT_FORMATS)}, got '{name or options.out}'.")
    text = PIVOT_FORMATS[name](make_pivots(board.rankings, by, options.sort))
    if options.out is None:
        click.echo(text, nl=False)
        return
    Path(options.out).parent.mkdir(parents=True, exist_ok=True)
    write_atomic(Path(options.out), text.encode())


def _names(names: str | Sequence[str] | None) -> list[str] | None:
    if names is None:
        return None
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)


def _resolve(names: list[str] | None, known: Collection[str], kind: str) -> list[str] | None:
    """Return the names of maps or metrics that other spellings and aliases stand for, as ``interpfer score`` does."""
    if names is None or all(name in known for name in names):
        return names
    from interpfer.maps import MAPS
    from interpfer.metrics import METRICS

    resolve = MAPS.resolve if kind == "map" else METRICS.resolve
    return [name if name in known else resolve(name) or name for name in names]


def _print_tables(board: "Leaderboard", wanted: Sequence[str] | None) -> list[str]:
    """Print a table per ranking; return the columns that did not fit."""
    from interpfer.cli.board_table import board_table
    from interpfer.cli.terminal import stdout

    console, hidden_columns = stdout(), dict[str, None]()
    for ranking in board.rankings:
        table, hidden = board_table(ranking, wanted, console.width)
        console.print(table)
        hidden_columns |= dict.fromkeys(hidden)
    return list(hidden_columns)


def _notes(board: "Leaderboard", hidden_columns: Sequence[str], options: LeaderboardOptions) -> Iterator[str]:
    if hidden_columns:
        yield (
            f"columns hidden in this width: {', '.join(hidden_columns)}; choose columns with --metrics, "
            "or get all with --json or --format csv"
        )
    for ranking in board.rankings:
        yield from ranking.notes
    if board.repeated:
        yield f"left out: {board.repeated} rows that repeat identical runs"
    if len(board.rankings) > 1:
        yield f"{len(board.rankings)} rankings: different data sets, protocols and settings are never ranked together"
    if options.out is not None:
        yield f"written to {options.out}"
