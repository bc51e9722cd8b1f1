"""Scores a classifier: what is asked for, what is open while it runs, one batch, and what is left at the end."""
