"""interpfer report."""

from collections.abc import Sequence
from pathlib import Path

import click

from interpfer.cli.options import verb
from interpfer.reports.options import ReportOptions


@verb("report", ReportOptions)
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="RUN...")
def command(runs: tuple[Path, ...], options: ReportOptions) -> None:
    """Rebuild the report page of a finished RUN, or show several runs side by side.

    Only the run folders are needed, neither the model nor the data. Of several runs, the others are compared with the
    first one, on the faces that all of them scored.

    \b
    interpfer report runs/mine --figures
    interpfer report runs/before runs/after --out before-after.html
    interpfer report p0 p1 p2 g0 g1 g2 --groups plain,plain,plain,guided,guided,guided
    """
    names, groups = _run_names(runs, options), _one_per_run("groups", options.groups, runs)

    from interpfer.cli.terminal import print_note
    from interpfer.files import write_atomic
    from interpfer.reports.figures import write_figures
    from interpfer.reports.page import page_bytes, render_run, render_runs
    from interpfer.results.folder import FIGURES, REPORT
    from interpfer.results.pictures import load_report_data
    from interpfer.results.run import load_run, load_whole_run

    loaded = [load_run(path) if len(runs) == 1 else load_whole_run(path) for path in runs]
    report_data = [load_report_data(path) for path in runs]
    if len(runs) == 1:
        page, default = render_run(loaded[0], report_data[0]), runs[0] / REPORT
    else:
        page, default = render_runs(loaded, report_data, names, groups), Path("comparison.html")
    out = default if options.out is None else Path(options.out)
    write_atomic(out, page_bytes(page))
    click.echo(out)
    if None in report_data:
        print_note("the page has no pictures: a run was scored with --no-report")
    if options.figures:
        for path, run, data in zip(runs, loaded, report_data, strict=True):
            for figure in write_figures(run, data, path / FIGURES):
                click.echo(figure)


def _run_names(runs: tuple[Path, ...], options: ReportOptions) -> list[str]:
    """Return the names of the options, else the last parts of the folders, or the whole paths where those repeat."""
    if (names := _one_per_run("names", options.names, runs)) is not None:
        return names
    short = [path.resolve().name for path in runs]
    return short if len(set(short)) == len(short) else [str(path) for path in runs]


def _one_per_run(what: str, given: str | Sequence[str] | None, runs: tuple[Path, ...]) -> list[str] | None:
    """Return the names of an option, one per run."""
    if given is None:
        return None
    names = [name.strip() for name in given.split(",")] if isinstance(given, str) else list(given)
    if len(names) != len(runs):
        raise click.UsageError(f"--{what} must have one name per run ({len(runs)}), got {len(names)}.")
    return names
