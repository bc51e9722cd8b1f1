"""Checks for authors of plugins: does a model, map, refiner, metric, data set or truth behave as interpfer needs it?

Each function runs all its checks and raises one ``AssertionError`` that lists every failed one, with what was seen and
what to fix. In the tests of a plugin::

    from interpfer.testing import check_map
    from my_package.maps import positive_cam

    def test_positive_cam():
        check_map(positive_cam)
"""

from interpfer.testing.datasets import check_dataset
from interpfer.testing.head import check_head
from interpfer.testing.maps import check_map
from interpfer.testing.metrics import check_metric
from interpfer.testing.model import check_model
from interpfer.testing.refiners import check_refiner
from interpfer.testing.truth import check_truth

__all__ = ["check_dataset", "check_head", "check_map", "check_metric", "check_model", "check_refiner", "check_truth"]
