"""check_metric passes every built-in metric, and says what is wrong with a broken one."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from interpfer.metrics import METRICS
from interpfer.metrics.base import Metric, dataset_metric, defined, image_metric, model_metric
from interpfer.metrics.faithfulness import deletion
from interpfer.testing import check_metric
from interpfer.testing.metrics import CHECKS, COUNT_CHECKS, GRADIENT_CHECKS


@pytest.mark.parametrize("name", METRICS.builtin)
def test_every_metric_passes(name: str) -> None:
    check_metric(METRICS.get(name))


def failures(metric: Metric) -> str:
    with pytest.raises(AssertionError) as error:
        check_metric(metric)
    return str(error.value)


def cosine(maps: Tensor, heat: Tensor) -> Tensor:
    """Cosine."""
    a, b = maps.flatten(1), heat.flatten(1)
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))


def per_image(compute: Callable[..., Tensor], **facts: Any) -> Metric:
    """An image metric with a docstring."""
    compute.__doc__ = "Something."
    return image_metric(**{"higher_is_better": True, "bounds": (0, 1), "source": "test"} | facts)(compute)


def test_a_sound_metric_passes() -> None:
    check_metric(per_image(cosine))


def test_a_metric_without_facts() -> None:
    metric = image_metric(higher_is_better=True, bounds=(0, 1), source="")(lambda maps, heat: cosine(maps, heat))
    assert failures(metric) == (
        f"metric <lambda> fails 1 of {len(CHECKS + GRADIENT_CHECKS)} checks:\n"
        "  - Its facts are filled: summary is empty; write a docstring, whose first line it is"
    )
    assert "group is empty; pass group= to the decorator" in failures(per_image(cosine, group=""))
    assert "bounds must be (least, largest), got (1, 0)" in failures(per_image(cosine, bounds=(1, 0)))


def test_a_shape_or_type_that_is_not_one_score_per_image() -> None:
    assert "It returns one score per image, on the device of the maps" in failures(
        per_image(lambda maps, heat: cosine(maps, heat)[:, None])
    )
    assert "int" in failures(per_image(lambda maps, heat: (cosine(maps, heat) > 0.5).int()))


def test_scores_beyond_the_bounds() -> None:
    text = failures(per_image(lambda maps, heat: 100 * cosine(maps, heat)))
    assert "Scores lie within the bounds: " in text
    assert "where bounds=(0, 1)" in text


def test_a_direction_that_is_wrong() -> None:
    text = failures(per_image(cosine, higher_is_better=False))
    assert "A perfect map is not worse than another one: the heatmap itself scores 1, 1, 1, another map 0." in text
    assert text.endswith("is higher_is_better=False right?")
    wrong = model_metric(higher_is_better=True, bounds=(0, 1), source="test")(deletion.__wrapped__)
    assert "the pixels that the model uses scores" in failures(wrong)
    check_metric(per_image(lambda maps, heat: maps.mean((1, 2)) + 0 * heat[:, 0, 0], group="brightness"))


def test_what_is_undefined() -> None:
    text = failures(per_image(lambda maps, heat: cosine(maps.nan_to_num(0), heat).nan_to_num(0)))
    assert "A NaN map or heatmap gives NaN, and changes no other image: a NaN map scores 0; return NaN" in text
    text = failures(per_image(lambda maps, heat: cosine(maps, heat.nan_to_num(0)).nan_to_num(0).where(
        maps[:, 0, 0].isfinite(), torch.nan)))  # fmt: skip
    assert "a NaN heatmap gives 0; return NaN" in text
    assert "all scores of random maps are undefined" in failures(
        per_image(lambda maps, heat: cosine(maps, heat) / 0 * 0)
    )


def test_dependence_on_the_batch() -> None:
    text = failures(per_image(lambda maps, heat: cosine(maps, heat) / cosine(maps, heat).nan_to_num(0).max()))
    assert "The score of an image does not depend on the other images of the batch: alone it differs by" in text
    assert "(sums, ranks or normalisation over the batch?)" in text


def test_random_numbers() -> None:
    text = failures(per_image(lambda maps, heat: cosine(maps, heat) * torch.rand(())))
    assert "The same maps give the same scores: two runs differ by" in text
    assert "draw random numbers from probe.noise" in text


def test_a_type_that_is_fixed() -> None:
    text = failures(per_image(lambda maps, heat: cosine(maps * (2.0 if maps.dtype == torch.double else 1.0) + 1, heat)))
    assert "Float64 maps give the scores of float32 maps: they differ by" in text


def test_arguments_that_are_written_to() -> None:
    text = failures(per_image(lambda maps, heat: cosine(maps, heat.mul_(2))))
    assert "It writes into none of its arguments: it changes the heatmaps; clone before writing in place" in text

    @model_metric(higher_is_better=True, bounds=(0, 1), source="test")
    def darker(_: Tensor, probe: Any) -> Tensor:
        """Probability of a darker picture."""
        return probe.probability(probe.images.mul_(0.5))

    assert "it changes probe.images; clone before writing in place" in failures(darker)


def test_gradients_that_are_not_finite_or_reach_other_images() -> None:
    text = failures(per_image(lambda maps, heat: cosine(maps, heat) + (maps - maps.detach()).sum()))
    assert "the gradient of a score reaches the map of another image" in text
    text = failures(per_image(lambda maps, heat: cosine(maps, heat) + (maps - maps).sqrt().sum((1, 2))))
    assert "it is not finite; replace x / 0 and sqrt(0) before they are computed" in text
    text = failures(
        per_image(lambda maps, heat: cosine(maps, heat) + (0.5 if maps.requires_grad else 0), bounds=(0, 2))
    )
    assert "maps with gradients score differently, by" in text


def count(maps: Tensor, heat: Tensor) -> Tensor:
    both = ((maps >= 0.5) & (heat >= 0.5)).sum((1, 2))
    return torch.stack([both, (heat >= 0.5).sum((1, 2))], 1) * defined(maps, heat)[:, None]


def share(counts: Tensor) -> Tensor:
    """Share of the mask that the map reaches."""
    return counts[..., 0] / counts[..., 1]


def pooled(counts: Callable[..., Tensor] = count, score: Callable[..., Tensor] = share, **facts: Any) -> Metric:
    defaults = {"higher_is_better": True, "bounds": (0, 1), "source": "test"}
    return dataset_metric(counts, **defaults | facts)(score)


def test_a_sound_metric_of_a_data_set_passes() -> None:
    check_metric(pooled())


def test_counts_that_are_wrong() -> None:
    text = failures(pooled(lambda maps, heat: count(maps, heat) - 1))
    assert "zero where undefined: the least is -1" in text
    assert f" of {len(CHECKS + COUNT_CHECKS)} checks" in text
    text = failures(pooled(lambda maps, heat: count(maps, heat) * 10))
    assert "on a canvas of 224 px; use more bins" in text
    unmasked = pooled(lambda maps, heat: count(maps.nan_to_num(0), heat.nan_to_num(0)))
    assert "a NaN map or heatmap is counted; multiply by interpfer.metrics.base.defined" in failures(unmasked)
    batched = pooled(lambda maps, heat: count(maps, heat) * len(maps))
    assert "Counts add up over images in any order, and no count gives NaN: the counts of an image depend" in failures(
        batched
    )


def test_a_score_of_counts_that_is_wrong() -> None:
    def flat(counts: Tensor) -> Tensor:
        """Share over all."""
        return counts[..., 0].sum() / counts[..., 1].sum()

    assert "reduce the last axis alone" in failures(pooled(score=flat)) or "TypeCheckError" in failures(
        pooled(score=flat)
    )

    def zero(counts: Tensor) -> Tensor:
        """Share, or 0."""
        return share(counts).nan_to_num(0)

    assert "counts of zero score 0; return NaN" in failures(pooled(score=zero))
