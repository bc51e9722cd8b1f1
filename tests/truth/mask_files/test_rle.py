import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as peer

from interpfer.errors import DataError
from interpfer.truth.mask_files.rle import decode_rle, decompress


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10_000), st.sampled_from([0.02, 0.5, 0.98]))
def test_both_encodings_decode_to_the_mask_that_pycocotools_encoded(h: int, w: int, seed: int, density: float) -> None:
    mask = (np.random.default_rng(seed).random((h, w)) < density).astype(np.uint8)
    encoded = peer.encode(np.asfortranarray(mask))
    np.testing.assert_array_equal(decode_rle(encoded["counts"], h, w, "here"), mask)
    np.testing.assert_array_equal(decode_rle(encoded["counts"].decode(), h, w, "here"), mask)
    runs = decompress(encoded["counts"], "here")
    assert peer.frPyObjects({"size": [h, w], "counts": runs}, h, w)["counts"] == encoded["counts"]
    np.testing.assert_array_equal(decode_rle(runs, h, w, "here"), mask)


def test_long_runs_are_decompressed() -> None:
    mask = np.zeros((900, 1200), np.uint8)
    mask[300:700, 250:1100] = 1
    counts = peer.encode(np.asfortranarray(mask))["counts"]
    np.testing.assert_array_equal(decode_rle(counts, 900, 1200, "here"), mask)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([1, 2], "a.json, annotation 3: the RLE has 3 pixels, not the 2 x 2 = 4."),
        ([5, -1], "a.json, annotation 3: a run of the RLE is negative."),
        ("12~", "a.json, annotation 3: the compressed RLE is malformed at character 3."),
        ("1P", "a.json, annotation 3: the compressed RLE is malformed at character 3."),
    ],
)
def test_malformed_runs_are_refused(counts: list[int] | str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        decode_rle(counts, 2, 2, "a.json, annotation 3")
