"""Scores, their intervals, and where a network errs."""
