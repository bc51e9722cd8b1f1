"""Checkpoints and model cards: changed ones, pickles that would run code, zips that unpack to more than they say."""

import io
import pickle
import random
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import yaml

from benchmarks.faults.inputs.seed import Files, Seed, pack_zip
from interpfer.models.small import SmallCNN

CARD = {
    "arch": "interpfer:small",
    "arch_args": {"width": 2},
    "classes": ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"],
    "input": {"size": 16, "color": "rgb", "scale": 1, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
    "layers": None,
    "published": {"rafdb/test": 0.9},
    "name": "small",
}


class _Bomb:
    """An object whose pickle creates the canary."""

    def __init__(self, canary: str) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.canary, "w")


def checkpoints() -> Sequence[Seed]:
    from safetensors.torch import save as save_safe

    from interpfer.models.loading import load_model

    torch.manual_seed(0)
    weights = SmallCNN(7, width=2).state_dict()
    card = yaml.safe_dump(CARD).encode()
    zipped, legacy, nested = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save(weights, zipped)
    torch.save(weights, legacy, _use_new_zipfile_serialization=False)
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in weights.items()}, "epoch": 3, "args": {"lr": 0.1}},
        nested,
    )
    forms = {
        "model.pt": (zipped.getvalue(), bomb_zip),
        "model.pth": (legacy.getvalue(), bomb_pickle),
        "model.ckpt": (nested.getvalue(), None),
        "model.safetensors": (save_safe(weights), None),
    }
    return [
        Seed({name: content, "model.yaml": card}, name, lambda folder, name=name: load_model(folder / name), hostile)
        for name, (content, hostile) in forms.items()
    ]


def bomb_pickle(random_: random.Random, canary: str) -> Files:
    """Return a pickle that would create the canary, bare or in a state_dict."""
    bomb = _Bomb(canary)
    value: Any = random_.choice((bomb, {"state_dict": bomb}, {"conv.weight": [bomb]}))
    return {"model.pth": pickle.dumps(value, protocol=random_.choice((0, 2, 4)))}


def bomb_zip(random_: random.Random, canary: str) -> Files:
    """Return a zip of torch with such a pickle, or with names that lead out, or one that unpacks to 8 MB."""
    if (kind := random_.randrange(3)) == 0:
        return {"model.pt": _zip_bomb()}
    content = bomb_pickle(random_, canary)["model.pth"] if kind == 1 else b"\x80\x02}."
    members = {"model/data.pkl": content, "model/version": b"3\n"}
    return {"model.pt": pack_zip(members | {random_.choice(("../../x", "model/data/0", "/etc/x")): b"x" * 64})}


@lru_cache(maxsize=1)
def _zip_bomb() -> bytes:
    return pack_zip({"model/data.pkl": bytes(8 * 2**20), "model/version": b"3\n"})


def cards() -> Sequence[Seed]:
    from interpfer.models.loading import load_model

    weights = io.BytesIO()
    torch.save(SmallCNN(7, width=2).state_dict(), weights)
    full = CARD | {
        "aus": None,
        "output": 0,
        "forward_args": {},
        "input": {**CARD["input"], "resize": 18, "crop": "center"},
    }
    named = [yaml.safe_dump({**CARD, "arch": arch}).encode() for arch in ("code.py:build", "os:system", "code:build")]

    def hostile(random_: random.Random, canary: str) -> Files:
        code = f"open('{canary}', 'w')\ndef build():\n    return None\n".encode()
        return {"model.yaml": random_.choice(named), "code.py": code}

    return [
        Seed(
            {"model.pt": weights.getvalue(), "model.yaml": yaml.safe_dump(each).encode()},
            "model.yaml",
            lambda folder: load_model(folder / "model.pt"),
            hostile,
        )
        for each in (CARD, full)
    ]
