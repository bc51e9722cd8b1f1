"""Action units of images from files: FACS text in a table, and what other programs write.

- ``columns``: FACS text, OpenFace 2, py-feat, LibreFace, OpenGraphAU, and any table with columns AU1, AU2, ...
- ``lists``: OpenFace 3, whose cells are lists; scores without a header; JSON lines of FMAE.
- ``blendshapes``: MediaPipe's and ARKit's blendshapes, as a proxy.
- ``evidence``: from what a program says of an action unit to present, absent or not coded.
- ``reader``: recognition of the form of a file.
"""

from interpfer.au.files.reader import read_aus as read_aus
from interpfer.au.files.table import AUTable as AUTable
