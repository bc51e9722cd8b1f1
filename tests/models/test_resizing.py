import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from interpfer.faces.stream import to_tensor
from interpfer.models.loading import load_model
from interpfer.models.resizing import to_square
from tests.oracles.maps import bilinear


@given(st.integers(0, 99), st.integers(2, 9), st.integers(2, 9), st.integers(9, 12))
def test_enlarging_is_the_sampling_formula(seed: int, h: int, w: int, size: int) -> None:
    picture = torch.rand(1, 1, h, w, generator=torch.Generator().manual_seed(seed))
    expected = bilinear(picture[0, 0].double().numpy(), size)
    np.testing.assert_allclose(to_square(picture, size)[0, 0], expected, atol=1e-5)


def test_shrinking_is_antialiased() -> None:
    stripes = torch.zeros(1, 1, 16, 16)
    stripes[..., ::2] = 1
    torch.testing.assert_close(to_square(stripes, 4)[..., 1:3], torch.full((1, 1, 4, 2), 0.5))


def test_files_and_tensors_take_the_same_way_to_the_model() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)
    model = load_model(nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, 2)), classes="fear,anger", input_size=12)
    whole = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    assert torch.equal(to_tensor(pixels, 12), model.resize(whole)[0])
    assert to_square(whole[..., :30], 30).data_ptr() == whole[..., :30].data_ptr()
