"""Validation: every op, forward and backward, whole networks, and what the engine takes for granted of an adapter."""

from deephtm_gpu.validate.check import Check
from deephtm_gpu.validate.networks import check_networks
from deephtm_gpu.validate.ops import check_ops
from deephtm_gpu.validate.probes import check_probes

__all__ = ["Check", "check_networks", "check_ops", "check_probes"]
