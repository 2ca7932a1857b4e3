"""What stands between the faces of a model (`Model`, `Population`) and a backend: one plan, one position, one way
back."""

from deephtm_gpu.session.position import Pending, Position
from deephtm_gpu.session.session import Contents, Run, Session, Setup

__all__ = ["Contents", "Pending", "Position", "Run", "Session", "Setup"]
