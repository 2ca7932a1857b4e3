"""How long the adapter itself works: by its timestamps, or by the computer's clock where it has none."""

import time

import numpy as np
import wgpu

TIMESTAMPS = "timestamp-query"


class Timer:
    def __init__(self, device):
        self._device = device
        self._stamps = TIMESTAMPS in device.features

    def time(self, encode) -> float:
        """Seconds of a compute pass that encode(pass) fills. Waits for it."""
        return self._by_stamps(encode) if self._stamps else self._by_the_computer(encode)

    def _by_stamps(self, encode):
        queries = self._device.create_query_set(type="timestamp", count=2)
        usage = wgpu.BufferUsage.QUERY_RESOLVE | wgpu.BufferUsage.COPY_SRC
        resolved = self._device.create_buffer(size=16, usage=usage)
        writes = {"query_set": queries, "beginning_of_pass_write_index": 0, "end_of_pass_write_index": 1}
        encoder = self._device.create_command_encoder()
        run = encoder.begin_compute_pass(timestamp_writes=writes)
        encode(run)
        run.end()
        encoder.resolve_query_set(queries, 0, 2, resolved, 0)
        self._device.queue.submit([encoder.finish()])
        begin, end = np.frombuffer(self._device.queue.read_buffer(resolved), np.uint64)
        return (int(end) - int(begin)) * 1e-9  # WebGPU's are nanoseconds

    def _by_the_computer(self, encode):
        self._device.queue.on_submitted_work_done_sync()
        began = time.perf_counter()
        encoder = self._device.create_command_encoder()
        run = encoder.begin_compute_pass()
        encode(run)
        run.end()
        self._device.queue.submit([encoder.finish()])
        self._device.queue.on_submitted_work_done_sync()
        return time.perf_counter() - began
