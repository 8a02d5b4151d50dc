"""Scores of a model: bits per byte of held-out text, and what a row of stages lost or gained."""
