"""What a score costs as data sets grow: seconds, memory and disk at 1,000, 10,000 and 100,000 drawn faces.

    python -m benchmarks.scale [--faces 1000,10000,100000] [--work DIR] [--workers 2]

Faces are painted once into tar archives of 1,000 in ``--work``, with their landmarks beside them; what is there is used
again. Each size is scored in a process of its own, by a small network at 48 px, with two maps, a baseline, the default
metrics and the report. A score that was interrupted goes on; its seconds are those of all attempts together.

``scale.csv`` has a row per size: seconds of the wall clock; those of the processor for reading and scoring, and for the
tables and the report, which other programs change little; the most memory; the run folder; how far memory is from that
of the smallest size, and the time of a further face from that between the two smallest. ``scale_estimate.csv`` says
what a million faces take: here, in eight processes like this one, and on one GPU.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from tarfile import TarFile, TarInfo
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.report import RESULTS, write_results
from interpfer.datasets.drawn.actions import AUS_OF
from interpfer.datasets.drawn.drawing import paint_face
from interpfer.datasets.drawn.shape import shape_face
from interpfer.datasets.webdataset import WebDataset
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN
from interpfer.results.plans import PARTS
from interpfer.scoring.score import score
from interpfer.types import LANDMARKS, Landmarks

SHARD, SIDE, BATCH = 1000, 48, 50
MAPS = ("attention", "gradcam", "baseline:uniform")
POINTS = "points.f32"
MILLION, PROCESSES, CORES = 1_000_000, 8, 2
HEARTBEAT = 5.0
"""Seconds between two notes of how long a score has taken."""


class StoredPoints:
    """Landmarks in one file, of which only those of a batch are read."""

    name: ClassVar[str] = "stored"
    summary: ClassVar[str] = "points of painted faces"
    needs_images: ClassVar[bool] = False
    digest: ClassVar[str] = "painted faces"

    def __init__(self, path: Path) -> None:
        self.path = path

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None = None) -> Landmarks:  # noqa: ARG002
        """Return the points of the named faces; a name ends in the number of the face."""
        points = np.zeros((len(ids), LANDMARKS, 2), np.float32)
        with self.path.open("rb") as file:
            for place, name in enumerate(ids):
                file.seek(int(name.rpartition("/")[2]) * points[0].nbytes)
                points[place] = np.fromfile(file, np.float32, points[0].size).reshape(LANDMARKS, 2)
        return Landmarks.of(torch.from_numpy(points))


class PaintedFaces(WebDataset):
    """The archives of painted faces, with their landmarks."""

    def landmarks(self) -> StoredPoints:
        """Return the points as they were painted."""
        assert self.root is not None
        return StoredPoints(self.root / POINTS)


def paint_shard(folder: Path, number: int) -> None:
    """Paint 1,000 faces into an archive and their landmarks into a file, unless they are there."""
    archive, points = folder / f"{number:05d}.tar", folder / f"{number:05d}.f32"
    if archive.is_file():
        return
    draft, found = archive.with_suffix(".draft"), []
    labels = list(islice(cycle(AUS_OF), number * SHARD % len(AUS_OF), number * SHARD % len(AUS_OF) + SHARD))
    with TarFile.open(draft, "w") as tar:
        for index, label in enumerate(labels, number * SHARD):
            rng = np.random.default_rng([0, index])
            shape = shape_face(label, rng, SIDE)
            found.append(np.asarray(shape.points, np.float32))
            picture = BytesIO()
            paint_face(shape, rng).save(picture, "JPEG", quality=90)
            for kind, content in (("jpg", picture.getvalue()), ("cls", label.encode())):
                member = TarInfo(f"{index:07d}.{kind}")
                member.size = len(content)
                tar.addfile(member, BytesIO(content))
    np.stack(found).tofile(points)
    draft.replace(archive)


def paint(work: Path, faces: int, workers: int) -> None:
    """Paint what is missing of the first archives."""
    folder = work / "faces"
    folder.mkdir(parents=True, exist_ok=True)
    shards = range(-(-faces // SHARD))
    with ProcessPoolExecutor(workers) as pool:
        for number, _ in enumerate(pool.map(paint_shard, [folder] * len(shards), shards), 1):
            print(f"painted {number * SHARD} faces", end="\r", file=sys.stderr)


def first_faces(work: Path, faces: int) -> Path:
    """Return a folder of the first archives and of their landmarks in one file."""
    folder, shards = work / f"first-{faces}", faces // SHARD
    folder.mkdir(exist_ok=True)
    for number in range(shards):
        link = folder / f"{number:05d}.tar"
        if not link.exists():
            link.symlink_to((work / "faces" / link.name).resolve())
    if not (folder / POINTS).is_file():
        with (folder / POINTS).open("wb") as file:
            for number in range(shards):
                file.write((work / "faces" / f"{number:05d}.f32").read_bytes())
    return folder


def run_alone(work: Path, faces: int) -> dict[str, Any]:
    """Score the first faces in this process, and return what it took."""
    out, before = work / f"run-{faces}", work / f"run-{faces}.seconds"
    spent = json.loads(before.read_text()) if before.is_file() and (out / PARTS).is_dir() else {}
    earlier, started = np.array(spent.get("seconds", [0.0, 0.0])), clocks()
    scored = earlier
    torch.manual_seed(0)
    model = load_model(SmallCNN(len(AUS_OF)), classes=list(AUS_OF), input_size=SIDE, name="small")
    dataset = PaintedFaces.open(first_faces(work, faces), "test")
    noted = 0.0

    def keep_time(what: str, done: int, total: int) -> None:
        nonlocal scored, noted
        now = earlier + clocks() - started
        scored = now if done == total else scored
        if now[0] - noted > HEARTBEAT or done == total:
            noted = float(now[0])
            before.write_text(json.dumps({"seconds": now.tolist()}))
            print(f"{what} {done} of {total}, {noted:.0f} s", end="\r", file=sys.stderr, flush=True)

    score(
        model, dataset, maps=MAPS, layers="last", batch_size=BATCH, device="cpu", out=str(out), resume=out.exists(),
        progress=keep_time,
    )  # fmt: skip
    total = earlier + clocks() - started
    return {
        "faces": faces,
        "seconds": round(float(total[0]), 1),
        "faces_per_second": round(faces / float(total[0]), 1),
        "processor_scoring": round(float(scored[1]), 1),
        "processor_tables_and_report": round(float(total[1] - scored[1]), 1),
        "peak_mb": peak_mb(),
        "report_mb": round((out / "report.html").stat().st_size / 1e6, 2),
        "folder_mb": round(sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6, 1),
    }


def clocks() -> NDArray[np.float64]:
    """Return seconds of the wall clock and of the processor."""
    return np.array([time.perf_counter(), time.process_time()])


def peak_mb() -> int:
    """Return the peak resident megabytes of this process."""
    status = Path("/proc/self/status")
    if status.is_file():  # a process inherits the ru_maxrss of the one that started it, but not this
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def compare(rows: list[dict[str, Any]]) -> None:
    """Add to each row how far it is from the smallest size: memory, and time without what does not grow."""
    first = rows[0]
    for row, smaller in zip(rows[1:], rows, strict=False):
        own, before = (each["processor_scoring"] + each["processor_tables_and_report"] for each in (row, smaller))
        row["ms_per_further_face"] = round(1000 * (own - before) / (row["faces"] - smaller["faces"]), 3)
    for row in rows:
        row["memory_over_first"] = round(row["peak_mb"] / first["peak_mb"], 3)
    slopes = [row["ms_per_further_face"] for row in rows[1:]]
    for row in rows[1:]:
        row["time_over_linear"] = round(row["ms_per_further_face"] / slopes[0], 3)


def estimate(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what a million faces take, out of the largest sizes that were measured.

    Seconds of the processor are divided by ``CORES``, as scoring keeps both busy; tables, made by one thread, are not.
    Scoring is shared by processes, as no batch needs another; the tables and the report are made by one. On a GPU, the
    maps cost what benchmarks/results/maps_cuda.csv has measured (ResNet-50, 224 px, six maps, five layers), and reading
    is what remains on the processor; metrics on the GPU are taken to cost as much as the maps again, an assumption.
    """
    last = rows[-1]
    smaller = rows[-2] if len(rows) > 1 else {"faces": 0, "processor_scoring": 0.0, "processor_tables_and_report": 0.0}
    grown = last["faces"] - smaller["faces"]
    scoring = max(last["processor_scoring"] - smaller["processor_scoring"], 0.0) / grown / CORES
    tables = max(last["processor_tables_and_report"] - smaller["processor_tables_and_report"], 0.0) / grown
    found = [
        {"where": "this machine, one process", "hours": MILLION * (scoring + tables) / 3600, "bound": "processor"},
        {
            "where": f"{PROCESSES} such machines, a shard each, then interpfer merge",
            "hours": MILLION * (scoring / PROCESSES + tables) / 3600,
            "bound": "processor; tables by one process",
        },
    ]
    measured = RESULTS / "maps_cuda.csv"
    if measured.is_file():
        import pandas as pd

        table = pd.read_csv(measured)
        batch = int(json.loads(measured.with_suffix(".json").read_text())["settings"]["batch"])
        of_maps = float(table[table["contestant"] == "interpfer"]["seconds"].iloc[0]) / batch
        reading = last["ms_reading"] / 1000
        on_gpu = max(2 * of_maps, reading)
        found.append({
            "where": "one GPU, ResNet-50 at 224 px, six maps at five layers",
            "hours": MILLION * (on_gpu + tables) / 3600,
            "bound": "reading by one core" if reading > 2 * of_maps else "GPU",
        })  # fmt: skip
    return [row | {"hours": round(float(row["hours"]), 2)} for row in found]


