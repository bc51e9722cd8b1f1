"""The plan of a run in its folder: everything that decides the bytes of its tables."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interpfer.errors import RunError
from interpfer.files import parse_json
from interpfer.results.run import MANIFEST, SHARD
from interpfer.truth.options import CODEBOOK_SETTINGS, TruthOptions

PARTS = ".parts"
"""Folder of the finished batches of a run that is not yet complete."""

SHARD_PARTS = "shard"
"""Folder of the finished batches of a shard, which it keeps for ``interpfer merge``."""

PLAN = "plan.json"

BATCH_SIZE = "batch_size"
"""Key of the plan of a shard: faces per batch, because shards are made of whole batches."""


def read_plan(path: Path) -> dict[str, Any] | None:
    """Return the plan of the run in a folder, complete or not; None where there is none."""
    for batches in (SHARD_PARTS, PARTS):
        if (path / batches / PLAN).is_file():
            return _read_plan(path / batches / PLAN)
    return _read_plan(path / MANIFEST, "arguments") if (path / MANIFEST).is_file() else None


def require_same_plan(path: Path, plan: Mapping[str, Any]) -> None:
    """Refuse to resume the run in a folder under another plan.

    Raises:
        RunError: there is no run, or its plan differs.
    """
    before = read_plan(path)
    if before is None:
        raise RunError(f"{path} holds no run to resume; pass --overwrite.")
    changed = find_changes(before, plan)
    if changed:
        raise RunError(
            f"{path} was started with another {', '.join(changed)}; pass the same arguments with --resume, "
            "or --overwrite."
        )


def find_changes(before: Mapping[str, Any], plan: Mapping[str, Any]) -> list[str]:
    """Return the names of what differs between the plan of a run in a folder and another plan.

    Examples:
        >>> find_changes({"seed": 0, "shard": "0/3"}, {"seed": 1})
        ['seed', 'shard']
    """
    before = {"truth": TruthOptions.truth, "truth_settings": list(CODEBOOK_SETTINGS)} | dict(before)
    own = set(before) & {"occlusions", SHARD}
    names = [key for key in dict.fromkeys([*plan, *sorted(own)]) if key != "truth_settings"]
    return [key for key in names if json.loads(json.dumps(plan.get(key))) != before.get(key)]


def _read_plan(path: Path, key: str = "") -> dict[str, Any]:
    try:
        plan = parse_json(path.read_text(encoding="utf-8"))
        return dict(plan[key] if key else plan)
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise RunError(f"{path} is damaged ({error}); score again with --overwrite.") from error
