"""A classifier that is not about faces: shapes on clutter, with exact masks and a misleading tag.

Each picture shows one of five shapes on a background of lines, blobs and fragments, and in a corner a coloured tag. In
the splits `train` and `test` the colour of the tag goes with the class in four pictures of five, as a scanner's label
may go with a diagnosis; in `shifted` it is random. A small network is trained on `train`, scored against the masks, and
fine-tuned with the guide towards the masks and, with the same epochs, without it: once with the first half of its
layers frozen, once with all of them. Arms that are finished in WORK are not repeated. Run with

    python -m benchmarks.shapes WORK [--seeds 3]
"""

import csv
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

import interpfer
from benchmarks.report import write_results
from interpfer.demo import MEAN, SIZE, STD, write_small
from interpfer.models.small import SmallCNN

ZOOM = 4
CLASSES = ("circle", "cross", "square", "star", "triangle")
COUNTS = {"train": 750, "test": 250, "shifted": 250}
TAGS = ((214, 60, 60), (70, 170, 80), (70, 100, 210), (220, 190, 60), (170, 80, 190))
"""Colour of the tag that goes with each class."""
MISLEADING = 0.8
"""Share of pictures of `train` and `test` whose tag has the colour of their class."""
EPOCHS = 15
ARMS: dict[str, dict[str, Any]] = {
    "plain": {"weight": 0.0, "epochs": 6},
    "guided": {"epochs": 6},
    "plain, all layers": {"weight": 0.0, "epochs": 20, "freeze": "none"},
    "guided, all layers": {"epochs": 20, "freeze": "none"},
}
"""Arm -> options that differ from the defaults, which freeze the first half of the network."""
METRICS = ("cosine", "cosine_skill", "pxap", "pointing", "ebpg")


def outline(name: str, centre: NDArray[np.float64], radius: float, angle: float) -> NDArray[np.float64]:
    """Return the (k, 2) outline of a shape."""
    if name == "cross":
        third = 1 / 3
        arm = [(-third, -1), (third, -1), (third, -third), (1, -third), (1, third), (third, third)]
        points = np.array([*arm, *(-np.array(arm)).tolist()])
    else:
        corners = {"circle": 48, "square": 4, "star": 10, "triangle": 3}[name]
        turns = 2 * np.pi * np.arange(corners) / corners
        lengths = np.where(np.arange(corners) % 2 == 1, 0.45, 1.0) if name == "star" else np.ones(corners)
        points = lengths[:, None] * np.stack([np.sin(turns), -np.cos(turns)], 1)
    c, s = np.cos(angle), np.sin(angle)
    return points @ np.array([[c, s], [-s, c]]) * radius + centre


def clutter(rng: np.random.Generator) -> Image.Image:
    """Return a background of lines, blobs and fragments."""
    side = SIZE * ZOOM
    corners = rng.uniform(60, 190, (3, 3, 3)).astype(np.uint8)
    image = Image.fromarray(corners).resize((side, side), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image, "RGBA")
    for _ in range(rng.integers(14, 26)):
        colour = (*rng.integers(20, 236, 3).tolist(), int(rng.integers(90, 200)))
        x, y = rng.uniform(0, side, 2)
        if rng.random() < 0.5:
            dx, dy = rng.normal(0, side / 4, 2)
            draw.line((x, y, x + dx, y + dy), colour, int(rng.integers(2, 8)))
        else:
            w, h = rng.uniform(side / 40, side / 10, 2)
            draw.ellipse((x - w, y - h, x + w, y + h), colour)
    return image.filter(ImageFilter.GaussianBlur(1.5))


def draw(name: str, tag: int, rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """Return a picture and the mask of its shape (255 inside)."""
    image, side = clutter(rng), SIZE * ZOOM
    radius = rng.uniform(8, 13) * ZOOM
    centre = rng.uniform(radius + 14 * ZOOM, side - radius - 4 * ZOOM, 2)
    points = [tuple(point) for point in outline(name, centre, radius, rng.uniform(0, 2 * np.pi)).tolist()]
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).polygon(points, 255)
    image.paste(tuple(rng.integers(30, 226, 3).tolist()), mask=mask)
    edge = rng.uniform(1, 4) * ZOOM
    ImageDraw.Draw(image).rectangle((edge, edge, edge + 7 * ZOOM, edge + 7 * ZOOM), TAGS[tag])
    pixels = np.asarray(image.reduce(ZOOM), np.float64) + rng.normal(0, 6, (SIZE, SIZE, 3))
    exact = np.asarray(mask.reduce(ZOOM)) >= 128
    return (
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)),
        Image.fromarray(exact.astype(np.uint8) * 255),
    )


