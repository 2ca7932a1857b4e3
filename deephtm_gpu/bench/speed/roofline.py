"""The limits of the adapter: how fast it copies within a megabyte, and how fast it multiplies and adds."""

from dataclasses import dataclass
from functools import cache

import wgpu

from deephtm_gpu.backends.wgpu.adapters import AdapterInfo
from deephtm_gpu.backends.wgpu.backend import kind_of_memory, open_device
from deephtm_gpu.backends.wgpu.timer import Timer
from deephtm_gpu.kernels.compose import shader_folder
from deephtm_gpu.kernels.tuning import tuning_of

HALF, EACH, LANES = 1 << 15, 16, "const WG: u32 = 64u;"  # as in shaders/probes/bandwidth.wgsl
TURNS, IN_REGISTERS = 512, 8 * 4  # as in rate.wgsl
GROUPS, TIMES, RUNS = 256, 20, 5


@dataclass(frozen=True)
class Roofline:
    """bytes: read and written per second, in the engine's own kind of memory. rate: multiply-adds per second, in
    registers."""

    bytes: float
    rate: float

    def share(self, bytes: float, work: float, steps_per_second: float) -> float:
        """The shortest possible time of a step, as a part of its time."""
        return steps_per_second * max(bytes / self.bytes, work / self.rate)


@cache
def measure(adapter: AdapterInfo) -> Roofline:
    lanes = tuning_of(adapter).lanes
    copying = _seconds(adapter, "bandwidth", HALF // (lanes * EACH), lanes)
    counting = _seconds(adapter, "rate", GROUPS, lanes)
    return Roofline(2 * 16 * HALF / copying, GROUPS * lanes * TURNS * IN_REGISTERS / counting)


def _seconds(adapter, shader, workgroups, lanes) -> float:
    device, kind = open_device(adapter), kind_of_memory(tuning_of(adapter))
    memory = kind(device, {"weights": 8 * HALF})
    text = (shader_folder() / "probes" / f"{shader}.wgsl").read_text()
    code = memory.code(text.replace(LANES, f"const WG: u32 = {lanes}u;"))
    layout = device.create_bind_group_layout(entries=kind.layout(memory.sizes))
    pipeline = device.create_compute_pipeline(
        layout=device.create_pipeline_layout(bind_group_layouts=[layout]),
        compute={"module": device.create_shader_module(code=code), "entry_point": "main"})
    group = device.create_bind_group(layout=layout, entries=memory.entries())

    def encode(run: wgpu.GPUComputePassEncoder):
        run.set_pipeline(pipeline)
        run.set_bind_group(0, group)
        for _ in range(TIMES):
            run.dispatch_workgroups(workgroups)

    clock = Timer(device)
    return min(clock.time(encode) for _ in range(RUNS + 1)) / TIMES
