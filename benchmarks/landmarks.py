"""Train and measure the embedded landmark network.

    python -m benchmarks.landmarks train --data DIR --minutes 40 --out embedded.pt
    python -m benchmarks.landmarks measure --data DIR [--peer MODELS_DIR]

DIR holds faces.zip and teachers.npz. A fifth of the faces, chosen by a hash of the name, is never trained on; errors
are measured on it: mean distance to the mean of the two teachers over the outer-eye distance, the first box being the
whole picture. MODELS_DIR holds face_landmark_68.pt and fer_subjects.py, a network to compare with that is itself one
of the two teachers.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads starve each other on a shared machine

import argparse
import copy
import csv
import hashlib
import importlib.util
import io
import json
import math
import platform
import time
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

import numpy as np
import PIL
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from torch import Tensor, nn

from benchmarks.landmark_data import GROSS, INNER, Bender, FaceSet, frames, outer_eye, read_faces
from interpfer.landmarks.embedded import MIN_CONFIDENCE, SEARCH_CONFIDENCE, WEIGHTS, EmbeddedLandmarks
from interpfer.landmarks.network import LandmarkNet, Squares, fold
from interpfer.landmarks.points import MIRRORED

RESULTS = Path(__file__).parent / "results"
PLAIN_HELD_OUT = ("brick", "grass", "gravel", "coins", "page", "retina")
Locate = Callable[[list[Image.Image]], tuple[Tensor, Tensor]]


# --- training ---------------------------------------------------------------------------------------------------------


def train(data: Path, minutes: float, out: Path, seed: int, threads: int) -> None:
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    faces = read_faces(data, held=False)
    agreed = (faces.disagreement[:, INNER].mean(1) < GROSS).nonzero()[:, 0].tolist()
    faces, held = faces.only(agreed), read_faces(data, held=True)
    bender = Bender(faces, seed)
    net = LandmarkNet().to(memory_format=torch.channels_last)
    average = copy.deepcopy(net)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-4)
    start, step, shown, batch, others = time.monotonic(), 0, 0.0, 96, 32
    order, errors, alarms, since = torch.empty(0, dtype=torch.long), 0.0, 0.0, 0
    while (done := (time.monotonic() - start) / (60 * minutes)) < 1:
        if step % 250 == 0:
            bender.refill()
        if len(order) < batch:
            order = torch.randperm(len(faces.names), generator=bender.random)
        chosen, order = order[:batch], order[batch:]
        crops, points, trust = bender.faces(chosen)
        off = bender.off_faces(torch.randint(len(faces.names), (others // 2,), generator=bender.random))
        inputs = bender.bend(torch.cat([crops, off, bender.backgrounds(others // 2)]))
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1, (step + 1) / 200) * (1 + math.cos(math.pi * done)) / 2 + 1e-6
        error, alarm = _losses(net.train(), inputs, points, trust)
        optimizer.zero_grad()
        (5 * error + 0.3 * alarm).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        _follow(average, net, min(0.999, (step + 1) / (step + 20)))
        step, since = step + 1, since + 1
        errors, alarms = errors + error.item(), alarms + alarm.item()
        if done - shown > 0.05:
            shown = done
            print(
                f"{done:4.0%} step {step} epoch {step * batch / len(faces.names):.1f} "
                f"error {errors / since:.4f} confidence {alarms / since:.4f} held out {_quick(average, held):.4f}",
                flush=True,
            )
            errors, alarms, since = 0.0, 0.0, 0
            _store(average, out)
    _store(average, out)
    history = {
        "weights": hashlib.sha256(out.read_bytes()).hexdigest()[:16],
        "seed": seed,
        "minutes": minutes,
        "threads": threads,
        "steps": step,
        "faces": len(faces.names),
        "epochs": round(step * batch / len(faces.names), 1),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
    }
    out.with_suffix(".json").write_text(json.dumps(history, indent=2) + "\n")
    print(history)


def _store(average: LandmarkNet, out: Path) -> None:
    torch.save({key: value.half() for key, value in fold(average).state_dict().items()}, out)


def _losses(net: nn.Module, inputs: Tensor, points: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
    """Mean distance over the outer-eye distance, weighted by trust; and the cross-entropy of the confidence."""
    n = len(points)
    with torch.autocast("cpu", torch.bfloat16):
        guess, logits = net(inputs.contiguous(memory_format=torch.channels_last))
    apart = ((guess[:n] - points).square().sum(-1) + 1e-5).sqrt() / outer_eye(points).clamp_min(0.35)[:, None]
    truth = (torch.arange(len(inputs)) < n).float()
    return (apart * trust).sum() / trust.sum(), F.binary_cross_entropy_with_logits(logits, truth)


@torch.no_grad()
def _follow(average: nn.Module, net: nn.Module, decay: float) -> None:
    for mean, new in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(new, 1 - decay)
        else:
            mean.copy_(new)


@torch.no_grad()
def _quick(average: LandmarkNet, held: FaceSet) -> float:
    """Error of two looks at held-out faces, without the provider's resampling."""
    net = fold(average)
    sizes = torch.tensor([picture.size for picture in held.pictures]).float()
    errors = []
    for part in torch.arange(len(sizes)).split(128):
        pictures = frames([held.pictures[i] for i in part.tolist()]).float() / 255
        squares = Squares(sizes[part] / 2, sizes[part].amax(1), torch.zeros(len(part)))
        for _ in range(2):
            points = squares.to_picture(net(squares.cut(pictures))[0])
            squares = Squares.around(points)
        errors.append(inner_error(points, held.target[part]))
    return torch.cat(errors).mean().item()


