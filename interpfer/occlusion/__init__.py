"""Occlusion: parts of a face are covered, to see what becomes of the classification and of the maps."""

from typing import TYPE_CHECKING

from interpfer.registry import Registry

if TYPE_CHECKING:
    from interpfer.occlusion.base import Occluder

CLEAN = "clean"
"""Name of the faces as they are, in the column ``occlusion``."""

OCCLUDERS: "Registry[Occluder]" = Registry(
    "occluder",
    "interpfer.occluders",
    {
        "patches": "interpfer.occlusion.patches:patches",
        "guided": "interpfer.occlusion.guided:guided",
        "sunglasses": "interpfer.occlusion.sunglasses:sunglasses",
        "mask": "interpfer.occlusion.mask:mask",
        "hand": "interpfer.occlusion.hand:hand",
        "object": "interpfer.occlusion.objects:things",
        "au": "interpfer.occlusion.regions:regions",
        "au-inverse": "interpfer.occlusion.regions:inverse",
        "elsewhere": "interpfer.occlusion.regions:elsewhere",
        "file": "interpfer.occlusion.pictures:pictures",
    },
)
