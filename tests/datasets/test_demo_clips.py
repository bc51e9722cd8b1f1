import numpy as np
import pytest

from interpfer.datasets import DATASETS
from interpfer.datasets.demo_clips import LENGTH, VISIBLE, DemoClipsDataset
from interpfer.datasets.drawn.actions import AUS_OF, HALLMARK
from interpfer.datasets.drawn.animation import Animation
from interpfer.datasets.drawn.shape import shape_face
from interpfer.datasets.sampling import Sampling
from interpfer.errors import DataError


@pytest.fixture(scope="module")
def clips() -> DemoClipsDataset:
    return DemoClipsDataset("test", clips=8, sampling=Sampling(frames=4), size=48)


def test_frames_of_a_clip_follow_one_another_and_share_label_person_and_scene(clips: DemoClipsDataset) -> None:
    assert DATASETS.get("demo-clips") is DemoClipsDataset
    assert len(clips) == 32
    assert [sample.clip for sample in clips.samples[:5]] == [*["test_001"] * 4, "test_002"]
    assert [sample.frame for sample in clips.samples[:4]] == [4, 12, 20, 28]
    assert [clips.samples[4 * i].label for i in range(8)] == [*AUS_OF, "anger"]
    assert [clips.samples[4 * i].subject for i in range(8)] == [*["test person 1"] * 7, "test person 2"]
    first, last = (np.asarray(clips.image(index), dtype=float) for index in (0, 3))
    other = np.asarray(clips.image(4), dtype=float)
    border = np.ones((48, 48), bool)
    border[4:-4, 4:-4] = False
    assert np.abs(first - last)[border].mean() < 1
    assert np.abs(first - other)[border].mean() > 10
    assert np.abs(first - last)[~border].mean() > 1


def test_the_expression_grows_from_neutral_to_its_apex(clips: DemoClipsDataset) -> None:
    hallmark = HALLMARK["anger"]
    whole = DemoClipsDataset("test", clips=1, sampling=Sampling("all"), size=48)
    assert len(whole) == LENGTH
    frames = [whole.samples[index].aus for index in (0, 10, 20, LENGTH - 1)]
    assert frames[0] is not None
    assert frames[0].active == ()
    apex = whole.shape(LENGTH - 1)
    grades = [{unit.au: unit.intensity for unit in aus.active}.get(hallmark, 0.0) for aus in frames if aus]
    assert grades[0] == 0 < grades[1] < grades[2] < grades[3] == min(apex.intensity[hallmark], 1.0)
    third = 10 / (LENGTH - 1)
    share = 3 * third**2 - 2 * third**3
    expected = {au: share * value for au, value in apex.intensity.items() if share * value >= VISIBLE}
    assert {unit.au: unit.intensity for unit in frames[1].active} == pytest.approx(expected)
    neutral = list(AUS_OF).index("neutral") * 4
    assert all(clips.samples[neutral + i].aus.active == () for i in range(4))
    moved = np.linalg.norm(whole.shape(10).points - whole.shape(0).points, axis=1).max()
    assert 0 < moved < np.linalg.norm(apex.points - whole.shape(0).points, axis=1).max()


def test_the_apex_is_the_face_of_a_picture_with_the_same_random_numbers() -> None:
    seeds = np.random.default_rng(3), np.random.default_rng(4)
    animation = Animation.sample("surprise", seeds[0], 112, seeds[1])
    picture = shape_face("surprise", np.random.default_rng(3), 112, np.random.default_rng(4))
    apex, rest = animation.shape(1.0), animation.shape(0.0)
    assert apex.intensity == picture.intensity
    assert np.array_equal(apex.head, picture.head)
    assert np.array_equal(rest.head, animation.neutral)
    assert rest.aus == ()
    for shape in (apex, rest):
        assert (shape.points >= 0).all()
        assert (shape.points <= 111).all()


def test_a_frame_depends_on_its_place_alone(clips: DemoClipsDataset) -> None:
    more = DemoClipsDataset("test", clips=2, sampling=Sampling("all"), size=48)
    assert more.image(LENGTH + 28).tobytes() == clips.image(7).tobytes()
    assert more.samples[LENGTH + 28] == clips.samples[7]
    provider = clips.landmarks()
    assert np.allclose(provider.locate(["test_002/29.png"]).points[0].numpy(), clips.shape(7).points, atol=1e-4)
    with pytest.raises(DataError, match=r"demo-clips, split test, has no image 'x.png'"):
        provider.locate(["x.png"])
    assert len(DemoClipsDataset.open()) == 42 * 16
