"""Faces: a stream of images with their landmarks, and landmarks prepared in advance."""