def write_shapes(folder: Path, counts: dict[str, int] | None = None) -> None:
    """Write images/, masks/, labels.csv and masks.csv of all splits, as `--dataset csv` and `--masks` read them."""
    labels, masks = [["image", "label", "split"]], [["image", "class", "path"]]
    for number, (split, count) in enumerate((counts or COUNTS).items()):
        for index in range(count):
            rng = np.random.default_rng([number, index])
            kind = index % len(CLASSES)
            is_led = split != "shifted" and rng.random() < MISLEADING
            image, mask = draw(CLASSES[kind], kind if is_led else int(rng.integers(len(TAGS))), rng)
            name = f"{split}_{index:04d}.png"
            for part, picture in (("images", image), ("masks", mask)):
                (folder / part).mkdir(parents=True, exist_ok=True)
                picture.save(folder / part / name)
            labels.append([name, CLASSES[kind], split])
            masks.append([name, CLASSES[kind], f"masks/{name}"])
    for file, rows in (("labels.csv", labels), ("masks.csv", masks)):
        with (folder / file).open("w", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows(rows)


def train(folder: Path, checkpoint: Path, seed: int) -> None:
    """Train a small network on the split `train`, and write it with its card."""
    with (folder / "labels.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "train"]
    pixels = np.stack([np.asarray(Image.open(folder / "images" / row["image"])) for row in rows])
    images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD
    labels = torch.tensor([CLASSES.index(row["label"]) for row in rows])
    torch.manual_seed(seed)
    network = SmallCNN(len(CLASSES))
    optimiser = torch.optim.AdamW(network.parameters(), 4e-3, weight_decay=0.01)
    steps = EPOCHS * (len(images) // 50)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(images)).tensor_split(len(images) // 50):
            loss: Tensor = F.cross_entropy(network(images[chosen]), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    write_small(network, CLASSES, checkpoint)


def measure(checkpoint: Path, folder: Path, out: Path, what: dict[str, Any]) -> pd.DataFrame:
    """Score a classifier against the masks of both test splits; one row per split and map."""
    if (out / "rows.csv").is_file():
        return pd.read_csv(out / "rows.csv")
    rows = []
    for split in ("test", "shifted"):
        run = interpfer.score(
            checkpoint,
            "csv",
            data_root=folder,
            split=split,
            truth="masks",
            masks=folder / "masks.csv",
            maps="attention,gradcam,baselines",
            metrics=",".join(METRICS),
            out=out / split,
            overwrite=True,
            device="cpu",
        )
        table = run.summary
        facts = what | {"split": split, "accuracy": run.manifest["classification"]["accuracy"]}
        n = run.scores.groupby(["map", "layer"])["n"].max()
        rows += [facts | {"map": key[0], "n": n[key]} | line.to_dict() for key, line in table.iterrows()]
    found = pd.DataFrame(rows)
    found.to_csv(out / "rows.csv", index=False)
    return found


@click.command()
@click.argument("work", type=click.Path(path_type=Path))
@click.option("--seeds", default=3, help="Number of trainings, each with a network of its own.")
def main(work: Path, seeds: int) -> None:
    """Draw, train, score, fine-tune, score again."""
    folder = work / "shapes"
    if not (folder / "masks.csv").is_file():
        write_shapes(folder)
    rows = []
    for seed in range(seeds):
        checkpoint = work / f"{seed}" / "model.pt"
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        if not checkpoint.is_file():
            train(folder, checkpoint, seed)
        rows.append(measure(checkpoint, folder, checkpoint.parent / "before", {"seed": seed, "arm": "before"}))
        for arm, options in ARMS.items():
            out = checkpoint.parent / arm
            if not (out / "model.pt").is_file():
                interpfer.finetune(
                    checkpoint,
                    "csv",
                    data_root=folder,
                    test_split="none",
                    truth="masks",
                    masks=folder / "masks.csv",
                    seed=seed,
                    out=out,
                    overwrite=True,
                    device="cpu",
                    **options,
                )
            rows.append(measure(out / "model.pt", folder, out / "scores", {"seed": seed, "arm": arm}))
    settings = {"seeds": seeds, "counts": COUNTS, "epochs": EPOCHS, "arms": ARMS, "tag": MISLEADING}
    write_results("shapes", pd.concat(rows).to_dict("records"), settings)


if __name__ == "__main__":
    main()
