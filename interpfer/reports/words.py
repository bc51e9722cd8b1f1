"""The words of pages for what maps are compared with: AU heatmaps of faces, or masks of pictures."""

from dataclasses import dataclass

from interpfer.truth.options import AU_HEATMAP, MASK


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
    caveat: str


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
    caveat="It measures agreement with the codebook, no more. A fixed mapping from expressions to action units is a "
    "convention that FACS experts call unreliable. A map shows where the model found evidence, not why.",
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
    caveat="It measures agreement with the masks, no more: what is outside of a mask may be evidence, too. A map shows "
    "where the model found evidence, not why.",
)


def words_of(noun: str) -> Words:
    """Return the words for what a truth is called.

    Examples:
        >>> words_of("mask").many
        'images'
    """
    return MASK_WORDS if noun == MASK else AU_WORDS
