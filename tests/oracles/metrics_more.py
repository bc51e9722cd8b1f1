"""Slow, plain re-statements of the agreement metrics: one map and one heatmap, as numpy arrays."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.metrics import structural_similarity
from sklearn.metrics import average_precision_score, roc_auc_score

Picture = NDArray[np.float64]


def pearson(a: Picture, h: Picture) -> float:
    return float(stats.pearsonr(a.ravel(), h.ravel()).statistic)


def spearman(a: Picture, h: Picture) -> float:
    return float(stats.spearmanr(a.ravel(), h.ravel()).statistic)


def ssim(a: Picture, h: Picture) -> float:
    return float(structural_similarity(a / a.max(), h / h.max(), data_range=1.0))


def kl(a: Picture, h: Picture, floor: float = 1e-3) -> float:
    q = (1 - floor) * a / a.sum() + floor / a.size
    return float(stats.entropy(h.ravel(), q.ravel()))


def ap(a: Picture, h: Picture) -> float:
    return float(average_precision_score(h.ravel() >= 0.5, a.ravel()))


def auroc(a: Picture, h: Picture) -> float:
    return float(roc_auc_score(h.ravel() >= 0.5, a.ravel()))


def rra(a: Picture, h: Picture) -> float:
    mask = h.ravel() >= 0.5
    k = int(mask.sum())
    edge = np.sort(a.ravel())[::-1][k - 1]
    above, tied = a.ravel() > edge, a.ravel() == edge
    share = (k - above.sum()) / tied.sum()
    return float((mask[above].sum() + share * mask[tied].sum()) / k)


def pointing_strict(a: Picture, h: Picture) -> float:
    return float((h >= 0.5)[a == a.max()].mean())


def pointing(a: Picture, h: Picture) -> float:
    """Pixel by pixel: is any pixel of the mask within the tolerance of a highest one?"""
    mask = np.argwhere(h >= 0.5)
    reach = 15 * len(a) / 224
    hits = [bool((np.hypot(*(mask - place).T) <= reach).any()) for place in np.argwhere(a == a.max())]
    return float(np.mean(hits))


def ebpg(a: Picture, h: Picture) -> float:
    return float(a[h >= 0.5].sum() / a.sum())


def iou(a: Picture, h: Picture) -> float:
    both, one = _overlap(a, h)
    return both / one if one else 1.0


def dice(a: Picture, h: Picture) -> float:
    both, one = _overlap(a, h)
    return 2 * both / (both + one) if one else 1.0


def _overlap(a: Picture, h: Picture) -> tuple[float, float]:
    x, y = (p > threshold_otsu(p, nbins=256) for p in (a, h))
    return float((x & y).sum()), float((x | y).sum())


def iou_best(maps: list[Picture], heats: list[Picture]) -> float:
    values, masks = np.concatenate([a.ravel() for a in maps]), np.concatenate([h.ravel() >= 0.5 for h in heats])
    best = 0.0
    for step in range(1001):
        above = np.floor(values * 1000) >= step
        best = max(best, (above & masks).sum() / (above | masks).sum())
    return float(best)


def box(a: Picture, threshold: float) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(a >= np.float32(threshold))
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if len(rows) else (0, 0, 0, 0)


def largest_part_boxes(a: Picture, tone: int) -> list[tuple[int, ...]]:
    """Boxes of the largest parts at one threshold, several where they tie."""
    parts = label((a * np.float32(255)).astype(int) >= tone, connectivity=2)
    sizes = np.bincount(parts.ravel())[1:]
    if not len(sizes):
        return [(0, 0, 0, 0)]
    return [box((parts == index + 1).astype(float), 0.5) for index in np.flatnonzero(sizes == sizes.max())]


def maxboxacc_all(maps: list[Picture], heats: list[Picture]) -> float:
    pairs = [(a, wanted) for a, h in zip(maps, heats, strict=True) if (wanted := box(h, 0.5))[2]]
    best = 0.0
    for tone in range(1, 256):
        right = [box_overlap(box(a, np.float32(tone) / np.float32(255)), wanted) >= 0.5 for a, wanted in pairs]
        best = max(best, float(np.mean(right)) if right else float("nan"))
    return best if pairs else float("nan")


def box_overlap(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    x, y = (np.zeros((99, 99), bool) for _ in range(2))
    for picture, (left, top, right, bottom) in ((x, a), (y, b)):
        picture[top:bottom, left:right] = True
    return float((x & y).sum() / (x | y).sum())


def hausdorff(a: Picture, h: Picture, side: int = 56) -> float:
    """Point by point, on canvases whose side is a multiple of ``side``, or at most that."""
    outlines = []
    for mask in (a > threshold_otsu(a, nbins=256), h >= 0.5):
        step = max(len(mask) // side, 1)
        cells = mask.reshape(len(mask) // step, step, -1, step).mean((1, 3)) >= 0.5
        inside = {(int(y), int(x)) for y, x in zip(*np.nonzero(cells), strict=True)}
        outlines.append([
            (y, x) for y, x in inside if not {(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)} <= inside
        ])  # fmt: skip
    one, other = outlines
    if not one or not other:
        return float("nan")
    means = [
        float(np.mean([min(float(np.hypot(y - v, x - u)) for v, u in far) for y, x in near]))
        for near, far in ((one, other), (other, one))
    ]
    return max(means) / (len(cells) * 2**0.5)
