"""Files of other programs: what they say of the same face is the same, and what they do not say is not coded."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interpfer.au.files import AUTable, read_aus
from interpfer.au.files.blendshapes import BLENDSHAPES, KNOWN, UNRELIABLE, split_name
from interpfer.au.files.lists import OPENGRAPHAU
from interpfer.errors import DataError, InterpferError
from interpfer.landmarks.files import open_landmarks
from interpfer.types import CodedAU, CodedAUs

MEDIAPIPE_52 = [
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft",
    "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft",
    "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft",
    "jawOpen", "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft",
    "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
]  # fmt: skip
"""The names of MediaPipe's Blendshapes, in its order."""

SMILE = dict.fromkeys(MEDIAPIPE_52, 0.01) | {"mouthSmileLeft": 0.9, "mouthSmileRight": 0.6, "jawOpen": 0.5}
WINK = dict.fromkeys(MEDIAPIPE_52, 0.01) | {"eyeBlinkLeft": 0.8, "cheekSquintLeft": 0.9, "browInnerUp": 0.7}


def of(table: AUTable, image: str) -> CodedAUs:
    codes = table.find(image)
    assert codes is not None
    return codes


def present(table: AUTable, image: str) -> list[tuple[int, str | None]]:
    return [(unit.au, unit.side) for unit in of(table, image).active]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# --- OpenFace 2 -------------------------------------------------------------------------------------------------------


def test_presence_and_intensity_that_contradict_are_counted_and_the_rule_is_on_record(tmp_path: Path) -> None:
    text = "image, confidence, success, AU01_r, AU12_r, AU01_c, AU12_c, AU28_c\n"
    path = write(tmp_path / "of.csv", f"{text}a.png, .9, 1, 2.5, 0.2, 1, 1, 0\nb.png, .9, 1, 3.0, 0.1, 0, 0, 1\n")
    table = read_aus(path)
    assert (present(table, "a.png"), present(table, "b.png")) == ([(1, None), (12, None)], [(28, None)])
    assert (table.program, table.rule) == ("OpenFace 2", "AU_c; without it AU_r of at least 1 of 5")
    assert table.notes == (
        "presence and intensity contradict each other in 2 of 4 cases in of.csv: presence decides",
    )  # fmt: skip
    strict = read_aus(path, threshold=0.5)
    assert (present(strict, "a.png"), present(strict, "b.png")) == ([(1, None)], [(1, None), (28, None)])
    assert strict.rule == "intensity of at least 0.5 of 1, else AU_c; without it AU_r of at least 1 of 5"
    assert strict.notes[-1].endswith("the threshold on the intensity decides")


def test_the_same_face_counts_for_action_units_and_landmarks(tmp_path: Path) -> None:
    points = [f"{axis}_{i}" for axis in "xy" for i in range(68)]
    header = ", ".join(["image", "face", "confidence", *points, "AU12_c"])
    rows = [(0.5, 10, 1), (0.9, 30, 0), (0.9, 20, 1)]
    lines = [", ".join(["a.jpg", "0", str(c), *[str(i * s) for i in range(136)], str(au)]) for c, s, au in rows]
    path = write(tmp_path / "of.csv", "\n".join([header, *lines]))
    assert present(read_aus(path), "a.jpg") == []
    assert float(open_landmarks(path).locate(["a.jpg"], None).points[0, 1, 0]) == 30
    note = (
        "1 picture has several faces in of.csv, such as a.jpg: the one of highest confidence, of equal ones the largest"
    )
    assert read_aus(path).notes == open_landmarks(path).notes == (f"{note} counts",)


def test_tables_in_folders_of_classes_are_found_by_folder_and_name(tmp_path: Path) -> None:
    for name, code in (("happy", 1), ("sad", 0)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "1.csv", f"frame, success, AU12_c, AU04_c\n1, 1, {code}, {1 - code}\n")
    table = read_aus(tmp_path)
    assert present(table, "happy/1.png") == [(12, None)]
    assert present(table, "sad/1.png") == [(4, None)]
    assert table.find("1.png") is None


