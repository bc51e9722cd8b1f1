import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpfer.au.names import AU_NAMES
from interpfer.au.phrases import MOVEMENTS, STEMS, WORDS
from interpfer.rationales.mentions import find_mentions, named_aus

TEXTS = {
    "AU6 and AU12 are active; the lips are parted, but there is no lip corner depressor.": {6, 12, 25},
    "1+2+L12b; raised eyebrows, AU 4: absent": {1, 2, 12},
    "no lip corner pull": set(),
    "There is no brow lowerer or nose wrinkler.": set(),
    "AU4, AU7 and AU9 are absent, AU12 is present": {12},
    "There is no tension, AU12 is active": {12},
    "The inner brows are not raised; outer brows raised": {2},
    "Her eyebrows are furrowed and her upper lip is curled": {4, 10},
    "a broad smile with crow\N{RIGHT SINGLE QUOTATION MARK}s feet": {6, 12},
    "without a smile": set(),
    "AUs 1, 2, 5 and 26": {1, 2, 5, 26},
    "no AU4, AU12 present, AU25 present": {12, 25},
    "No AU4, AU6 or AU12 visible": set(),
    "neither the cheeks are raised nor the lip corners pulled up": set(),
    "AU01_r, AU12_c": {1, 12},
    "AU12=0, AU4=1, AU6: 0.0, AU7: 0.8": {4, 7},
    "Lip Corner Puller (AU12), Cheek Raiser (AU6)": {6, 12},
    "No AU12 (lip corner puller)": set(),
    "The raised inner brows and the lowered brows suggest sadness; corners of the mouth turned down": {1, 4, 15},
    "3 of 4 raters, 12 of 25 percent, AU12% and AU 100": set(),
    "AU12 is not only present but strong": {12},
    "the jaw isn't dropped": set(),
    "eyes are wide open and the jaw drops": {5, 26},
    "The lips are pressed together and not parted": {24},
    "Nose wrinkling and upper lip raising": {9, 10},
    "AU4 seems to be there at first. On a closer look AU4 is absent.": set(),
    "AU4 is absent at first. At the apex AU4 is active.": {4},
    "instead of a lip corner puller, the lip corners are depressed": {15},
    "": set(),
}


@pytest.mark.parametrize("text", TEXTS)
def test_named(text: str) -> None:
    assert named_aus(text) == TEXTS[text]


@pytest.mark.parametrize("au", AU_NAMES)
def test_every_name_of_facs_and_its_negation(au: int) -> None:
    name = AU_NAMES[au]
    assert au in named_aus(f"I see {name.lower()} here.")
    assert au in named_aus(f"{name}s")
    assert named_aus(f"There is no {name}.") == frozenset()
    assert named_aus(f"AU{au} is not present") == frozenset()
    assert named_aus(f"AU {au:02d}") == {au}


def test_every_pattern_has_a_stem_that_finds_it() -> None:
    """A clause is only searched for the names of which it has a stem."""
    for name in AU_NAMES.values():
        assert any(stem in name.lower() for stem in STEMS), name
    for movement in (each for movements in MOVEMENTS.values() for each in movements):
        assert any(stem in movement.part for stem in STEMS), movement
    for word in WORDS.values():
        assert any(stem in word for stem in STEMS), word


def test_places_of_mentions() -> None:
    text = "Some words. AU6, not AU12."
    found = find_mentions(text)
    assert [(text[each.start : each.end], each.aus, each.is_negated) for each in found] == [
        ("AU6", (6,), False),
        ("AU12", (12,), True),
    ]


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.sampled_from(list("aAuU 0123456789+,.;:()!?nortlipbw\n'-_\N{GREEK SMALL LETTER ALPHA}"))))
def test_any_text_is_read(text: str) -> None:
    assert named_aus(text) <= set(AU_NAMES)


@settings(max_examples=50, deadline=None)
@given(st.sets(st.sampled_from(sorted(AU_NAMES)), max_size=6), st.sets(st.sampled_from(sorted(AU_NAMES)), max_size=6))
def test_what_is_listed_is_found_and_what_is_denied_is_not(named: set[int], denied: set[int]) -> None:
    denied -= named
    text = "".join(f"AU{au} is active. " for au in sorted(named)) + "".join(f"There is no AU{au}. " for au in denied)
    assert named_aus(text) == named
