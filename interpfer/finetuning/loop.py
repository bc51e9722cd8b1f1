"""The training loop.

Whatever is random in a step follows from seed, epoch, step and process alone, so that a resumed training needs no state
of a generator, and ends with the same weights.
"""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, broadcast, set_seed
from torch import Tensor, nn

from interpfer.errors import RunError
from interpfer.finetuning.accelerator import TrainingForward
from interpfer.finetuning.attention_dropout import FeatureDropout
from interpfer.finetuning.augment import Mixture, augment_geometry, augment_pixels, mix
from interpfer.finetuning.cross_entropy import CrossEntropy, class_weights
from interpfer.finetuning.cut_patches import CutPatches
from interpfer.finetuning.extra_terms import ExtraTerms
from interpfer.finetuning.flip_consistency import add_mirrored
from interpfer.finetuning.freezing import freeze, frozen_names, set_frozen_to_eval
from interpfer.finetuning.guidance import Guidance
from interpfer.finetuning.history import EpochSums, Line
from interpfer.finetuning.occlusion import parse_training
from interpfer.finetuning.optim import idle_parameters, make_average, make_optimizer, make_schedule
from interpfer.finetuning.plugins import Plugin
from interpfer.finetuning.pool import FacePool, Share, TrainingBatch, output_indices, shuffled_batches
from interpfer.finetuning.randomness import own_randomness, step_seed
from interpfer.finetuning.recipe import Recipe
from interpfer.finetuning.selection import is_better
from interpfer.finetuning.token_weights import TokenWeights
from interpfer.finetuning.validate import validate
from interpfer.maps.capture import LayerRecorder
from interpfer.models.model import Model
from interpfer.runtime.progress import Progress
from interpfer.truth.base import Truth


