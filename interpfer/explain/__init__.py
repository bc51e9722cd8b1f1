"""Explains one picture: the face in it, what a classifier says of it, and where the classifier looks."""
