"""Inspection of a checkpoint before it is scored: its weights, network, outputs and layers, and the card it needs."""
