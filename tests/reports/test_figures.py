from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from interpfer.reports.figures import MANY, caption, confusion_figure, write_figures
from interpfer.results.run import Run, load_run

OLD_RUN = Path(__file__).parents[1] / "results" / "old_run"


@pytest.fixture(scope="module")
def run() -> Run:
    return load_run(OLD_RUN)


def test_a_figure_says_what_it_is_of(run: Run, tmp_path: Path) -> None:
    counts = run.manifest["counts"]
    assert caption(run) == f"old on demo/test, truth belharbi2024, paper protocol, n = {counts['scored']}"
    files = list(write_figures(run, None, tmp_path, ["svg"]))
    assert [path.stem for path in files][:2] == ["scores", "layers-by-class"]


@pytest.mark.parametrize("count", [7, 40])
def test_the_confusion_of_many_classes_is_readable(run: Run, count: int) -> None:
    names = [f"class number {i}" for i in range(count)]
    run = Run(run.scores, run.per_image, pd.DataFrame(np.eye(count, dtype=int) * 3, names, names), run.manifest, None)
    figure = confusion_figure(run)
    assert isinstance(figure, Figure)
    assert max(figure.get_size_inches()) < 12
    figure.draw_without_rendering()
    axis = figure.axes[0]
    boxes = [label.get_window_extent() for label in axis.get_yticklabels()]
    assert len(boxes) == count
    assert all(not a.overlaps(b) for a, b in zip(boxes[1:], boxes, strict=False))
    written = [text.get_text() for text in axis.texts]
    assert written.count("3") == count
    assert written.count("0") == (count * (count - 1) if count <= MANY else 0)
