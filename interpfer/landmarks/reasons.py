"""Reasons at the beginning of the note on a face, by which faces that are left out are counted."""

NO_FACE, SEVERAL, UNSURE, UNREADABLE = "no face", "several faces", "low confidence", "unreadable image"

IMPLAUSIBLE, OFF_PICTURE = "implausible landmarks", "heatmap off the picture"
"""The points cannot be those of the face; no action unit of the label is on the picture."""