def test_images_are_found_by_as_many_folders_as_tell_them_apart(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "input,AU12,AU4\n/data/happy/1.jpg,1,0\n/data/sad/1.jpg,0,1\n/data/x/2.jpg,1,1\n")
    table = read_aus(path)
    assert present(table, "happy/1.jpg") == present(table, "data/happy/1.png") == [(12, None)]
    assert present(table, "sad\\1.jpg") == [(4, None)]
    assert present(table, "other/2.jpg") == [(4, None), (12, None)]
    assert table.find("1.jpg") is None
    assert table.find("angry/1.jpg") is None


# --- OpenFace 3, py-feat, OpenGraphAU ---------------------------------------------------------------------------------


def test_openface3_lists(tmp_path: Path) -> None:
    header = "timestamp,image_path,face_id,face_detection,landmarks,emotion,gaze_yaw,gaze_pitch,action_units\n"
    face = '"[1.0, 2.0, 30.0, 40.0, 0.99, 5.0]"'
    path = write(
        tmp_path / "face_analysis_a.csv",
        f'{header}t,in/a.jpg,0,{face},"[[1.0, 2.0]]",1,.1,.2,"[[0.9, 0.1, 0.0, 0.7, 0.2, 0.5, 0.49, 0.0]]"\n'
        f"t,in/b.jpg,,,,,,,\n",
    )
    table = read_aus(tmp_path)
    assert present(table, "a.jpg") == [(1, None), (6, None), (12, None)]
    assert of(table, "a.jpg").coded == {1, 2, 4, 6, 9, 12, 25, 26}
    assert table.find("b.jpg") is None
    assert table.program == "OpenFace 3"
    assert "OpenFace 3 does not name its action units" in table.notes[0]
    for cell in (
        '"[[0.9, 0.1]]"',
        '"[[1, [2], 3, 4, 5, 6, 7, 8]]"',
        '"[[9, 0, 0, 0, 0, 0, 0, 0]]"',
        "{}",
        "__import__",
    ):
        path.write_text(f"{header}t,in/a.jpg,0,{face},,1,.1,.2,{cell}\n")
        with pytest.raises(DataError, match=r"face_analysis_a\.csv, line 2: action_units must be"):
            read_aus(path)


def test_pyfeat_files_of_a_mesh_and_of_version_2(tmp_path: Path) -> None:
    mesh = ",".join(f"x_{i},y_{i},z_{i}" for i in range(478))
    zeros = ",".join(["1"] * 3 * 478)
    path = write(tmp_path / "f.csv", f"FaceScore,{mesh},{','.join(SMILE)},input\n.9,{zeros},{_cells(SMILE)},d/a.jpg\n")
    assert present(read_aus(path), "a.jpg") == [(12, None), (26, None)]
    path = write(tmp_path / "v2.csv", "FaceScore,mesh_x_0,AU01,AU12,Neutral,Happy,input\n.9,3,0.6,0.2,.1,.9,d/a.jpg\n")
    table = read_aus(path)
    assert (present(table, "a.jpg"), table.program, table.rule) == ([(1, None)], "py-feat", "score of at least 0.5")


def _cells(scores: dict[str, float]) -> str:
    return ",".join(str(score) for score in scores.values())


