"""Action units: which ones make an expression, where they act, and their heatmaps."""

from interpfer.au.codebook import CODEBOOKS as CODEBOOKS
