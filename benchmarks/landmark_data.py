"""What the landmark network is trained on: real faces with two teachers, pictures without faces, and how both are bent.

Everything works on whole batches of grey tensors (n, 1, s, s) in [0, 1].
"""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from interpfer.landmarks.network import CROP, MARGIN, Squares
from interpfer.landmarks.points import MIRRORED

FRAME = 144
"""Side of the square frame in which a training picture lies, at its top left."""

INNER = slice(17, 68)
GROSS = 0.08
"""Mean disagreement of the teachers on the inner points, in outer-eye distances, beyond which a face is left out."""

PLAIN_FOR_TRAINING = (
    *("cell", "chelsea", "coffee", "clock_motion", "hubble_deep_field", "ihc", "moon", "motorcycle_left"),
    *("rocket", "horse", "logo", "text", "color", "chessboard_GRAY", "phantom", "microaneurysms"),
)
"""Pictures of scikit-image without a face; brick, grass, gravel, coins, page, retina are kept for the measurement."""


@dataclass(frozen=True)
class FaceSet:
    """Faces and their teachers.

    Attributes:
        names: n file names.
        pictures: the n grey pictures, as they are.
        teachers: (n, 2, 68, 2) pixels.
    """

    names: list[str]
    pictures: list[Image.Image]
    teachers: Tensor

    @property
    def target(self) -> Tensor:
        """Mean of the teachers, (n, 68, 2)."""
        return self.teachers.mean(1)

    @property
    def disagreement(self) -> Tensor:
        """(n, 68) distance of the teachers over the outer-eye distance."""
        apart = (self.teachers[:, 0] - self.teachers[:, 1]).norm(dim=-1)
        return apart / outer_eye(self.target)[:, None]

    def only(self, keep: list[int]) -> "FaceSet":
        """Return a part."""
        return FaceSet([self.names[i] for i in keep], [self.pictures[i] for i in keep], self.teachers[keep])


def outer_eye(points: Tensor) -> Tensor:
    """Distance of the outer corners of the eyes, (n,)."""
    return (points[:, 36] - points[:, 45]).norm(dim=-1)


def held_out(name: str) -> bool:
    """Whether a face belongs to the fifth that is never trained on."""
    return hashlib.sha256(name.encode()).digest()[0] % 5 == 0


def read_faces(folder: Path, held: bool) -> FaceSet:
    """Read faces.zip and teachers.npz, the held-out fifth or the rest."""
    teachers = np.load(folder / "teachers.npz")
    names = [str(name) for name in teachers["name"]]
    keep = [i for i, name in enumerate(names) if held_out(name) == held]
    both = torch.from_numpy(np.stack([teachers["faceapi"], teachers["mediapipe"]], 1)[keep])
    with zipfile.ZipFile(folder / "faces.zip") as archive:
        pictures = [Image.open(io.BytesIO(archive.read(names[i]))).convert("L") for i in keep]
    return FaceSet([names[i] for i in keep], pictures, both)


def frames(pictures: list[Image.Image]) -> Tensor:
    """Lay pictures into (n, 1, FRAME, FRAME) uint8, edges repeated."""
    out = np.zeros((len(pictures), 1, FRAME, FRAME), np.uint8)
    for i, picture in enumerate(pictures):
        pixels = np.asarray(picture)
        height, width = pixels.shape
        out[i, 0] = np.pad(pixels, ((0, FRAME - height), (0, FRAME - width)), mode="edge")
    return torch.from_numpy(out)


def plain_pictures() -> tuple[list[Tensor], list[Tensor]]:
    """Return grey pictures without faces, (1, h, w) uint8: large ones, and patches of 25 pixels."""
    import skimage.data
    from sklearn.datasets import load_sample_image

    folder = Path(skimage.data.__file__).parent
    paths = [path for path in folder.iterdir() if path.stem in PLAIN_FOR_TRAINING]
    images = [Image.open(path).convert("L") for path in sorted(paths)]
    images.append(Image.fromarray(load_sample_image("china.jpg")).convert("L"))
    patches = np.load(folder / "lfw_subset.npy")[100:] * 255
    return (
        [torch.from_numpy(np.array(image))[None] for image in images],
        [torch.from_numpy(patch.clip(0, 255).astype(np.uint8))[None] for patch in patches],
    )


