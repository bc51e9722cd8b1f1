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
    help="New folder for the results, e.g. --out demo.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Random seed of the faces, e.g. --seed 1.")
def command(out: Path, seed: int) -> None:
    """Draw faces, train a small classifier on them, score where it looks, and fine-tune it towards action units.

    The demo runs offline, in under two minutes on two cores. Look at maps.png, run/report.html and
    tuned/before_after.png in the folder, then score the model again with your own options:

    \b
    interpfer demo --out demo
    interpfer score demo/model.pt --dataset csv --data-root demo/test --landmarks demo/test/landmarks.txt --layers all
    """
    from interpfer.cli.run_tables import comparison_notes, comparison_table, notes, score_tables, truth_table
    from interpfer.cli.terminal import print_note, progress_bars, stdout
    from interpfer.demo import run_demo

    with progress_bars() as update:
        result = run_demo(out, seed, update)
    console = stdout()
    for table in score_tables(result.run, console.width):
        console.print(table)
    for note in notes(result.run):
        print_note(note)
    console.print(truth_table({"codebook": result.run, "coded on each face": result.coded}))
    print_note(
        "the codebook gives all faces of a class the same action units, so that the class mean alone agrees with it; "
        "those coded on each face differ from face to face"
    )
    if result.finetuning.comparison is not None:
        names = ("original", "fine-tuned towards the action units")
        console.print(comparison_table(result.finetuning.comparison, *names, console.width))
        for note in comparison_notes(result.finetuning.comparison):
            print_note(note)
    paths = (
        result.folder / "maps.png",
        result.folder / "run" / "report.html",
        result.finetuning.folder / "before_after.png",
    )
    print_note(f"look at {', '.join(map(str, paths))}")
