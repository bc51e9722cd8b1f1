"""What pages call a truth: no page about masks names action units, no page about coded ones the codebook."""

from dataclasses import asdict

import pytest

from interpfer.reports.words import AU_WORDS, words_of
from interpfer.truth.options import AU_HEATMAP, MASK


@pytest.mark.parametrize(
    ("truth", "noun", "forbidden"),
    [
        ("masks", MASK, ("action unit", "face", "codebook", "FACS", "AU ")),
        ("aus", AU_HEATMAP, ("codebook", "of the label", "expected")),
    ],
)
def test_words_name_no_other_truth(truth: str, noun: str, forbidden: tuple[str, ...]) -> None:
    words = asdict(words_of(truth, noun))
    assert {name: text for name, text in words.items() if any(other in text for other in forbidden)} == {}


def test_a_truth_of_another_package_is_named() -> None:
    assert words_of("codebook", AU_HEATMAP) == AU_WORDS
    other = words_of("gaze", AU_HEATMAP)
    assert (other.compared, other.expected) == ("maps of the truth gaze", "the truth gaze")
    assert "codebook" not in other.caveat
