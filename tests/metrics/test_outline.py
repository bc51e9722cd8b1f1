"""The Hausdorff distance of outlines that are drawn by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from interpfer.metrics.outline import GRID, hausdorff


def square(left: int, top: int, side: int, size: int = 20) -> Tensor:
    picture = torch.zeros(1, size, size)
    picture[:, top : top + side, left : left + side] = 1
    return picture


def test_a_square_that_is_moved_sideways() -> None:
    diagonal = 20 * math.sqrt(2)
    assert hausdorff(square(4, 4, 4), square(4, 4, 4)).item() == 0
    # of 12 points, the 4 on the left are one pixel away from the other outline, and so are 2 inside it on the right
    moved = hausdorff(square(4, 4, 4), square(5, 4, 4)).item()
    assert moved == pytest.approx((4 + 2) / 12 / diagonal)
    far = hausdorff(square(0, 0, 1), square(19, 19, 1)).item()
    assert far == pytest.approx(19 * math.sqrt(2) / diagonal)


def test_the_larger_of_both_directions_counts() -> None:
    point, both = square(0, 0, 1), square(0, 0, 1) + square(10, 0, 1)
    assert hausdorff(point, both).item() == pytest.approx(5 / (20 * math.sqrt(2)))
    assert hausdorff(both, point).item() == pytest.approx(5 / (20 * math.sqrt(2)))


def test_only_outlines_count() -> None:
    full = square(4, 4, 8)
    ring = full - square(5, 5, 6)
    assert hausdorff(ring, full).item() == 0


def test_a_canvas_is_measured_in_cells() -> None:
    small = square(10, 10, 16, GRID), square(20, 12, 16, GRID)
    large = [F.interpolate(picture[:, None], scale_factor=4.0)[:, 0] for picture in small]
    assert large[0].shape == (1, 224, 224)
    torch.testing.assert_close(hausdorff(*large), hausdorff(*small))


def test_an_empty_map_or_mask_is_undefined_and_spoils_no_other() -> None:
    maps = torch.cat([torch.ones(1, 20, 20), square(2, 2, 5), square(2, 2, 5), torch.full((1, 20, 20), math.nan)])
    heat = torch.cat([square(2, 2, 5), torch.zeros(1, 20, 20), square(2, 2, 5), square(2, 2, 5)])
    assert hausdorff(maps, heat).isnan().tolist() == [True, True, False, True]
    assert hausdorff(maps[:0], heat[:0]).shape == (0,)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_type_is_kept(dtype: torch.dtype) -> None:
    assert hausdorff(square(2, 2, 5).to(dtype), square(3, 2, 5).to(dtype)).dtype == dtype
