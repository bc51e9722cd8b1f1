"""The alignment loss of Belharbi et al. 2024 in plain steps, one face at a time."""

import math

import torch.nn.functional as F
from torch import Tensor


def distance(kind: str, attention: Tensor, heat: Tensor, temperature: float = 1.0) -> float:
    a, h = attention.flatten().double(), heat.flatten().double()
    cosine = float((a @ h) / (a.norm() * h.norm()))
    if kind == "cosine":
        return 1 - cosine
    if kind == "std-cosine":
        z = (a - a.mean()) / (a.std() + 1e-4)
        return 1 - float((z @ h) / (z.norm() * h.norm()))
    if kind == "l1":
        return float((a - h).abs().mean())
    if kind == "l2":
        return float((a - h).pow(2).mean())
    if kind == "kl":
        p, total = a.exp() / a.exp().sum(), 0.0
        for q, t in zip(p.tolist(), h.tolist(), strict=True):
            for share, wanted in ((q, t), (1 - q, 1 - t)):
                total += wanted * (math.log(wanted) - math.log(share)) if wanted > 0 else 0.0
        return total / len(p)
    assert kind == "log-barrier"
    if -cosine <= -1 / temperature**2:
        return -math.log(cosine) / temperature
    return -temperature * cosine - math.log(1 / temperature**2) / temperature + 1 / temperature


def alignment(kind: str, features: Tensor, heat: Tensor, temperature: float = 1.0) -> float:
    values = []
    for face, picture in zip(features, heat, strict=True):
        if not picture.isfinite().all():
            continue
        small = F.interpolate(picture[None], size=face.shape[1:], mode="bilinear", align_corners=True, antialias=True)
        values.append(distance(kind, face.mean(0), small[0, 0].clamp(0, 1), temperature))
    return sum(values) / len(values)
