"""au_shares.csv: the share of every map's energy on the regions of the action units, image by image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from interpfer.errors import RunError
from interpfer.results.tables import Tables

AU_SHARES_FILE = "au_shares.csv"

UNIFORM = ("baseline:uniform", "-")
"""Row of each image that says how much of it each region covers."""

KEYS = ["image", "map", "layer"]


def au_share_table(tables: Tables, columns: Sequence[tuple[str, str]], regions: Sequence[str]) -> pd.DataFrame:
    """Return one line per image and map, with a column per region; NaN where a map or a face is undefined.

    Args:
        tables: of a run.
        columns: (map, layer) of the maps.
        regions: names of the regions, such as "12+15"; the background is the last.
    """
    keys = [*(key for key in columns if key != UNIFORM), UNIFORM]
    places = [list(columns).index(key) if key != UNIFORM else -2 for key in keys]
    names = [tables.dataset.samples[row].id for row in tables.rows]
    index = pd.DataFrame(
        [(name, *key) for name in names for key in keys],
        columns=KEYS,
    )
    values = tables.profiles[:, places].reshape(-1, len(regions))
    return pd.concat([index, pd.DataFrame(values.round(6), columns=list(regions))], axis=1)


def read_au_shares(run: str | Path) -> pd.DataFrame:
    """Read the table of a run folder.

    Raises:
        RunError: the run was made without ``--au-shares``.
    """
    path = Path(run) / AU_SHARES_FILE
    if not path.is_file():
        raise RunError(f"{run} has no {AU_SHARES_FILE}; run its score again with --au-shares.")
    table = pd.read_csv(path, dtype=dict.fromkeys(KEYS, str), keep_default_na=False, na_values=[""])
    return table.astype({name: np.float64 for name in table.columns if name not in KEYS})
