"""interpfer score."""

import click

from interpfer.cli.options import as_json, quiet_option, verb
from interpfer.scoring.options import ScoreOptions


@verb("score", ScoreOptions, arguments=("model",))
@as_json
@quiet_option
def command(options: ScoreOptions, json_wanted: bool, quiet: bool) -> None:
    """Score where MODEL looks: its maps against the AU heatmap of each face.

    MODEL is a checkpoint with a model card beside it (same name, .yaml). The table shows, per map and layer, the
    cosine with the heatmap (CAM-COS, ATT-COS), the skill over a uniform map, and PxAP, with 95 % confidence intervals,
    above the baselines that a score has to beat.

    \b
    interpfer score model.pt --dataset csv --data-root faces --landmarks faces/landmarks.txt --out runs/mine
    interpfer score --config runs/mine/run.json --out runs/again
    """
    from interpfer.cli.run_tables import notes, run_facts, score_tables
    from interpfer.cli.terminal import print_note, progress_bars, stdout
    from interpfer.files import json_bytes
    from interpfer.runtime.processes import join_processes, shut_down
    from interpfer.scoring.score import score

    assert options.model is not None
    assert options.dataset is not None
    group = join_processes(options.device)
    try:
        with progress_bars(group.is_main and not quiet) as update:
            run = score(options.model, options.dataset, options=options, progress=update)
    finally:
        shut_down()
    if not group.is_main:
        return
    if json_wanted:
        click.echo(json_bytes(run_facts(run)), nl=False)
    else:
        console = stdout()
        for table in score_tables(run, console.width):
            console.print(table)
    for note in () if quiet else notes(run):
        print_note(note)
