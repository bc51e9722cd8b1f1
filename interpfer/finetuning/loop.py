"""The training loop.

Whatever is random in a step follows from seed, epoch, step and process alone, so that a resumed training needs to
remember no generator, and ends with the same weights.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedDataParallelKwargs, set_seed
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import RunError
from interpfer.finetuning.augment import Mixture, geometric, mix, photometric
from interpfer.finetuning.freezing import freeze, frozen_names, rest_frozen
from interpfer.finetuning.guide import Guidance
from interpfer.finetuning.history import Line
from interpfer.finetuning.optim import idle_parameters, make_average, make_optimiser, make_schedule
from interpfer.finetuning.pool import FacePool, TrainingBatch, deal, targets_of
from interpfer.finetuning.randomness import own_randomness, step_seed
from interpfer.finetuning.recipe import Recipe
from interpfer.finetuning.validate import Share, validate
from interpfer.maps.capture import LayerRecorder
from interpfer.models.model import Model
from interpfer.runtime.progress import Progress
from interpfer.types import Landmarks

PARTS = ("loss", "cross_entropy", "attention", "cam", "accuracy")


class Sums:
    """Running sums over faces of the columns of an epoch."""

    def __init__(self) -> None:
        self._sums = torch.zeros(2, len(PARTS), dtype=torch.float64)

    def add(self, name: str, mean: float, faces: int) -> None:
        """Add the mean of some faces."""
        self._sums[:, PARTS.index(name)] += torch.tensor([mean * faces, faces], dtype=torch.float64)

    def over_processes(self, accelerator: Accelerator) -> "Sums":
        """Return the sums of all processes."""
        whole = Sums()
        whole._sums = accelerator.reduce(self._sums.float().to(accelerator.device)).cpu().double()
        return whole

    def means(self) -> dict[str, float]:
        """Return the mean per column, NaN where no face was counted."""
        total, faces = self._sums
        return dict(zip(PARTS, (total / faces).tolist(), strict=True))


class ForwardWithArgs(nn.Module):
    """A network with what its card says that its forward takes.

    Mixed precision patches what it is given for good; this is what it gets, and the network stays as it was.
    """

    def __init__(self, module: nn.Module, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.module = module
        self.arguments = dict(arguments)

    def forward(self, x: Tensor) -> Any:
        """Return whatever the network returns."""
        return self.module(x, **self.arguments)


@dataclass
class Trainer:
    """Trains a model by a recipe, epoch by epoch.

    Attributes:
        model: changed in place.
        recipe: how.
        pool: the faces to train on, at a size that leaves room for crops.
        held: the faces to select on, at the model's input size.
        accelerator: devices, precision and processes.
        epoch: how many are finished.
        history: one line per finished epoch.
        best: the line of the best epoch.
    """

    model: Model
    recipe: Recipe
    pool: FacePool
    held: FacePool
    accelerator: Accelerator
    epoch: int = 0
    history: list[Line] = field(default_factory=list)
    best: Line | None = None

    def __post_init__(self) -> None:
        recipe, module = self.recipe, self.model.module
        self.frozen = frozen_names(self.model, recipe.freeze)
        freeze(module, self.frozen)
        self.model.to(self.accelerator.device)
        self.guidance = Guidance(recipe.guide, self.model)
        self.share = Share(self.accelerator.process_index, self.accelerator.num_processes)
        optimiser = make_optimiser(self.model, recipe.optim)
        self.updates = -(-len(self._deal(0)) // recipe.accumulate)
        self.schedule = make_schedule(optimiser, recipe.optim, recipe.epochs, self.updates)
        self.average = make_average(module, recipe.optim)
        self.raw_optimiser = optimiser
        if self.share.world > 1 and idle_parameters(self.model):
            spare = DistributedDataParallelKwargs(find_unused_parameters=True)
            self.accelerator.ddp_handler = spare
        self.network, self.optimiser = self.accelerator.prepare(
            ForwardWithArgs(module, self.model.card.forward_args), optimiser
        )
        self.truth = recipe.guide.open_truth()
        self.weights = self._class_weights() if recipe.class_weights else None

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or patience has run out."""
        if self.epoch >= self.recipe.epochs:
            return True
        patience = self.recipe.patience
        if patience is None or self.best is None:
            return False
        top = max(self.history, key=lambda line: line["val_accuracy"])  # the first of equals
        return bool(self.epoch - max(self.best["epoch"], top["epoch"]) >= patience)

    @property
    def kept(self) -> nn.Module:
        """The network that is validated and kept: the averaged one if there is an average."""
        return self.model.module if self.average is None else self.average.module

    def run_epoch(self, tell: Progress) -> Line:
        """Train one epoch and validate.

        Raises:
            RunError: the loss is not finite any more; the message says where.
        """
        started = time.monotonic()
        sums = self._train(tell)
        judged = Model(self.model.name, self.kept, self.model.card, self.accelerator.device)
        scores = validate(judged, self.held, self.held.rows, self.recipe.guide, self.recipe.batch_size, self.share)
        line = {"epoch": self.epoch + 1, "lr": self.raw_optimiser.param_groups[0]["lr"]} | sums | scores
        top = max(each["val_accuracy"] for each in (*self.history, line))
        line["best"] = self.recipe.better(line, self.best, top, len(self.held.rows))
        line["seconds"] = round(time.monotonic() - started, 2)
        self.epoch += 1
        self.history.append(line)
        if line["best"]:
            self.best = line
        return line

    def state(self) -> dict[str, Any]:
        """Return all that a resumed training needs."""
        scaler = self.accelerator.scaler
        return {
            "epoch": self.epoch,
            "history": self.history,
            "best": self.best,
            "module": self.model.module.state_dict(),
            "optimiser": self.raw_optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.epoch, self.history, self.best = state["epoch"], state["history"], state["best"]
        self.model.module.load_state_dict(state["module"])
        self.raw_optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def _train(self, tell: Progress) -> Line:
        recipe = self.recipe
        watch = LayerRecorder(self.model, self.guidance.watched)
        parts = self._deal(self.epoch)
        sums = Sums()
        what = f"epoch {self.epoch + 1}/{recipe.epochs}"
        with own_randomness(), _hooks(watch), _double_backward(bool(self.guidance.cam_layers)):
            self.network.train()
            rest_frozen(self.model.module, self.frozen, recipe.freeze_bn)
            for step, lesson in enumerate(self.pool.batches(parts)):
                last = step + 1 == len(parts) or (step + 1) % recipe.accumulate == 0
                group = min(recipe.accumulate, len(parts) - step // recipe.accumulate * recipe.accumulate)
                with nullcontext() if last else self.accelerator.no_sync(self.network):
                    found = self._learn(lesson, step, watch, group)
                if last:
                    self._update()
                for name, (value, faces) in found.items():
                    sums.add(name, value, faces)
                tell(what, step + 1, len(parts), _note(sums.means()))
        return sums.over_processes(self.accelerator).means()

    def _learn(
        self, lesson: TrainingBatch, step: int, watch: LayerRecorder, group: int
    ) -> dict[str, tuple[float, int]]:
        """Go forward and backward with one batch; return means of loss and accuracy, and of how many faces."""
        seed = step_seed(self.recipe.seed, self.epoch, step, self.share.rank)
        set_seed(seed)
        mixture = self._prepare(lesson, torch.Generator().manual_seed(seed))
        if self.recipe.guide.cam_layers != "last":  # a class map needs gradients in the half that rests too
            mixture.images.requires_grad_()
        logits = self.model.select(self._forward(mixture.images), len(lesson.rows))
        entropy = self._cross_entropy(logits, mixture)
        penalty = self.guidance.penalty(
            watch.collect(), logits, mixture.targets, mixture.heat, mixture.valid, self.epoch, seed, mixture.cam_heat
        )
        loss = entropy + penalty.total
        right = (logits.detach().argmax(1) == mixture.targets).float().mean()
        terms = {"loss": loss, "cross_entropy": entropy, "attention": penalty.attention, "cam": penalty.cam}
        found = {name: float(term.detach()) for name, term in terms.items() if term is not None}
        if not np.isfinite(found["loss"]):
            values = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in found.items())
            raise RunError(
                f"the loss is not finite in epoch {self.epoch + 1}, step {step + 1} ({values}): "
                "lower --lr, clip gradients (--clip 1), or train in full precision; "
                + (
                    f"the checkpoints of epoch {self.epoch} are intact."
                    if self.epoch
                    else "no checkpoint was written yet."
                )
            )
        self.accelerator.backward(loss / group)
        faces = {"attention": penalty.aligned, "cam": penalty.aligned}
        found["accuracy"] = float(right)
        return {name: (value, faces.get(name, len(lesson.rows))) for name, value in found.items()}

    def _forward(self, images: Tensor) -> Any:
        try:
            return self.network(self.model.normalise(images))
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise RunError(
                "batch normalisation needs more than one face in a batch: raise --batch-size, or say --freeze-bn."
            ) from error

    def _prepare(self, lesson: TrainingBatch, random: torch.Generator) -> Mixture:
        """Augment a batch and draw its heatmaps."""
        augment, device = self.recipe.augment, self.accelerator.device
        images = lesson.images.to(device).float() / 255
        images, points, flipped = geometric(images, lesson.points, self.model.card.input.size, augment, random)
        images = photometric(images, augment, random)
        targets = targets_of(lesson.labels, self.model.classes).to(device)
        if self.guidance.watched:
            landmarks = Landmarks.of(points.to(device))
            truth = self.truth.draw(lesson.samples, landmarks, flipped.to(device))
            heat, valid = truth.maps, truth.valid
        else:
            heat = images.new_full((len(images), 1, 1), torch.nan)
            valid = torch.zeros(len(images), dtype=torch.bool, device=device)
        return mix(images, targets, heat, valid, augment, random)

    def _cross_entropy(self, logits: Float[Tensor, "n k"], mixture: Mixture) -> Tensor:
        def against(targets: Tensor) -> Tensor:
            return F.cross_entropy(logits, targets, self.weights, label_smoothing=self.recipe.label_smoothing)

        if mixture.share == 1:
            return against(mixture.targets)
        return mixture.share * against(mixture.targets) + (1 - mixture.share) * against(mixture.others)

    def _update(self) -> None:
        clip = self.recipe.optim.clip
        if clip is not None:
            self.accelerator.clip_grad_norm_(self.network.parameters(), clip)
        self.optimiser.step()
        self.optimiser.zero_grad()
        if not self.optimiser.step_was_skipped:
            self.schedule.step()
            if self.average is not None:
                self.average.update_parameters(self.model.module)

    def _deal(self, epoch: int) -> list[tuple[int, ...]]:
        share = self.share
        return deal(self.pool.rows, self.recipe.batch_size, self.recipe.seed, epoch, share.rank, share.world)

    def _class_weights(self) -> Tensor:
        samples, outputs = self.pool.stream.dataset.samples, self.model.classes
        targets = targets_of([samples[row].label for row in self.pool.rows], outputs)
        counts = torch.bincount(targets, minlength=len(outputs)).float()
        weights = counts.sum() / (counts.clamp(min=1) * (counts > 0).sum())
        weights[counts == 0] = 0  # with label smoothing an absent class would draw all faces to it
        return weights.to(self.accelerator.device)


def make_accelerator(device: str, precision: str) -> Accelerator:
    """Return what runs the training: as the launcher says, else on one device.

    accelerate keeps the first device and precision of a process for good. A process that trains alone chooses anew each
    time, and an accelerator that somebody else made stays as it is.
    """
    if not AcceleratorState._shared_state or AcceleratorState().num_processes == 1:
        AcceleratorState._shared_state, PartialState._shared_state = {}, {}
        if device.startswith("cuda:"):
            torch.cuda.set_device(device)
    return Accelerator(cpu=device == "cpu", mixed_precision=precision)


@contextmanager
def _hooks(watch: LayerRecorder) -> Iterator[None]:
    handles = [module.register_forward_hook(hook) for module, hook in watch.hooks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _double_backward(needed: bool) -> Any:
    """Fused attention has no second derivative: let the plain one run where a class map is aligned."""
    if not needed:
        return nullcontext()
    return torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)


def _note(means: dict[str, float]) -> str:
    short = {"loss": "loss", "cross_entropy": "ce", "attention": "att", "cam": "cam", "accuracy": "acc"}
    return "  ".join(f"{short[name]} {value:.3f}" for name, value in means.items() if value == value)
