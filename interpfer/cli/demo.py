"""interpfer demo."""

from pathlib import Path

import click


@click.command("demo")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    metavar="DIR",
    help="A new folder, e.g. --out demo.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another set of people, e.g. --seed 1.")
def command(out: Path, seed: int) -> None:
    """Draw faces, train a small classifier on them, score where it looks, and teach it to look at action units.

    Everything is made on the spot, offline, in under two minutes on two cores. Look at maps.png, run/report.html and
    tuned/before_after.png in the folder, then score the model again with your own options:

    \b
    interpfer demo --out demo
    interpfer score demo/model.pt --dataset csv --data-root demo/test --landmarks demo/test/landmarks.txt --layers all
    """
    from interpfer.cli.run_tables import comparison_notes, comparison_table, notes, score_tables
    from interpfer.cli.terminal import print_note, progress_bars, stdout
    from interpfer.demo import run_demo

    with progress_bars() as update:
        result = run_demo(out, seed, update)
    console = stdout()
    for table in score_tables(result.run, console.width):
        console.print(table)
    for note in notes(result.run):
        print_note(note)
    if result.tuned.comparison is not None:
        names = ("as trained", "fine-tuned towards the action units")
        console.print(comparison_table(result.tuned.comparison, *names, console.width))
        for note in comparison_notes(result.tuned.comparison):
            print_note(note)
    shown = (
        result.folder / "maps.png",
        result.folder / "run" / "report.html",
        result.tuned.folder / "before_after.png",
    )
    print_note(f"look at {', '.join(map(str, shown))}")
