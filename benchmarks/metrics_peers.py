"""Largest difference between each metric and an independent implementation of it.

Usage: python -m benchmarks.metrics_peers

Maps are coarse random grids enlarged, half of them with a plateau of zeros as a ReLU leaves it. Faithfulness runs a
small random network on noise pictures, with maps that have no plateau, since packages order equal pixels each in its
own way. A peer is another package, called with the arguments of our formula, or, where none has the formula, a plain
loop after the authors' description. ``tests/metrics/test_peers.py`` asserts the same differences.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import quantus
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pytorch_grad_cam.metrics import cam_mult_image, road
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from scipy import ndimage, stats
from scipy.spatial.distance import cdist
from skimage.filters import threshold_otsu
from skimage.metrics import structural_similarity
from sklearn.metrics import average_precision_score, f1_score, jaccard_score, precision_recall_curve, roc_auc_score
from sklearn.metrics.pairwise import cosine_similarity
from torch import Tensor, nn
from torchmetrics.functional import pearson_corrcoef

from benchmarks.report import write_results
from interpfer.metrics import METRICS
from interpfer.metrics.faithfulness import STEPS
from interpfer.metrics.queries import ModelProbe

SIDE, FACES, INPUT = 224, 8, 40
Picture = NDArray[np.float64]


def main() -> None:
    write_results("metrics_peers", list(measure()), {"side": SIDE, "faces": FACES, "input": INPUT, "seed": 0})


def measure() -> Iterator[dict[str, Any]]:
    """Yield metric, peer and largest difference of each comparison."""
    torch.manual_seed(0)
    maps, heat = draw(0, 7), draw(100, 28)
    for name, (peer, score) in IMAGE_PEERS.items():
        expected = [score(a, h) for a, h in zip(maps.double().numpy(), heat.double().numpy(), strict=True)]
        yield _row(name, peer, METRICS.get(name)(maps, heat), expected)
    for name, (peer, score) in DATASET_PEERS.items():
        yield _row(name, peer, METRICS.get(name)(maps, heat), score(maps.numpy(), heat.numpy()))
    probe, small = make_probe(), F.interpolate(draw(0, 7, False)[:, None], size=(INPUT, INPUT), mode="area")[:, 0]
    for name, peer, compute in MODEL_PEERS:
        yield _row(name, peer, METRICS.get(name)(small, probe), compute(small.numpy(), probe))


def _row(name: str, peer: str, own: Any, expected: Any) -> dict[str, Any]:
    difference = np.abs(np.asarray(own, np.float64) - np.asarray(expected, np.float64)).max()
    return {"metric": name, "peer": peer, "largest_difference": float(f"{difference:.1e}")}


def draw(seed: int, grid: int, has_plateaus: bool = True) -> Tensor:
    """Return (FACES, SIDE, SIDE) maps in [0, 1] whose highest pixel is one; every other one with a plateau of zeros."""
    generator = torch.Generator().manual_seed(seed)
    raw = torch.rand(FACES, 1, grid, grid, generator=generator)
    large = F.interpolate(raw, size=(SIDE, SIDE), mode="bilinear")[:, 0]
    large = large + 1e-4 * torch.rand(large.shape, generator=generator)
    if has_plateaus:
        large[::2] = (large[::2] - 0.4).clamp(min=0)
    low, high = large.amin((1, 2), keepdim=True), large.amax((1, 2), keepdim=True)
    return (large - low) / (high - low)


class Network(nn.Module):
    """A random classifier of grey pictures."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.first, self.second = nn.Conv2d(1, 8, 5, 2), nn.Conv2d(8, 16, 5, 2)
        self.last = nn.Linear(16, 7)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, 7) logits of (n, 1, s, s) pictures."""
        x = self.second(self.first(x - 0.5).relu()).relu()
        logits: Tensor = self.last(x.mean((2, 3)) * 3)
        return logits


def make_probe() -> ModelProbe:
    """Return grey noise pictures of mean 0.5 and the network."""
    network = Network().eval()
    grey = torch.rand(FACES, 1, INPUT, INPUT, generator=torch.Generator().manual_seed(2))
    images = (0.5 + 0.9 * (grey - grey.mean((1, 2, 3), keepdim=True))).expand(-1, 3, -1, -1)
    targets = torch.arange(FACES) % 7

    def probabilities(pictures: Tensor) -> Tensor:
        with torch.no_grad():
            return network(pictures[:, :1]).softmax(1)

    return ModelProbe(probabilities, images, draw(100, 28), targets, tuple(range(FACES)), 0, (0.3, 0.3, 0.3))


def _otsu(a: Picture, h: Picture) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return (a > threshold_otsu(a, nbins=256)).ravel(), (h > threshold_otsu(h, nbins=256)).ravel()


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    cells = mask.reshape(56, 4, 56, 4).mean((1, 3)) >= 0.5
    return np.argwhere(cells & ~ndimage.binary_erosion(cells))


def _modified_hausdorff(a: Picture, h: Picture) -> float:
    distances = cdist(_outline(a > threshold_otsu(a, nbins=256)), _outline(h >= 0.5))
    return float(max(distances.min(0).mean(), distances.min(1).mean()) / np.hypot(56, 56))


def _kl(a: Picture, h: Picture) -> float:
    return float(stats.entropy(h.ravel(), (0.999 * a / a.sum() + 0.001 / a.size).ravel()))


def _pointing(a: Picture, h: Picture) -> float:
    distance = ndimage.distance_transform_edt(h < 0.5)
    return float((distance <= 15)[a == a.max()].mean())


def _quantus(name: str, **options: Any) -> Callable[[Picture, Picture], float]:
    """Return a localisation metric of Quantus for one map."""

    def score(a: Picture, h: Picture) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            metric = getattr(quantus, name)(abs=False, normalise=False, disable_warnings=True, **options)
            found = metric(
                model=Network(),
                x_batch=np.zeros((1, 1, *a.shape), np.float32),
                y_batch=np.zeros(1, int),
                a_batch=a[None, None],
                s_batch=(h >= 0.5)[None, None],
                device="cpu",
            )
        return float(found[0])

    return score


IMAGE_PEERS: dict[str, tuple[str, Callable[[Picture, Picture], float]]] = {
    "cosine": ("scikit-learn", lambda a, h: cosine_similarity(a.reshape(1, -1), h.reshape(1, -1)).item()),
    "pearson": (
        "torchmetrics",
        lambda a, h: pearson_corrcoef(torch.from_numpy(a.ravel()), torch.from_numpy(h.ravel())).item(),
    ),
    "spearman": ("scipy", lambda a, h: stats.spearmanr(a.ravel(), h.ravel()).statistic),
    "ssim": ("scikit-image", lambda a, h: structural_similarity(a, h, data_range=1.0)),
    "kl": ("scipy", _kl),
    "ap": ("scikit-learn", lambda a, h: average_precision_score(h.ravel() >= 0.5, a.ravel())),
    "auroc": ("scikit-learn", lambda a, h: roc_auc_score(h.ravel() >= 0.5, a.ravel())),
    "iou": ("scikit-image, scikit-learn", lambda a, h: jaccard_score(*_otsu(a, h))),
    "dice": ("scikit-image, scikit-learn", lambda a, h: f1_score(*_otsu(a, h))),
    "hausdorff": ("scipy", _modified_hausdorff),
    "pointing": ("scipy, loop", _pointing),
    "pointing_strict": ("Quantus PointingGame", _quantus("PointingGame")),
    "ebpg": ("Quantus RelevanceMassAccuracy", _quantus("RelevanceMassAccuracy")),
    "rra": ("Quantus RelevanceRankAccuracy", _quantus("RelevanceRankAccuracy")),
}


def _curve(maps: Picture, heat: Picture) -> tuple[Picture, Picture]:
    precision, recall, _ = precision_recall_curve(heat.ravel() >= 0.5, maps.ravel())
    return precision[:-1], recall[:-1]


def _iou_best(maps: Picture, heat: Picture) -> float:
    precision, recall = _curve(maps, heat)
    return float((1 / (1 / precision + 1 / recall - 1)).max())


def _dice_best(maps: Picture, heat: Picture) -> float:
    precision, recall = _curve(maps, heat)
    return float((2 * precision * recall / (precision + recall)).max())


def _boxes_by_opencv(maps: Picture, heat: Picture, is_largest: bool) -> float:
    """Return MaxBoxAcc with the contours, boxes and thresholds of OpenCV."""
    right = np.zeros((len(maps), 255), bool)
    for i, (one, other) in enumerate(zip(maps, heat, strict=True)):
        levels, wanted = (one * np.float32(255)).astype(np.uint8), cv2.boundingRect((other >= 0.5).astype(np.uint8))
        for tone in range(255):
            above = cv2.threshold(levels, tone, 255, cv2.THRESH_BINARY)[1]
            if is_largest:
                above = max(cv2.findContours(above, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0], key=cv2.contourArea)
            right[i, tone] = _overlap(cv2.boundingRect(above), wanted) >= 0.5
    return float(right.mean(0).max())


def _overlap(one: Any, other: Any) -> float:
    sides = [max(0, min(one[k] + one[k + 2], other[k] + other[k + 2]) - max(one[k], other[k])) for k in (0, 1)]
    both = sides[0] * sides[1]
    return float(both / (one[2] * one[3] + other[2] * other[3] - both))


DATASET_PEERS: dict[str, tuple[str, Callable[[Picture, Picture], float]]] = {
    "pxap": ("scikit-learn", lambda a, h: 100 * average_precision_score(h.ravel() >= 0.5, a.ravel())),
    "iou_best": ("scikit-learn", _iou_best),
    "dice_best": ("scikit-learn", _dice_best),
    "maxboxacc": ("OpenCV, after wsolevaluation", lambda a, h: _boxes_by_opencv(a, h, True)),
    "maxboxacc_all": ("OpenCV", lambda a, h: _boxes_by_opencv(a, h, False)),
}


def rise(maps: Picture, probe: ModelProbe, is_deletion: bool, step: int) -> list[float]:
    """Return deletion or insertion as Petsiuk et al. describe it: some pixels at a time, one face after the other."""
    side, areas = INPUT, []
    impulse = np.zeros((kernel := 3,) * 2)  # 11 of 224 pixels, on 40
    impulse[kernel // 2, kernel // 2] = 1
    weights = (
        torch.from_numpy(ndimage.gaussian_filter(impulse, 5 * side / 224)).float()[None, None].expand(3, 1, -1, -1)
    )
    for face, (image, target) in enumerate(zip(probe.images, probe.targets.tolist(), strict=True)):
        zero = torch.tensor(probe.zero)[:, None, None]
        centred = (image - zero)[None]
        other = torch.zeros_like(centred) if is_deletion else F.conv2d(centred, weights, padding=kernel // 2, groups=3)
        now, final = (centred.clone(), other) if is_deletion else (other.clone(), centred)
        order = np.argsort(-maps[face].ravel(), kind="stable")
        curve = []
        for done in range(0, side * side + 1, step):
            curve.append(probe.probabilities(now + zero)[0, target].item())
            places = order[done : done + step]
            now.flatten(2)[:, :, places] = final.flatten(2)[:, :, places]
        areas.append((sum(curve) - curve[0] / 2 - curve[-1] / 2) / (len(curve) - 1))
    return areas


def pixel_flipping_of_quantus(maps: Picture, probe: ModelProbe) -> Picture:
    """Return the area under the curve of Quantus, to which the probability of the whole face is added."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = quantus.PixelFlipping(
            features_in_step=INPUT**2 // STEPS, normalise=False, perturb_baseline=0.5, disable_warnings=True
        )
        curves = metric(
            model=Network().eval(),
            x_batch=probe.images[:, :1].numpy(),
            y_batch=probe.targets.numpy(),
            a_batch=maps[:, None],
            softmax=True,
            device="cpu",
        )
    whole = probe.probability(probe.images).numpy()[:, None]
    return np.trapezoid(np.concatenate([whole, np.array(curves)], 1), axis=1) / STEPS


