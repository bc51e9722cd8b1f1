"""What a run shows and what it does not, in sentences for readers who have not seen it."""

from interpfer.reports.page.headline import summarise_run
from interpfer.reports.page.provenance import left_out
from interpfer.reports.page.scores import Key, Scores, interval, number
from interpfer.results.run import Run


def compared(run: Run, scores: Scores) -> str:
    """Say what was compared with what, on how many faces of how many people, and by which rules."""
    arguments, counts = run.manifest["arguments"], run.manifest["counts"]
    words = scores.words
    which = "all images" if arguments["split"] == "all" else f"the split {arguments['split']}"
    sentences = [
        f"Where {arguments['model']} looks was compared with {_truth(run, scores)} on {which} of {run.dataset}.",
        f"Of {counts['images']:,} images, {counts['scored']:,} were scored{_reasons(run)}.",
        _people(run),
        f"Protocol {arguments['protocol']}: {_PROTOCOLS.get(arguments['protocol'], 'see the documentation')}.",
        f"Maps that explain a class explain {_target(str(arguments['target']), words.one)}.",
    ]
    return " ".join(filter(None, sentences))


_PROTOCOLS = {
    "paper": "the rules of the published numbers (arXiv:2402.00281), with their known errors",
    "corrected": "the rules of the published numbers with their known errors fixed; not comparable with them",
}


def found(run: Run, scores: Scores) -> list[str]:
    """Return sentences with the result: the headline of the report, and each map against the baselines."""
    headline = summarise_run(run, scores)
    return [headline.verdict, headline.sentence, *_against(scores), *headline.notes]


def not_shown(run: Run, scores: Scores) -> list[str]:
    """Return sentences on what the numbers do not say."""
    arguments = run.manifest["arguments"]
    return [
        scores.words.caveat,
        "Agreement is not accuracy: a classifier may be right and look elsewhere, or look there and be wrong.",
        f"It holds for the images of {run.dataset} and their labels; other cameras, ages, skin tones and poses were "
        "not measured" + ("." if not run.attributes else f" beyond the groups by {', '.join(run.attributes)}."),
        "A map depends on the method that makes it; each method that was scored is in the table, also those that do "
        "worse.",
        *_interval_note(run),
        *([] if arguments.get("limit") is None and run.manifest.get("limit") is None else [_sample_note(run)]),
        "Expressions are not emotions: the labels are what annotators or posers named, not what a person felt.",
    ]


def _truth(run: Run, scores: Scores) -> str:
    arguments = run.manifest["arguments"]
    rules = [f"{name} {arguments[name]}" for name in ("codebook", "geometry") if arguments.get(name)]
    return scores.words.compared + (f" ({', '.join(rules)})" if rules else "")


def _reasons(run: Run) -> str:
    listed = [f"{count:,} {reason}" for reason, count, _ in left_out(run) if not reason.startswith("maps ")]
    return f"; left out: {'; '.join(listed)}" if listed else ""


def _people(run: Run) -> str:
    facts = run.manifest.get("subjects") or {}
    if not facts:
        return "Which images show the same person is not known, so intervals take images as independent."
    alone = facts.get("images_without_subject", 0)
    without = f" ({alone:,} images without a known person count as a person each)" if alone else ""
    return f"The images that could be read are of {facts['people']:,} people{without}."


def _interval_note(run: Run) -> list[str]:
    notes = [f"Intervals: {run.manifest.get('intervals', '95 % bootstrap')}; they hold for new images of this kind."]
    if not run.manifest.get("subjects"):
        notes.append("They are too narrow if images show the same people.")
    return notes


def _sample_note(run: Run) -> str:
    return f"Only a random sample of {run.manifest['limit']:,} images of the split was scored."


def _target(target: str, one: str) -> str:
    kinds = {
        "label": f"the label of the {one}, also where the prediction is another",
        "predicted": "the predicted class, also where it is wrong",
        "au": f"each action unit that is present on the {one}",
    }
    return kinds.get(target, f"the class {target} for all images")


def _against(scores: Scores) -> list[str]:
    """Say which maps are above, within or below each baseline, by their intervals."""
    metric = scores.primary
    facts = scores.facts(metric)
    sentences = []
    for key, phrase in scores.phrases.items():
        reference = scores.at(key, metric)
        if not reference.is_defined:
            continue
        sides: dict[str, list[str]] = {"better than": [], "not clearly different from": [], "worse than": []}
        for own in scores.distinct:
            if scores.at(own, metric).is_defined:
                sides[_side(scores, own, metric, reference.value)].append(f"{own[0]} at {own[1]}")
        listed = [f"{', '.join(names)} {_are(names)} {side} it" for side, names in sides.items() if names]
        sentences.append(f"Against {phrase} ({number(reference.value, facts)}): {'; '.join(listed)}.")
    return sentences


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _side(scores: Scores, key: Key, metric: str, reference: float) -> str:
    low, high = scores.at(key, metric).ends
    if not scores.facts(metric).higher_is_better:
        low, high, reference = -high, -low, -reference
    return "better than" if low > reference else "worse than" if high < reference else "not clearly different from"


def table(scores: Scores) -> list[str]:
    """Return a Markdown table of all maps and baselines with the headline value of each metric."""
    metrics = scores.metrics
    lines = [f"| map | layer | {' | '.join(metrics)} | n |", f"|---|---|{'---|' * len(metrics)}---|"]
    for key in [*scores.distinct, *scores.baselines]:
        cells = [
            f"{number(estimate.value, scores.facts(metric))} {interval(estimate, scores.facts(metric))}".strip()
            for metric in metrics
            if (estimate := scores.at(key, metric))
        ]
        lines.append(f"| {key[0]} | {key[1]} | {' | '.join(cells)} | {scores.at(key, scores.primary).n:,} |")
    return lines
