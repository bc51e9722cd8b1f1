"""What action units look like, in plain English: the texts by which an image-text model knows them.

The words are those of this project, after the descriptions in the FACS manual (Ekman, Friesen, Hager 2002).
"""

from collections.abc import Mapping

AU_DESCRIPTIONS: Mapping[int, tuple[str, ...]] = {
    1: ("raised inner brows", "the inner corners of the eyebrows pulled up"),
    2: ("raised outer brows", "the outer corners of the eyebrows pulled up"),
    4: ("lowered brows", "eyebrows drawn down and together"),
    5: ("raised upper eyelids", "wide open eyes"),
    6: ("raised cheeks", "wrinkles at the outer corners of the eyes"),
    7: ("tightened eyelids", "narrowed eyes"),
    8: ("lips pulled toward each other",),
    9: ("a wrinkled nose", "wrinkles along the sides of the nose"),
    10: ("a raised upper lip", "the upper lip pulled up"),
    11: ("deepened folds beside the nose",),
    12: ("lip corners pulled up", "a smiling mouth"),
    13: ("lip corners pulled sharply up and puffed cheeks",),
    14: ("dimpled cheeks", "lip corners pulled inwards"),
    15: ("lip corners pulled down", "a mouth turned down at the corners"),
    16: ("a lowered lower lip", "the lower lip pulled down"),
    17: ("a raised chin", "a wrinkled chin pushed up"),
    18: ("puckered lips",),
    20: ("stretched lips", "lip corners pulled sideways"),
    22: ("funneled lips",),
    23: ("tightened lips", "narrow tense lips"),
    24: ("lips pressed together",),
    25: ("parted lips", "lips apart"),
    26: ("a dropped jaw", "an open mouth with a relaxed jaw"),
    27: ("a mouth stretched wide open",),
    28: ("lips sucked into the mouth",),
    29: ("a jaw pushed forward",),
    30: ("a jaw moved sideways",),
    31: ("clenched jaws",),
    32: ("a bitten lip",),
    34: ("puffed cheeks",),
    35: ("sucked-in cheeks",),
    38: ("widened nostrils",),
    39: ("narrowed nostrils",),
    41: ("drooping eyelids",),
    43: ("closed eyes",),
    44: ("squinting eyes",),
    45: ("blinking eyes",),
    46: ("one eye winking",),
}
"""FACS number -> what is seen, one or two short phrases; head and eye movements have none."""
