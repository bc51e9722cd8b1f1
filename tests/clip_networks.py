"""Small classifiers of clips for tests."""

import torch
from torch import Tensor, nn

CLASSES = ("anger", "happiness", "surprise")
FRAMES, SIZE = 4, 16


class Volumes(nn.Module):
    """Two 3-D convolutions of another number of slices each, pooling over time and space, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv3d(3, 6, 3, (1, 2, 2), 1)
        self.second = nn.Conv3d(6, 8, 3, (2, 2, 2), 1)
        self.last = nn.Sequential(nn.Conv3d(8, 8, 3, 1, 1), nn.ReLU())
        self.head = nn.Linear(8, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(x).relu()).relu()
        logits: Tensor = self.head(self.last(x).mean((2, 3, 4)))
        return logits


class Frames(nn.Module):
    """A network of pictures, whose mapped layer is followed by another one."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 6, 3, 2, 1)
        self.outer = nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(8, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.outer(self.inner(x).relu()).mean((2, 3)))
        return logits


class MeanOfFrames(nn.Module):
    """The mean of the logits of all frames of clips (n, t, c, h, w)."""

    def __init__(self, pictures: nn.Module) -> None:
        super().__init__()
        self.pictures = pictures

    def forward(self, clips: Tensor) -> Tensor:
        logits: Tensor = self.pictures(clips.flatten(0, 1)).unflatten(0, clips.shape[:2]).mean(1)
        return logits


def seeded(kind: type[nn.Module]) -> nn.Module:
    """Return a network with random weights that are always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind().eval()
