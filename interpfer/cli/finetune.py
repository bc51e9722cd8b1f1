"""interpfer finetune."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interpfer.cli.options import verb
from interpfer.finetuning.options import FinetuneOptions

if TYPE_CHECKING:
    from interpfer.finetuning.run import FinetuneResult


@verb("finetune", FinetuneOptions, arguments=("model",))
def command(options: FinetuneOptions) -> None:
    """Fine-tune MODEL to look where the action units or masks are, and compare before and after.

    With --truth masks --masks PATH it learns to look inside the masks of the pictures, else at action units of faces.
    The folder gets model.pt, the best epoch, with its card: `interpfer score DIR/model.pt` reads it; and last.pt,
    history.csv, and the scores before/ and after/ with compare.csv. Several processes: `accelerate launch -m interpfer
    finetune ...` or torchrun.

    \b
    interpfer finetune model.pt --dataset rafdb --data-root RAF-DB --out tuned
    interpfer finetune model.pt --dataset csv --data-root faces --out swept --sweep 0,1,4,9
    interpfer finetune model.pt --dataset csv --data-root faces --out seeds --seeds 0,1,2
    """
    from interpfer.cli.run_tables import history_line
    from interpfer.cli.terminal import print_note, progress_bars
    from interpfer.finetuning.methods import describe_methods
    from interpfer.finetuning.run import finetune

    assert options.model is not None
    assert options.dataset is not None
    assert options.out is not None
    if options.resume and not Path(options.out).exists():
        print_note(f"nothing to resume in {options.out}; starting a new training")
    if options.sweep is not None and options.seeds is not None:
        raise click.UsageError("--sweep and --seeds cannot be combined; pass one.")
    for line in describe_methods(options):
        print_note(line)
    if options.sweep is not None:
        _sweep(options)
        return
    if options.seeds is not None:
        _train_seeds(options)
        return
    with _advice_on_interrupt(), progress_bars() as update:
        result = finetune(
            options.model,
            options.dataset,
            options=options,
            progress=update,
            report=lambda line: print_note(history_line(line)),
        )
    if result.is_main:
        _print_result(result, options)


def _sweep(options: FinetuneOptions) -> None:
    from interpfer.cli.run_tables import sweep_line, sweep_table
    from interpfer.cli.terminal import print_note, progress_bars, stdout
    from interpfer.finetuning.sweep import sweep

    assert options.model is not None
    assert options.dataset is not None
    assert options.out is not None
    assert options.sweep is not None
    with _advice_on_interrupt(), progress_bars() as update:
        table = sweep(
            options.model,
            options.dataset,
            options.sweep,
            options=options,
            progress=update,
            report=lambda line: print_note(sweep_line(line)),
        )
    if len(table):
        stdout().print(sweep_table(table))
        print_note(f"compared on {table.attrs['compared_on']}")
        print_note(f"written to {options.out}; look at {Path(options.out) / 'sweep.png'}")


def _train_seeds(options: FinetuneOptions) -> None:
    from interpfer.cli.seed_tables import seeds_line, seeds_table
    from interpfer.cli.terminal import print_note, progress_bars, stdout
    from interpfer.finetuning.seeds import SEEDS_TABLE, seeds_notes, train_seeds

    assert options.model is not None
    assert options.dataset is not None
    assert options.out is not None
    assert options.seeds is not None
    with _advice_on_interrupt(), progress_bars() as update:
        table = train_seeds(
            options.model,
            options.dataset,
            options.seeds,
            options=options,
            progress=update,
            report=lambda seed, lines: print_note(seeds_line(seed, lines)),
        )
    if len(table):
        stdout().print(seeds_table(table))
        for note in seeds_notes(table, Path(options.out)):
            print_note(note)
        print_note(f"written to {Path(options.out) / SEEDS_TABLE}")


def _print_result(result: "FinetuneResult", options: FinetuneOptions) -> None:
    from interpfer.cli.run_tables import comparison_notes, comparison_table
    from interpfer.cli.terminal import print_note, stdout
    from interpfer.finetuning.checkpoints import needs_trust
    from interpfer.finetuning.facts import describe_counts
    from interpfer.finetuning.folder import BEST, SHEET
    from interpfer.finetuning.methods import score_flags

    if result.comparison is not None:
        console = stdout()
        console.print(comparison_table(result.comparison, "before", "after", console.width))
        for note in comparison_notes(result.comparison):
            print_note(note)
        print_note(f"compared on {result.compared_on}")
        if (sheet := result.folder / SHEET).is_file():
            print_note(f"look at {sheet}")
    for note in (describe_counts(result.counts), *result.notes):
        print_note(note)
    trust = " --trust" if needs_trust(result.model.module, result.model.card) else ""
    flags = score_flags(options)
    print_note(f"written to {result.folder}; score it: interpfer score {result.folder / BEST}{trust}{flags} ...")


@contextmanager
def _advice_on_interrupt() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo("stopped; rerun with --resume to continue after the last completed epoch", err=True)
        raise