def test_opengraphau_has_sides_of_the_person(tmp_path: Path) -> None:
    assert len(OPENGRAPHAU) == 41
    names = [f"{'' if side is None else {'left': 'R', 'right': 'L'}[side]}{au}" for au, side in OPENGRAPHAU]
    assert names[27:31] == ["L1", "R1", "L2", "R2"]
    assert names[-4:] == ["L12", "R12", "L14", "R14"]
    scores = dict.fromkeys(names, 0.1) | {"12": 0.8, "L12": 0.7, "R12": 0.2, "4": 0.9, "L4": 0.6, "R4": 0.8}
    scores |= {"6": 0.6, "L14": 0.9, "25": 0.51, "1": -1, "L1": -1, "R1": -1}
    path = write(tmp_path / "scores.csv", f"faces/a.jpg,{_cells(scores)}\n")
    expected = [(4, None), (6, None), (12, "right"), (14, "right"), (25, None)]
    assert present(read_aus(path), "a.jpg") == expected
    assert 1 not in (of(read_aus(path), "a.jpg").coded or ())
    for prefix in ("AU", ""):
        header = ",".join(f"AU{name}" if name[0] not in "LR" else f"{prefix}{name}" for name in names)
        path = write(tmp_path / "named.csv", f"image,{header}\na.jpg,{_cells(scores)}\n")
        table = read_aus(path)
        assert present(table, "a.jpg") == expected
        assert table.program == "OpenGraphAU"
        graded = {unit.au: unit.intensity for unit in of(table, "a.jpg").active}
        assert graded == {4: 0.9, 6: 0.6, 12: 0.7, 14: 0.9, 25: 0.51}


def test_numbers_without_a_header_need_a_number_of_one_order(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "a.jpg,1,0,0,0,0,1,999,0\n")
    assert present(read_aus(path), "a.jpg") == [(1, None), (12, None)]
    assert of(read_aus(path), "a.jpg").coded == {1, 2, 4, 6, 9, 12, 26}
    with pytest.raises(DataError, match="12 scores without a header are of bp4d12, disfa12, affwild2; name the col"):
        read_aus(write(path, "a.jpg" + ",1" * 12))
    with pytest.raises(DataError, match="13 scores without a header are of no known order; name the columns"):
        read_aus(write(path, "a.jpg" + ",1" * 13))
    with pytest.raises(DataError, match=r"s\.csv, line 2: expected a name and 8 scores, got 8 values"):
        read_aus(write(path, f"a.jpg{',1' * 8}\nb.jpg{',1' * 7}\n"))
    with pytest.raises(DataError, match=r"s\.csv, line 2: the score of AU 2 must be between 0 and 1, got 7"):
        read_aus(write(path, f"a.jpg{',1' * 8}\nb.jpg,1,7{',1' * 6}\n"))
    with pytest.raises(DataError, match=r"s\.csv, line 2: the image stands on several lines"):
        read_aus(write(path, f"a.jpg{',1' * 8}\na.jpg{',1' * 8}\n"))


def test_codes_that_say_not_coded(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "image,AU1,AU2,AU 4,AU12,AU25\na.jpg,-1,9,999,1,0\nb.jpg,-1,-1,9,999,\n")
    table = read_aus(path)
    assert of(table, "a.jpg") == CodedAUs((CodedAU(12, 1.0),), frozenset({12, 25}))
    assert table.find("b.jpg") is None


def test_fmae_lists_what_is_present_and_nothing_else_is_known(tmp_path: Path) -> None:
    lines = [{"img_path": "2F01_T1/frame_1.jpg", "AUs": [999, 2, 999, 12, 999]}, {"img_path": "b.jpg", "AUs": [999]}]
    path = write(tmp_path / "BP4D.json", "\n".join(map(json.dumps, lines)))
    table = read_aus(path)
    assert present(table, "2F01_T1/frame_1.jpg") == [(2, None), (12, None)]
    assert [of(table, "frame_1.jpg").is_present(au) for au in (2, 4)] == [True, None]
    assert table.find("b.jpg") is None
    for au in ("80", "true", '"1"'):
        with pytest.raises(DataError, match=r"BP4D\.json, line 1: an AU must be between 1 and 79, got"):
            read_aus(write(path, f'{{"img_path": "a", "AUs": [{au}]}}'))
    with pytest.raises(DataError, match=r"BP4D\.json, line 2: expected"):
        read_aus(write(path, '{"img_path": "a", "AUs": [1]}\n{"img_path": "b"}'))


# --- blendshapes ------------------------------------------------------------------------------------------------------


