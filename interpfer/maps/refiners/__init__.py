"""Refiners: what can be done to a map after it is computed, without the truth. ``gradcam.contrast`` names one."""

from interpfer.maps.refiners.base import Refiner
from interpfer.registry import Registry

REFINERS: Registry[Refiner] = Registry(
    "refiner",
    "interpfer.refiners",
    {
        "contrast": "interpfer.maps.refiners.contrast:contrast",
        "contrast-surgery": "interpfer.maps.refiners.contrast:contrast_surgery",
        "rank-gaussian": "interpfer.maps.refiners.rank_gaussian:rank_gaussian",
        "layers": "interpfer.maps.refiners.layers:layers",
        "best-layer": "interpfer.maps.refiners.layers:best_layer",
        "affinity": "interpfer.maps.refiners.affinity:affinity",
        "affinity-qkv": "interpfer.maps.refiners.affinity:affinity_qkv",
        "par": "interpfer.maps.refiners.pixel_adaptive:par",
        "flip": "interpfer.maps.refiners.averages:flip",
        "flip3": "interpfer.maps.refiners.averages:flip3",
        "scales": "interpfer.maps.refiners.averages:scales",
        "noise8": "interpfer.maps.refiners.noise:noise8",
        "noise8-square": "interpfer.maps.refiners.noise:noise8_square",
        "noise8-var": "interpfer.maps.refiners.noise:noise8_var",
        "eigen": "interpfer.maps.refiners.eigen:eigen",
        "blur": "interpfer.maps.refiners.blur:blur",
    },
)
