"""The GPU backend: a plan turned into dispatches, recorded once and replayed row after row."""

import time
from dataclasses import dataclass
from functools import cache

import numpy as np
import wgpu

from deephtm_gpu.backends.chunk import Rows, Told
from deephtm_gpu.backends.gpu.adapters import AdapterInfo
from deephtm_gpu.backends.gpu.arenas import Layout
from deephtm_gpu.backends.gpu.compose import ACROSS, BINDINGS, STEPS, compose
from deephtm_gpu.backends.gpu.schedule import TUNING, Tuning, rotation, schedule
from deephtm_gpu.errors import DeviceError
from deephtm_gpu.plan.plan import Call, Plan
from deephtm_gpu.plan.tensors import IO, MATRIX, PARAM, STATE

ROWS = 512  # of a chunk: the most that are uploaded and read back at once
SUBMIT_SECONDS = 0.25  # a submit shall not take longer: drivers kill what runs for about two seconds
_STEP = np.dtype([("row", "<u4"), ("t", "<u4"), ("rate", "<f4"), ("k", "<f4"), ("slot", "<u4"), ("", "<u4", 3)])


@cache
def open_device(adapter: AdapterInfo):
    """The adapter's device, with the largest buffers it can give. One per adapter and process."""
    limits = adapter.limits
    wanted = {k: limits[k] for k in ("max-storage-buffer-binding-size", "max-buffer-size") if k in limits}
    return adapter.native.request_device_sync(required_limits=wanted)


def open_adapter(adapter: AdapterInfo):
    """A function that makes a plan runnable on the adapter."""
    return lambda plan: GpuBackend(plan, adapter)


@dataclass(frozen=True)
class Program:
    """What runs for n rows of one kind: head (row 0), then body n-1 times (the tail of a row and the head of the next), then
    tail. Each a flat tuple of (pipeline, workgroups along x, along y)."""

    head: tuple
    body: tuple
    tail: tuple


