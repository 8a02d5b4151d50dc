"""The tiny models and batches, as fixtures of this room."""

from tiny_models import build_batch, build_model

__all__ = ["build_batch", "build_model"]
