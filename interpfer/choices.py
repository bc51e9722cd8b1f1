"""The words that options are chosen from, where no plugin brings them.

They are kept apart from the code that acts on them, so that the command line can list them without loading torch; a
test holds each against the table that implements it.
"""

PROTOCOLS = ("paper", "corrected")
"""Rules of a score: comparable with published numbers, or with their errors fixed; see docs/method.md."""

PROTOCOL_TRUTH = {"paper": ("belharbi2024", "reference"), "corrected": ("martinez2017", "scaled")}
"""Protocol -> its codebook and geometry."""

GEOMETRIES = ("reference", "scaled")
"""How action units are placed: the pixel rules of the reference, or in units of the face."""

TARGETS = ("label", "predicted")
"""The class that class-specific maps explain."""

AUTOCAST = ("off", "bf16", "fp16")
"""Precision of the network while maps are made."""

CROPS = ("auto", "face", "aligned", "whole")
"""Part of a picture that the classifier sees: the face if it is small in the picture, the face, the aligned face, all.
"""

COLORS = ("rgb", "bgr", "gray", "gray3")
"""Channels of a model's input; gray3 is grey three times."""
