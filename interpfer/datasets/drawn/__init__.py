"""Synthetic faces: their shape, moved by action units, and their painting."""
