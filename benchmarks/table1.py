"""The table of Belharbi et al. 2024: every method without and with action units.

    python -m benchmarks.table1 drawn [--work DIR]
    python -m benchmarks.table1 faces --faces DIR [--network CHECKPOINT] [--work DIR] [--device cuda]

`drawn` trains small networks on drawn faces, in less than half an hour on two cores. `faces` trains a ResNet-18, a
ViT-tiny and a small APViT on a labelled folder, whose people are held out in turn; with --network, methods for
convolutional networks start from a checkpoint. What --work holds is not trained again, so that an interrupted run
continues.
"""

import argparse
import itertools
import tempfile
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks.report import RESULTS, write_results
from benchmarks.table1_faithfulness import explain_cell
from benchmarks.table1_pages import write_pages
from benchmarks.table1_study import (
    COMMON,
    GUIDES,
    NETWORKS,
    ROWS,
    TRANSFORMERS,
    Cell,
    measure,
    run_cell,
    summarise,
    train_trunk,
)
from interpfer.finetuning.options import PRECISIONS

COUNT, EPOCHS = 280, {"drawn": 8, "faces": 12}
"""Number of drawn faces to train on, and passes over the faces."""

FAITHFUL_FACES = 42
"""Number of held-out faces on which insertion and deletion are measured, which run the network 20 times each."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", choices=list(NETWORKS))
    parser.add_argument("--faces", type=Path, metavar="DIR", help="the labelled folder, with subjects where known")
    parser.add_argument("--network", default="", help="checkpoint or name in place of the convolutional network")
    parser.add_argument("--methods", default=",".join(ROWS), help=f"of {', '.join(ROWS)}")
    parser.add_argument("--guides", default="without,with", help=f"of {', '.join(GUIDES)}")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--folds", type=int, default=3, help="parts of a labelled folder, each held out in turn")
    parser.add_argument("--epochs", type=int, help="passes over the faces")
    parser.add_argument("--count", type=int, default=COUNT, help="number of drawn faces to train on")
    parser.add_argument(
        "--faithful-faces", type=int, default=FAITHFUL_FACES, metavar="N",
        help="held-out faces per training on which insertion and deletion are measured; 0 for none",
    )  # fmt: skip
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="no", choices=PRECISIONS, help="mixed precision of the trainings")
    parser.add_argument("--workers", type=int, default=2, help="trainings at a time, with one thread each")
    parser.add_argument("--work", type=Path, help="keeps trainings and scores, so that a run can be continued")
    parser.add_argument("--summary", action="store_true", help="train nothing; write the table of what --work holds")
    options = parser.parse_args()
    if (options.data == "faces") != (options.faces is not None):
        parser.error("faces needs --faces DIR" if options.faces is None else "--faces is for faces, not drawn")
    with tempfile.TemporaryDirectory() as draft:
        cells = list_cells(options, options.work or Path(draft))
        failed = [] if options.summary else run_cells(cells, options.workers, options.faithful_faces)
        write_table(cells, options)
    if failed:
        parser.exit(1, f"{len(failed)} of {len(cells)} cells failed: {', '.join(failed)}\n")


def list_cells(options: argparse.Namespace, work: Path) -> list[Cell]:
    """Return all cells: the convolutional networks first, and of those the first seed."""
    trainings = dict.fromkeys(ROWS[name].training for name in options.methods.split(","))
    epochs = options.epochs or EPOCHS[options.data]
    count = options.count if options.data == "drawn" else 0
    cells = [
        Cell(
            options.data, options.faces, options.network, training, guide, seed, options.folds, epochs, count, work,
            options.device, options.precision,
        )
        for seed, training, guide in itertools.product(range(options.seeds), trainings, options.guides.split(","))
        if not (guide == "ours" and training == "apvit")
    ]  # fmt: skip
    return sorted(cells, key=lambda cell: list(NETWORKS[cell.data]).index(cell.kind))


def run_cells(cells: list[Cell], workers: int, faithful_faces: int) -> list[str]:
    """Train and score; return the cells that failed, whose error is printed."""
    failed, done = [], 0
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        for kind in dict.fromkeys(cell.kind for cell in cells):
            own = [cell for cell in cells if cell.kind == kind]
            pool.submit(train_trunk, own[0]).result()
            futures = {pool.submit(finish_cell, cell, faithful_faces): cell for cell in own}
            for future in as_completed(futures):
                done += 1
                name = futures[future].folder.name
                print(f"{done} of {len(cells)}: {name}", flush=True)
                if error := future.exception():
                    traceback.print_exception(error)
                    failed.append(name)
    return failed


def finish_cell(cell: Cell, faithful_faces: int) -> None:
    """Train and score a cell, and measure how faithful its maps are; nothing where that is done."""
    run_cell(cell)
    explain_cell(cell, faithful_faces)


def write_table(cells: list[Cell], options: argparse.Namespace) -> None:
    """Write rows, summary and pages of the cells that are finished."""
    finished = [cell for cell in cells if cell.result.is_file()]
    rows = [row for cell in finished for row in measure(cell)]
    if not rows:
        return
    overlap = 1 / (options.folds - 1) if options.data == "faces" else 0.0
    summary = summarise(rows, overlap)
    name = "table1_drawn" if options.data == "drawn" else "table1_faces"
    name += f"_{finished[0].network_name}" if options.network else ""
    settings = {
        "finished": f"{len(finished)} of {len(cells)} trainings",
        "seeds": options.seeds,
        "faces to train on": options.count if options.data == "drawn" else "by fold",
        "folds": options.folds if options.data == "faces" else None,
        "epochs": finished[0].epochs,
        "faces for insertion and deletion": options.faithful_faces,
        "networks": NETWORKS[options.data] | ({"cnn": Path(options.network).name} if options.network else {}),
        "training": COMMON,
        "transformers": TRANSFORMERS,
        "guides": GUIDES,
        "device": options.device,
        "precision": options.precision,
        "summary": summary,
    }
    write_results(name, rows, settings)
    write_pages(RESULTS / name, rows, summary)


if __name__ == "__main__":
    main()
