"""Faults: fuzzed files, kills, full disks and the like.

python -m benchmarks.faults fuzz [--count 10000] [--readers images,tars] [--seed 0]
python -m benchmarks.faults kill [--counts score=60,prepare=60,merge=50,finetune=30] [--seed 0]
python -m benchmarks.faults others
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks.faults.conditions import all_cases
from benchmarks.faults.fuzz import MEGABYTES, SECONDS, Outcome, fuzz
from benchmarks.faults.inputs import READERS
from benchmarks.faults.kills import kill_often, make_stage, score_shards, verbs
from benchmarks.faults.server import import_all
from benchmarks.report import RESULTS, write_results

CHUNK = 1000
"""Inputs after which the results are written; fewer are a try."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parsers = parser.add_subparsers(dest="verb", required=True)
    fuzzing = parsers.add_parser("fuzz")
    fuzzing.add_argument("--count", type=int, default=10_000)
    fuzzing.add_argument("--readers", default=",".join(READERS))
    fuzzing.add_argument("--seed", type=int, default=0)
    killing = parsers.add_parser("kill")
    killing.add_argument("--counts", default="score=60,prepare=60,merge=50,finetune=30")
    killing.add_argument("--seed", type=int, default=0)
    parsers.add_parser("others")
    arguments = parser.parse_args()
    {"fuzz": run_fuzz, "kill": run_kills, "others": run_others}[arguments.verb](arguments)


def run_kills(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    import_all()
    counts = {name: int(count) for name, _, count in (each.partition("=") for each in arguments.counts.split(","))}
    with tempfile.TemporaryDirectory() as folder:
        stage = make_stage(Path(folder) / "stage")
        score_shards(stage)
        for verb in verbs(stage):
            if verb.name in counts:
                row = kill_often(verb, Path(folder) / verb.name, counts[verb.name], arguments.seed)
                rows = merge_rows("faults_kills", "verb", [row], [each.name for each in verbs(stage)])
                write_results("faults_kills", rows, {"seed": arguments.seed})


def run_others(_: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    import_all()
    with tempfile.TemporaryDirectory() as folder:
        cases = list(all_cases(make_stage(Path(folder) / "stage"), Path(folder) / "cases"))
    for case in cases:
        print(case)
    write_results("faults_others", [case.row() for case in cases], {})


def run_fuzz(arguments: argparse.Namespace) -> None:
    settings = {"seed": arguments.seed, "seconds_allowed": SECONDS, "mb_allowed": MEGABYTES}
    for name in arguments.readers.split(","):
        outcome, started, seeds = Outcome(), time.perf_counter(), READERS[name]()
        for start in range(0, arguments.count, CHUNK):
            outcome.join(fuzz(name, seeds, min(CHUNK, arguments.count - start), arguments.seed, start))
            row = describe(name, outcome, time.perf_counter() - started)
            if arguments.count >= CHUNK:
                write_results("faults_fuzz", merge_rows("faults_fuzz", "reader", [row], list(READERS)), settings)
        print(describe(name, outcome, time.perf_counter() - started), flush=True)
        for place, (number, text) in outcome.faults.items():
            print(f"  input {number}: {place}\n{text}", flush=True)


def describe(name: str, outcome: Outcome, seconds: float) -> dict[str, Any]:
    kinds = outcome.counts
    return {
        "reader": name,
        "inputs": kinds.total(),
        "read": kinds["read"],
        "refused": kinds["refused"],
        "tracebacks": sum(number for kind, number in kinds.items() if kind.startswith("traceback")),
        "too_slow": kinds["too slow"],
        "too_much_memory": kinds["too much memory"],
        "died": kinds["died"],
        "long_messages": kinds["long message"],
        "code_run": outcome.code_run,
        "slowest_s": round(outcome.slowest, 2),
        "largest_mb": round(outcome.largest),
        "seconds": round(seconds),
    }


def merge_rows(name: str, key: str, rows: list[dict[str, Any]], order: list[str]) -> list[dict[str, Any]]:
    """Return the rows of an earlier call with those of this one in their place, in order."""
    path = RESULTS / f"{name}.csv"
    before = pd.read_csv(path).to_dict("records") if path.is_file() else []
    known = {str(row[key]): row for row in [*before, *rows]}
    return [{str(column): value for column, value in known[each].items()} for each in order if each in known]


if __name__ == "__main__":
    main()
