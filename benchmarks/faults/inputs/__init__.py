"""The readers that are fuzzed, one module per kind: valid files of each, hostile ones, and how they are read."""

from collections.abc import Callable, Mapping, Sequence

from benchmarks.faults.inputs import containers, landmarks, lists, models, pictures, runs, truths
from benchmarks.faults.inputs.seed import Seed

READERS: Mapping[str, Callable[[], Sequence[Seed]]] = {
    "checkpoints": models.checkpoints,
    "cards": models.cards,
    "codebooks": truths.codebooks,
    "AU texts": truths.texts_of_aus,
    "masks": truths.masks,
    "csv lists": lists.tables_of_images,
    "images": pictures.images,
    "clips": pictures.clips,
    "tars": containers.tars,
    "zips": containers.zips,
    "parquet": containers.tables_of_pictures,
    "jsonl": lists.json_lines,
    "landmarks": landmarks.landmark_files,
    "runs and configs": runs.runs_and_configs,
}
"""Name of what is read -> its valid files."""
