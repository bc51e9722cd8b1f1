"""The compact table of all images, its blocks, and what a page reads of it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from interpfer.errors import RunError
from interpfer.results import image_table, run
from interpfer.results.deferred import Deferrable, DeferredTable
from interpfer.results.image_rows import ImageRows
from interpfer.results.image_table import IMAGE_FILES, read_images, read_shown_images, table_blocks, table_bytes
from interpfer.results.run import load_run, load_run_for_page

OLD_RUN = Path(__file__).parent / "old_run"
ROWS = ImageRows(
    {"image": ["001", "a,b.png", "c"], "label": ["anger", "", "fear"], "predicted": ["fear", "NA", "fear"],
     "frame": [0, 1, 2]},
    [("gradcam", "1"), ("baseline:uniform", "-")],
    {"cosine": np.array([[0.25, 0.5], [np.nan, 1.0], [0.1234567, 0.0]]), "iou": np.arange(6.0).reshape(3, 2)},
)  # fmt: skip
WHOLE = pd.DataFrame(
    [
        ("001", "anger", "fear", 0, "gradcam", "1", 0.25, 0.0),
        ("001", "anger", "fear", 0, "baseline:uniform", "-", 0.5, 1.0),
        ("a,b.png", "", "NA", 1, "gradcam", "1", np.nan, 2.0),
        ("a,b.png", "", "NA", 1, "baseline:uniform", "-", 1.0, 3.0),
        ("c", "fear", "fear", 2, "gradcam", "1", 0.1234567, 4.0),
        ("c", "fear", "fear", 2, "baseline:uniform", "-", 0.0, 5.0),
    ],
    columns=["image", "label", "predicted", "frame", "map", "layer", "cosine", "iou"],
)


def test_blocks_of_any_length_make_the_whole_table() -> None:
    pd.testing.assert_frame_equal(ROWS.frame(), WHOLE)
    for rows in (1, 2, 3, 4, 100):
        blocks = list(ROWS.blocks(rows))
        pd.testing.assert_frame_equal(pd.concat(blocks, ignore_index=True), WHOLE)
        assert all(len(block) <= max(rows, 2) for block in blocks)


@pytest.mark.parametrize("kind", IMAGE_FILES)
def test_a_file_written_in_blocks_reads_as_the_whole_one(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = IMAGE_FILES[kind]
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / name).write_bytes(table_bytes(name, WHOLE))
    assert b"".join(table_blocks(name, ROWS)) == table_bytes(name, WHOLE)
    monkeypatch.setattr(ImageRows.blocks, "__defaults__", (3,))
    (tmp_path / name).write_bytes(b"".join(table_blocks(name, ROWS)))
    if kind == "csv":
        assert (tmp_path / name).read_bytes() == table_bytes(name, WHOLE)
    pd.testing.assert_frame_equal(read_images(tmp_path), read_images(whole))


def test_an_empty_table_has_its_columns() -> None:
    empty = ImageRows({"image": [], "label": []}, ROWS.columns, {"cosine": np.zeros((0, 2))})
    assert b"".join(table_blocks("per_image.csv", empty)) == b"image,label,map,layer,cosine\n"


@pytest.mark.parametrize("kind", IMAGE_FILES)
def test_a_page_reads_one_metric_and_the_names_that_it_shows(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_table, "ROWS_AT_ONCE", 4)
    name = IMAGE_FILES[kind]
    (tmp_path / name).write_bytes(table_bytes(name, WHOLE))
    shown, whole = read_shown_images(tmp_path, "cosine", {"001"}), read_images(tmp_path)
    assert list(shown) == ["image", "label", "predicted", "map", "layer", "cosine"]
    for column in ("label", "predicted", "map", "layer"):
        assert shown[column].astype(object).fillna("").tolist() == whole[column].astype(object).fillna("").tolist()
    assert shown["image"].astype(object).fillna("").tolist() == ["001", "001", "", "", "", ""]
    np.testing.assert_array_equal(shown["cosine"], whole["cosine"])
    (tmp_path / name).write_bytes(table_bytes(name, WHOLE[:0]))
    assert len(read_shown_images(tmp_path, "cosine", set())) == 0


def test_the_part_for_a_page_is_that_of_the_whole_run(monkeypatch: pytest.MonkeyPatch) -> None:
    old_run = load_run(OLD_RUN)
    images = set(old_run.per_image["image"].tolist()[:3])
    lean, whole = load_run_for_page(OLD_RUN, images), load_run(OLD_RUN).per_image
    kept = lean.per_image[lean.per_image["image"].notna()]
    assert kept["cosine"].tolist() == whole[whole["image"].isin(images)]["cosine"].tolist()
    pd.testing.assert_frame_equal(lean.scores, old_run.scores)
    monkeypatch.setattr(run, "read_shown_images", lambda *_: (_ for _ in ()).throw(ValueError("no table")))
    with pytest.raises(RunError, match="is damaged"):
        load_run_for_page(OLD_RUN, images)


def test_a_deferred_table_is_made_once_and_when_asked() -> None:
    made = []

    def make() -> pd.DataFrame:
        made.append(1)
        return WHOLE

    class Owner:
        table: pd.DataFrame

    setattr(Owner, "table", Deferrable("table"))  # noqa: B010 as for a run
    owner = Owner()
    vars(owner)["table"] = DeferredTable(make)
    assert not made
    assert owner.table is WHOLE
    assert owner.table is WHOLE
    assert made == [1]
