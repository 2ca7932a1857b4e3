"""The adapters that wgpu finds."""

import os
from dataclasses import dataclass, field
from functools import cache
from typing import Any

INSTALL = (
    "install a Vulkan driver: on Debian or Ubuntu `apt-get install mesa-vulkan-drivers` gives one for most cards and a "
    "software one for machines without a card; or use device='cpu' or 'numpy', which need none"
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
