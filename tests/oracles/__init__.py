"""Slow, plain re-statements of the formulas, to hold the package against: loops, numpy and OpenCV, nothing clever."""
