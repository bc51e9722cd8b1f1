"""Maps in other formats: they are those that were scored, at the right place, or nothing is written."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import interpfer
from interpfer.errors import InterpferError, RunError
from interpfer.exporting.export import export
from interpfer.exporting.placing import place_on_picture
from interpfer.maps.canvas import to_canvas
from interpfer.results.run import load_run
from interpfer.truth.mask_files.rle import decode_rle


@pytest.fixture(scope="module")
def masks(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("masks")
    export(finished, "coco", out, maps="gradcam", threshold=0.6, device="cpu")
    return out / "annotations.json"


@pytest.fixture(scope="module")
def samples(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fiftyone")
    export(finished, "fiftyone", out, device="cpu", batch_size=5)
    return out


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.array(picture)


def own_map(faces: Path, checkpoint: Path, name: str, label: str) -> np.ndarray:
    """Grad-CAM of one picture at its own size, by the public function for maps and a plain resize."""
    model = interpfer.load_model(checkpoint)
    picture = pixels(faces / "images" / name)
    values = torch.from_numpy(picture).permute(2, 0, 1).float()[None] / 255
    x = torch.nn.functional.interpolate(values, (48, 48), mode="bilinear", antialias=True)
    (raw,) = interpfer.compute_maps(model, x, maps=["gradcam"], targets=[label]).values()
    large, _ = to_canvas(raw, False, "paper")
    small = torch.nn.functional.interpolate(large[None], picture.shape[:2], mode="bilinear")[0, 0]
    return (small / small.max()).numpy()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
def test_masks_are_where_the_map_is_high_by_pycocotools(
    masks: Path, finished: Path, faces: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="needs pycocotools").COCO(str(masks))
    capsys.readouterr()
    run = load_run(finished)
    assert {each["file_name"] for each in coco.loadImgs(coco.getImgIds())} == set(run.per_image["image"])
    assert [each["name"] for each in coco.loadCats(coco.getCatIds())] == list(run.confusion.columns)
    checked = 0
    for annotation in coco.loadAnns(coco.getAnnIds()):
        (image,) = coco.loadImgs(annotation["image_id"])
        (category,) = coco.loadCats(annotation["category_id"])
        mask = coco.annToMask(annotation)
        assert mask.shape == (image["height"], image["width"])
        assert mask.sum() == annotation["area"] > 0
        left, top, width, height = annotation["bbox"]
        assert mask[top : top + height, left : left + width].sum() == mask.sum()
        assert mask[top].any()
        assert mask[:, left].any()
        assert category["name"] == annotation["label"]
        assert 0 < annotation["score"] < 1
        if checked < 3:
            expected = own_map(faces, checkpoint, image["file_name"], category["name"]) >= 0.6
            assert (expected != mask.astype(bool)).mean() < 0.03
            checked += 1
    assert checked == 3


def test_the_file_says_what_its_masks_are(masks: Path) -> None:
    content = json.loads(masks.read_text())
    assert "pixels at which gradcam of layer" in content["info"]["description"]
    assert "reaches 0.6 of its maximum" in content["info"]["description"]
    found = content["annotations"][0]["segmentation"]
    mask = decode_rle(found["counts"], *found["size"], "here")
    assert mask.shape == (72, 72)


def test_our_own_reader_of_masks_reads_them(masks: Path) -> None:
    from interpfer.truth.mask_files.coco import read_coco

    table = read_coco(masks, json.loads(masks.read_text()))
    assert len(table.entries) == len(json.loads(masks.read_text())["annotations"])


def test_fiftyone_finds_pictures_labels_scores_and_heatmaps(samples: Path, finished: Path, faces: Path) -> None:
    run = load_run(finished)
    (layer,) = run.manifest["arguments"]["layers"]
    fields = [f"{name}_at_{layer.replace('.', '_')}" for name in ("attention", "gradcam")]
    described = {each["name"]: each for each in json.loads((samples / "metadata.json").read_text())["sample_fields"]}
    content = json.loads((samples / "samples.json").read_text())["samples"]
    assert [each["image"] for each in content] == list(dict.fromkeys(run.per_image["image"]))
    own = run.per_image[run.per_image["map"] == "gradcam"].set_index("image")
    for each in content:
        assert set(each) <= set(described) | {"_id"}
        picture = pixels(samples / each["filepath"])
        assert np.array_equal(picture, pixels(faces / "images" / each["image"]))
        assert (each["metadata"]["height"], each["metadata"]["width"]) == picture.shape[:2]
        assert each["prediction"]["label"] == own.loc[each["image"], "predicted"]
        assert each["ground_truth"]["label"] == own.loc[each["image"], "label"]
        score, recorded = each[f"{fields[1]}_cosine"], own.loc[each["image"], "cosine"]
        assert (score is None and np.isnan(recorded)) or score == pytest.approx(recorded, abs=1e-6)
        for name in (*fields, "truth"):
            if name in each:
                heatmap = pixels(samples / each[name]["map_path"])
                assert (heatmap.dtype, heatmap.shape) == (np.uint8, picture.shape[:2])
                assert each[name]["_cls"] == "Heatmap"
        assert ("truth" in each) == (each["ground_truth"]["label"] != "neutral")
    assert {described[name]["embedded_doc_type"] for name in (*fields, "truth")} == {"fiftyone.core.labels.Heatmap"}


def test_the_heatmap_agrees_with_the_truth_as_the_run_says(samples: Path) -> None:
    """The cosine of the two pictures, of 72 x 72 pixels and 256 steps, is the score to two digits."""
    content = json.loads((samples / "samples.json").read_text())["samples"]
    checked = 0
    for each in content:
        name = next(field for field in each if field.startswith("gradcam") and field.endswith("_cosine"))
        if each[name] is not None:
            field = name.removesuffix("_cosine")
            a, b = (pixels(samples / each[key]["map_path"]).astype(float).ravel() for key in (field, "truth"))
            assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) == pytest.approx(each[name], abs=0.02)
            checked += 1
    assert checked > 5


def test_the_same_run_gives_the_same_bytes(samples: Path, finished: Path, tmp_path: Path) -> None:
    export(finished, "fiftyone", tmp_path, device="cpu", batch_size=5)
    names = [path.relative_to(samples) for path in samples.rglob("*") if path.is_file()]
    assert len(names) > 30
    assert all((tmp_path / name).read_bytes() == (samples / name).read_bytes() for name in names)


def test_a_map_goes_back_to_where_the_network_sees_it() -> None:
    values = torch.zeros(224, 224)
    values[100:124, 50:80] = 1
    shifted = torch.tensor([[2.0, 0, -20], [0, 2, 10]], dtype=torch.float64)  # the network sees a part, twice as large
    placed = place_on_picture(values, shifted, (200, 150))
    rows, columns = np.nonzero(placed > 0.5)
    assert (columns.min(), columns.max() + 1) == (35, 50)  # (50 + 20) / 2 and (80 + 20) / 2
    assert (rows.min(), rows.max() + 1) == (45, 57)
    assert placed.shape == (150, 200)


def changed(finished: Path, folder: Path, **values: Any) -> Path:
    """A copy of a run folder whose run.json says something else."""
    shutil.copytree(finished, folder)
    facts = json.loads((folder / "run.json").read_text())
    for key, value in values.items():
        part, _, name = key.partition("__")
        (facts[part] if name else facts)[name or part] = value
    (folder / "run.json").write_text(json.dumps(facts))
    return folder


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"arguments__checkpoint": "0" * 64}, "the checkpoint changed since the run"),
        ({"arguments__images": "0"}, "the names or labels of the images changed since the run"),
        ({"arguments__landmarks_digest": "0"}, "the landmarks changed since the run"),
        ({"dataset_digest": "0"}, "the pixels of the images changed since the run: nothing is exported"),
        ({"options__model": "gone.pt"}, "gone.pt, the model of the run, is not there: pass --model FILE."),
        ({"options__data_root": "gone"}, "gone, the data of the run, is not there: pass --data-root DIR."),
        ({"options__model": None}, "the run was scored from a model in memory: pass --model FILE"),
        ({"shard": {"index": 0, "count": 3}}, "is shard 0/3 of a run: make one run of all shards with interpfer merge"),
        ({"arguments__target": "au"}, "maps of action units (--target au) cannot be exported"),
    ],
)
def test_what_changed_is_refused_by_name_and_nothing_is_written(
    finished: Path, tmp_path: Path, values: dict[str, Any], message: str
) -> None:
    run = changed(finished, tmp_path / "run", **values)
    with pytest.raises(InterpferError) as error:
        export(run, "coco", tmp_path / "out", device="cpu")
    assert message in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) in (["run"], ["out", "run"])
    assert not any((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(("column", "message"), [("predicted", "predicted "), ("cosine", "has a cosine of ")])
def test_another_prediction_or_map_is_refused_by_name(
    finished: Path, tmp_path: Path, column: str, message: str
) -> None:
    run = changed(finished, tmp_path / "run")
    table = load_run(run).per_image
    place = table[(table["map"] == "gradcam") & table["cosine"].notna()].index[0]
    name = table.loc[place, "image"]
    same = table["image"] == name
    table.loc[same, column] = "nobody" if column == "predicted" else 0.999
    table.to_csv(run / "per_image.csv", index=False)
    with pytest.raises(RunError, match=message) as error:
        export(run, "coco", tmp_path / "out", device="cpu")
    assert str(error.value).startswith(f"{name}: ")


def test_a_run_does_not_pass_on_its_trust(finished: Path, tmp_path: Path) -> None:
    """A run folder may come from somebody else: what it says of trust is not the user's word."""
    run = changed(finished, tmp_path / "run", options__trust=True, options__arch="evil.py:build", options__model=None)
    (tmp_path / "evil.py").write_text("raise SystemExit('run')")
    with pytest.raises(InterpferError) as error:
        export(run, "coco", tmp_path / "out", model=tmp_path / "evil.pt", device="cpu")
    assert "evil.pt" in str(error.value)


def test_a_model_and_faces_in_memory_are_exported_too(tmp_path: Path) -> None:
    from interpfer.datasets.demo import DemoDataset
    from interpfer.models.small import SmallCNN

    model = interpfer.load_model(SmallCNN(7, width=4), classes="rafdb", input_size=48)
    images = DemoDataset("test", count=7, size=48)
    run = interpfer.score(model, images, maps="gradcam,attention", device="cpu")
    exported = interpfer.export(run, "coco", tmp_path, model=model, dataset=images)
    assert exported.files == ("annotations.json",)
    with pytest.raises(RunError, match=r"COCO's masks are those of one map: pass one to --maps, got 2"):
        interpfer.export(run, "coco", tmp_path, model=model, dataset=images, maps=["gradcam", "attention"])
