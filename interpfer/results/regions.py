"""Named regions of the face in a run: share, skill, and a paired test against the uniform map, per expression."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpfer.labels import NEUTRAL
from interpfer.metrics.facts import MACRO
from interpfer.metrics.regions import PREFIX, SKILL, region_of
from interpfer.results.comparison import unit_names
from interpfer.results.run import CLIP, SUBJECT, Run
from interpfer.statistics.bootstrap import Array
from interpfer.statistics.comparison import holm
from interpfer.statistics.permutation import sign_flip_test
from interpfer.statistics.subjects import number_subjects

REGIONS_FILE = "regions.csv"

DECIMALS = 6
"""Decimals of a skill that the test reads, so that the rounding of a uniform map is none."""

COLUMNS = [
    *("map", "layer", "region", "group", "share", "share_low", "share_high", "uniform", "ratio"),
    *("skill", "skill_low", "skill_high", "p", "p_holm", "n", "n_subjects"),
]


class _Images(NamedTuple):
    """The images of one map at one layer.

    Attributes:
        shares: (n, r) of the regions, NaN where undefined.
        skills: (n, r) likewise.
        labels: (n,) expressions.
        people: (n,) number of the person, or of the image where no person is known.
        has_people: whether any person is known.
    """

    shares: Array
    skills: Array
    labels: NDArray[np.str_]
    people: NDArray[np.intp]
    has_people: bool


def scored_regions(run: Run) -> list[str]:
    """Return the regions of which a run has both share and skill."""
    names = {str(name): region_of(str(name)) for name in dict.fromkeys(run.scores["metric"])}
    regions = [r for r in dict.fromkeys(names.values()) if {PREFIX + r, PREFIX + r + SKILL} <= set(names)]
    return [region for region in regions if region]


def region_table(run: Run) -> pd.DataFrame:
    """Return how much of each map's energy lies in each named region, beside the uniform map.

    The test is paired: under its hypothesis a map's skill in a region is symmetric around 0, the skill of the uniform
    map. Signs of the parts that people have in the mean are flipped, or those of images where no person is known; so
    test and interval concern the same quantity, the mean of a class or the mean of the class means.

    Args:
        run: a score with metrics of the group ``regions``; of another the table is empty.

    Returns:
        One row per map, layer, region and group ("macro" or an expression): ``share`` of the energy and ``skill`` with
        95 % intervals, as in ``run.scores``; ``uniform``, the share of a uniform map, and ``ratio`` to it; ``p`` of the
        test and ``p_holm``, adjusted over the regions of the row's map, layer and group; the numbers of images and of
        people (0 where images are taken as independent).
    """
    regions = scored_regions(run)
    if not regions:
        return pd.DataFrame(columns=COLUMNS)
    wanted = run.scores[run.scores["metric"].isin([PREFIX + r + kind for r in regions for kind in ("", SKILL)])]
    summaries = {
        (name, layer, metric, group): values
        for name, layer, metric, group, *values in wanted.itertuples(index=False, name=None)
    }
    seed = int(run.manifest.get("seed", 0))
    rows: list[list[object]] = []
    for (name, layer), lines in run.per_image.groupby(["map", "layer"], sort=False):
        images = _images(lines, regions)
        for group in (MACRO, *dict.fromkeys(images.labels)):
            if (name, layer, PREFIX + regions[0], group) not in summaries or group == NEUTRAL:
                continue
            members = _members(images, group)
            uniform = _uniform(images, members)
            p = sign_flip_test(_parts(images, members), seed)
            known = np.isfinite(images.skills[np.concatenate(members)]).any(0)
            p = np.where(known, p, np.nan)
            adjusted = holm(p.tolist())
            for index, region in enumerate(regions):
                share, skill = (summaries[name, layer, PREFIX + region + kind, group] for kind in ("", SKILL))
                ratio = share[0] / uniform[index] if uniform[index] > 0 else np.nan
                tested = np.concatenate(members)[np.isfinite(images.skills[np.concatenate(members), index])]
                n_subjects = len(np.unique(images.people[tested])) if images.has_people else 0
                rows.append(
                    [name, layer, region, group, *share[:3], uniform[index], ratio, *skill[:3], p[index]]
                    + [adjusted[index], share[3], n_subjects]
                )
    return pd.DataFrame(rows, columns=COLUMNS)


def _images(lines: pd.DataFrame, regions: list[str]) -> _Images:
    shares, skills = (lines[[PREFIX + region + kind for region in regions]].to_numpy(float) for kind in ("", SKILL))
    subjects = None
    if SUBJECT in lines or CLIP in lines:
        subjects = number_subjects(unit_names(lines).tolist())
    people = np.arange(len(lines)) if subjects is None else subjects
    labels = lines["label"].fillna("").to_numpy(str)
    return _Images(shares, skills, labels, people, subjects is not None)


def _members(images: _Images, group: str) -> list[NDArray[np.intp]]:
    """Return the rows of the classes of a group: one class, or all that have a score."""
    defined = np.isfinite(images.shares).any(1)
    classes = [name for name in dict.fromkeys(images.labels) if name not in ("", NEUTRAL)]
    chosen = classes if group == MACRO else [group]
    rows = [np.flatnonzero((images.labels == name) & defined) for name in chosen]
    return [own for own in rows if len(own)] or [np.zeros(0, np.intp)]


def _uniform(images: _Images, members: list[NDArray[np.intp]]) -> Array:
    """Return the mean of the class means of the uniform map's shares, which follow from share and skill."""
    with np.errstate(divide="ignore", invalid="ignore"):
        areas = (images.shares - images.skills) / (1 - images.skills)
    return _mean_of_class_means(areas, members)


def _mean_of_class_means(values: Array, members: list[NDArray[np.intp]]) -> Array:
    """Return one mean per column, of the classes that have a finite value in it; NaN where none has."""
    known = np.isfinite(values)
    sums = np.array([np.where(known[own], values[own], 0).sum(0) for own in members])
    counts = np.array([known[own].sum(0) for own in members])
    present = counts > 0
    means = np.where(present, sums / np.maximum(counts, 1), 0)
    found = present.sum(0)
    result: Array = np.where(found > 0, means.sum(0) / np.maximum(found, 1), np.nan)
    return result


def _parts(images: _Images, members: list[NDArray[np.intp]]) -> Array:
    """Return the part of each person in the mean of the class means of the skills: they add up to it."""
    known = np.isfinite(images.skills)
    present = np.sum([known[own].any(0) for own in members], 0)
    parts = np.zeros((int(images.people.max(initial=-1)) + 1, images.skills.shape[1]))
    for own in members:
        shares = np.where(known[own], images.skills[own].round(DECIMALS), 0) / np.maximum(
            known[own].sum(0) * present, 1
        )
        np.add.at(parts, images.people[own], shares)
    return parts
