"""Every map that another library has, or that can be restated, against that peer: the smallest cosine over faces."""

import contextlib
import io
import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from benchmarks.maps_peers import compare
from benchmarks.peer_maps import PEERS, Subject, rise_paper
from interpfer.maps import MAPS
from interpfer.maps.base import layers_of
from interpfer.maps.compute import compute_maps
from tests.maps.test_peers import TARGETS, build, images

LOWER = {
    ("gradcam++", "torchcam"): 0.8,  # lacks a division
    ("eigencam", "pytorch-grad-cam"): 0.0,  # centred
    ("eigencam-centred", "pytorch-grad-cam"): 0.0,  # its sign is arbitrary
    ("eigengradcam", "pytorch-grad-cam"): 0.0,
    ("cf-cam", "restated"): 0.8,  # the paper's weights are uniform
    ("scorecam", "pytorch-grad-cam"): 0.95,  # align_corners
    ("ss-cam", "torchcam"): 0.8,  # other noise
    ("is-cam", "torchcam"): 0.9,  # fractions beyond 1
    ("smoothgradcam++", "torchcam"): 0.0,  # the gradient of the last noisy input alone
    ("occlusion", "captum"): 0.9,  # averages over windows
    ("finer-cam", "torchcam"): 0.5,  # other references
    ("rise", "restated"): 0.9,  # other random masks
}


@pytest.fixture(autouse=True)
def _third_party_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def cosines(method: str, peer: str) -> Tensor:
    model, layers = build("resnet18" if method == "cam" else "small")
    layer = layers[-1]
    if peer == "pytorch-grad-cam" and method == "ablationcam":
        model.module.head[3].bias.data += 5  # its weights are divided by the signed logit
    (own,) = layers_of(MAPS.get(method), (layer,))
    draw = PEERS[method][peer]
    if method == "rise":
        method, draw = "rise-1000", lambda subject: rise_paper(1000, subject)
    ours = compute_maps(model, images(), [method], layer, TARGETS)[method, own]
    with contextlib.redirect_stderr(io.StringIO()):
        theirs = draw(Subject(model, model.preprocess(images()), layer, torch.tensor(TARGETS)))
    return compare(ours, theirs.detach())


@pytest.mark.parametrize(("method", "peer"), [(method, peer) for method, peers in PEERS.items() for peer in peers])
def test_a_map_is_that_of_its_peer_but_for_what_the_page_explains(method: str, peer: str) -> None:
    found = cosines(method, peer)
    assert found.isfinite().any()
    assert found[found.isfinite()].min() > LOWER.get((method, peer), 0.999) - 1e-6
