"""Models as files: everything that is needed to go on to the bit."""

from deephtm_gpu.saving.model import load, load_beside, save_model

__all__ = ["load", "load_beside", "save_model"]
