"""From a device string to a backend."""

import sys
from dataclasses import dataclass

from deephtm_gpu.backends.choice import choose_device
from deephtm_gpu.backends.numpy import NumpyBackend, check_room
from deephtm_gpu.backends.protocol import DeviceInfo, Factory
from deephtm_gpu.backends.side_by_side import SideBySide

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
    """Raises DeviceError where there is no such device. With "auto" where neither a hardware GPU nor a compiler for the
    processor is there, says once on standard error that the NumPy reference runs. device: a string; an open one is
    given back."""
    if isinstance(device, Opened):
        return device
    chosen = choose_device(device)
    if chosen.kind == "numpy":
        if device == "auto" and chosen.why not in _told:
            _told.add(chosen.why)
            print(f"deephtm: running on NumPy: {chosen.why}.", file=sys.stderr)
        return Opened(NumpyBackend.info, _on_numpy, device)
    if chosen.kind == "cpu":
        from deephtm_gpu.backends.cpu.backend import OnProcessor

        return Opened(OnProcessor.info, OnProcessor(), device)
    from deephtm_gpu.backends.wgpu.backend import OnAdapter

    make = OnAdapter(chosen.adapter)
    return Opened(make.info, make, device)
