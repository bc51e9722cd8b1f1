"""The commands that repeat the runs of a bundle."""

import shlex
from collections.abc import Sequence

from interpfer.bundle.run_members import BundledRun
from interpfer.reports.page.provenance import PLACEHOLDERS, command_words

HEAD = """#!/bin/sh
# Repeats the runs of this bundle: sh commands.sh [FOLDER]
# Paths of models, data and landmarks are as they were typed, so run it in the folder where the runs were scored;
# manifest.json has the hashes of all inputs.
set -e
OUT=${1:-reproduced}
"""


def commands_script(runs: Sequence[BundledRun], compared: Sequence[tuple[str, str]]) -> str:
    """Return a shell script that scores every run again, compares the same pairs and ranks them.

    Args:
        runs: the runs.
        compared: names of the two runs of each comparison.
    """
    lines = [HEAD]
    for bundled in runs:
        words = command_words(bundled.run)
        if missing := [word for word in PLACEHOLDERS if word in words]:
            lines.append(
                f"# {bundled.name}: replace {' and '.join(missing)} by the inputs with the hashes of its run.json"
            )
        lines.append(f"{shlex.join(words)} --out {_place(bundled.name)}")
    for a, b in compared:
        lines.append(f"interpfer compare {_place(a)} {_place(b)} --out {_place(f'{a}--{b}.csv')}")
    places = " ".join(_place(bundled.name) for bundled in runs)
    lines.append(f"interpfer leaderboard {places} --out {_place('leaderboard.csv')}")
    return "\n".join(lines) + "\n"


def _place(name: str) -> str:
    return f'"$OUT"/{shlex.quote(name)}'
