"""Draws img/refiners/NAME.jpg: a map of drawn faces before and after each refiner.

python docs/make_refiner_pictures.py [--faces 700] [--epochs 12]

A small CNN, and for refiners that need attention a small transformer, are trained on drawn faces first.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import timm
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from interpfer.datasets.demo import DemoDataset
from interpfer.faces.stream import FaceStream
from interpfer.landmarks.absent import NoLandmarks
from interpfer.maps.canvas import to_canvas
from interpfer.maps.compute import compute_maps
from interpfer.maps.refiners import REFINERS
from interpfer.maps.refiners.base import ATTENTION, LAYERS, QUERIES
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN

FOLDER = Path(__file__).with_name("img") / "refiners"
SIZE, TILE, OPACITY = 64, 112, 0.55
EXPRESSIONS = ("happiness", "surprise", "sadness", "anger")
LONGER = {"cnn": 1, "transformer": 4}
"""How many times as long a network is trained."""

TRANSFORMER = {"img_size": SIZE, "patch_size": 8, "depth": 4, "embed_dim": 96, "num_heads": 3}


def main() -> None:
    """Train, and draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, default=700)
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    dataset = DemoDataset("train", count=arguments.faces, size=TILE)
    images, labels = read(dataset)
    classes = list(dataset.classes)
    torch.manual_seed(0)
    networks = {
        "cnn": SmallCNN(len(classes), width=16),
        "transformer": timm.create_model("vit_tiny_patch16_224", num_classes=len(classes), **TRANSFORMER),
    }
    small = nn.functional.interpolate(images, size=(SIZE, SIZE), mode="bilinear", antialias=True)
    models = {
        name: train(network, small, labels, classes, arguments.epochs * LONGER[name])
        for name, network in networks.items()
    }
    shown = [int((labels == classes.index(name)).nonzero()[-1, 0]) for name in EXPRESSIONS]
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in REFINERS:
        needs = REFINERS.get(name).needs
        model = models["transformer" if ATTENTION in needs or QUERIES in needs else "cnn"]
        draw(name, model, images[shown], labels[shown], all_layers=LAYERS in needs)


def read(dataset: DemoDataset) -> tuple[Tensor, Tensor]:
    """Return all faces and their labels."""
    stream, count = FaceStream(dataset, NoLandmarks(), TILE), len(dataset.samples)
    batches = [stream.read(range(at, min(at + 64, count))) for at in range(0, count, 64)]
    return tuple(torch.cat([getattr(each.faces, what) for each in batches]) for what in ("images", "labels"))


def train(network: nn.Module, images: Tensor, labels: Tensor, classes: list[str], epochs: int) -> Model:
    """Return a classifier trained on the faces."""
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=5e-4 if isinstance(network, timm.models.VisionTransformer) else 1e-3
    )
    network.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(50):
            loss = nn.functional.cross_entropy(network(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()
    with torch.no_grad():
        right = (network(images).argmax(1) == labels).float().mean()
    print(f"{type(network).__name__}: {right:.2f} of the faces it was trained on are right")
    return load_model(network, classes=classes, input_size=SIZE)


def draw(name: str, model: Model, images: Tensor, labels: Tensor, all_layers: bool) -> None:
    """Write the picture of a refiner: the map above, the refined map below."""
    layers = model.layers("all" if all_layers else "last")
    found = compute_maps(model, images, ["gradcam", f"gradcam.{name}"], layers, labels)
    rows = [found["gradcam", layers[-1]], next(maps for key, maps in found.items() if key[0] != "gradcam")]
    height = TILE + 4
    sheet = Image.new("RGB", (height * len(images) - 4, height * 2 - 4), "white")
    for place, maps in enumerate(rows):
        large = torch.nan_to_num(to_canvas(maps, attention=False, size=TILE)[0]).numpy()
        colours = mpl.colormaps["inferno"](large)[..., :3]
        faces = images.permute(0, 2, 3, 1).numpy()
        mixed = OPACITY * colours + (1 - OPACITY) * faces
        for column, tile in enumerate(mixed):
            picture = Image.fromarray((255 * np.clip(tile, 0, 1)).astype(np.uint8))
            sheet.paste(picture, (column * height, place * height))
        ImageDraw.Draw(sheet).text((4, place * height + 2), "gradcam" + (f".{name}" if place else ""), fill="white")
    sheet.save(FOLDER / f"{name}.jpg", quality=82, optimize=True)


if __name__ == "__main__":
    main()
