"""Places of a layer's values: finds out by bright patches on the input whether they lie where the layer says.

Tokens are laid out row by row, as almost all networks keep them; some keep another order (Hiera). One in five
cells of a noise image, drawn at random, is made bright. A token changes most where its own cell is bright, so the
changes of the tokens follow the pattern of bright cells if their order is that of the picture. A few patterns prove it
in every region of the grid; where they do not, more patterns tell the cell of each token and whether the token changes
more or less where that cell is bright (attention can make it less), and that order is accepted only if each cell has
one token and new patterns prove it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from interpfer.errors import InterpferError
from interpfer.models.hooks import first_tensor, hooked
from interpfer.models.layer import Layer

SAMPLES = 200
"""Values in each region of the grid by which an order is proven."""
SEARCH_PATTERNS = 64
"""Patterns by which the cell of each token is found."""
MIN_CORRELATION = 0.12
"""Smallest correlation of changes and bright cells in each region of the grid that proves the order."""
CLEAR = 0.75
"""Mean correlation with the best cell from which tokens are known to lie at other cells than assumed."""
BRIGHT, NOISE = 2.0, 0.5
"""Brightness of a patch, and standard deviation of the noise beneath, in units of the prepared input."""
BRIGHT_SHARE = 5
"""One of so many cells is bright in a pattern."""
BATCH = 8
"""Images in a forward pass."""
RULES = (2, SAMPLES, SEARCH_PATTERNS, MIN_CORRELATION, CLEAR, BRIGHT, NOISE, BRIGHT_SHARE)
"""What a result depends on beside the network: first the version of the search, to be raised where it changes."""

RIGHT, REORDERED, WRONG, UNCLEAR = "as in the picture", "in another order", "in an unknown order", "not proven"


@dataclass(frozen=True)
class Placement:
    """Where the values of a layer lie.

    Attributes:
        verdict: one of ``RIGHT``, ``REORDERED``, ``WRONG`` and ``UNCLEAR``.
        evidence: correlation of the changes with the bright cells, the smallest of all regions of the grid.
        order: index of the token at each cell of the grid, row by row, if it is another than 0, 1, 2, ...
    """

    verdict: str
    evidence: float
    order: tuple[int, ...] | None = None

    def describe(self) -> str:
        """Return the verdict and its evidence.

        Examples:
            >>> Placement(RIGHT, 0.618).describe()
            'as in the picture (.62)'
        """
        return f"{self.verdict} ({self.evidence:.2f})".replace("0.", ".")


def find_places(
    network: nn.Module, x: Float[Tensor, "t c s s"], run: Callable[[Tensor], object], layers: Sequence[Layer]
) -> dict[str, Placement]:
    """Find where the values of layers lie.

    Args:
        network: the network; it is not changed.
        x: one input of noise: a picture, or the frames of a clip.
        run: function that runs the network on inputs.
        layers: spatial layers, each by its last call; the order of tokens is searched for where it is not proven.

    Returns:
        Layer -> where its values lie.
    """
    places = {}
    for side, slices in {(layer.grid[0], layer.slices) for layer in layers}:
        same = [layer for layer in layers if (layer.grid[0], layer.slices) == (side, slices)]
        probe = _Probe(network, x, run, same)
        count = max(1, round(SAMPLES / (side / _count_regions(side)) ** 2))
        changes, bright = probe.measure(count)
        for layer in same:
            evidence = _prove(changes[layer.name], bright, side)
            places[layer.name] = Placement(RIGHT if evidence >= MIN_CORRELATION else UNCLEAR, evidence)
        unproven = [each for each in same if each.layout == "tokens" and places[each.name].verdict == UNCLEAR]
        if unproven:
            probe = _Probe(network, x, run, unproven)
            new, new_bright = probe.measure(count, seed=1)
            for layer in unproven:
                known = list_orders(side) if layer.frames == 1 else []
                places[layer.name] = _try_orders(known, changes[layer.name], bright, new[layer.name], new_bright)
            unproven = [layer for layer in unproven if places[layer.name].verdict == UNCLEAR]
        if unproven:
            probe = _Probe(network, x, run, unproven)
            many, many_bright = probe.measure(SEARCH_PATTERNS, seed=2)
            for layer in unproven:
                places[layer.name] = _search(many[layer.name], many_bright, new[layer.name], new_bright, side)
    return places


def describe_places(places: Mapping[str, Placement]) -> list[str]:
    """Return the notes on layers whose values are not proven to lie where they are laid out.

    Args:
        places: layer -> where its values lie.
    """
    texts = {
        REORDERED: "in another order than the picture; their order is found by bright patches on the input, and maps "
        "are put right",
        WRONG: "in another order than the picture, which is not found, so no map of it is made",
        UNCLEAR: "assumed to be in the order of the picture, row by row; bright patches on the input do not prove it",
    }
    return [
        f"layer {name}: its tokens are {texts[each.verdict]}" for name, each in places.items() if each.verdict in texts
    ]


class _Probe:
    """Runs a network on a noise image with bright cells.

    Args:
        network: the network.
        x: one input of noise.
        run: function that runs the network on inputs.
        layers: spatial layers with the same grid, of clips also over time.
    """

    def __init__(self, network: nn.Module, x: Tensor, run: Callable[[Tensor], object], layers: Sequence[Layer]) -> None:
        self._network, self._run, self._x = network, run, x * NOISE
        self._layers = {network.get_submodule(layer.name): layer for layer in layers}
        self._side, self._one = layers[0].grid[0], layers[0]
        self._outputs: dict[str, Tensor] = {}

    def measure(self, count: int, seed: int = 0) -> tuple[dict[str, Float[Tensor, "m t"]], Bool[Tensor, "m t"]]:
        """Return how much each cell of each layer changes with each pattern, and the bright cells of the patterns.

        Args:
            count: number of patterns.
            seed: random seed of the patterns.
        """
        cells = self._one.slices * self._side**2
        random = torch.Generator().manual_seed(seed)
        chosen = max(1, cells // BRIGHT_SHARE)
        bright = torch.stack([torch.randperm(cells, generator=random) < chosen for _ in range(count)])
        grid = self._one.to_frames(bright.view(count, -1, self._side).to(self._x))[:, None]
        patches = nn.functional.interpolate(grid, self._x.shape[-2:], mode="nearest")
        before, frames = self._values(self._x), len(self._x)
        inputs = self._x.repeat(count, 1, 1, 1) + BRIGHT * patches
        try:
            parts = [self._values(part) for part in torch.split(inputs, max(BATCH // frames, 1) * frames)]
        except InterpferError:  # some networks take one image
            parts = [self._values(part) for part in torch.split(inputs, frames)]
        changes = {}
        for name, base in before.items():
            change = torch.cat([part[name] for part in parts]) - base
            change = change - change.mean(2, keepdim=True)
            changes[name] = change.norm(dim=1).cpu()
        return changes, bright

    def _values(self, x: Tensor) -> dict[str, Float[Tensor, "m c t"]]:
        self._outputs = {}
        with hooked(self._network, dict.fromkeys(self._layers, self._record)), torch.no_grad():
            self._run(x)
        return self._outputs

    def _record(self, module: nn.Module, _: object, output: object) -> None:
        layer = self._layers[module]
        tensor = first_tensor(output, layer.part)
        if tensor is not None:
            self._outputs[layer.name] = layer.to_grid(tensor.detach()).float().flatten(2)


def _count_regions(side: int) -> int:
    """Return the regions per side in each of which the order is proven."""
    return min(max(side // 4, 2), 4)


def _prove(
    changes: Float[Tensor, "m t"], bright: Bool[Tensor, "m t"], side: int, signs: Float[Tensor, " t"] | None = None
) -> float:
    """Return the correlation of changes with bright cells, the smallest of all regions of the grids.

    ``signs`` are 1 for tokens that change more where their cell is bright, and -1 for those that change less.
    """
    relative = _standardise(changes, 1) if signs is None else _standardise(_standardise(changes, 1), 0) * signs
    scores = (relative * _standardise(bright.float(), 1)).mean(0).view(-1, side, side)
    regions = [rows for grid in scores for rows in grid.tensor_split(_count_regions(side))]
    return min(float(part.mean()) for rows in regions for part in rows.tensor_split(_count_regions(side), dim=1))


def list_orders(side: int) -> list[Int[Tensor, " t"]]:
    """Return known orders of tokens, each as the index of the token at each cell of the grid, row by row.

    They are column by column, from the last cell to the first, in windows, and unrolled as in Hiera: every second
    cell of every second row first, once or several times.

    Args:
        side: cells per side of the grid.
    """
    cells = torch.arange(side * side).view(side, side)
    sequences = [cells.T, cells.flip(0, 1), cells.flip(0), cells.flip(1)]
    for window in (size for size in range(2, side) if side % size == 0):
        inner = cells.view(side // window, window, side // window, window)
        sequences += [inner.permute(0, 2, 1, 3), inner.permute(1, 3, 0, 2)]
    unrolled = cells[None]
    while unrolled.shape[1] % 2 == 0:
        count, height, width = unrolled.shape
        halves = unrolled.view(count, height // 2, 2, width // 2, 2)
        unrolled = halves.permute(0, 2, 4, 1, 3).reshape(-1, height // 2, width // 2)
        sequences.append(unrolled)
    return [sequence.reshape(-1).argsort() for sequence in sequences]


def _try_orders(
    orders: Sequence[Tensor], changes: Tensor, bright: Tensor, new: Tensor, new_bright: Tensor
) -> Placement:
    """Try known orders of the tokens of pictures, and prove the best one with new patterns."""
    if orders:
        side = round(changes.shape[1] ** 0.5)
        evidence = [_prove(changes[:, order], bright, side) for order in orders]
        best = orders[max(range(len(orders)), key=evidence.__getitem__)]
        proof = _prove(new[:, best], new_bright, side)
        if min(max(evidence), proof) >= MIN_CORRELATION:
            return Placement(REORDERED, proof, tuple(best.tolist()))
    return Placement(UNCLEAR, 0.0)


def _search(
    changes: Float[Tensor, "m t"],
    bright: Bool[Tensor, "m t"],
    new: Float[Tensor, "k t"],
    new_bright: Bool[Tensor, "k t"],
    side: int,
) -> Placement:
    """Find the cell of each token, and prove the order with new patterns."""
    evidence = _prove(torch.cat([changes, new]), torch.cat([bright, new_bright]), side)
    if evidence >= MIN_CORRELATION:
        return Placement(RIGHT, evidence)
    relative = _standardise(_standardise(changes, 1), 0)
    correlations = relative.T @ _standardise(bright.float(), 0) / len(changes)
    evidence = _prove(new, new_bright, side, correlations.diagonal().sign())
    if evidence >= MIN_CORRELATION:
        return Placement(RIGHT, evidence)
    best, cell = correlations.abs().max(1)
    order = torch.empty(len(cell), dtype=torch.long).fill_(-1)
    order[cell] = torch.arange(len(cell))
    if bool((order >= 0).all()):
        found = _prove(new[:, order], new_bright, side, correlations[order, torch.arange(len(cell))].sign())
        if found >= MIN_CORRELATION:
            return Placement(REORDERED, found, tuple(order.tolist()))
    return Placement(WRONG if float(best.mean()) >= CLEAR else UNCLEAR, evidence)


def _standardise(values: Tensor, dim: int) -> Tensor:
    """Return values with mean 0 and mean square 1 along an axis; zeros where all are equal."""
    centred = values - values.mean(dim, keepdim=True)
    spread = centred.square().mean(dim, keepdim=True).sqrt()
    return centred / spread.where(spread > 0, 1)
