"""The benchmark of many faces: what it computes out of what it measured, and what it wrote."""

from pathlib import Path

import pandas as pd
import pytest

from benchmarks import scale

RESULTS = Path(__file__).parents[2] / "benchmarks/results"


def test_time_of_a_further_face_and_the_estimate_for_a_million() -> None:
    rows = [
        {"faces": faces, "processor_scoring": scoring, "processor_tables_and_report": tables, "peak_mb": peak}
        for faces, scoring, tables, peak in (
            (1000, 5.0, 2.0, 900),
            (10_000, 41.0, 2.9, 945),
            (100_000, 401.0, 11.9, 990),
        )
    ]
    rows = [row | {"ms_reading": 1.0} for row in rows]
    scale.compare(rows)
    assert [row["ms_per_further_face"] for row in rows[1:]] == [4.1, 4.1]
    assert [row["memory_over_first"] for row in rows] == [1.0, 1.05, 1.1]
    assert rows[2]["time_over_linear"] == 1.0
    here, eight, *_ = scale.estimate(rows)
    assert here["hours"] == pytest.approx((4e-3 / scale.CORES + 1e-4) * 1e6 / 3600, abs=0.01)
    assert eight["hours"] == pytest.approx((4e-3 / scale.CORES / 8 + 1e-4) * 1e6 / 3600, abs=0.01)


def test_faces_are_painted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "SHARD", 3)
    (tmp_path / "faces").mkdir()
    for number in range(2):
        scale.paint_shard(tmp_path / "faces", number)
    before = (tmp_path / "faces/00000.tar").stat().st_mtime_ns
    scale.paint_shard(tmp_path / "faces", 0)
    assert (tmp_path / "faces/00000.tar").stat().st_mtime_ns == before
    dataset = scale.PaintedFaces.open(scale.first_faces(tmp_path, 6), "test")
    assert [sample.label for sample in dataset.samples] == list(scale.AUS_OF)[:6]
    points = dataset.landmarks().locate([dataset.samples[4].id]).points[0]
    face = scale.shape_face(dataset.samples[4].label, scale.np.random.default_rng([0, 4]), scale.SIDE)
    assert points.numpy() == pytest.approx(face.points, abs=1e-4)


@pytest.mark.skipif(not (RESULTS / "scale.csv").is_file(), reason="benchmarks.scale was not run")
def test_the_report_stays_small() -> None:
    table = pd.read_csv(RESULTS / "scale.csv")
    assert (table["report_mb"] < 15).all()
