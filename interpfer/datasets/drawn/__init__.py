"""Faces drawn by interpfer: their shape, moved by action units, and their painting."""