class Bender:
    """Makes training batches out of faces and pictures without them.

    Args:
        faces: what to train on.
        seed: of the one random generator behind everything.
    """

    def __init__(self, faces: FaceSet, seed: int) -> None:
        self.random = torch.Generator().manual_seed(seed)
        self.pictures = frames(faces.pictures)
        self.sizes = torch.tensor([picture.size for picture in faces.pictures]).float()
        self.targets = faces.target
        trust = 1 / (1 + (faces.disagreement / 0.06).square())
        trust[:, :17] *= 0.35
        self.trust = trust
        self.boxes = Squares.around(self.targets, 1.0)
        self.plain, self.patches = plain_pictures()
        self.mirror = torch.tensor(MIRRORED)
        self.bank = torch.empty(0)
        self.cosines = _dct_matrix()

    def uniform(self, n: int, low: float, high: float) -> Tensor:
        """Return (n,) uniform numbers."""
        return torch.rand(n, generator=self.random) * (high - low) + low

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers."""
        return torch.randn(*shape, generator=self.random)

    def refill(self, size: int = 1024) -> None:
        """Draw anew the bank of crops without faces."""
        self.bank = torch.cat([self._natural(size // 2), self._drawn(size - size // 2)])

    def _natural(self, n: int) -> Tensor:
        out = []
        for _ in range(n):
            choice = torch.rand((), generator=self.random).item() / 0.85
            pool, share = (self.plain, choice) if choice < 1 else (self.patches, (choice - 1) / (1 / 0.85 - 1))
            picture = pool[min(int(share * len(pool)), len(pool) - 1)]
            side = min(picture.shape[1:])
            crop = int(side * float(torch.rand((), generator=self.random)) ** 1.5 * 0.9 + 0.1 * side)
            crop = max(min(crop, side), min(16, side))
            y = int(torch.randint(picture.shape[1] - crop + 1, (), generator=self.random))
            x = int(torch.randint(picture.shape[2] - crop + 1, (), generator=self.random))
            patch = picture[:, y : y + crop, x : x + crop].float()[None] / 255
            out.append(F.interpolate(patch, (CROP, CROP), mode="bilinear", antialias=True, align_corners=False))
        stack = torch.cat(out)
        return torch.where((self.uniform(n, 0, 1) < 0.5)[:, None, None, None], stack.flip(-1), stack)

    def _drawn(self, n: int) -> Tensor:
        """Noise of many grains, gratings, gradients, and overlapping ellipses and boxes."""
        ticks = torch.linspace(-1, 1, CROP)
        y, x = torch.meshgrid(ticks, ticks, indexing="ij")
        noise = torch.zeros(n, 1, CROP, CROP)
        steep = self.uniform(n, -0.5, 1.5)[:, None, None, None]
        for level, size in enumerate((3, 6, 12, 24, 48, 96)):
            grain = F.interpolate(self.normal(n, 1, size, size), (CROP, CROP), mode="bilinear")
            noise += grain * torch.exp2(-steep * level)
        noise = torch.sigmoid(noise / noise.std((2, 3), keepdim=True))
        angle, phase = self.uniform(n, 0, 6.29), self.uniform(n, 0, 6.29)
        along = angle.cos()[:, None, None] * x + angle.sin()[:, None, None] * y
        wave = torch.sin(along * torch.exp(self.uniform(n, -1, 4))[:, None, None] + phase[:, None, None])
        shapes = along * self.uniform(n, 0, 0.5)[:, None, None]
        for _ in range(10):
            cx, cy, rx, ry, value = (self.uniform(n, a, b)[:, None, None] for a, b in
                                     ((-1, 1), (-1, 1), (0.05, 0.7), (0.05, 0.7), (-1, 1)))  # fmt: skip
            u, v = ((x - cx) / rx).abs(), ((y - cy) / ry).abs()
            oval = (self.uniform(n, 0, 1) < 0.6)[:, None, None]
            inside = torch.where(oval, u * u + v * v < 1, torch.maximum(u, v) < 1)
            skip = (self.uniform(n, 0, 1) < 0.35)[:, None, None]
            shapes = torch.where(inside & ~skip, value.expand_as(inside), shapes)
        parts = self.uniform(3 * n, 0, 1).view(3, n, 1, 1, 1).pow(4)
        parts = parts / parts.sum(0)
        mixed = parts[0] * noise + parts[1] * (wave[:, None] / 2 + 0.5) + parts[2] * (shapes[:, None] / 2 + 0.5)
        return mixed.clamp(0, 1)

    def backgrounds(self, n: int) -> Tensor:
        """Return (n, 1, CROP, CROP) crops of the bank."""
        return self.bank[torch.randint(len(self.bank), (n,), generator=self.random)]

    def faces(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return crops (n, 1, CROP, CROP), points in them spanning [-1, 1], and the trust in each point."""
        n = len(index)
        wide = self.uniform(n, 0, 1) < 0.4
        turn = torch.where(wide, self.uniform(n, -0.7, 0.7), 0.07 * self.normal(n))
        zoom = torch.where(wide, MARGIN * self.uniform(n, -0.35, 0.6).exp(), MARGIN * (0.07 * self.normal(n)).exp())
        reach = torch.where(wide, 0.17 * zoom, torch.full((n,), 0.035))[:, None]
        shift = self.normal(n, 2).clamp(-2, 2) * reach
        crops, squares = self._cut(index, shift, zoom, turn)
        points = squares.from_picture(self.targets[index])
        flip = self.uniform(n, 0, 1) < 0.5
        crops = torch.where(flip[:, None, None, None], crops.flip(-1), crops)
        mirrored = points[:, self.mirror] * torch.tensor([-1.0, 1.0])
        trust = torch.where(flip[:, None], self.trust[index][:, self.mirror], self.trust[index])
        return crops, torch.where(flip[:, None, None], mirrored, points), trust

    def off_faces(self, index: Tensor) -> Tensor:
        """Return crops that show no whole face: aside, far too near, far too wide, in tiles, upside down."""
        n = len(index)
        kind = torch.randint(5, (n,), generator=self.random)
        away = self.uniform(n, 0, 6.29)
        far = torch.where(kind == 0, self.uniform(n, 0.6, 1.1), torch.zeros(n))
        zoom = MARGIN * self.uniform(n, -0.3, 0.3).exp()
        near = self.uniform(n, 0.15, 0.5)
        far = torch.where(kind == 1, self.uniform(n, 0, 0.5), far)
        zoom = torch.where(kind == 1, near, torch.where(kind == 2, self.uniform(n, 4, 7), zoom))
        turn = torch.where(kind == 4, self.uniform(n, 2.4, 3.9), self.uniform(n, -0.5, 0.5))
        shift = torch.stack([away.cos(), away.sin()], 1) * far[:, None]
        crops, _ = self._cut(index, shift, zoom, turn)
        half = CROP // 3
        tiles = crops.unfold(2, half, half).unfold(3, half, half).reshape(n, 9, half, half)
        order = self.uniform(9 * n, 0, 1).view(n, 9).argsort(1)
        tiles = tiles.gather(1, order[:, :, None, None].expand_as(tiles)).view(n, 3, 3, half, half)
        shuffled = tiles.permute(0, 1, 3, 2, 4).reshape(n, 1, CROP, CROP)
        return torch.where((kind == 3)[:, None, None, None], shuffled, crops)

    def _cut(self, index: Tensor, shift: Tensor, zoom: Tensor, turn: Tensor) -> tuple[Tensor, Squares]:
        """Cut squares beside the face boxes; what lies beyond the picture is repeated, black, or some background."""
        n = len(index)
        sides = self.boxes.sides[index]
        squares = Squares(
            self.boxes.centres[index] + shift * sides[:, None], sides * zoom, self.boxes.angles[index] + turn
        )
        crops = squares.cut(self.pictures[index].float() / 255)
        ticks = (torch.arange(CROP) + 0.5) * (2 / CROP) - 1
        grid = torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), -1).view(1, -1, 2).expand(n, -1, -1)
        where = squares.to_picture(grid).view(n, CROP, CROP, 2)
        inside = ((where >= 0) & (where <= self.sizes[index][:, None, None])).all(-1)[:, None]
        fill = self.uniform(n, 0, 1)[:, None, None, None]
        beyond = torch.where(fill < 0.3, crops, torch.where(fill < 0.45, torch.zeros(()), self.backgrounds(n)))
        return torch.where(inside, crops, beyond), squares

    def bend(self, crops: Tensor) -> Tensor:
        """Light, occlusion, blur, low resolution, JPEG and noise, each on some of the crops."""
        n = len(crops)
        column = (slice(None), None, None, None)
        x = self._occlude(crops)
        gamma = torch.exp(0.35 * self.normal(n))[column]
        x = x.clamp(1e-3, 1).pow(gamma)
        ticks = torch.linspace(-1, 1, CROP)
        slope = self.normal(n, 2) * 0.2 * (self.uniform(n, 0, 1) < 0.4)[:, None]
        x = x * (1 + slope[:, 0][column] * ticks + slope[:, 1][column] * ticks[:, None])
        x = ((x - 0.5) * torch.exp(0.3 * self.normal(n))[column] + 0.5 + 0.12 * self.normal(n)[column]).clamp(0, 1)
        order = torch.randperm(n, generator=self.random)
        groups = list(order.chunk(8))
        for group in groups[:3]:
            size = int(torch.exp(self.uniform(1, 3.0, 4.3)))
            small = F.interpolate(x[group], (size, size), mode="bilinear", antialias=True, align_corners=False)
            x[group] = F.interpolate(small, (CROP, CROP), mode="bilinear", align_corners=False)
        for group in groups[3:5]:
            x[group] = _blur(x[group], float(self.uniform(1, 0.4, 3.0)))
        for group in (groups[0], groups[4], groups[5]):
            x[group] = self._jpeg(x[group])
        strength = 0.06 * self.uniform(n, 0, 1).pow(2) * (self.uniform(n, 0, 1) < 0.5)
        return (x + strength[column] * self.normal(n, 1, CROP, CROP)).clamp(0, 1)

    def _occlude(self, crops: Tensor) -> Tensor:
        n = len(crops)
        ticks = torch.linspace(-1, 1, CROP)
        cx, cy = self.uniform(n, -1, 1), self.uniform(n, -1, 1)
        rx, ry = self.uniform(n, 0.08, 0.45), self.uniform(n, 0.08, 0.45)
        u = ((ticks - cx[:, None]) / rx[:, None]).abs()[:, None, :]
        v = ((ticks - cy[:, None]) / ry[:, None]).abs()[:, :, None]
        round_ = (self.uniform(n, 0, 1) < 0.5)[:, None, None]
        inside = torch.where(round_, u * u + v * v < 1, torch.maximum(u, v) < 1)
        inside &= (self.uniform(n, 0, 1) < 0.3)[:, None, None]
        flat = self.uniform(n, 0, 1)[:, None, None, None].expand_as(crops)
        cover = torch.where((self.uniform(n, 0, 1) < 0.5)[:, None, None, None], flat, self.backgrounds(n))
        return torch.where(inside[:, None], cover, crops)

    def _jpeg(self, x: Tensor) -> Tensor:
        """Quantise the 8x8 cosine transform as JPEG does."""
        n, block = len(x), 8
        blocks = x.unfold(2, block, block).unfold(3, block, block) * 255 - 128
        steps = _LUMINANCE * torch.exp(self.uniform(n, -0.7, 1.6))[:, None, None, None, None, None]
        waves = self.cosines @ blocks @ self.cosines.T
        waves = (waves / steps).round() * steps
        back = (self.cosines.T @ waves @ self.cosines + 128) / 255
        return back.permute(0, 1, 2, 4, 3, 5).reshape(n, 1, CROP, CROP).clamp(0, 1)


def _blur(x: Tensor, sigma: float) -> Tensor:
    radius = max(1, round(2.5 * sigma))
    taps = torch.exp(-torch.arange(-radius, radius + 1).square() / (2 * sigma * sigma))
    taps = taps / taps.sum()
    x = F.conv2d(F.pad(x, (radius, radius, 0, 0), mode="replicate"), taps.view(1, 1, 1, -1))
    return F.conv2d(F.pad(x, (0, 0, radius, radius), mode="replicate"), taps.view(1, 1, -1, 1))


def _dct_matrix() -> Tensor:
    k = torch.arange(8)[:, None]
    matrix = torch.cos((torch.arange(8)[None] + 0.5) * k * torch.pi / 8) * 0.5
    matrix[0] /= 2**0.5
    return matrix


_LUMINANCE = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
