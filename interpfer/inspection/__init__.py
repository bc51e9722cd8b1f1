"""What a checkpoint is, before it is scored: its weights, network, outputs, layers, and which card it needs."""
