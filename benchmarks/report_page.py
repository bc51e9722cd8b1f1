"""What the report of a large run costs: time, memory and size of the page, apart from the score itself.

Usage: python -m benchmarks.report_page [--faces 3000]

Drawn faces, some hundreds of them over and over, are scored by a small classifier with four maps of a layer. Then
the page is drawn in a process of its own out of the run folder, alone and beside itself, and as figures.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.report import write_results
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.export import write_csv_layout
from interpfer.evaluate import score
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN

DISTINCT = 210
MAPS = ("attention", "gradcam", "gradcam++", "layercam", "baseline:uniform", "baseline:class-mean-au")

CHILD = """
import json, resource, sys, time
from pathlib import Path
from interpfer.results.exhibit import load_exhibit
from interpfer.results.run import load_run
from interpfer.reports.page import page_bytes, render_run, render_runs
from interpfer.reports.run_figures import run_figures
folder, what, out = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started, worked = time.perf_counter(), time.process_time()
run, exhibit = load_run(folder), load_exhibit(folder)
if what == "figures":
    size = sum(path.stat().st_size for path in run_figures(run, exhibit, out))
else:
    page = render_run(run, exhibit) if what == "page" else render_runs([run, run], [exhibit, exhibit], ["a", "b"])
    size = len(page_bytes(page))
spent = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - worked}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
memory = {"peak_mb": peak / 1024, "over_imports_mb": (peak - base) / 1024}
print(json.dumps({**spent, **memory, "written_mb": size / 1e6}))
"""


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, default=3000)
    options = parser.parse_args()
    torch.manual_seed(0)
    model = load_model(SmallCNN(7), classes=",".join(DemoDataset("test", count=7).classes), input_size=64, name="small")
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        faces = Path(scratch) / "faces"
        write_faces(faces, options.faces)
        for report in (False, True):
            folder = Path(scratch) / f"report-{report}"
            started, worked = time.perf_counter(), time.process_time()
            score(model, "csv", data_root=faces, maps=MAPS, layers="last", device="cpu", out=folder, report=report,
                  landmarks=faces / "landmarks.txt")  # fmt: skip
            spent = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - worked}
            rows.append({"what": "score, " + ("with its report" if report else "no report")} | spent)
        for what in ("page", "two runs", "figures"):
            call = [sys.executable, "-c", CHILD, str(folder), what, str(Path(scratch) / "figures")]
            done = subprocess.run(call, check=True, capture_output=True, text=True)
            rows.append({"what": what} | json.loads(done.stdout))
        kept = (folder / "report.npz").stat().st_size / 1e6
    table = [
        {key: round(value, 2) if isinstance(value, float) else value for key, value in row.items()} for row in rows
    ]
    write_results("report_page", table, {"faces": options.faces, "maps": MAPS, "layers": "last", "report_npz_mb": kept})


if __name__ == "__main__":
    main()
