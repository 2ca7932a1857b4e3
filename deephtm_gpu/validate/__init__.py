"""Validation: every op, forward and backward, and whole networks, on any backend; in `probes`, what the engine takes
for granted of a GPU adapter."""

from deephtm_gpu.validate.check import Check
from deephtm_gpu.validate.networks import check_networks
from deephtm_gpu.validate.ops import check_ops

__all__ = ["Check", "check_networks", "check_ops"]
