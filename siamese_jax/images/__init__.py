"""Pixels: how one image is changed, no indices."""