@dataclass
class Trainer:
    """Trains a model by a recipe, epoch by epoch.

    Attributes:
        model: the classifier; changed in place.
        recipe: all choices.
        train_pool: faces to train on, at a size that leaves a margin for crops.
        heldout_pool: faces to select the epoch on, at the model's input size.
        accelerator: device, precision and processes.
        epoch: number of finished epochs.
        history: one line per finished epoch.
        best: line of the best epoch.
    """

    model: Model
    recipe: Recipe
    train_pool: FacePool
    heldout_pool: FacePool
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
        self.truth = recipe.guide.open_truth()
        self.extra = ExtraTerms(recipe, self.model, self.truth)
        self.share = Share(self.accelerator.process_index, self.accelerator.num_processes)
        self.dropout = FeatureDropout(self.model, recipe.adl) if isinstance(recipe.adl, tuple) else None
        plugins: list[Plugin] = [] if self.dropout is None else [self.dropout]
        plugins += [TokenWeights(self.model, recipe.token_weights)] if recipe.token_weights else []
        plugins += [CutPatches(self.model, recipe.cut_patches)] if recipe.cut_patches else []
        self._raw_optimizer = make_optimizer(self.model, recipe.optim)
        updates = -(-len(self._batches(0)) // recipe.accumulate)
        self._schedule = make_schedule(self._raw_optimizer, recipe.optim, recipe.epochs, updates)
        self._average = make_average(module, recipe.optim)
        if self.share.world > 1 and idle_parameters(self.model):
            self.accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=True)
        self._network, self._optimizer = self.accelerator.prepare(
            TrainingForward(module, self.model.card.forward_args, plugins), self._raw_optimizer
        )
        self.cross_entropy = CrossEntropy(self._class_weights(), recipe.label_smoothing, recipe.temperature)

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are done, or ``patience`` epochs had no improvement."""
        if self.epoch >= self.recipe.epochs:
            return True
        patience = self.recipe.patience
        if patience is None or self.best is None:
            return False
        top = max(self.history, key=lambda line: line["val_accuracy"])  # the first of equals
        return bool(self.epoch - max(self.best["epoch"], top["epoch"]) >= patience)

    @property
    def trained_module(self) -> nn.Module:
        """The network that is validated and saved: the averaged one if there is an average."""
        return self.model.module if self._average is None else self._average.module

    @property
    def trained_model(self) -> Model:
        """The model with the network that is validated and saved."""
        return Model(self.model.name, self.trained_module, self.model.card, self.accelerator.device)

    def run_epoch(self, progress: Progress) -> Line:
        """Train one epoch and validate; return its line of the history.

        Raises:
            RunError: the loss is not finite any more; the message says where.
        """
        started = time.monotonic()
        means = self._train(progress)
        self._share_statistics()
        recipe = self.recipe
        scores = self.validate(self.trained_model)
        line = {"epoch": self.epoch + 1, "lr": self._raw_optimizer.param_groups[0]["lr"]} | means | scores
        top = max(each["val_accuracy"] for each in (*self.history, line))
        line["best"] = is_better(line, self.best, top, len(self.heldout_pool.rows), recipe.tradeoff)
        line["seconds"] = round(time.monotonic() - started, 2)
        self.epoch += 1
        self.history.append(line)
        if line["best"]:
            self.best = line
        return line

    def validate(self, model: Model) -> dict[str, float]:
        """Return val_loss, val_accuracy and the agreement of a model on the held-out faces."""
        protocol = self.recipe.guide.truth_options.protocol
        return validate(model, self.heldout_pool, self.truth, protocol, self.recipe.batch_size, self.share)

    def state(self) -> dict[str, Any]:
        """Return all that a resumed training needs."""
        scaler = self.accelerator.scaler
        return {
            "epoch": self.epoch,
            "history": self.history,
            "best": self.best,
            "module": self.model.module.state_dict(),
            "optimiser": self._raw_optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.epoch, self.history, self.best = state["epoch"], state["history"], state["best"]
        self.model.module.load_state_dict(state["module"])
        self._raw_optimizer.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def _train(self, progress: Progress) -> dict[str, float]:
        """Train one epoch; return the means over its faces."""
        recipe = self.recipe
        recorder = LayerRecorder(self.model, self.guidance.recorded)
        batches = self._batches(self.epoch)
        sums = EpochSums()
        what = f"epoch {self.epoch + 1}/{recipe.epochs}"
        with own_randomness(), recorder.attached(), _twice_differentiable(bool(self.guidance.cam_layers)):
            self._network.train()
            set_frozen_to_eval(self.model.module, self.frozen, recipe.freeze_bn)
            for step, batch in enumerate(self.train_pool.batches(batches)):
                is_last = step + 1 == len(batches) or (step + 1) % recipe.accumulate == 0
                group = min(recipe.accumulate, len(batches) - step // recipe.accumulate * recipe.accumulate)
                with nullcontext() if is_last else self.accelerator.no_sync(self._network):
                    means = self._forward_backward(batch, step, recorder, group)
                if is_last:
                    self._update()
                for name, (value, faces) in means.items():
                    sums.add(name, value, faces)
                progress(what, step + 1, len(batches), sums.note())
        return sums.over_processes(self.accelerator).means()

    def _forward_backward(
        self, batch: TrainingBatch, step: int, recorder: LayerRecorder, group: int
    ) -> dict[str, tuple[float, int]]:
        """Go forward and backward with one batch of ``group`` per update; return means, and over how many faces."""
        seed = step_seed(self.recipe.seed, self.epoch, step, self.share.rank)
        set_seed(seed)
        mixture = self._prepare(batch, torch.Generator().manual_seed(seed))
        if self.recipe.guide.cam_layers != "last":  # a class map needs gradients in the frozen half too
            mixture.images.requires_grad_()
        output, head_loss = self._forward(mixture)
        logits = self.model.select(output, len(mixture.targets))
        entropy = self.cross_entropy(logits, mixture)
        penalty = self.guidance.penalty(
            recorder.collect(), logits, mixture.targets, mixture.truth, mixture.cam_truth, self.epoch, seed
        )
        extra = self.extra.compute(batch.samples, mixture, output, logits)
        loss = entropy + penalty.total + (0 if head_loss is None else head_loss)
        loss = loss + sum(weight * term for weight, term in extra.values())
        accuracy = (logits.detach().argmax(1) == mixture.targets).float().mean()
        terms = {"loss": loss, "cross_entropy": entropy, "head": head_loss}
        terms |= {name: getattr(penalty, name) for name in ("attention", "cam", "patches", "flip")}
        terms |= {name: term for name, (_, term) in extra.items()}
        means = {name: float(term.detach()) for name, term in terms.items() if term is not None}
        self._require_finite(means, step)
        self.accelerator.backward(loss / group)
        faces = dict.fromkeys(("attention", "cam", "patches"), penalty.aligned)
        means["accuracy"] = float(accuracy)
        return {name: (value, faces.get(name, len(batch.rows))) for name, value in means.items()}

    def _require_finite(self, means: Mapping[str, float], step: int) -> None:
        if np.isfinite(means["loss"]):
            return
        values = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in means.items())
        intact = f"the checkpoints of epoch {self.epoch} are intact" if self.epoch else "no checkpoint was written yet"
        raise RunError(
            f"the loss is not finite in epoch {self.epoch + 1}, step {step + 1} ({values}): "
            f"lower --lr, clip gradients (--clip 1), or train in full precision; {intact}."
        )

    def _forward(self, mixture: Mixture) -> tuple[Any, Tensor | None]:
        targets = [(mixture.share, mixture.targets), (1 - mixture.share, mixture.others)]
        try:
            output, loss = self._network(self.model.normalise(mixture.images), targets)
            return output, loss
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise RunError(
                "batch normalisation needs more than one face in a batch: raise --batch-size, or pass --freeze-bn."
            ) from error

    def _prepare(self, batch: TrainingBatch, random: torch.Generator) -> Mixture:
        """Augment a batch and draw its heatmaps."""
        augment, device = self.recipe.augment, self.accelerator.device
        images = batch.images.to(device).float() / 255
        size = self.model.card.input.size
        images, landmarks, flipped = augment_geometry(images, batch.landmarks, size, augment, random)
        targets = output_indices(batch.labels, self.model.classes).to(device)
        draw = partial(self.truth.draw, batch.samples, landmarks.to(device), flipped.to(device))
        if self.guidance.recorded:
            truth = draw()
        else:
            valid = torch.zeros(len(images), dtype=torch.bool, device=device)
            truth = Truth(images.new_full((len(images), 1, 1), torch.nan), valid)
        occlusion = parse_training(self.recipe.occlude_train, self.recipe.occlude_cut)
        if occlusion is not None:
            ids = [sample.id for sample in batch.samples]
            images, truth = occlusion.apply(images, landmarks.points, ids, truth, draw, flipped, random)
        images = augment_pixels(images, augment, random)
        mixture = mix(images, targets, truth, augment, random)
        guide = self.recipe.guide
        return add_mirrored(mixture, guide.flip_scale) if guide.flip_consistency else mixture

    def _share_statistics(self) -> None:
        """Give all processes the batch statistics of the first, which writes the checkpoints."""
        if self.share.world > 1:
            modules = (self.model.module, *(() if self._average is None else (self._average,)))
            broadcast([buffer for module in modules for buffer in module.buffers()])

    def _update(self) -> None:
        clip = self.recipe.optim.clip
        if clip is not None:
            self.accelerator.clip_grad_norm_(self._network.parameters(), clip)
        self._optimizer.step()
        self._optimizer.zero_grad()
        if not self._optimizer.step_was_skipped:
            self._schedule.step()
            if self._average is not None:
                self._average.update_parameters(self.model.module)

    def _batches(self, epoch: int) -> list[tuple[int, ...]]:
        recipe = self.recipe
        return shuffled_batches(self.train_pool.rows, recipe.batch_size, recipe.seed, epoch, self.share)

    def _class_weights(self) -> Tensor | None:
        if not self.recipe.class_weights:
            return None
        samples, classes = self.train_pool.stream.dataset.samples, self.model.classes
        targets = output_indices([samples[row].label for row in self.train_pool.rows], classes)
        return class_weights(targets, len(classes)).to(self.accelerator.device)


def _twice_differentiable(needed: bool) -> AbstractContextManager[Any]:
    """Use plain attention where a class map is aligned: fused attention has no second derivative."""
    return torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH) if needed else nullcontext()