class GpuBackend:
    """Raises DeviceError where the network does not fit the adapter. tuning: None for the adapter's own. override: see
    `compose`."""

    def __init__(self, plan: Plan, adapter: AdapterInfo, tuning: Tuning | None = None, override: dict[str, str] | None = None):
        self.plan, self._adapter, self._override = plan, adapter, override
        self._device = open_device(adapter)
        self._layout = Layout(plan, ROWS)
        self._tuning = tuning or TUNING[adapter.kind]
        self._check_room()
        self._buffers = {a: self._buffer(4 * n) for a, n in self._layout.sizes.items()}
        self._align = max(_STEP.itemsize * 2, self._device.limits["min-uniform-buffer-offset-alignment"])
        usage = wgpu.BufferUsage.UNIFORM | wgpu.BufferUsage.COPY_DST
        self._steps = self._device.create_buffer(size=self._align * self._layout.rows, usage=usage)
        self._group_layout, self._group = self._bind()
        self._programs: dict[tuple[bool, ...], Program] = {}
        self._submit_rows = 16  # grows as far as SUBMIT_SECONDS allows
        for tensor in plan.placed(MATRIX, PARAM, STATE):
            self.write(tensor.name, self._first(tensor))

    # Running

    def run(self, rows: Rows) -> Told:
        told = Told.empty(self.plan, len(rows))
        for begin in range(0, len(rows), self._layout.rows):
            end = min(begin + self._layout.rows, len(rows))
            part = rows.part(begin, end, self.plan.ahead)
            self._upload(part)
            self._replay(part)
            self._read_back(part, told, begin)  # the only place where the CPU waits for the GPU
        return told

    def _upload(self, rows: Rows):
        given = list(zip(self.plan.inputs, rows.inputs))
        if rows.targets is not None:
            given += zip(self.plan.targets, rows.targets)
        if self.plan.share:
            given.append((self.plan.share, rows.share))
        for tensor, x in given:
            self._device.queue.write_buffer(self._buffers["work"], 4 * self._layout.offset(tensor),
                                            np.ascontiguousarray(x, np.float32))
        steps = np.zeros((len(rows), self._align), np.uint8)
        table = steps[:, : 2 * _STEP.itemsize].view(_STEP)  # (rows, 2)
        for ahead in (0, 1):
            n = np.arange(ahead, len(rows) + ahead)
            table["row"][:, ahead] = n
            table["t"][:, ahead] = (rows.first + n) & 0xFFFFFFFF
            table["slot"][:, ahead] = (rows.first + n) % self.plan.slots
            table["rate"][:, ahead] = rows.rates[np.minimum(n, len(rows) - 1)]
            table["k"][:, ahead] = rows.updates[np.minimum(n, len(rows) - 1)]
        self._device.queue.write_buffer(self._steps, 0, steps)

    def _replay(self, rows: Rows):
        """Rows whose target has come and rows that still wait run different programs, one run of rows after the other."""
        waiting = rows.waiting(self.plan.ahead)
        for begin, end, due in ((0, waiting, False), (waiting, len(rows), True)):
            while begin < end:
                n = min(self._submit_rows, end - begin)
                self._submit(self._program(rows.learn, due, rows.flush), begin, n)
                begin += n

    def _submit(self, program: Program, first: int, n: int):
        began = time.perf_counter()
        encoder = self._device.create_command_encoder()
        run = encoder.begin_compute_pass()
        set_group, set_pipeline, dispatch = run.set_bind_group, run.set_pipeline, run.dispatch_workgroups
        for row in range(first, first + n + 1):
            calls = program.head if row == first else program.body if row < first + n else program.tail
            at = first if row == first else row - 1
            set_group(0, self._group, [at * self._align])
            for pipeline, x, y in calls:
                set_pipeline(pipeline)
                dispatch(x, y)
        run.end()
        self._device.queue.submit([encoder.finish()])
        if self._submit_rows < self._layout.rows:
            self._read("params", 0, 1, np.float32)  # waits, only while finding out how many rows fill a submit
            seconds = time.perf_counter() - began
            fits = int(SUBMIT_SECONDS * n / max(seconds, 1e-6))
            self._submit_rows = max(1, min(fits, 4 * self._submit_rows, self._layout.rows))

    def _read_back(self, rows: Rows, told: Told, begin: int):
        layout = self._layout
        raw = self._read("work", layout.told_begin, layout.told_end - layout.told_begin, np.float32)

        def rows_of(tensor):
            at = layout.offset(tensor) - layout.told_begin
            S, D = self.plan.streams, tensor.size
            return raw[at : at + len(rows) * S * D].reshape(len(rows), S, D)

        there = slice(begin, begin + len(rows))
        for array, tensor in zip(told.predictions, self.plan.predictions):
            array[there] = rows_of(tensor)
        if rows.learn:
            due = np.arange(len(rows)) + rows.pending >= self.plan.ahead
            for array, tensor in zip(told.losses, self.plan.losses):
                array[there][due] = rows_of(tensor)[due, :, 0]
        if self.plan.anomaly:
            told.anomaly[there] = rows_of(self.plan.anomaly)[:, :, 0]

    # Recording

    @property
    def dispatches(self) -> int:
        """Of a step that learns, where many run one after the other."""
        return len(self._program(learn=True, due=True).body)

    def _program(self, learn: bool, due: bool, flush: bool = False) -> Program:
        kind = (learn, due, flush)
        if kind not in self._programs:
            self._programs[kind] = self._record(self.plan.calls(*kind))
        return self._programs[kind]

    def _record(self, calls: list[Call]) -> Program:
        cut = rotation(calls, self.plan, self._tuning)
        head, tail = calls[:cut], calls[cut:]
        return Program(self._compile([(c, 0) for c in head]), self._compile([(c, 0) for c in tail] + [(c, 1) for c in head]),
                       self._compile([(c, 0) for c in tail]))

    def _compile(self, calls) -> tuple:
        recorded = []
        for dispatch in schedule(calls, self.plan, self._tuning):
            lanes = dispatch.lanes(self._tuning, self.plan.streams)
            if lanes is None:
                layers = ", ".join(sorted({m.call.layer for m in dispatch.members()}))
                raise DeviceError(
                    f"The network's layers {layers} need more than {self._tuning.loops:,} loop iterations in a dispatch, where "
                    f"{self._adapter.name} may stop without a word; make them smaller, or use device='numpy'."
                )
            code = compose(dispatch, self._layout, lanes, self._override)
            groups = self.plan.streams if dispatch.solo else sum(g.parts for g in dispatch.groups)
            recorded.append((self._pipeline(code), min(groups, ACROSS), -(-groups // ACROSS)))
        return tuple(recorded)

    def _pipeline(self, code: str):
        module = self._device.create_shader_module(code=code)
        layout = self._device.create_pipeline_layout(bind_group_layouts=[self._group_layout])
        return self._device.create_compute_pipeline(layout=layout, compute={"module": module, "entry_point": "main"})

    def _bind(self):
        storage = [{"binding": i, "visibility": wgpu.ShaderStage.COMPUTE, "buffer": {"type": "storage"}}
                   for i in range(len(BINDINGS))]
        uniform = {"binding": STEPS, "visibility": wgpu.ShaderStage.COMPUTE,
                   "buffer": {"type": "uniform", "has_dynamic_offset": True, "min_binding_size": 2 * _STEP.itemsize}}
        layout = self._device.create_bind_group_layout(entries=[*storage, uniform])
        entries = [{"binding": i, "resource": {"buffer": self._buffers[a]}} for i, a in enumerate(BINDINGS)]
        entries.append({"binding": STEPS, "resource": {"buffer": self._steps, "offset": 0, "size": 2 * _STEP.itemsize}})
        return layout, self._device.create_bind_group(layout=layout, entries=entries)

    # Memory

    def _check_room(self):
        most = min(self._device.limits["max-storage-buffer-binding-size"], self._device.limits["max-buffer-size"])
        for arena, n in self._layout.sizes.items():
            if 4 * n > most:
                largest = max((t for t in self._layout.places if self._layout.places[t].arena == arena), key=lambda t: t.size)
                raise DeviceError(
                    f"The network needs {4 * n / 2**20:,.0f} MiB of {arena} in one piece, most of it for {largest.name!r} "
                    f"{largest.shape}; {self._adapter.name} gives {most / 2**20:,.0f} MiB. Make the layer smaller, or use device='numpy'."
                )

    def _buffer(self, size: int):
        usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST
        return self._device.create_buffer(size=size, usage=usage)

    def _read(self, arena: str, begin: int, length: int, kind) -> np.ndarray:
        if length == 0:
            return np.zeros(0, kind)
        raw = self._device.queue.read_buffer(self._buffers[arena], buffer_offset=4 * begin, size=4 * length)
        return np.frombuffer(raw, kind).copy()

    def _first(self, tensor):
        start = tensor.start() if callable(tensor.start) else tensor.start
        shape = tensor.shape if tensor.place in (MATRIX, PARAM) else (self.plan.streams, *tensor.shape)
        if tensor.ragged:
            return [[] for _ in range(self.plan.streams)]
        return np.broadcast_to(np.asarray(list(start) if isinstance(start, range) else start), shape)

    def reset(self):
        """Puts the temporal state back to its start."""
        for tensor in self.plan.placed(STATE):
            self.write(tensor.name, self._first(tensor))

    def read(self, name: str, slot: int = 0):
        """A copy of a tensor: (S, *shape), parameters (*shape), rows of a chunk as of the first row; a ragged one as a list
        of S arrays."""
        tensor, layout = self.plan.tensors[name], self._layout
        arena, kind = layout.places[tensor].arena, np.uint32 if tensor.index else np.float32
        streams = 1 if tensor.place in (MATRIX, PARAM) else self.plan.streams
        step = tensor.size if tensor.place == IO else 0
        parts = [layout.unpack(tensor, self._read(arena, layout.offset(tensor, s, slot) + s * step, layout.length(tensor), kind))
                 for s in range(streams)]
        if tensor.place in (MATRIX, PARAM):
            return parts[0]
        if not tensor.ragged:
            return np.stack(parts)
        return parts

    def write(self, name: str, value, slot: int = 0):
        """Overwrites a tensor, shaped as `read` gives it."""
        tensor, layout = self.plan.tensors[name], self._layout
        whole = tensor.place in (MATRIX, PARAM)
        step = tensor.size if tensor.place == IO else 0
        for s, part in enumerate([value] if whole else value):
            at = 4 * (layout.offset(tensor, s, slot) + s * step)
            self._device.queue.write_buffer(self._buffers[layout.places[tensor].arena], at, layout.pack(tensor, part))

    def memory(self) -> dict[str, np.ndarray]:
        """All arenas as they are, by name, in elements of 4 bytes."""
        return {a: self._read(a, 0, n, np.uint32) for a, n in self._layout.sizes.items()}

    def erase(self, name: str, *memories: dict[str, np.ndarray]):
        """Sets the tensor's elements to 0 in copies that `memory` gave."""
        tensor, layout = self.plan.tensors[name], self._layout
        for memory in memories:
            for s in range(1 if tensor.place in (MATRIX, PARAM) else self.plan.streams):
                at = layout.offset(tensor, s)
                memory[layout.places[tensor].arena][at : at + layout.length(tensor)] = 0

    def snapshot(self):
        """Copies of all buffers on the device, to be given to `restore`."""
        copies = {a: self._buffer(b.size) for a, b in self._buffers.items()}
        self._copy(self._buffers, copies)
        return copies

    def restore(self, snapshot):
        self._copy(snapshot, self._buffers)

    def _copy(self, source, target):
        encoder = self._device.create_command_encoder()
        for arena, buffer in source.items():
            encoder.copy_buffer_to_buffer(buffer, 0, target[arena], 0, buffer.size)
        self._device.queue.submit([encoder.finish()])