def of_grad_cam(metric: Any, maps: Picture, probe: ModelProbe) -> Picture:
    """Return the scores of a metric of pytorch-grad-cam."""
    targets = [ClassifierOutputSoftmaxTarget(target) for target in probe.targets.tolist()]
    scores: Picture = metric(probe.images[:, :1].contiguous(), maps, targets, Network().eval())
    return scores


def _road(maps: Picture, probe: ModelProbe) -> Picture:
    repeats = [of_grad_cam(road.ROADCombined([20, 40, 60, 80]), maps, probe) for _ in range(10)]  # its noise is random
    return np.mean(repeats, axis=0)


def _average_drop(maps: Picture, probe: ModelProbe) -> Picture:
    whole = probe.probability(probe.images).numpy()
    return of_grad_cam(cam_mult_image.DropInConfidence(), maps, probe) / whole


MODEL_PEERS: tuple[tuple[str, str, Callable[[Picture, ModelProbe], Any]], ...] = (
    ("deletion", "loop after RISE, 20 steps", lambda a, p: rise(a, p, True, INPUT**2 // STEPS)),
    ("deletion", "loop after RISE, 200 steps", lambda a, p: rise(a, p, True, INPUT**2 // 200)),
    ("insertion", "loop after RISE, 20 steps", lambda a, p: rise(a, p, False, INPUT**2 // STEPS)),
    ("insertion", "loop after RISE, 200 steps", lambda a, p: rise(a, p, False, INPUT**2 // 200)),
    ("pixel_flipping", "Quantus PixelFlipping", pixel_flipping_of_quantus),
    ("road", "pytorch-grad-cam ROADCombined, mean of 10", _road),
    ("average_drop", "pytorch-grad-cam DropInConfidence", _average_drop),
    (
        "increase",
        "pytorch-grad-cam IncreaseInConfidence",
        lambda a, p: of_grad_cam(cam_mult_image.IncreaseInConfidence(), a, p),
    ),
)


if __name__ == "__main__":
    main()