# --- measuring --------------------------------------------------------------------------------------------------------


def inner_error(points: Tensor, target: Tensor) -> Tensor:
    """Mean distance on the inner 51 points over the outer-eye distance, (n,)."""
    return (points - target)[:, INNER].norm(dim=-1).mean(1) / outer_eye(target)


Bent = tuple[Image.Image, Callable[[Tensor], Tensor]]


def _same(points: Tensor) -> Tensor:
    return points


def resized(side: int) -> Callable[[Image.Image, int], Bent]:
    def bend(image: Image.Image, _: int) -> Bent:
        ratio = side / max(image.size)
        size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
        scale = torch.tensor([size[0] / image.width, size[1] / image.height])
        return image.resize(size, Image.Resampling.BILINEAR), lambda points: points * scale

    return bend


def rotated(degrees: float) -> Callable[[Image.Image, int], Bent]:
    def bend(image: Image.Image, seed: int) -> Bent:
        angle = degrees if seed % 2 else -degrees
        turn = math.radians(angle)
        matrix = torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        middle = torch.tensor([image.width / 2, image.height / 2])
        return (
            image.rotate(angle, Image.Resampling.BILINEAR),
            lambda points: (points - middle) @ matrix + middle,
        )

    return bend


def shifted(share: float) -> Callable[[Image.Image, int], Bent]:
    """Keep (1 - share) of either side, cut off at a corner that depends on the seed."""

    def bend(image: Image.Image, seed: int) -> Bent:
        cut_x, cut_y = round(image.width * share), round(image.height * share)
        left, top = (seed % 2) * cut_x, (seed // 2 % 2) * cut_y
        box = (left, top, left + image.width - cut_x, top + image.height - cut_y)
        return image.crop(box), lambda points: points - torch.tensor([float(left), float(top)])

    return bend


def padded(share: float) -> Callable[[Image.Image, int], Bent]:
    def bend(image: Image.Image, _: int) -> Bent:
        x, y = round(image.width * share), round(image.height * share)
        out = Image.new("L", (image.width + 2 * x, image.height + 2 * y), 128)
        out.paste(image, (x, y))
        return out, lambda points: points + torch.tensor([float(x), float(y)])

    return bend


def occluded(image: Image.Image, seed: int) -> Bent:
    """Cover a grey box of three tenths of either side somewhere in the middle."""
    random = np.random.default_rng(seed)
    width, height = image.width * 0.3, image.height * 0.3
    x, y = random.uniform(0.15, 0.55) * image.width, random.uniform(0.15, 0.55) * image.height
    out = image.copy()
    ImageDraw.Draw(out).rectangle((x, y, x + width, y + height), fill=int(random.integers(256)))
    return out, _same


def in_texture(image: Image.Image, seed: int) -> Bent:
    """Paste the face into a larger picture, where it fills a third of a side."""
    import skimage.data

    random = np.random.default_rng(seed)
    name = ("brick", "grass", "gravel")[seed % 3]
    out = Image.fromarray(getattr(skimage.data, name)()).convert("L").resize((432, 432))
    x, y = int(random.integers(432 - image.width)), int(random.integers(432 - image.height))
    out.paste(image, (x, y))
    return out, lambda points: points + torch.tensor([float(x), float(y)])


def _jpeg(image: Image.Image, _: int) -> Bent:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=15)
    return Image.open(buffer).convert("L"), _same


