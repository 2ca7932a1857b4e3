"""Which device a string means."""

from dataclasses import dataclass
from functools import cache

from deephtm_gpu.arguments import shown
from deephtm_gpu.backends.wgpu import adapters
from deephtm_gpu.backends.wgpu.adapters import INSTALL, AdapterInfo
from deephtm_gpu.errors import DeviceError

NAMES = "'auto', 'gpu', 'cpu', 'numpy'"


@dataclass(frozen=True)
class Choice:
    """kind: "gpu", "cpu" (the shaders on the processor) or "numpy" (the reference). why: in words, to go on after what
    was chosen. adapter: of a GPU."""

    kind: str
    why: str
    adapter: AdapterInfo | None = None

    @property
    def name(self) -> str:
        return {"cpu": "the processor", "numpy": "the NumPy reference"}.get(self.kind) or self.adapter.name


def choose_device(device: str) -> Choice:
    """Raises DeviceError where there is no such device."""
    if not isinstance(device, str) or not device:
        raise DeviceError(f"device must be {NAMES} or part of an adapter's name, got {shown(device)}.")
    if device == "numpy":
        return Choice("numpy", "the device is 'numpy'")
    if device == "cpu":
        if missing := no_compiler():
            raise DeviceError(f"device='cpu' {missing}.")
        return Choice("cpu", "the device is 'cpu'")
    found = adapters.list_adapters()
    if device == "auto":
        return _best(found)
    if not found:
        raise DeviceError(f"device must be 'auto', 'cpu' or 'numpy' without a GPU adapter, got {device!r}; to get an "
                          f"adapter, {INSTALL}.")
    if device == "gpu":
        return Choice("gpu", "it is the best adapter", found[0])
    named = [a for a in found if device.lower() in a.name.lower()]
    if not named:
        there = "; ".join(a.name for a in found)
        raise DeviceError(f"device must be {NAMES} or part of one of the names {there}, got {device!r}.")
    return Choice("gpu", f"its name contains {device!r}", named[0])


@cache
def no_compiler() -> str | None:
    """Why the shaders cannot be compiled for the processor; None where they can."""
    try:
        import llvmlite.binding  # noqa: F401
    except Exception as error:  # no wheel for this machine, or one that does not load: the same to the user
        return f"needs llvmlite, and it could not be loaded ({error}); pip install llvmlite, or use device='numpy'"
    return None


def _best(found) -> Choice:
    hardware = [a for a in found if a.kind == "hardware"]
    if hardware:
        return Choice("gpu", "it is the best hardware GPU", hardware[0])
    what = f"only software adapters ({found[0].name})" if found else "no adapter"
    why = f"there is no hardware GPU here, {what}" + ("; device='gpu' would take it" if found else "")
    if missing := no_compiler():
        return Choice("numpy", f"{why}; device='cpu', which is ten times as fast, {missing}")
    return Choice("cpu", why)
