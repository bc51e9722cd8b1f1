"""Explains one picture: the face in it, the prediction of a classifier, and where the classifier looks."""
