"""AU-guided fine-tuning: the heatmaps, maps and cosine of the metrics, as a loss.

The method is that of Belharbi et al. 2024 (arXiv 2402.00281), extended to class maps. A classifier of any architecture
continues training on its cross-entropy, and a penalty asks its attention and its class map to lie where the action
units of the true expression are.
"""
