"""Series to learn from, made or read, and trivial predictors to compare with."""

from deephtm_gpu.data.moving_pictures import Frames, frames

__all__ = ["Frames", "frames"]
