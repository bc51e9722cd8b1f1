"""The words of pages for what maps are compared with: AU heatmaps of faces, or masks of pictures."""

from dataclasses import dataclass, replace

from interpfer.truth.options import AU_HEATMAP, MASK, TruthOptions


@dataclass(frozen=True)
class Words:
    """What pages call a truth and its pictures.

    Attributes:
        noun: the truth of a picture.
        one: a picture.
        many: pictures.
        of_label: the truth that a map is compared with, in full.
        of_own: the same in short.
        compared: truths, as a map agrees with.
        expected: what a map should lie on.
        mean: mean truth of the other pictures.
        class_mean: that of the other pictures of the class.
        class_mean_short: the same as a name.
        nothing: where a picture has none.
        bare: where a picture has neither a photograph nor landmarks.
        label: what pictures are labelled with.
        neutral: why pictures of the class neutral have none.
        missing: why pictures of other classes have none.
        caveat: what a score does not say.
    """

    noun: str
    one: str
    many: str
    of_label: str
    of_own: str
    compared: str
    expected: str
    mean: str
    class_mean: str
    class_mean_short: str
    nothing: str
    bare: str
    label: str
    neutral: str
    missing: str
    caveat: str


EVIDENCE = "A map shows where the model found evidence, not why."

AU_WORDS = Words(
    noun=AU_HEATMAP,
    one="face",
    many="faces",
    of_label="the AU heatmap of the face's label",
    of_own="the AU heatmap of the label",
    compared="action-unit heatmaps",
    expected="the expected action units",
    mean="the mean heatmap of all other faces",
    class_mean="the mean heatmap of the other faces of the class",
    class_mean_short="class-mean heatmap",
    nothing="no action units",
    bare="no landmarks",
    label="expression",
    neutral="neutral faces: no action units, so no heatmap",
    missing="faces whose label has no truth",
    caveat="It measures agreement with the codebook, no more. A fixed mapping from expressions to action units is a "
    f"convention that FACS experts call unreliable. {EVIDENCE}",
)

CODED_WORDS = replace(
    AU_WORDS,
    of_label="the AU heatmap of the face's coded action units",
    of_own="the AU heatmap of the coded action units",
    compared="heatmaps of the coded action units",
    expected="the coded action units",
    neutral="neutral faces without a coded action unit",
    missing="faces without a coded action unit that has a region",
    caveat=f"It measures agreement with the action units that a person or a program coded on each face. {EVIDENCE}",
)

MASK_WORDS = Words(
    noun=MASK,
    one="image",
    many="images",
    of_label="the mask of the image",
    of_own="the mask of the image",
    compared="masks",
    expected="the masks",
    mean="the mean mask of all other images",
    class_mean="the mean mask of the other images of the class",
    class_mean_short="class-mean mask",
    nothing="no mask",
    bare="no photograph",
    label="class",
    neutral="images of the class neutral without a mask",
    missing="images without a mask of their class",
    caveat=f"It measures agreement with the masks, no more: what is outside of a mask may be evidence, too. {EVIDENCE}",
)


BY_TRUTH = {TruthOptions.truth: AU_WORDS, "aus": CODED_WORDS, "masks": MASK_WORDS}
"""Truth -> words."""


def words_of(truth: str, noun: str) -> Words:
    """Return the words for a truth.

    Args:
        truth: its name.
        noun: what it is called, which decides for a truth of another package.

    Examples:
        >>> words_of("masks", "mask").many, words_of("scars", "mask").expected
        ('images', 'the truth scars')
    """
    if truth in BY_TRUTH:
        return BY_TRUTH[truth]
    words = MASK_WORDS if noun == MASK else AU_WORDS
    return replace(
        words,
        compared=f"maps of the truth {truth}",
        expected=f"the truth {truth}",
        caveat=f"It measures agreement with the truth {truth}, no more. {EVIDENCE}",
    )