def test_every_blendshape_of_mediapipe_is_known_and_left_is_the_subjects() -> None:
    assert len(MEDIAPIPE_52) == 52
    assert all(split_name(name) for name in MEDIAPIPE_52)
    assert not BLENDSHAPES.keys() & UNRELIABLE.keys()
    assert {split[0] for name in MEDIAPIPE_52 if (split := split_name(name))} == KNOWN - {"tongueOut"}
    assert split_name("mouthSmileLeft") == ("mouthSmile", "right")  # of the picture


@pytest.mark.parametrize("form", ["wide", "long", "pairs", "json", "json of many", "mediapipe"])
def test_blendshapes_in_every_form_are_a_marked_proxy(form: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    faces = {"a.jpg": SMILE, "b.jpg": WINK}
    if form == "wide":
        write(
            path, "\n".join([f"image,{','.join(SMILE)}", *(f"{name},{_cells(face)}" for name, face in faces.items())])
        )
    elif form == "long":
        lines = [f"{name},{key},{score}" for name, face in faces.items() for key, score in face.items()]
        write(path, "\n".join(["image,name,score", *lines]))
    elif form == "json of many":
        path = write(tmp_path / "all.json", json.dumps(faces))
    else:
        path = tmp_path / "folder"
        path.mkdir()
        for name, face in faces.items():
            if form == "pairs":
                write(path / f"{name[0]}.csv", "\n".join(["name,score", *(f"{key},{v}" for key, v in face.items())]))
            elif form == "json":
                write(path / f"{name[0]}.json", json.dumps(face))
            else:
                listed = [{"index": 0, "score": v, "categoryName": key, "displayName": ""} for key, v in face.items()]
                write(path / f"{name[0]}.json", json.dumps([listed]))
    table = read_aus(path)
    assert present(table, "a.jpg") == [(12, None), (26, None)]
    assert present(table, "b.jpg") == [(1, None), (45, "right")]
    assert of(table, "a.jpg").active[0].intensity == 0.9
    assert [of(table, "b.jpg").is_present(au) for au in (6, 9, 34, 25)] == [None] * 4
    assert table.program == "MediaPipe blendshapes"
    assert table.notes[0].startswith(
        "blendshapes are a proxy of action units, not a coding of them; cheekSquint, noseS"
    )
    assert present(read_aus(path, threshold=0.85), "a.jpg") == [(12, "right")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,name,score\na,mouthSmileLeft,2\n", "'a': mouthSmileLeft must be between 0 and 1, got 2"),
        ("image,name,score\na,anger,.2\n", "line 2: unknown blendshape 'anger'"),
        ("image,name,score\na,jawOpen,.2\na,jawOpen,.3\n", "line 3: 'a' has jawOpen on an earlier line, too"),
        ("image,name,score\na,jawOpen,big\n", "line 2: score must be a number, got 'big'"),
        ("image,AU99\na,1\n", "column AU99: an AU must be between 1 and 79"),
        ("image,AU1\na,3.2\n", "line 2: AU1 must be between 0 and 1, got 3.2; name columns AU1_r for intensities from"),
        ("image,AU01_r\na,7\n", "line 2: AU01_r must be between 0 and 5, got 7"),
        ("image,AU01_r\na,-1\n", "line 2: AU01_r must be between 0 and 5, got -1"),
        ("image,AU01_c\na,.5\n", "line 2: AU01_c must be 0 or 1, got 0.5"),
        ("image,AU01_c\na,1,1\n", "line 2: expected 2 values, got 3"),
        ("image,AU01_c\n,1\n", "line 2: the name of the image is missing"),
        ("image,AU01_c\na,1\na,0\n", "line 3: the image stands on several lines, and no column (confidence, FaceScore"),
        (
            "input,frame,FaceScore,AU01\nv.mp4,0,.9,1\nv.mp4,1,.9,1\n",
            "line 3: 'v.mp4' has several frames; the file is",
        ),
    ],
)
def test_bad_tables_are_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", text)
    with pytest.raises(DataError) as caught:
        read_aus(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a.json: not JSON"),
        ("[1]", "a.json: expected blendshapes: a mapping from names to scores"),
        ('{"x.jpg": {"jawOpen": 1}}', "a.json, 'x.jpg': expected at least 5 blendshapes with their scores"),
        ("{}", "a.json: expected blendshapes"),
    ],
)
def test_bad_json_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_aus(write(tmp_path / "a.json", text))
    assert message in str(caught.value)


