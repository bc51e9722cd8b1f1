"""What the report of a large run costs: time, memory and size of the page, beside the score without it.

Usage: python -m benchmarks.report_page [--faces 300,3000]

Drawn faces, some hundreds of them over and over, are scored by a small classifier with four maps of a layer, without
and with a report. Then the page is drawn out of the run folder, alone and beside itself, and as figures. Each step is
a process of its own, so that its memory is its own: `grown_mb` is how far its peak lies above what the imports take.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import torch

from benchmarks.report import write_results
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.export import write_csv_layout
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN
from interpfer.reports.figures import write_figures
from interpfer.reports.page import page_bytes, render_run, render_runs
from interpfer.results.pictures import load_report_data
from interpfer.results.run import load_run
from interpfer.scoring.score import score

DISTINCT = 210
MAPS = ("attention", "gradcam", "gradcam++", "layercam", "baseline:uniform", "baseline:class-mean-au")
STATUS = Path("/proc/self/status")


def write_faces(folder: Path, count: int) -> None:
    """Write drawn faces in the layout of ``--dataset csv``, the same ones over and over under names of their own."""
    write_csv_layout(DemoDataset("test", count=DISTINCT), folder)
    for table in ("labels.csv", "landmarks.txt"):
        lines = (folder / table).read_text().splitlines()
        head = [line for line in lines if line.startswith("image,")]
        rows = [line for line in lines if not line.startswith("image,")]
        again = [f"{i:05d}_{rows[i % DISTINCT]}" for i in range(count)]
        (folder / table).write_text("\n".join([*head, *again]) + "\n")
    pictures = sorted((folder / "images").iterdir())
    for i in range(count):
        picture = pictures[i % DISTINCT]
        (folder / "images" / f"{i:05d}_{picture.name}").hardlink_to(picture)


def score_faces(faces: Path, out: Path, report: bool) -> int:
    """Score; return the bytes of what the page is drawn from."""
    torch.manual_seed(0)
    model = load_model(SmallCNN(7), classes=",".join(DemoDataset("test", count=7).classes), input_size=64, name="small")
    score(model, "csv", data_root=faces, maps=MAPS, layers="last", device="cpu", out=out, report=report,
          landmarks=faces / "landmarks.txt")  # fmt: skip
    return (out / "report.npz").stat().st_size if report else 0


def draw(folder: Path, what: str, out: Path) -> int:
    """Draw a page or figures; return the bytes written."""
    run, report_data = load_run(folder), load_report_data(folder)
    if what == "figures":
        return sum(path.stat().st_size for path in write_figures(run, report_data, out))
    page = (
        render_run(run, report_data)
        if what == "page"
        else render_runs([run, run], [report_data, report_data], ["a", "b"])
    )
    return len(page_bytes(page))


def peak() -> float:
    """Return the largest resident memory so far, in MB.

    `getrusage` is asked last: what it says of a child begins with the peak of the parent.
    """
    if STATUS.exists():
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(work: Callable[[], int]) -> dict[str, float]:
    before, started, worked = peak(), time.perf_counter(), time.process_time()
    written = work()
    spent = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - worked}
    return {**spent, "peak_mb": peak(), "grown_mb": peak() - before, "written_mb": written / 1e6}


def alone(work: Callable[[], int]) -> dict[str, float]:
    """Do work in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, work).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", default="300,3000")
    options = parser.parse_args()
    counts = [int(count) for count in options.faces.split(",")]
    rows: list[dict[str, object]] = []
    for count in counts:
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch)
            write_faces(root / "faces", count)
            folder = root / "with"
            steps = {
                "score, no report": partial(score_faces, root / "faces", root / "without", report=False),
                "score with its report": partial(score_faces, root / "faces", folder, report=True),
            } | {what: partial(draw, folder, what, root / "figures") for what in ("page", "two runs", "figures")}
            for what, work in steps.items():
                found = {key: round(value, 2) for key, value in alone(work).items()}
                rows.append({"faces": count, "what": what} | found)
                print(rows[-1], flush=True)
    write_results("report_page", rows, {"faces": counts, "maps": MAPS, "layers": "last", "distinct": DISTINCT})


if __name__ == "__main__":
    main()
