"""Recognition of objects by touch: grid cells, a temporal memory, and hypotheses about object and location."""

from deephtm_gpu.sensorimotor.column import Recognition, SensorimotorColumn

__all__ = ["Recognition", "SensorimotorColumn"]
