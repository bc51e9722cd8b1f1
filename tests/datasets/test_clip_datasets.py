"""Data sets of clips, in small copies of their layouts."""

from pathlib import Path

import numpy as np
import pytest

from interpfer.datasets import DATASETS
from interpfer.datasets.clip_dataset import ClipDataset
from interpfer.datasets.clips import ClipsDataset
from interpfer.datasets.dfew import DfewDataset
from interpfer.datasets.only import select_listed
from interpfer.datasets.opening import open_dataset
from interpfer.datasets.options import DataOptions
from interpfer.datasets.sampling import Sampling, resolve_sampling
from interpfer.errors import DataError, InterpferError, SplitError
from interpfer.scoring.options import ScoreOptions
from tests.replicas import picture, text, video

ONE = resolve_sampling("uniform", 1)


def frames(folder: Path, count: int = 3) -> None:
    """Write the frames of a clip, numbered from 1."""
    for number in range(1, count + 1):
        picture(folder / f"{number}.jpg")


def clip_of(path: Path) -> None:
    """Write a video of two frames."""
    video(path, [np.full((8, 8, 3), shade, np.uint8) for shade in (10, 200)], "mpeg4", "yuv420p")


def opened(name: str, root: Path, split: str, sampling: Sampling = ONE) -> dict[str, str]:
    """Return clip -> class of a split, one frame of each clip."""
    kind = DATASETS.get(name)
    assert issubclass(kind, ClipDataset)
    dataset = kind.open(root, split, sampling=sampling)
    assert all(dataset.image(row).size == dataset.size(row) for row in range(len(dataset)))
    return {sample.clip: sample.label for sample in dataset.samples}


