"""interpfer finetune."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from interpfer.cli.options import MODEL_OVERRIDES, Command, model_options, numbers, stack

data_options = stack(
    click.option(
        "--dataset", required=True, metavar="NAME", help="Data set, e.g. --dataset rafdb (see `ls datasets`)."
    ),
    click.option("--data-root", type=click.Path(path_type=Path), metavar="DIR", help="e.g. --data-root RAF-DB."),
    click.option(
        "--split", default="train", show_default=True, metavar="NAME", help="To train on, e.g. --split train."
    ),
    click.option("--landmarks", metavar="FILE|PROVIDER", help="68 points per face, e.g. --landmarks landmarks.txt."),
    click.option(
        "--test-split",
        default="test",
        show_default=True,
        metavar="NAME|none",
        help="Where before and after are compared, e.g. --test-split val, or none.",
    ),
    click.option("--val-fraction", type=float, metavar="X", help="Held out to choose the epoch, e.g. 0.2 (default)."),
)

guide_options = stack(
    click.option(
        "--weight", type=float, metavar="L", help="Of the guide, e.g. --weight 1 (default); 0 is plain training."
    ),
    click.option(
        "--cam-weight", type=float, metavar="L", help="Of the class map's term where it differs, e.g. --cam-weight 1."
    ),
    click.option(
        "--align",
        type=click.Choice(["attention", "cam", "both"]),
        default="both",
        show_default=True,
        help="Which terms take part, e.g. --align attention: the method of the paper.",
    ),
    click.option(
        "--loss",
        type=click.Choice(["cosine", "std-cosine", "l1", "l2", "kl", "log-barrier"]),
        help="How maps are compared, e.g. --loss cosine (default).",
    ),
    click.option("--align-layers", metavar="LIST", help="Whose attention: last (default), all or names."),
    click.option("--attention-map", metavar="NAME", help="e.g. --attention-map attention-random."),
    click.option("--cam-map", metavar="NAME", help="e.g. --cam-map layercam; gradcam by default."),
    click.option(
        "--loss-resize",
        type=click.Choice(["canvas", "grid"]),
        help="canvas (default) resizes as the metric, grid as the paper, e.g. --loss-resize grid.",
    ),
    click.option(
        "--loss-shift", is_flag=True, default=None, help="Raise negative attention by its minimum, as the metric."
    ),
    click.option(
        "--protocol", type=click.Choice(["paper", "corrected"]), help="As for score, e.g. --protocol corrected."
    ),
    click.option("--codebook", metavar="NAME|FILE", help="AUs per expression, e.g. --codebook emfacs."),
    click.option("--geometry", type=click.Choice(["reference", "scaled"]), help="e.g. --geometry scaled."),
    click.option("--sweep", callback=numbers, metavar="LIST", help="Train with each weight, e.g. --sweep 0,1,4,9."),
)

training_options = stack(
    click.option("--epochs", type=int, metavar="N", help="e.g. --epochs 16 (default)."),
    click.option("--batch-size", type=int, metavar="N", help="Per process, e.g. --batch-size 32 (default)."),
    click.option("--lr", type=float, metavar="X", help="Largest learning rate, e.g. --lr 0.02 (default)."),
    click.option("--optimizer", type=click.Choice(["sgd", "adamw"]), help="e.g. --optimizer adamw; sgd by default."),
    click.option(
        "--schedule",
        type=click.Choice(["one-cycle", "cosine", "step", "constant"]),
        help="e.g. --schedule cosine; one-cycle by default.",
    ),
    click.option(
        "--warmup", type=float, metavar="X", help="Share of the training with a rising rate, e.g. --warmup 0.1."
    ),
    click.option("--weight-decay", type=float, metavar="X", help="e.g. --weight-decay 0.0005 (default)."),
    click.option("--head-lr", type=float, metavar="X", help="Factor on the head's rate, e.g. --head-lr 10."),
    click.option("--body-lr", type=float, metavar="X", help="Factor on the body's rate, e.g. --body-lr 0.1."),
    click.option("--clip", type=float, metavar="X", help="Largest norm of the gradient, e.g. --clip 1."),
    click.option("--ema", type=float, metavar="X", help="Decay of averaged weights, e.g. --ema 0.99."),
    click.option(
        "--freeze", metavar="LIST", help="What stays: half (default), none or modules, e.g. --freeze conv1,layer1."
    ),
    click.option("--freeze-bn", is_flag=True, default=None, help="Keep batch statistics: for small data."),
    click.option("--label-smoothing", type=float, metavar="X", help="e.g. --label-smoothing 0.1."),
    click.option("--class-weights", is_flag=True, default=None, help="Rare classes weigh more."),
    click.option("--accumulate", type=int, metavar="N", help="Batches per update, e.g. --accumulate 4."),
    click.option(
        "--mixed-precision", "precision", type=click.Choice(["no", "bf16", "fp16"]), help="e.g. --mixed-precision bf16."
    ),
    click.option(
        "--augment",
        type=click.Choice(["none", "flip", "light", "paper"]),
        default="light",
        show_default=True,
        help="light turns, crops and mirrors; flip mirrors; paper also changes colours and erases.",
    ),
    click.option("--cutmix", type=float, metavar="P", help="Share of batches mixed by rectangles, e.g. --cutmix 0.5."),
    click.option("--mixup", type=float, metavar="P", help="Share of batches mixed by overlay, e.g. --mixup 0.5."),
    click.option("--patience", type=int, metavar="N", help="Epochs without a better one before it stops, e.g. 5."),
    click.option(
        "--tradeoff", type=float, metavar="X", help="Select by accuracy + X x agreement, e.g. --tradeoff 0.1."
    ),
    click.option("--seed", type=int, metavar="N", help="Of everything random, e.g. --seed 1."),
)


@click.command("finetune", cls=Command)
@click.argument("model", type=click.Path(path_type=Path))
@data_options
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="A new folder, e.g. --out tuned."
)
@guide_options
@training_options
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu or cuda.")
@click.option("--tensorboard", is_flag=True, help="Write the history for TensorBoard too.")
@click.option("--resume", is_flag=True, help="Continue the interrupted training in --out.")
@click.option("--overwrite", is_flag=True, help="Replace the training in --out.")
@model_options
def command(model: Path, **options: Any) -> None:
    """Train MODEL on, guided to look where the action units are, and compare before and after.

    The folder gets model.pt, the best epoch, with its card: `interpfer score DIR/model.pt` takes it as it is; and
    last.pt, history.csv, and the scores before/ and after/ with compare.csv. Several processes: `accelerate launch -m
    interpfer finetune ...` or torchrun.

    \b
    interpfer finetune model.pt --dataset rafdb --data-root RAF-DB --out tuned
    interpfer finetune model.pt --dataset csv --data-root faces --out swept --sweep 0,1,4,9
    """
    if options["resume"] and options["overwrite"]:
        raise click.UsageError("--resume and --overwrite exclude each other.")

    from interpfer.cli.run_tables import comparison_notes, comparison_table, history_line, sweep_line, sweep_table
    from interpfer.cli.terminal import print_note, progress_bars, stdout
    from interpfer.finetuning.recipe import CHOICES, Recipe
    from interpfer.finetuning.run import finetune
    from interpfer.finetuning.sweep import sweep
    from interpfer.models.loading import load_model

    if options["resume"] and not options["out"].exists():
        print_note(f"there is nothing in {options['out']} to resume: starting anew")
    loaded = load_model(model, **{name: options.pop(name) for name in MODEL_OVERRIDES})
    weights, folder, test = options.pop("sweep"), options["out"], options.pop("test_split")
    recipe = Recipe.of(**{name: options.pop(name) for name in CHOICES})
    common = options | {"recipe": recipe, "test": None if test == "none" else test}
    if weights is not None:
        with _telling_how_to_go_on(), progress_bars() as update:
            table = sweep(
                loaded,
                weights=weights,
                progress=update,
                report=lambda line: print_note(sweep_line(line)),
                **common,
            )
        if len(table):
            stdout().print(sweep_table(table))
            print_note(f"compared on {table.attrs['judged']}")
            print_note(f"written to {folder}; look at {folder / 'sweep.png'}")
        return
    with _telling_how_to_go_on(), progress_bars() as update:
        tuned = finetune(
            loaded,
            **common,
            progress=update,
            report=lambda line: print_note(history_line(line)),
        )
    if not tuned.first:
        return
    if tuned.comparison is not None:
        console = stdout()
        console.print(comparison_table(tuned.comparison, "before", "after", console.width))
        for note in comparison_notes(tuned.comparison):
            print_note(note)
        print_note(f"compared on {tuned.judged}")
        if (picture := tuned.folder / "before_after.png").is_file():
            print_note(f"look at {picture}")
    print_note(f"written to {tuned.folder}; score it: interpfer score {tuned.folder / 'model.pt'} ...")


@contextmanager
def _telling_how_to_go_on() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo("stopped; the same command with --resume goes on after the last finished epoch", err=True)
        raise
