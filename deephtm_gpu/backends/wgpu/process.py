"""A GPU that a process has opened cannot be used in its forked children: the driver's threads and locks are not there,
and calls hang."""

import os

from deephtm_gpu.errors import DeviceError

_owner: int | None = None  # the process that opened the GPU


def opened():
    """This process opens it."""
    global _owner
    _owner = _owner or os.getpid()


def check():
    """Raises DeviceError in a forked child."""
    if _owner is not None and _owner != os.getpid():
        raise DeviceError(
            "A GPU must be used in the process that opened it, and this process was forked from that one; start "
            "processes with multiprocessing.get_context('spawn'), or use device='numpy'.")