@pytest.fixture(scope="module")
def dfew(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dfew")
    for number in (1, 2, 30, 31):
        frames(root / f"Clip/clip_224x224/{number:05d}", 11)
    frames(root / "Clip/clip_224x224_16f/00001", 16)
    (root / "Clip/clip_224x224/00005").mkdir()
    lists = root / "EmoLabel_DataSplit"
    text(lists / "test(single-labeled)/set_1.csv", "video_name,label", "1,1", "00002,7", "5,3", "6,2", "30,9")
    text(lists / "train(single-labeled)/set_1.csv", "video_name,label", "30,4", "31,5")
    text(lists / "test(single-labeled)/test_set_2.csv", "video_name,label", "30,4")
    for fold in (3, 4, 5):
        text(lists / f"test(single-labeled)/set_{fold}.csv", "video_name,label", f"{fold - 2},6")
    return root


def test_dfew(dfew: Path) -> None:
    assert opened("dfew", dfew, "test") == {"00001": "happiness", "00002": "fear"}
    assert (
        opened("dfew", dfew, "train") == {"00030": "anger", "00031": "surprise"} == opened("dfew", dfew, "fold1-train")
    )
    assert opened("dfew", dfew, "fold2") == {"00030": "anger"}
    dataset = DfewDataset.open(dfew, "test", sampling=resolve_sampling("dfer-clip", 4))
    names = [sample.id for sample in dataset.samples if sample.clip == "00001"]
    assert names == ["00001/2.jpg", "00001/5.jpg", "00001/7.jpg", "00001/10.jpg"]  # frames 1, 4, 6, 9 of 11
    path = dfew / "EmoLabel_DataSplit/test(single-labeled)/set_1.csv"
    assert dataset.damaged == {
        "00005": f"{dfew}/Clip/clip_224x224/00005: the folder has no pictures.",
        "00006": f"{dfew}/Clip/clip_224x224/00006: no such video or folder of frames.",
        "00030": f"{path}, line 6: the label must be from 1 to 7, got '9'.",
    }
    assert dataset.left_out == {"clips that cannot be read": 3}
    assert dataset.notes[:2] == (
        "clips are read from clip_224x224",
        "fold1 of 5: papers report the mean of folds, or the sum of their confusion matrices; combine_folds gives both",
    )
    assert dataset.notes[2] == "frames of clips: dfer-clip, 4 frames"
    assert "left out: 3 clips that cannot be read, such as 00030 (" in dataset.notes[3]
    with pytest.raises(SplitError, match="data set dfew has no split 'fold6'"):
        DfewDataset.open(dfew, "fold6")


def test_dfew_takes_the_16_frames_of_s2d(dfew: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of the 5 clips of the split 'test' can be read"):
        opened("dfew", tmp_path, "test") if (tmp_path / "Clip").exists() else _only_damaged(dfew, tmp_path)
    dataset = DfewDataset.open(dfew, "test", sampling=resolve_sampling("s2d"))
    assert [sample.frame for sample in dataset.samples] == list(range(16))
    assert dataset.samples[15].path == dfew / "Clip/clip_224x224_16f/00001/16.jpg"
    assert "00002" in dataset.damaged


def _only_damaged(dfew: Path, folder: Path) -> None:
    (folder / "Clip/clip_224x224").mkdir(parents=True)
    (folder / "EmoLabel_DataSplit").symlink_to(dfew / "EmoLabel_DataSplit")
    DfewDataset.open(folder, "test")


def test_frames_that_are_sampled_again_have_names_of_their_own(tmp_path: Path) -> None:
    frames(tmp_path / "clips/a", 2)
    text(tmp_path / "clips.csv", "clip,label", "a,happy")
    dataset = ClipsDataset.open(tmp_path, "test", sampling=resolve_sampling("former-dfer", 4))
    assert [sample.id for sample in dataset.samples] == ["a/1.jpg", "a/2.jpg", "a/1.jpg~2", "a/2.jpg~2"]
    assert [sample.frame for sample in dataset.samples] == [0, 1, 0, 1]
    assert "frames are scored more than once in 1 of 1 clips" in dataset.notes[1]


def test_ferv39k(tmp_path: Path) -> None:
    frames(tmp_path / "2_ClipsforFaceCrop/Action/Happy/0015")
    frames(tmp_path / "2_ClipsforFaceCrop/Crime/Sad/0001")
    lines = ["Action/Happy/0015 Happy", "Crime/Sad/0001 Sad", "Crime/Sad", "Crime/Sad/0002 Sade"]
    text(tmp_path / "4_setups/All_scenes/test_All.csv", *lines)
    assert opened("ferv39k", tmp_path, "test") == {"Action/Happy/0015": "happiness", "Crime/Sad/0001": "sadness"}
    dataset = DATASETS.get("ferv39k").open(tmp_path, "test")
    assert isinstance(dataset, ClipDataset)
    assert {sample.attributes["scene"] for sample in dataset.samples} == {"Action", "Crime"}
    assert set(dataset.damaged) == {"Crime/Sad", "Crime/Sad/0002"}
    with pytest.raises(DataError, match=r"no 4_setups/All_scenes/train_All\.csv"):
        opened("ferv39k", tmp_path, "train")


def test_mafw(tmp_path: Path) -> None:
    for number in (25, 26, 27):
        frames(tmp_path / f"data/frames/{number:05d}")
    lists = tmp_path / "split"
    text(lists / "single/no_caption/set_1/test.txt", "00025.mp4 anger", "00026.mp4 helplessness", "00027.mp4 angr")
    text(lists / "compound/no_caption/set_1/test.txt", "00025.mp4 anger_disgust", "00026.mp4 fear")
    assert opened("mafw", tmp_path, "test") == {"00025": "anger", "00026": "helplessness"}
    assert opened("mafw-compound", tmp_path, "fold1") == {"00025": "anger+disgust", "00026": "fear"}
    dataset = DATASETS.get("mafw").open(tmp_path, "test")
    assert isinstance(dataset, ClipDataset)
    assert "line 3: must be as '00025.mp4 anger', got '00027.mp4 angr'" in dataset.damaged["00027"]


def test_afew_and_caer(tmp_path: Path) -> None:
    clip_of(tmp_path / "Val_AFEW/Angry/000046280.avi")
    frames(tmp_path / "Val_AFEW/Happy/000046281")
    assert opened("afew", tmp_path, "test") == {"Angry/000046280": "anger", "Happy/000046281": "happiness"}
    root = tmp_path / "CAER"
    clip_of(root / "validation/Anger/0001.avi")
    picture(root / "test/Sad/0002.png")
    assert opened("caer", root, "val") == {"Anger/0001": "anger"}
    scenes = DATASETS.get("caer-s").open(root, "test")
    assert [(sample.id, sample.label, sample.clip) for sample in scenes.samples] == [("Sad/0002.png", "sadness", "")]
    assert "whole scenes" in scenes.notes[0]


def test_ravdess(tmp_path: Path) -> None:
    for name in (
        *("01-01-03-02-01-01-05", "02-01-03-02-01-01-05"),  # the same with and without sound
        *("03-01-03-02-01-01-05", "01-02-04-01-01-01-05", "01-01-02-01-01-01-05", "01-01-09-01-01-01-05"),
    ):
        frames(tmp_path / f"Actor_05/{name}")
    clip_of(tmp_path / "Actor_01/01-01-01-01-01-01-01.mp4")
    assert opened("ravdess", tmp_path, "test") == {"Actor_01/01-01-01-01-01-01-01": "neutral"}
    expected = {"Actor_05/01-01-02-01-01-01-05": "calm", "Actor_05/01-01-03-02-01-01-05": "happiness"}
    assert opened("ravdess", tmp_path, "train") == expected == opened("ravdess", tmp_path, "fold2")
    assert opened("ravdess", tmp_path, "all-song") == {"Actor_05/01-02-04-01-01-01-05": "sadness"}
    dataset = DATASETS.get("ravdess").open(tmp_path, "train")
    assert isinstance(dataset, ClipDataset)
    assert set(dataset.damaged) == {"Actor_05/01-01-09-01-01-01-05"}
    assert {sample.subject for sample in dataset.samples} == {"actor 05"}


def test_crema_d(tmp_path: Path) -> None:
    for name in ("1001_IEO_NEU_XX", "1002_IEO_ANG_HI"):
        clip_of(tmp_path / f"VideoFlash/{name}.flv.avi")
        (tmp_path / f"VideoFlash/{name}.flv.avi").rename(tmp_path / f"VideoFlash/{name}.flv")
    stub = b"version https://git-lfs.github.com/spec/v1\n"
    (tmp_path / "VideoFlash/1003_DFA_SAD_XX.flv").write_bytes(stub)
    assert opened("crema-d", tmp_path, "all") == {"1001_IEO_NEU_XX": "neutral", "1002_IEO_ANG_HI": "anger"}
    assert opened("crema-d", tmp_path, "test") == {"1001_IEO_NEU_XX": "neutral"}
    votes = ['"","FileName","FaceVote"', '"1","1001_IEO_NEU_XX","S"', '"2","1002_IEO_ANG_HI","A:D"']
    text(tmp_path / "processedResults/summaryTable.csv", *votes)
    dataset = DATASETS.get("crema-d-perceived").open(tmp_path, "all")
    assert {sample.clip: sample.label for sample in dataset.samples} == {"1001_IEO_NEU_XX": "sadness"}
    assert dataset.left_out == {"clips whose viewers did not agree on a face": 2}
    dataset = DATASETS.get("crema-d").open(tmp_path, "all")
    assert "run git lfs pull" in dataset.notes[-1]


def test_mead(tmp_path: Path) -> None:
    frames(tmp_path / "M003/video/front/angry/level_1/001")
    frames(tmp_path / "M003/video/front/happy_level_2/001")
    frames(tmp_path / "M003/video/left_30/angry/level_1/001")
    frames(tmp_path / "W009/video/front/contempt/level_3/002")
    expected = {"M003/angry/level_1/001": "anger", "M003/happy/level_2/001": "happiness"}
    assert opened("mead", tmp_path, "test") == expected
    assert opened("mead", tmp_path, "train") == {"W009/contempt/level_3/002": "contempt"}


def test_clips_csv(tmp_path: Path) -> None:
    frames(tmp_path / "clips/a")
    shades = [np.full((8, 8, 3), 10 * shade, np.uint8) for shade in range(20)]
    video(tmp_path / "clips/b.mov", shades, rate=10)
    (tmp_path / "clips/empty").mkdir()
    rows = [
        *("a,happy,P1,,", "b.mov,pain,P2,0.5,1", "b.mov,fear,P2,1,", "empty,fear,,,", "a,happpy,,,", "c.mp4,fear,,,"),
        *("b.mov,fear,,soon,", "a,fear,,1,2"),
    ]
    text(tmp_path / "clips.csv", "clip,label,subject,start,end", *rows)
    dataset = ClipsDataset.open(tmp_path, "test", sampling=resolve_sampling("uniform", 1))
    assert [(sample.clip, sample.label, sample.frame) for sample in dataset.samples] == [
        ("a", "happiness", 1),
        ("b.mov@0.5-1", "pain", 2),
        ("b.mov@1-", "fear", 5),
    ]
    assert np.asarray(dataset.image(1)).mean() == 70  # frame 7 of the video
    reasons = dict(dataset.damaged)
    assert "unknown expression 'happpy'" in reasons["a"]
    assert "line 8: start must be seconds from 0, got 'soon'" in reasons["b.mov"]
    assert "start and end are seconds of a video" in reasons["a@1-2"]
    assert set(reasons) == {"empty", "a", "c.mp4", "b.mov", "a@1-2"}
    text(tmp_path / "clips.csv", "clip", "a")
    with pytest.raises(DataError, match=r"clips\.csv: the column 'label' is missing; it has clip"):
        ClipsDataset.open(tmp_path, "test")


def test_memory_does_not_grow_with_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interpfer.datasets.clip_dataset.WINDOW", 2)
    shades = [np.full((8, 8, 3), 10 * shade, np.uint8) for shade in range(7)]
    video(tmp_path / "clips/b.mov", shades)
    text(tmp_path / "clips.csv", "clip,label", "b.mov,fear")
    dataset = ClipsDataset.open(tmp_path, "test", sampling=resolve_sampling("all"))
    assert [np.asarray(dataset.image(row)).mean() for row in range(7)] == [10 * shade for shade in range(7)]
    assert dataset._decode.cache_info().misses == 4


def test_frames_of_other_data_sets_are_grouped_into_clips(tmp_path: Path) -> None:
    text(tmp_path / "AUCoding/AU_OCC/F001_T1.csv", "0,1,12", *(f"{frame},0,1" for frame in range(1, 6)))
    text(tmp_path / "AUCoding/AU_OCC/F001_T2.csv", "0,1,12", "1,1,0")
    for task, count in (("T1", 5), ("T2", 1)):
        for number in range(1, count + 1):
            picture(tmp_path / f"2D+3D/F001/{task}/{number:03d}.jpg")
    options = DataOptions(dataset="bp4d", data_root=tmp_path, split="all", sampling="uniform", frames=2)
    dataset = open_dataset("bp4d", options)
    assert [(sample.id, sample.clip, sample.frame) for sample in dataset.samples] == [
        ("F001/T1/002.jpg", "F001/T1", 1),
        ("F001/T1/004.jpg", "F001/T1", 3),
        ("F001/T2/001.jpg", "F001/T2", 0),
        ("F001/T2/001.jpg~2", "F001/T2", 0),
    ]
    assert dataset.samples[0].aus is not None
    assert [unit.au for unit in dataset.samples[0].aus.active] == [12]
    with pytest.raises(InterpferError, match="data set demo has no clips: leave out --sampling and --frames"):
        open_dataset("demo", ScoreOptions(dataset="demo", frames=2))


def test_a_list_may_name_clips(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        frames(tmp_path / f"clips/{name}")
    text(tmp_path / "clips.csv", "clip,label", "a,happy", "b,sad", "c,fear")
    dataset = ClipsDataset.open(tmp_path, "test", sampling=resolve_sampling("all"))
    chosen = select_listed(dataset, text(tmp_path / "list.txt", "c", "a/2.jpg", "1.jpg", "d"))
    assert [sample.id for sample in chosen.samples] == ["a/2.jpg", "c/1.jpg", "c/2.jpg", "c/3.jpg"]
    assert "2 names in list.txt are of no image of the data set (1.jpg, d)" in chosen.notes[-1]