def time_reading(work: Path, faces: int) -> float:
    """Return the milliseconds that reading a face takes on one core."""
    from interpfer.faces.stream import FaceStream

    dataset = PaintedFaces.open(first_faces(work, faces), "test")
    stream = FaceStream(dataset, dataset.landmarks(), SIDE)
    started = time.perf_counter()
    for start in range(0, SHARD, BATCH):
        stream.read(range(start, start + BATCH))
    return 1000 * (time.perf_counter() - started) / SHARD


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--faces", default="1000,10000,100000", help=f"sizes, multiples of {SHARD}")
    parser.add_argument("--work", default="scale-work", help="folder of the faces and of the runs")
    parser.add_argument("--workers", type=int, default=2, help="processes that paint")
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    work, sizes = Path(options.work), sorted(int(each) for each in options.faces.split(","))
    if options.alone:
        print(json.dumps(run_alone(work, options.alone)))
        return
    paint(work, sizes[-1], options.workers)
    rows: list[dict[str, Any]] = []
    for size in sizes:
        result = work / f"result-{size}.json"
        if not result.is_file():
            command = [sys.executable, "-m", "benchmarks.scale", "--alone", str(size), "--work", str(work)]
            passive = os.environ | {"OMP_WAIT_POLICY": "passive"}  # threads that wait count as processor time, else
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=passive)
            result.write_text(done.stdout.splitlines()[-1])
        rows.append(json.loads(result.read_text()))
        print(rows[-1], file=sys.stderr)
    reading = round(time_reading(work, sizes[0]), 3)
    rows = [row | {"ms_reading": reading} for row in rows]
    compare(rows)
    settings = {"faces": sizes, "side": SIDE, "batch": BATCH, "maps": MAPS, "network": "SmallCNN"}
    write_results("scale", rows, settings)
    write_results("scale_estimate", estimate(rows), settings | {"of": "scale.csv and maps_cuda.csv"})


if __name__ == "__main__":
    main()
