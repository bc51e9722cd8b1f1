"""Reasons at the beginning of the note on a face, by which faces that are left out are counted."""

NO_FACE, SEVERAL, UNSURE, UNREADABLE = "no face", "several faces", "low confidence", "unreadable image"

IMPLAUSIBLE, OFF_PICTURE = "implausible landmarks", "heatmap off the picture"
"""The points cannot be those of the face; no action unit of the label is on the picture."""

EMPTY_MASK, OUT_OF_VIEW = "empty mask", "mask out of view"
"""The mask of an image has no pixel, or none in what the network sees of the picture."""

NO_LANDMARKS = "none"
"""Name in run.json in place of landmarks where none were looked for."""

BRIDGED = "interpolated"
"""Note on a frame of a clip without a face, whose points were interpolated between two frames with one."""
