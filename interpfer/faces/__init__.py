"""Faces on their way to a classifier: read ahead, located, resized; and their landmarks prepared once."""
