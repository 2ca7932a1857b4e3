"""The adapters that wgpu finds, and which one a device string means."""

import os
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from deephtm_gpu.arguments import shown
from deephtm_gpu.errors import DeviceError

INSTALL = (
    "install a Vulkan driver: on Debian or Ubuntu `apt-get install mesa-vulkan-drivers` gives one for most cards and a "
    "software one for machines without a card; or use device='numpy', which needs none"
)
_BEST_FIRST = ("DiscreteGPU", "IntegratedGPU", "VirtualGPU", "Unknown", "CPU")


@dataclass(frozen=True)
class AdapterInfo:
    """backend: "Vulkan", "Metal", "D3D12". kind: "hardware" or "software". native: wgpu's own object."""

    name: str
    backend: str
    kind: str
    driver: str
    limits: dict = field(hash=False, compare=False)
    features: list = field(hash=False, compare=False)
    native: Any = field(repr=False, hash=False, compare=False)


@cache
def list_adapters() -> tuple[AdapterInfo, ...]:
    """All adapters that can run compute shaders, the best first. OpenGL adapters are left out: what they offer, Vulkan,
    Metal and D3D12 offer too, and faster. Empty where there is no driver or no wgpu."""
    os.environ.setdefault("XDG_RUNTIME_DIR", "/tmp")  # without it some drivers print an error for each adapter
    try:
        import wgpu

        found = wgpu.gpu.enumerate_adapters_sync()
    except Exception:  # no library for this machine, or no driver: the same to the user
        return ()
    infos = [_describe(a) for a in found if a.info["backend_type"] in ("Vulkan", "Metal", "D3D12")]
    return tuple(sorted(infos, key=lambda i: _BEST_FIRST.index(_type(i.native))))


def choose_device(device: str) -> tuple[AdapterInfo | None, str]:
    """The adapter that a device string means (None: the NumPy reference), and why. Raises DeviceError where there is
    none."""
    if not isinstance(device, str) or not device:
        raise DeviceError(f"device must be 'auto', 'gpu', 'numpy' or part of an adapter's name, got {shown(device)}.")
    if device == "numpy":
        return None, "the device is 'numpy'"
    adapters = list_adapters()
    if device == "auto":
        hardware = [a for a in adapters if a.kind == "hardware"]
        if hardware:
            return hardware[0], "it is the best hardware GPU"
        what = f"only software adapters ({adapters[0].name})" if adapters else "no adapter"
        return None, f"there is no hardware GPU here, {what}" + ("; device='gpu' would take it" if adapters else "")
    if not adapters:
        raise DeviceError(f"device must be 'auto' or 'numpy' without a GPU adapter, got {device!r}; to get an adapter, "
                          f"{INSTALL}.")
    if device == "gpu":
        return adapters[0], "it is the best adapter"
    named = [a for a in adapters if device.lower() in a.name.lower()]
    if not named:
        there = "; ".join(a.name for a in adapters)
        raise DeviceError(f"device must be 'gpu', 'auto', 'numpy' or part of one of the names {there}, got {device!r}.")
    return named[0], f"its name contains {device!r}"


def _describe(adapter) -> AdapterInfo:
    info = adapter.info
    kind = "software" if _type(adapter) == "CPU" else "hardware"
    return AdapterInfo(info["device"], info["backend_type"], kind, info["description"], dict(adapter.limits),
                       sorted(adapter.features), adapter)


def _type(adapter) -> str:
    kind = adapter.info["adapter_type"]
    # SwiftShader calls itself a CPU too; a name is a second look for drivers that do not say.
    if any(s in adapter.info["device"].lower() for s in ("llvmpipe", "swiftshader", "software")):
        return "CPU"
    return kind if kind in _BEST_FIRST else "Unknown"
