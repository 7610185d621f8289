"""Which images, as indices, not pixels: layouts, splits, pairs, grids and one-shot episodes."""
