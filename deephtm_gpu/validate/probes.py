"""What the engine takes for granted of an adapter, tried out."""

import numpy as np
import wgpu

from deephtm_gpu.backends.wgpu.backend import open_device
from deephtm_gpu.kernels.compose import shader_folder
from deephtm_gpu.kernels.tuning import tuning_of
from deephtm_gpu.validate.check import Check


def check_probes(adapter):
    """Yields a Check per probe."""
    yield _loop(adapter)
    yield _barrier(adapter)
    yield _order(adapter)
    yield _guard(adapter)


def _loop(adapter) -> Check:
    once, twice, all_three = _Probe(adapter, "loop", 3).run(1)
    bound = tuning_of(adapter).loops
    holds = once == 30000 and twice == 60000 and (bound is not None or all_three == 260000)
    limit = "none met in 260,000" if all_three == 260000 else f"it stops after {all_three:,}"
    ours = "no bound" if bound is None else f"at most {bound:,}"
    return Check("probe", "loop limit", holds, where=f"iterations of an invocation: {limit}; the engine asks for "
                                                     f"{ours} in a dispatch")


def _barrier(adapter) -> Check:
    got = _Probe(adapter, "barrier", 512).run(1)[:256]
    want = 2 * ((np.arange(256) + 100) % 256 + 100)
    return Check("probe", "barrier", bool((got == want).all()), where="256 invocations, 100 turns")


def _order(adapter) -> Check:
    probe, n, turns = _Probe(adapter, "order", 3 * 1024), 1024, 100
    probe.write(np.concatenate([np.arange(n), np.zeros(2 * n)]).astype(np.uint32))
    got = probe.run(n // 64, dispatches=turns)[:n]
    want = (np.arange(n) + 65 * turns) % n + turns
    return Check(
        "probe", "order of dispatches", bool((got == want).all()), where=f"{turns} dispatches of 16 workgroups"
    )


def _guard(adapter) -> Check:
    probe, other = _Probe(adapter, "guard", 256), _Probe(adapter, "guard", 256)
    got = probe.run(1)
    changed = int((other.read() != 0).sum()) + int((got[1:-1] != 0).sum())  # some drivers clamp to the last element
    return Check(
        "probe",
        "out-of-bounds guard",
        got[0] == 256 and changed == 0,
        where=f"{changed} elements hurt by writes beyond the end",
    )


class _Probe:
    """A shader of shaders/probes on one buffer of u32."""

    def __init__(self, adapter, name, elements):
        self._device, self._size = open_device(adapter), 4 * elements
        usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST
        self._buffer = self._device.create_buffer(size=self._size, usage=usage)
        module = self._device.create_shader_module(code=(shader_folder() / "probes" / f"{name}.wgsl").read_text())
        self._pipeline = self._device.create_compute_pipeline(
            layout="auto", compute={"module": module, "entry_point": "main"}
        )
        entries = [{"binding": 0, "resource": {"buffer": self._buffer}}]
        self._group = self._device.create_bind_group(layout=self._pipeline.get_bind_group_layout(0), entries=entries)

    def write(self, numbers):
        self._device.queue.write_buffer(self._buffer, 0, numbers)

    def read(self) -> np.ndarray:
        return np.frombuffer(self._device.queue.read_buffer(self._buffer), np.uint32)

    def run(self, workgroups, dispatches=1) -> np.ndarray:
        encoder = self._device.create_command_encoder()
        run = encoder.begin_compute_pass()
        run.set_pipeline(self._pipeline)
        run.set_bind_group(0, self._group)
        for _ in range(dispatches):
            run.dispatch_workgroups(workgroups)
        run.end()
        self._device.queue.submit([encoder.finish()])
        return self.read()
