"""check_dataset passes every built-in data set, and says what is wrong with a broken one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from interpfer.datasets import DATASETS
from interpfer.datasets.base import Dataset
from interpfer.datasets.demo import DemoDataset
from interpfer.testing import check_dataset
from interpfer.types import Landmarks, Sample
from tests.datasets import (
    test_affwild2,
    test_bp4d,
    test_casme2,
    test_disfa,
    test_disfaplus,
    test_emotionet,
    test_imagefolder,
    test_parquet,
    test_rafau,
    test_rafce,
    test_unbc,
    test_webdataset,
    test_zipped,
)
from tests.datasets.test_affectnet import annotate
from tests.datasets.test_ckplus import sequences
from tests.datasets.test_clip_datasets import frames
from tests.datasets.test_expw import replica as expw
from tests.datasets.test_fer2013 import table
from tests.datasets.test_ferplus import tables
from tests.datasets.test_rafdb import official
from tests.replicas import picture, text


def affectnet(root: Path) -> None:
    for folder, first in (("val_set", 1), ("train_set", 11)):
        for number in range(4):
            annotate(root / folder, first + number, number)


def folder(root: Path) -> None:
    for split in ("train", "test"):
        for name in ("angry", "happy"):
            picture(root / split / name / "1.png")


def kdef(root: Path) -> None:
    for person in ("AF01", "AM02"):
        for code in ("AN", "HA", "NE"):
            picture(root / f"{person}{code}S.JPG", (6, 8))


def jaffe(root: Path) -> None:
    for name in ("KA.AN1.39", "KL.NE1.155", "NM.FE3.113", "YM.SU1.58"):
        picture(root / f"{name}.tiff")


def sfew(root: Path) -> None:
    for split in ("Train", "Val"):
        for name in ("Angry", "Sad"):
            picture(root / split / name / "Movie_000123_00000045.png")


def clips(root: Path) -> None:
    frames(root / "clips/a")
    text(root / "clips.csv", "clip,label,subject", "a,happy,P1")


def dfew(root: Path) -> None:
    for number in (1, 2):
        frames(root / f"Clip/clip_224x224/{number:05d}")
    for fold in range(1, 6):
        for part, number in (("train", 1), ("test", 2)):
            text(
                root / f"EmoLabel_DataSplit/{part}(single-labeled)/set_{fold}.csv",
                "video_name,label",
                f"{number},{number}",
            )


def ferv39k(root: Path) -> None:
    for part, clip in (("train", "Action/Happy/0015"), ("test", "Crime/Sad/0001")):
        frames(root / "2_ClipsforFaceCrop" / clip)
        text(root / f"4_setups/All_scenes/{part}_All.csv", f"{clip} {clip.split('/')[1]}")


def mafw(root: Path) -> None:
    for number in (25, 26):
        frames(root / f"data/frames/{number:05d}")
    for kind, name in (("single", "anger"), ("compound", "anger_disgust")):
        for fold in range(1, 6):
            for part, number in (("train", 25), ("test", 26)):
                text(root / f"split/{kind}/no_caption/set_{fold}/{part}.txt", f"{number:05d}.mp4 {name}")


def afew(root: Path) -> None:
    for split in ("Train", "Val"):
        frames(root / f"{split}_AFEW/Angry/000046280{len(split)}")


def caer(root: Path) -> None:
    for split in ("train", "validation", "test"):
        frames(root / f"{split}/Anger/0001")
        picture(root / f"{split}/Sad/0002.png")


def ravdess(root: Path) -> None:
    for actor in range(1, 25):
        for channel in ("01", "02"):
            frames(root / f"Actor_{actor:02d}/01-{channel}-03-02-01-01-{actor:02d}", 1)


def cremad(root: Path) -> None:
    for actor in range(1001, 1011):
        frames(root / f"VideoFlash/{actor}_IEO_NEU_XX", 1)
    votes = (f'"{actor}","{actor}_IEO_NEU_XX","N"' for actor in range(1001, 1011))
    text(root / "processedResults/summaryTable.csv", '"","FileName","FaceVote"', *votes)


def mead(root: Path) -> None:
    for person in ("M003", "W009"):
        frames(root / f"{person}/video/front/angry/level_1/001")


REPLICAS: dict[str, Callable[[Path], Any]] = {
    "rafdb": official,
    "affectnet": affectnet,
    "affectnet7": affectnet,
    "folder": folder,
    "fer2013": lambda root: table(root / "fer2013.csv"),
    "ferplus": tables,
    "ferplus-probability": tables,
    "ckplus": sequences,
    "ckplus-neutral": sequences,
    "expw": expw,
    "kdef": kdef,
    "jaffe": jaffe,
    "sfew": sfew,
    "rafau": test_rafau.replica,
    "rafce": test_rafce.replica,
    "disfa": test_disfa.replica,
    "disfaplus": test_disfaplus.replica,
    "bp4d": test_bp4d.replica,
    "bp4dplus": test_bp4d.replica,
    "emotionet": test_emotionet.replica,
    "affwild2": test_affwild2.replica,
    "unbc": test_unbc.replica,
    "casme2": test_casme2.replica,
    "parquet": test_parquet.replica,
    "imagefolder": test_imagefolder.replica,
    "zip": test_zipped.replica,
    "webdataset": test_webdataset.replica,
    "clips": clips,
    "dfew": dfew,
    "ferv39k": ferv39k,
    "mafw": mafw,
    "mafw-compound": mafw,
    "afew": afew,
    "caer": caer,
    "caer-s": caer,
    "ravdess": ravdess,
    "crema-d": cremad,
    "crema-d-perceived": cremad,
    "mead": mead,
}


@pytest.mark.parametrize("name", [name for name in DATASETS.builtin if name != "hub"])
def test_every_data_set_passes(name: str, tmp_path: Path, faces: Path) -> None:
    kind = DATASETS.get(name)
    root = faces if name == "csv" else tmp_path
    if name in REPLICAS:
        REPLICAS[name](tmp_path)
    assert name in REPLICAS or name in ("csv", "demo", "demo-clips")
    for split in kind.splits if name != "jaffe" else ("train", "test", "all"):
        check_dataset(kind.open(root, split), lambda split: kind.open(root, split))


class Plain(DemoDataset):
    """Drawn faces, in which a test breaks one thing."""

    name = "plain"
    summary = "drawn faces"
    splits = ("train", "test")


def plain(**changes: Any) -> Plain:
    dataset = Plain("test", count=4, size=48)
    for name, value in changes.items():
        setattr(dataset, name, value)
    return dataset


def failures(dataset: Dataset, open_split: Callable[[str], Dataset] | None = None) -> str:
    with pytest.raises(AssertionError) as error:
        check_dataset(dataset, open_split)
    return str(error.value)


def test_a_sound_data_set_passes() -> None:
    check_dataset(plain())


def test_facts_that_are_empty() -> None:
    text = failures(plain(summary=""))
    assert (
        text == "data set plain fails 1 of 6 checks:\n  - Its facts are filled: summary is empty; set it in the class"
    )
    assert "splits is empty; name at least one" in failures(plain(splits=()))


def test_ids_and_labels() -> None:
    samples = plain().samples
    text = failures(plain(samples=(samples[0], *samples[:3])))
    assert "Ids are unique texts of one line: some are repeated" in text
    strange = (Sample("test_0001.png ", samples[0].label), *samples[1:])
    assert "['test_0001.png '] is empty, has several lines, or begins or ends with a space" in failures(
        plain(samples=strange)
    )
    text = failures(plain(samples=(Sample(samples[0].id, "Happy"), *samples[1:])))
    assert "Labels are canonical names of classes, or empty where unknown: Happy is not one; pass them through" in text
    assert "classes lacks anger; call Dataset.__init__ with the samples" in failures(
        plain(classes=tuple(name for name in plain().classes if name != "anger"))
    )


def test_images_and_sizes() -> None:
    grey = plain(image=lambda index: DemoDataset("test", count=4, size=48).image(index).convert("L"))
    assert "test_0001.png is L; convert it to RGB" in failures(grey)
    shades = iter(range(255))
    changing = plain(image=lambda _: Image.new("RGB", (48, 48), (next(shades),) * 3))
    assert "test_0001.png changes when it is read again" in failures(changing)
    turned = plain(size=lambda _: (40, 48))
    assert "size() of test_0001.png is (40, 48), but image() is (48, 48)" in failures(turned)


class Points:
    """Points that do not belong to the ids."""

    name, summary, needs_images, digest = "points", "wrong", False, ""

    def __init__(self, points: Callable[[int], torch.Tensor]) -> None:
        self.points = points

    def locate(self, ids: Any, images: Any) -> Landmarks:  # noqa: ARG002
        return Landmarks.of(self.points(len(ids)))


def test_landmarks() -> None:
    by_place = Points(lambda n: torch.arange(n)[:, None, None].expand(n, 68, 2).float() + 10)
    text = failures(plain(landmarks=lambda: by_place))
    assert "ids in another order get other points; look each one up by its id" in text
    outside = Points(lambda n: torch.full((n, 68, 2), 100.0))
    assert "those of test_0001.png lie around (100, 100), outside its 48 x 48 pixels" in failures(
        plain(landmarks=lambda: outside)
    )
    missing = Points(lambda n: torch.full((n, 68, 2), torch.nan))
    assert "none is found for test_0001.png, test_0002.png, test_0003.png" in failures(plain(landmarks=lambda: missing))
    undigested = Points(lambda n: torch.full((n, 68, 2), 20.0))
    assert "the digest is empty; hash the files" in failures(plain(landmarks=lambda: undigested))


def test_splits() -> None:
    def overlapping(split: str) -> Plain:
        count = 4 if split == "test" else 3
        return Plain("test", count=count, size=48)

    text = failures(plain(), overlapping)
    assert "train and test share 3 images, such as test_0001.png; open each with its own samples" in text
    check_dataset(plain(), lambda _: plain())  # a data set without splits
    reverse = plain(samples=plain().samples[::-1])
    text = failures(plain(), lambda _: reverse)
    assert "Opening it twice gives the same samples in the same order: they differ" in text
