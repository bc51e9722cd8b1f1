"""Landmarks from files: those that interpfer writes, and those of other programs and data sets.

- ``table``: text with one line per image, 68 x and then 68 y, with or without a header (``interpfer prepare``).
- ``tools``: tables of OpenFace 2 and 3, py-feat and LibreFace, by their headers.
- ``numbered``: lists of WFLW and LaPa, which have points and no header.
- ``pts``: folders of 300-W, MERL-RAV and AFLW2000-3D, one file per picture.
- ``schemes``: 98, 106, 468 and 478 points to the 68 of iBUG 300-W.
- ``faces``: which of several faces on a picture counts; ``rows``: cells of tables.
- ``reader``: recognition of the form of a file; ``provider``: points by the name of the image.

Coordinates are taken as written. Programs that count pixels from 0 put the origin into the middle of the first pixel,
half a pixel off the corner that interpfer counts from; this is not corrected, whatever the source. Sources that count
from 1 (Matlab) are shifted by 1, so that they agree with those.
"""

from interpfer.landmarks.files.provider import FileLandmarks as FileLandmarks
from interpfer.landmarks.files.provider import FractionLandmarks as FractionLandmarks
from interpfer.landmarks.files.provider import open_landmarks as open_landmarks
from interpfer.landmarks.files.table import COLUMNS as COLUMNS
from interpfer.landmarks.files.table import LandmarkTable as LandmarkTable
from interpfer.landmarks.files.table import parse_landmarks as parse_landmarks
