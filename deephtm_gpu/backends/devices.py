"""From a device string to a backend."""

import sys
from dataclasses import dataclass

from deephtm_gpu.backends.numpy import NumpyBackend, check_room
from deephtm_gpu.backends.protocol import DeviceInfo, Factory
from deephtm_gpu.backends.side_by_side import SideBySide
from deephtm_gpu.backends.wgpu.adapters import choose_device

_told: set[str] = set()


@dataclass(frozen=True)
class Opened:
    """backend(plan) makes a plan runnable on the device. asked: the device string that a copy in another process asks
    for."""

    info: DeviceInfo
    backend: Factory
    asked: str


def _on_numpy(plan):
    if plan.models == 1:
        return NumpyBackend(plan)
    check_room(plan)
    return SideBySide(plan, NumpyBackend)


def open_device(device: str) -> Opened:
    """Raises DeviceError where there is no such device. With "auto" on a machine without a hardware GPU, says once on
    standard error that the NumPy reference runs. device: a string; an open one is given back."""
    if isinstance(device, Opened):
        return device
    adapter, why = choose_device(device)
    if adapter is None:
        if device == "auto" and why not in _told:
            _told.add(why)
            print(f"deephtm: running on NumPy: {why}.", file=sys.stderr)
        return Opened(NumpyBackend.info, _on_numpy, device)
    from deephtm_gpu.backends.wgpu.backend import OnAdapter

    make = OnAdapter(adapter)
    return Opened(make.info, make, device)