def test_an_image_in_two_files_of_a_folder_is_refused(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / f"{name}.csv", "image,AU1\nx.jpg,1\n")
    with pytest.raises(DataError, match=r"b\.csv: the image 'x\.jpg' is in another file of the folder, too"):
        read_aus(tmp_path)


# --- properties -------------------------------------------------------------------------------------------------------

TEXTS = {
    "of2.csv": "image, confidence, success, AU01_r, AU12_r, AU01_c, AU12_c\na.png, .9, 1, 2.5, 0.2, 1, 1\n",
    "feat.csv": "FaceScore,AU01,AU04,AU12,input\n0.7,0.9,0.9,0.9,a.png\n0.9,0.1,,0.6,a.png\n",
    "of3.csv": 'image_path,face_detection,action_units\na,"[1,2,3,4,.5]","[[0.9, 0.1, 0.0, 0.7, 0.2, 0.5, 0.4, 0]]"\n',
    "text.csv": "image,aus\nf.png,1+L12b\ng.png,?\n",
    "scores.csv": "a.jpg,1,0,0,0,0,1,999,0\n",
    "shapes.json": json.dumps(SMILE),
    "fmae.json": '{"img_path": "a", "AUs": [1, 999]}\n',
    "long.csv": "image,name,score\na,mouthSmileLeft,.2\n",
}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mangled")


@given(data=st.data(), threshold=st.sampled_from([0.0, 0.3]))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_mangled_files_raise_nothing_but_errors_of_interpfer(
    data: st.DataObject, threshold: float, scratch: Path
) -> None:
    name = data.draw(st.sampled_from(sorted(TEXTS)))
    text = TEXTS[name]
    for _ in range(data.draw(st.integers(0, 4))):
        at, cut = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 12))
        text = (
            text[:at]
            + data.draw(st.text(st.characters(max_codepoint=0x2FF, codec="utf-8"), max_size=6))
            + text[at + cut :]
        )
    path = scratch / name
    path.write_bytes(text.encode(errors="replace"))
    try:
        table = read_aus(path, threshold)
    except InterpferError as error:
        message = str(error)
    else:
        message = ""
        for codes in table.codes.values():
            for unit in codes.active if codes else ():
                assert 1 <= unit.au <= 79
                assert math.isnan(unit.intensity) or 0 <= unit.intensity <= 1
                assert codes is not None
                assert codes.coded is None or unit.au in codes.coded
    assert "\n" not in message


@given(
    grades=st.dictionaries(st.sampled_from([1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26]),
                           st.tuples(st.booleans(), st.integers(0, 500)), min_size=1)
)  # fmt: skip
@settings(max_examples=50, deadline=None)
def test_openface_pyfeat_and_text_of_the_same_units_are_present_alike(
    grades: dict[int, tuple[bool, int]], scratch: Path
) -> None:
    listed = {au: is_on for au, (is_on, _) in grades.items()}
    numbers = ",".join(f"AU{au:02}_c" for au in listed), ",".join(str(int(on)) for on in listed.values())
    write(scratch / "same_of.csv", f"image,{numbers[0]}\na.png,{numbers[1]}\n")
    write(scratch / "same_feat.csv", f"input,FaceScore,{numbers[0].replace('_c', '')}\na.png,.9,{numbers[1]}\n")
    write(scratch / "same_text.csv", f"image,aus\na.png,{'+'.join(str(au) for au, on in listed.items() if on)}\n")
    units = [present(read_aus(scratch / f"same_{name}.csv"), "a.png") for name in ("of", "feat", "text")]
    expected = sorted((au, None) for au, is_on in listed.items() if is_on)
    assert [sorted(each) for each in units] == [expected] * 3  # type: ignore[type-var]
