"""Holes: seeded per face, as large as asked, mirrored with the face."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from interpfer.errors import DataError, InterpferError, PluginError
from interpfer.landmarks.points import MIRRORED
from interpfer.occlusion import OCCLUDERS
from interpfer.occlusion.apply import hide_truth, occlude
from interpfer.occlusion.keys import Keys
from interpfer.occlusion.kinds import parse_occlusion, parse_occlusions
from interpfer.truth.base import Truth

IDS = [f"face-{i}.png" for i in range(4)]
DRAWN = ("sunglasses", "mask", "hand", "object")
KINDS = ("patches:0.3", "guided:0.2", *DRAWN, "au", "au-inverse", "elsewhere")


@pytest.fixture(scope="module")
def points(demo_points: Tensor) -> Tensor:
    return demo_points[:4].float()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(4, 3, 56, 56, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def truth() -> Tensor:
    y, x = torch.meshgrid(torch.arange(224.0), torch.arange(224.0), indexing="ij")
    centres = torch.tensor([[80.0, 90], [140, 90], [112, 150], [100, 100]])
    return torch.stack([torch.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 1800) for cx, cy in centres])


def cover(kind: str, images: Tensor, points: Tensor, truth: Tensor, seed: int = 0, rows: slice = slice(None), **more):
    own = {name: value[rows] for name, value in more.items()}
    return occlude(parse_occlusion(kind), images[rows], points[rows], IDS[rows], seed, truth[rows], truth[rows], **own)


@pytest.mark.parametrize("kind", KINDS)
def test_the_hole_of_a_face_depends_on_the_face_and_the_seed_alone(kind, images, points, truth) -> None:
    whole = cover(kind, images, points, truth)
    single = [cover(kind, images, points, truth, rows=slice(i, i + 1)) for i in range(4)]
    assert torch.equal(whole.hole, torch.cat([each.hole for each in single]))
    assert whole.drawn.all()
    assert 0.01 < whole.hole.float().mean() < 0.99
    other = cover(kind, images, points, truth, seed=1)
    is_seeded = kind not in ("guided:0.2", "au", "au-inverse")
    assert torch.equal(whole.images, other.images) != is_seeded


@pytest.mark.parametrize("kind", KINDS)
def test_the_hole_of_a_mirrored_face_is_mirrored(kind, images, points, truth) -> None:
    mirrored_points = points[:, list(MIRRORED)] * torch.tensor([-1.0, 1.0]) + torch.tensor([224.0, 0.0])
    flags = torch.tensor([True, True, True, True])
    plain = cover(kind, images, points, truth)
    mirrored = cover(kind, images.flip(-1), mirrored_points, truth.flip(-1), mirrored=flags)
    torch.testing.assert_close(mirrored.images, plain.images.flip(-1), atol=1e-3, rtol=0)
    assert (mirrored.hole != plain.hole.flip(-1)).float().mean() < 1e-4


@pytest.mark.parametrize("kind", ["patches:0", "guided:0"])
def test_share_zero_changes_nothing(kind, images, points, truth) -> None:
    covered = cover(kind, images, points, truth)
    assert torch.equal(covered.images, images)
    kept = hide_truth(Truth(truth, torch.ones(4, dtype=torch.bool)), covered)
    assert kept.ignore is None
    assert torch.equal(kept.maps, truth)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 1.0])
def test_patches_hide_their_share_and_those_of_a_smaller_one(share, images, points, truth) -> None:
    covered = cover(f"patches:{share}", images, points, truth)
    expected = round(share * 196) / 196
    assert torch.allclose(covered.hole.float().mean((1, 2)), torch.tensor(expected))
    small = cover(f"patches:{share / 2}", images, points, truth)
    assert not (small.hole & ~covered.hole).any()
    grid = covered.hole.unfold(1, 16, 16).unfold(2, 16, 16).float().mean((3, 4))
    assert ((grid == 0) | (grid == 1)).all()


def test_guided_hides_where_the_map_is_largest(images, points, truth) -> None:
    covered = cover("guided:0.1", images, points, truth)
    cells = torch.nn.functional.avg_pool2d(truth[:, None], 16)[:, 0].flatten(1)
    hidden = covered.hole[:, 8::16, 8::16].flatten(1)
    for own, hole in zip(cells, hidden, strict=True):
        assert own[hole].min() >= own[~hole].max()


def test_regions_their_inverse_and_as_much_elsewhere(images, points, truth) -> None:
    inside, outside, other = (cover(kind, images, points, truth).hole for kind in ("au", "au-inverse", "elsewhere"))
    assert torch.equal(inside, truth >= 0.5)
    assert torch.equal(outside, ~inside)
    assert not (other & inside).any()
    assert torch.equal(other.flatten(1).sum(1), inside.flatten(1).sum(1))


@pytest.mark.parametrize(("kind", "over", "off"), [("sunglasses", (37, 41, 44, 46), (33, 57, 8)),
                                                   ("mask", (33, 51, 57, 48, 54), (37, 44, 19, 24))])  # fmt: skip
def test_drawn_things_lie_where_they_are_worn(kind, over, off, images, points, truth) -> None:
    hole = cover(kind, images, points, truth).hole
    for face, own in zip(hole, points, strict=True):
        assert all(face[int(own[i, 1]), int(own[i, 0])] for i in over)
        assert not any(face[int(own[i, 1]), int(own[i, 0])] for i in off if own[i].max() < 224)


def test_a_mask_turns_with_the_head(images, points, truth) -> None:
    """Rotated landmarks give the rotated hole."""
    angle = torch.tensor(0.3)
    turn = torch.tensor([[angle.cos(), angle.sin()], [-angle.sin(), angle.cos()]])
    centre = torch.tensor([112.0, 112.0])
    plain, turned = (cover("mask", images, own, truth).hole for own in (points, (points - centre) @ turn + centre))
    y, x = torch.meshgrid(torch.arange(224.0) + 0.5, torch.arange(224.0) + 0.5, indexing="ij")
    back = (torch.stack([x, y], -1) - centre) @ turn.T + centre
    grid = (2 * back / 224 - 1).expand(4, -1, -1, -1)
    expected = torch.nn.functional.grid_sample(plain.float()[:, None], grid, align_corners=False)[:, 0] > 0.5
    assert (expected != turned).float().mean() < 0.01


@pytest.mark.parametrize("kind", [*DRAWN, "au", "guided:0.2"])
def test_a_face_without_landmarks_truth_or_map_stays_as_it_is(kind, images, points, truth) -> None:
    points, truth = points.clone(), truth.clone()
    points[1], truth[1] = torch.nan, torch.nan
    covered = cover(kind, images, points, truth)
    assert covered.drawn.tolist() == [True, False, True, True]
    assert torch.equal(covered.images[1], images[1])
    assert not covered.hole[1].any()
    kept = hide_truth(Truth(truth.nan_to_num(0.5), torch.ones(4, dtype=torch.bool)), covered)
    assert not kept.valid[1]
    assert kept.maps[1].isnan().all()


def test_what_is_hidden_of_a_truth_is_ignored(images, points, truth) -> None:
    covered = cover("au", images, points, truth)
    before = torch.zeros(4, 224, 224, dtype=torch.bool)
    before[:, :3] = True
    kept = hide_truth(Truth(truth, torch.ones(4, dtype=torch.bool), before), covered)
    assert kept.ignore is not None
    assert torch.equal(kept.ignore, covered.hole | before)
    assert (kept.maps[kept.ignore] == 0).all()
    everything = cover("patches:1", images, points, truth)
    assert not hide_truth(Truth(truth, torch.ones(4, dtype=torch.bool)), everything).valid.any()


def test_pictures_of_a_folder_are_pasted_by_their_alpha(tmp_path: Path, images, points, truth) -> None:
    picture = np.zeros((20, 40, 4), np.uint8)
    picture[4:16, 4:36] = (255, 0, 0, 255)
    Image.fromarray(picture).save(tmp_path / "red.png")
    covered = cover(f"file:{tmp_path}", images, points, truth)
    assert covered.drawn.all()
    hole = torch.nn.functional.adaptive_avg_pool2d(covered.hole[:, None].float(), 56)[:, 0] == 1
    inner = covered.images.permute(0, 2, 3, 1)[hole]
    assert inner[:, 1:].mean() < 0.05
    assert inner[:, 0].mean() > 0.5
    Image.fromarray(picture[..., :3]).save(tmp_path / "opaque.png")
    with pytest.raises(
        DataError, match=r"opaque.png has no transparent pixel; pass a picture with alpha, such as a PNG"
    ):
        parse_occlusion(f"file:{tmp_path / 'opaque.png'}")
    with pytest.raises(DataError, match="no picture with alpha at ''; pass file:PATH with a PNG or a folder"):
        parse_occlusion("file")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("patches:2", "the share of an occluder must be from 0 to 1, got 'patches:2'"),
        ("patches:x", "the share of an occluder must be from 0 to 1, got 'patches:x'"),
        ("mask:0.5", "occluder mask takes no share, got 'mask:0.5'; leave out :0.5"),
        (",", "occlude must name at least one occluder; see `interpfer ls occluders`"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, message: str) -> None:
    with pytest.raises(InterpferError, match=message):
        parse_occlusions(text)


def test_an_unknown_occluder_is_named() -> None:
    with pytest.raises(PluginError, match="unknown occluder 'masc'.*mask"):
        parse_occlusion("masc")


def test_all_occluders_say_what_they_cover_and_need() -> None:
    for name in OCCLUDERS:
        facts = OCCLUDERS.get(name).listing()
        assert facts["covers"].endswith(".")
        assert facts["needs"] in ("nothing", "landmarks", "truth", "map")


def test_numbers_of_a_face_are_uniform_and_do_not_depend_on_the_others() -> None:
    numbers = Keys.of([str(i) for i in range(500)], 3, "x").uniform(40)
    assert abs(float(numbers.mean()) - 0.5) < 0.01
    assert abs(float(numbers.var()) - 1 / 12) < 0.003
    assert torch.equal(Keys.of(["7"], 3, "x").uniform(3, offset=2)[0], numbers[7, 2:5])
    assert Keys.of(["a"], 0, "x").pick(5, offset=1)[0] == int(Keys.of(["a"], 0, "x").uniform(2)[0, 1] * 5)
