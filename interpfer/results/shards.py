"""The folders of shards: reading them, and proving that together they are one run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from interpfer.errors import RunError
from interpfer.files import parse_json
from interpfer.options import RUN_OPTIONS
from interpfer.results.plans import BATCH_SIZE, SHARD_PARTS, find_changes, read_plan
from interpfer.results.run import MANIFEST, SHARD
from interpfer.runtime.shards import Shard

LOCAL_OPTIONS = ("model", "data_root", "landmarks", "aus", "masks", "codebook", "only", "device", "trust", SHARD)
"""Options in which shards may differ: paths on the machine that scored them, whose content the plan has hashes of."""

NAMED = 5
"""Missing shards that a message names."""

SHOWN = 60
"""Characters of a value in a message."""


@dataclass(frozen=True)
class ShardFolder:
    """A finished shard.

    Attributes:
        path: its folder.
        shard: which share it is.
        manifest: content of its run.json.
    """

    path: Path
    shard: Shard
    manifest: Mapping[str, Any]

    @property
    def batches(self) -> Path:
        """Folder of its finished batches."""
        return self.path / SHARD_PARTS

    @property
    def batch_size(self) -> int:
        """Faces per batch."""
        return int(self.manifest[SHARD][BATCH_SIZE])

    @property
    def options(self) -> dict[str, Any]:
        """The options that it was scored with."""
        return dict(self.manifest[RUN_OPTIONS])

    @classmethod
    def open(cls, path: str | Path) -> "ShardFolder":
        """Read a shard.

        Raises:
            RunError: the folder holds no finished shard.
        """
        path = Path(path)
        if not path.is_dir():
            raise RunError(f"shard not found: {path}; pass the --out of interpfer score --shard.")
        if not (path / MANIFEST).is_file():
            plan = read_plan(path) or {}
            if SHARD in plan:
                raise RunError(f"{path} is shard {plan[SHARD]}, but not finished: finish it with --resume.")
            raise RunError(f"{path} holds no shard; pass the --out of interpfer score --shard.")
        try:
            manifest = parse_json((path / MANIFEST).read_text(encoding="utf-8"))
            shard = None if manifest.get(SHARD) is None else _read_facts(manifest)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise RunError(
                f"{path / MANIFEST} is damaged ({type(error).__name__}: {error}); score it again with --overwrite."
            ) from error
        if shard is None:
            raise RunError(f"{path} is a whole run, not a shard; pass the --out of interpfer score --shard.")
        if not (path / SHARD_PARTS).is_dir():
            raise RunError(f"{path} lacks its folder {SHARD_PARTS}: copy the whole folder of the shard.")
        return cls(path, shard, manifest)


def _read_facts(manifest: Mapping[str, Any]) -> Shard:
    """Return which share a shard is; raise where what a merge needs is not there, or of another kind."""
    facts = manifest[SHARD]
    numbers = (facts["index"], facts["count"], facts[BATCH_SIZE], facts["of"])
    if not all(isinstance(number, int) for number in numbers) or not 0 <= numbers[0] < numbers[1] <= numbers[3]:
        raise ValueError(f"shard {numbers[0]}/{numbers[1]} of {numbers[3]} images in batches of {numbers[2]}")
    for name in ("arguments", "versions", RUN_OPTIONS):
        if not isinstance(manifest[name], dict):
            raise ValueError(f"{name} has no names")
    if numbers[2] < 1 or not isinstance(manifest["timings"]["seconds"], int | float):
        raise ValueError("batch_size and timings must be numbers above 0")
    str(manifest["device"])
    return Shard(numbers[0], numbers[1])


def open_shards(paths: Sequence[str | Path]) -> list[ShardFolder]:
    """Read the shards of one run, and return them by number.

    Raises:
        RunError: a folder holds no finished shard, one is missing or there twice, or they are of different runs.
    """
    if not paths:
        raise RunError("merge needs the folders of all shards.")
    shards = [ShardFolder.open(path) for path in paths]
    first = shards[0]
    for other in shards[1:]:
        if other.shard.count != first.shard.count:
            raise RunError(
                f"{other.path} is shard {other.shard}, and {first.path} is shard {first.shard}: of different runs."
            )
        for name, value, expected in _differences(other.manifest, first.manifest):
            raise RunError(
                f"{other.path} and {first.path} are shards of different runs: {name} is {_show(value)}, not "
                f"{_show(expected)}."
            )
    by_index: dict[int, ShardFolder] = {}
    for each in shards:
        if each.shard.index in by_index:
            raise RunError(f"{by_index[each.shard.index].path} and {each.path} are both shard {each.shard}: pass one.")
        by_index[each.shard.index] = each
    count = first.shard.count
    if len(by_index) < count:
        absent = islice((str(Shard(i, count)) for i in range(count) if i not in by_index), NAMED)
        more = ", ..." if count - len(by_index) > NAMED else ""
        raise RunError(f"shard {', '.join(absent)}{more} is missing: pass the folders of all {count} shards.")
    return [by_index[index] for index in range(count)]


def require_plan(shards: Sequence[ShardFolder], plan: Mapping[str, Any], versions: Mapping[str, str]) -> None:
    """Check that shards are of what lies at hand here.

    Args:
        shards: all of one run.
        plan: that of the model and the data at hand.
        versions: of the packages here.

    Raises:
        RunError: something is different.
    """
    first = shards[0]
    before = first.manifest["arguments"]
    for name in find_changes(before, plan):
        raise RunError(
            f"what merge found is not what {first.path} was scored with: {name} is {_show(plan.get(name))}, not "
            f"{_show(before.get(name))}; {_HINTS.get(name, 'pass what it was scored with')}."
        )
    for name, version in first.manifest["versions"].items():
        if versions.get(name) != version:
            raise RunError(
                f"{first.path} was scored with {name} {version}, and here is {versions.get(name, 'none')}: merge with "
                "the versions of the shards."
            )


_HINTS = {
    "checkpoint": "pass --model",
    "card": "pass --model",
    "model": "pass --model",
    "images": "pass --data-root",
    "landmarks": "pass --landmarks",
    "landmarks_digest": "pass --landmarks",
    "codebook": "pass --codebook",
    "codebook_digest": "pass --codebook",
}


def _differences(other: Mapping[str, Any], first: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return name, value and expected value of what two shards must have in common and have not."""
    values, expected = (
        {
            **{name: value for name, value in each[RUN_OPTIONS].items() if name not in LOCAL_OPTIONS},
            **each["arguments"],
            **{f"version of {name}": version for name, version in each["versions"].items()},
            **{BATCH_SIZE: each[SHARD][BATCH_SIZE], "number of images": each[SHARD]["of"]},
        }
        for each in (other, first)
    )
    names = dict.fromkeys([*first["arguments"], *other["arguments"], *expected, *values])
    return [(name, values.get(name), expected.get(name)) for name in names if values.get(name) != expected.get(name)]


def _show(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    text = " ".join(text.split())
    return f"'{text if len(text) <= SHOWN else text[:SHOWN] + '...'}'"
