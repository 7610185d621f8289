"""Pixels of single images, not indices: distortions and resizing."""
