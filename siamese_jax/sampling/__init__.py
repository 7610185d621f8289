"""Which images: splits, pairs, grids and one-shot trials as indices, no pixels."""