def _noisy(image: Image.Image, seed: int) -> Bent:
    noise = np.random.default_rng(seed).normal(0, 20, (image.height, image.width))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8)), _same


def _mirrored(image: Image.Image, _: int) -> Bent:
    flip, width = torch.tensor([-1.0, 1.0]), torch.tensor([float(image.width), 0.0])
    out = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return out, lambda points: points[list(MIRRORED)] * flip + width


CORRUPTIONS: dict[str, Callable[[Image.Image, int], Bent]] = {
    "none": lambda image, _: (image, _same),
    "48 px": resized(48),
    "32 px": resized(32),
    "24 px": resized(24),
    "blur, sigma 2 px": lambda image, _: (image.filter(ImageFilter.GaussianBlur(2)), _same),
    "JPEG, quality 15": _jpeg,
    "noise, sigma 20/255": _noisy,
    "half as bright": lambda image, _: (ImageEnhance.Brightness(image).enhance(0.5), _same),
    "third of the contrast": lambda image, _: (ImageEnhance.Contrast(image).enhance(0.33), _same),
    "rotated 15 degrees": rotated(15),
    "rotated 30 degrees": rotated(30),
    "mirrored": _mirrored,
    "tenth cut off": shifted(0.1),
    "grey border, quarter": padded(0.25),
    "grey border, half": padded(0.5),
    "box over 9 % of the picture": occluded,
    "in a texture, third of its side": in_texture,
}


FEWER = {"in a texture, third of its side": 300}
"""Where not all held-out faces are taken, since the search takes its time."""


