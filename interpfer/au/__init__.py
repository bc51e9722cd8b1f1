"""Action units: codebooks (action units per expression), geometry (their regions), and drawing of heatmaps."""

from interpfer.au.codebook import CODEBOOKS as CODEBOOKS