def plain_test_pictures() -> dict[str, Image.Image]:
    """Pictures without a face, none of which was trained on."""
    import skimage.data
    from sklearn.datasets import load_sample_image

    random = np.random.default_rng(0)
    ramp = np.linspace(0, 255, 256)
    x, y = np.meshgrid(np.arange(256), np.arange(256))
    arrays = {name: getattr(skimage.data, name)() for name in PLAIN_HELD_OUT}
    arrays |= {"flower": load_sample_image("flower.jpg")}
    arrays |= {f"flat {value}": np.full((256, 256), value) for value in (0, 90, 255)}
    arrays |= {"gradient": np.tile(ramp, (256, 1)), "round gradient": np.hypot(x - 128, y - 128)}
    arrays |= {"fine noise": random.integers(0, 256, (256, 256)), "stripes": (x // 16 % 2) * 255}
    for grain in (4, 8, 16, 32):
        coarse = Image.fromarray(random.integers(0, 256, (grain, grain)).astype(np.uint8))
        arrays[f"cloud of {grain}"] = np.asarray(coarse.resize((256, 256), Image.Resampling.BICUBIC))
    out = {name: Image.fromarray(array.astype(np.uint8)).convert("L") for name, array in arrays.items()}
    for number in range(12):
        picture = Image.new("L", (256, 256), int(random.integers(256)))
        draw = ImageDraw.Draw(picture)
        for _ in range(int(random.integers(1, 9))):
            a, b = np.sort(random.integers(0, 256, (2, 2)), axis=0)
            shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
            shape([*a.tolist(), *b.tolist()], fill=int(random.integers(256)))
        out[f"shapes {number}"] = picture
    return out


def embedded(images: list[Image.Image]) -> tuple[Tensor, Tensor]:
    """Points and whether they count as found."""
    points, confidence = EmbeddedLandmarks().predict(images)
    return points, confidence >= MIN_CONFIDENCE


def peer(folder: Path) -> Locate:
    """face_landmark_68.pt, two looks: crop, predict, crop anew to the points and a fifth, predict."""
    spec = importlib.util.spec_from_file_location("fer_subjects", folder / "fer_subjects.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net = module.FaceLandmark68Net().eval()
    net.load_state_dict(torch.load(folder / "face_landmark_68.pt", weights_only=True))

    @torch.inference_mode()
    def locate(images: list[Image.Image]) -> tuple[Tensor, Tensor]:
        out = []
        for start in range(0, len(images), 64):
            some = images[start : start + 64]
            boxes = torch.tensor([[0.0, 0.0, *image.size] for image in some])
            for _ in range(2):
                crops = torch.stack([_square_crop(image, box) for image, box in zip(some, boxes.tolist(), strict=True)])
                sides = (boxes[:, 2:] - boxes[:, :2]).amax(1)[:, None]
                middle = (boxes[:, 2:] + boxes[:, :2]) / 2
                guess = net(crops.expand(-1, 3, -1, -1)).view(-1, 68, 2)
                points = (guess - 0.5) * sides[:, None] + middle[:, None]
                low, high = points.amin(1), points.amax(1)
                boxes = torch.cat([low - 0.1 * (high - low), high + 0.1 * (high - low)], 1)
            out.append(points)
        return torch.cat(out), torch.ones(len(images), dtype=torch.bool)

    return locate


def _square_crop(image: Image.Image, box: list[float], size: int = 112) -> Tensor:
    """(1, size, size) in 0..255: the box, made square by zeros, as face-api crops."""
    left, top, right, bottom = box
    side = max(right - left, bottom - top)
    zoom = side / size
    matrix = (zoom, 0, (left + right - side) / 2, 0, zoom, (top + bottom - side) / 2)
    crop = image.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(crop)).float()[None]


def measure(data: Path, models: Path | None) -> None:
    held = read_faces(data, held=True)
    methods: dict[str, Locate] = {"embedded": embedded}
    if models is not None:
        methods["face_landmark_68"] = peer(models)
    rows = []
    for name, bend in CORRUPTIONS.items():
        bent = [bend(picture, seed) for seed, picture in enumerate(held.pictures[: FEWER.get(name)])]
        images = [image for image, _ in bent]
        target = torch.stack([move(points) for (_, move), points in zip(bent, held.target, strict=False)])
        for method, locate in methods.items():
            points, found = locate(images)
            error = inner_error(points, target)[found]
            rows.append(
                {
                    "method": method,
                    "pictures": name,
                    "n": len(images),
                    "found": f"{found.float().mean():.4f}",
                    "error_mean": f"{error.mean():.4f}",
                    "error_median": f"{error.median():.4f}",
                    "error_p95": f"{error.quantile(0.95):.4f}",
                    "above_0.08": f"{(error > 0.08).float().mean():.4f}",
                }
            )
            print(*rows[-1].values(), sep="\t", flush=True)
    speed = {method: _milliseconds(locate, held.pictures) for method, locate in methods.items()}
    plain = plain_test_pictures()
    _, alarms = embedded(list(plain.values()))
    wrong = [name for name, alarm in zip(plain, alarms.tolist(), strict=True) if alarm]
    refused = {"pictures": len(plain), "refused": len(plain) - len(wrong), "wrongly_found": wrong}
    print(speed, refused)
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / "landmarks.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "ms_per_face"])
        writer.writeheader()
        writer.writerows(row | {"ms_per_face": f"{speed[row['method']]:.2f}"} for row in rows)
    manifest = {
        "date": date.today().isoformat(),
        "weights": EmbeddedLandmarks().digest,
        "weights_bytes": WEIGHTS.stat().st_size,
        "held_out_faces": len(held.names),
        "error": "mean distance on the inner 51 points over the outer-eye distance, to the mean of the two teachers",
        "teachers_apart": round(held.disagreement[:, INNER].mean().item(), 4),
        "thresholds": {"whole": MIN_CONFIDENCE, "search": SEARCH_CONFIDENCE},
        "plain_pictures": refused,
        "note": "face_landmark_68 is one of the two teachers, so its error is flattered",
        "timing": "one core, batches of 64, pictures already decoded",
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "pillow": PIL.__version__},
    }
    (RESULTS / "landmarks.json").write_text(json.dumps(manifest, indent=2) + "\n")


def _milliseconds(locate: Locate, pictures: list[Image.Image], repeats: int = 5) -> float:
    """Least time per face over a few runs on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    some, times = pictures[:256], []
    for _ in range(repeats):
        start = time.perf_counter()
        locate(some)
        times.append(time.perf_counter() - start)
    torch.set_num_threads(threads)
    return min(times) * 1000 / len(some)


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train the network and store its weights")
    training.add_argument("--minutes", type=float, default=40)
    training.add_argument(
        "--out", type=Path, default=RESULTS / "landmarks_training.pt", help="weights; .json beside it"
    )
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--threads", type=int, default=2)
    measuring = commands.add_parser("measure", help="write results/landmarks.csv and landmarks.json")
    measuring.add_argument("--peer", type=Path, help="folder with face_landmark_68.pt and fer_subjects.py")
    for command in (training, measuring):
        command.add_argument("--data", type=Path, required=True, help="folder with faces.zip and teachers.npz")
    args = parser.parse_args(None if arguments is None else list(arguments))
    if args.command == "train":
        train(args.data, args.minutes, args.out, args.seed, args.threads)
    else:
        measure(args.data, args.peer)


if __name__ == "__main__":
    main()
