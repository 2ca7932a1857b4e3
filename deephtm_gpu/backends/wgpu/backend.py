"""The GPU backend: a plan turned into dispatches, recorded once and replayed step after step."""

import time
from dataclasses import replace
from functools import cache, lru_cache, partial
from itertools import count, islice

import numpy as np
import wgpu

from deephtm_gpu.backends.batch import Batch, Outputs
from deephtm_gpu.backends.protocol import IN_ONE, PARTS, SEVERAL, DeviceInfo
from deephtm_gpu.backends.side_by_side import SideBySide
from deephtm_gpu.backends.wgpu import process
from deephtm_gpu.backends.wgpu.adapters import AdapterInfo
from deephtm_gpu.backends.wgpu.memory import BufferMemory, TextureMemory
from deephtm_gpu.backends.wgpu.timer import TIMESTAMPS, Timer
from deephtm_gpu.errors import DeviceError
from deephtm_gpu.kernels.arenas import Layout
from deephtm_gpu.kernels.compose import BINDINGS, STEPS, TURN
from deephtm_gpu.kernels.program import CHUNK, Kernel, KernelProgram, build
from deephtm_gpu.kernels.tuning import TEXTURES, Tuning, tuning_of
from deephtm_gpu.plan.plan import Plan, Program
from deephtm_gpu.plan.tensors import MATRIX, PARAM, STATE, Tensor

SMALL_GRAIN = 97  # multiply-adds of a workgroup, where an op is to be shared out whatever it is worth
SUBMIT_SECONDS = 0.25  # a submit shall not take longer: drivers kill what runs for about two seconds
_STEP = np.dtype(
    [
        ("number", "<u4"),
        ("t", "<u4"),
        ("rate", "<f4"),
        ("k", "<f4"),
        ("slot", "<u4"),
        ("back", "<u4"),
        ("scored", "<u4"),
        ("waiting", "<f4"),
    ]
)
_TURN_BYTES = 16


def open_device(adapter: AdapterInfo):
    """The adapter's device, with the largest buffers it can give. One per adapter and process. Raises DeviceError in a
    forked child."""
    process.check()
    process.opened()
    return _device_of(adapter)


@cache
def _device_of(adapter: AdapterInfo):
    limits = adapter.limits
    wanted = {k: limits[k] for k in ("max-storage-buffer-binding-size", "max-buffer-size") if k in limits}
    features = [f for f in (TEXTURES, TIMESTAMPS) if f in adapter.features]
    return adapter.native.request_device_sync(required_limits=wanted, required_features=features)


class OnAdapter:
    """Makes plans runnable on the adapter. tuning: None for the adapter's own. override: see `compose`."""

    def __init__(self, adapter: AdapterInfo, tuning: Tuning | None = None, override: dict[str, str] | None = None):
        self.adapter, self._override = adapter, override
        self._tuning = tuning or tuning_of(adapter)
        self.info = _info(adapter)
        self.ways = {
            SEVERAL: partial(self._make, persistent=False),
            IN_ONE: partial(self._make, persistent=True),
            PARTS: partial(self._make, persistent=False, tuning=replace(self._tuning, wide=0, grain=SMALL_GRAIN)),
        }

    def __call__(self, plan: Plan) -> "GpuBackend | SideBySide":
        """All models in one set of arenas if they have room there."""
        each = plan.models
        while each > 1 and not self._has_room(plan.some(0, each)):
            each = -(-each // 2)
        return self._make(plan) if each == plan.models else SideBySide(plan, self._make, each)

    def _make(self, plan, persistent=None, tuning=None) -> "GpuBackend":
        return GpuBackend(plan, self.adapter, tuning or self._tuning, self._override, persistent)

    def _has_room(self, plan) -> bool:
        most = kind_of_memory(self._tuning).most(open_device(self.adapter))
        return max(Layout(plan, CHUNK).sizes.values()) <= most


def _info(adapter: AdapterInfo) -> DeviceInfo:
    return DeviceInfo(adapter.name, adapter.backend, adapter.kind)


@cache
def _group_layout(device, memory, step_bytes: int):
    """memory: its class."""
    def uniform(binding, size, moves):
        return {"binding": binding, "visibility": wgpu.ShaderStage.COMPUTE,
                "buffer": {"type": "uniform", "has_dynamic_offset": moves, "min_binding_size": size}}

    uniforms = [uniform(STEPS, step_bytes, False), uniform(TURN, _TURN_BYTES, True)]
    return device.create_bind_group_layout(entries=[*memory.layout(BINDINGS), *uniforms])


@lru_cache(maxsize=64)
def _pipeline(device, group_layout, code: str):
    """Many models of one network have the same kernels: they are compiled once. The latest are kept."""
    layout = device.create_pipeline_layout(bind_group_layouts=[group_layout])
    module = device.create_shader_module(code=code)
    return device.create_compute_pipeline(layout=layout, compute={"module": module, "entry_point": "main"})


def kind_of_memory(tuning: Tuning):
    return TextureMemory if tuning.textures else BufferMemory


class GpuBackend:
    """Raises DeviceError where the network does not fit the adapter. tuning: None for the adapter's own. override: see
    `compose`. persistent: whether a workgroup runs many steps in one dispatch; None: if that should be faster."""

    def __init__(
        self,
        plan: Plan,
        adapter: AdapterInfo,
        tuning: Tuning | None = None,
        override: dict[str, str] | None = None,
        persistent: bool | None = None,
    ):
        self.plan, self._adapter, self._override, self._persistent = plan, adapter, override, persistent
        self.info = _info(adapter)
        self._device = open_device(adapter)
        self._layout = Layout(plan, CHUNK)
        self._tuning = tuning or tuning_of(adapter)
        self._check_room()
        self._memory = self._new_memory()
        self._align = max(_TURN_BYTES, self._device.limits["min-uniform-buffer-offset-alignment"])
        usage = wgpu.BufferUsage.UNIFORM | wgpu.BufferUsage.COPY_DST
        self._steps = self._device.create_buffer(size=_STEP.itemsize * (self._layout.steps + 1), usage=usage)
        self._turns = self._device.create_buffer(size=self._align * self._layout.steps, usage=usage)
        self._group_layout, self._group = self._bind()
        self._programs: dict[Program, KernelProgram] = {}
        self._submit_steps = 16  # grows as far as SUBMIT_SECONDS allows
        for tensor in plan.stored_in(MATRIX, PARAM, STATE):
            self._write(tensor, self._first(tensor))

    # Running

    def run(self, batch: Batch) -> Outputs:
        process.check()
        outputs = Outputs.empty(self.plan, len(batch))
        program = self._program(batch.program)
        for begin in range(0, len(batch), self._layout.steps):
            part = batch.part(begin, min(begin + self._layout.steps, len(batch)))
            self._upload(part)
            first = 0
            while first < len(part):
                n = min(self._submit_steps, len(part) - first)
                self._submit(program, first, n)
                first += n
            self._read_back(part, outputs, begin)  # the only place where the CPU waits for the GPU
        return outputs

    def _upload(self, batch: Batch):
        given = list(zip(self.plan.inputs, batch.inputs))
        if batch.targets is not None:
            given += zip(self.plan.targets, batch.targets)
        if self.plan.share:
            given.append((self.plan.share, batch.share))
        if self.plan.rate_each:
            given.append(
                (
                    self.plan.rate_each,
                    np.broadcast_to(batch.rates.reshape(len(batch), -1), (len(batch), self.plan.units)),
                )
            )
        for tensor, x in given:
            self._memory.write("work", self._layout.offset(tensor), np.ascontiguousarray(x, np.float32))
        self._device.queue.write_buffer(self._steps, 0, self._step_numbers(batch))

    def _step_numbers(self, batch: Batch) -> np.ndarray:
        """The numbers of every step, and of the one behind the last."""
        steps, n, slots = np.zeros(len(batch) + 1, _STEP), np.arange(len(batch) + 1), self.plan.slots
        scored = batch.first + n - batch.behind
        steps["number"], steps["t"] = n, (batch.first + n) & 0xFFFFFFFF
        steps["slot"], steps["back"] = (batch.first + n) % slots, scored % slots
        steps["scored"], steps["waiting"] = scored % self.plan.ring_turn, batch.waiting
        steps["k"][:-1] = batch.updates
        if batch.rates.ndim == 1:
            steps["rate"][:-1] = batch.rates
        return steps

    def _submit(self, program: KernelProgram, first: int, n: int):
        began = time.perf_counter()
        encoder = self._device.create_command_encoder()
        run = encoder.begin_compute_pass()
        if program.steps:
            self._encode_persistent(run, program, first, n)
        else:
            self._encode(run, program, first, n)
        run.end()
        self._device.queue.submit([encoder.finish()])
        if self._submit_steps < self._layout.steps:
            self._memory.read("params", 0, 1, np.float32)  # waits, only while finding out how many steps fill a submit
            seconds = time.perf_counter() - began
            fits = int(SUBMIT_SECONDS * n / max(seconds, 1e-6))
            self._submit_steps = max(1, min(fits, 4 * self._submit_steps, self._layout.steps))

    def _encode(self, run, program, first, n):
        set_group, set_pipeline, dispatch = run.set_bind_group, run.set_pipeline, run.dispatch_workgroups
        self._write_turns(np.arange(first, first + n), 1)
        for step in range(n + 1):
            calls = program.head if step == 0 else program.body if step < n else program.tail
            set_group(0, self._group, [max(step - 1, 0) * self._align])
            for pipeline, x, y in calls:
                set_pipeline(pipeline)
                dispatch(x, y)

    def _encode_persistent(self, run, program, first, n):
        begins = np.arange(first, first + n, min(program.steps, self._submit_steps))
        self._write_turns(begins, np.diff(begins, append=first + n))
        for pipeline, x, y in program.body:
            run.set_pipeline(pipeline)
            for turn in range(len(begins)):
                run.set_bind_group(0, self._group, [turn * self._align])
                run.dispatch_workgroups(x, y)

    def _write_turns(self, first, count):
        turns = np.zeros((len(first), self._align // 4), np.uint32)
        turns[:, 0], turns[:, 1] = first, count
        self._device.queue.write_buffer(self._turns, 0, turns)

    def _read_back(self, batch: Batch, outputs: Outputs, begin: int):
        layout = self._layout
        raw = self._memory.read("work", layout.outputs_begin, layout.outputs_end - layout.outputs_begin, np.float32)

        def steps_of(tensor):
            at = layout.offset(tensor) - layout.outputs_begin
            S, D = self.plan.units, tensor.size
            return raw[at : at + len(batch) * S * D].reshape(len(batch), S, D)

        there = slice(begin, begin + len(batch))
        if batch.program.target:
            for array, tensor in zip(outputs.losses, self.plan.losses):
                array[there] = steps_of(tensor)[:, :, 0]
        if not batch.program.forward:
            return
        for array, tensor in zip(
            [*outputs.predictions, *outputs.observed], [*self.plan.predictions, *self.plan.observed]
        ):
            array[there] = steps_of(tensor)
        if self.plan.anomaly:
            outputs.anomaly[there] = steps_of(self.plan.anomaly)[:, :, 0]

    # Recording

    @property
    def dispatches(self) -> float:
        """Of a step that learns, where many run one after the other."""
        program = self._program(self.plan.online)
        return len(program.body) / max(1, program.steps)

    @property
    def bytes(self) -> int:
        """Of memory on the device; a copy of it comes on top while the model learns, to go back to."""
        return 4 * sum(self._layout.sizes.values())

    def time_kernel(self, kernel: tuple, steps: int, turns: int, runs: int) -> float:
        """Seconds that a persistent dispatch of so many steps takes: the smallest of `runs` means over `turns`
        dispatches, by the adapter's own clock where it has one."""
        self._write_turns(np.array([0]), np.array([steps]))
        timer = Timer(self._device)
        return min(timer.time(lambda run: self._repeat(run, kernel, turns)) for _ in range(runs + 1)) / turns

    def _repeat(self, run, kernel, turns):
        pipeline, x, y = kernel
        run.set_pipeline(pipeline)
        run.set_bind_group(0, self._group, [0])
        for _ in range(turns):
            run.dispatch_workgroups(x, y)

    def _program(self, program: Program) -> KernelProgram:
        if program not in self._programs:
            # Few steps are of these kinds: not worth compiling a whole step in one piece.
            few = program.flush or not program.forward or (program.learn and not program.teach)
            in_one = False if few and self._persistent is None else self._persistent
            kernels = build(self.plan, self._tuning, self.plan.calls(program), self._layout, in_one, self._override)
            self._programs[program] = kernels.map(self.compile)
        return self._programs[program]

    def compile(self, kernel: Kernel) -> tuple:
        """(pipeline, workgroups along x, along y)"""
        return self._pipeline(self._memory.code(kernel.code)), kernel.x, kernel.y

    def _pipeline(self, code: str):
        return _pipeline(self._device, self._group_layout, code)

    def _bind(self):
        layout = _group_layout(self._device, type(self._memory), self._steps.size)
        entries = [*self._memory.entries(), {"binding": STEPS, "resource": {"buffer": self._steps}},
                   {"binding": TURN, "resource": {"buffer": self._turns, "offset": 0, "size": _TURN_BYTES}}]
        return layout, self._device.create_bind_group(layout=layout, entries=entries)

    # Memory

    def _check_room(self):
        most = kind_of_memory(self._tuning).most(self._device)
        for arena, n in self._layout.sizes.items():
            if n > most:
                largest = max(
                    (t for t, address in self._layout.addresses.items() if address.arena == arena), key=lambda t: t.size
                )
                models = f" of {self.plan.models:,} models" if self.plan.models > 1 else ""
                raise DeviceError(
                    f"The {arena}{models} must fit into one buffer, got {4 * n / 2**20:,.0f} MiB, most of it for "
                    f"{largest.name!r} {largest.shape}, and {self._adapter.name} allows {4 * most / 2**20:,.0f} MiB; "
                    "make the layer smaller, or use device='numpy'."
                )

    def _new_memory(self):
        return kind_of_memory(self._tuning)(self._device, self._layout.sizes)

    def _first(self, tensor):
        """What it holds at first, unit by unit: a population's all at once would fill the computer's memory."""
        if tensor.ragged:
            yield from [[]] * (self._layout.units(tensor) * tensor.sites)
            return
        shape = tensor.shape if tensor.parameter else (self.plan.streams * tensor.sites, *tensor.shape)
        for seed in self.plan.seeds:
            first = np.broadcast_to(np.asarray(tensor.first(seed)), shape)
            yield from [first] if tensor.parameter else first

    def reset(self, tensors: list[Tensor] | None = None):
        """Puts the temporal state, or these tensors of it, back to its start."""
        for tensor in self.plan.stored_in(STATE) if tensors is None else tensors:
            self._write(tensor, self._first(tensor))

    def read(self, name: str, slot: int = 0, model: int | None = None):
        """A copy of a tensor: (S, *shape), of a map (S*X, *shape), parameters (*shape), steps of a chunk as of the
        first row; a ragged one as a list of so many arrays. Of several models: (P, *shape), or of one of them alone."""
        process.check()
        tensor, layout = self.plan.tensors[name], self._layout
        parameter, arena = tensor.parameter, layout.addresses[tensor].arena
        units = range(layout.units(tensor))
        if model is not None:
            each = len(units) // self.plan.models
            units = units[model * each : (model + 1) * each]
        kind = np.uint32 if tensor.index else np.float32
        parts = [part for u in units for part in layout.unpack(
            tensor, self._memory.read(arena, layout.offset(tensor, u, slot), layout.length(tensor), kind))]
        if parameter and (model is not None or self.plan.models == 1):
            return parts[0]
        return parts if tensor.ragged else np.stack(parts)

    def write(self, name: str, value, slot: int = 0, model: int | None = None):
        """Overwrites a tensor, shaped as `read` gives it."""
        tensor = self.plan.tensors[name]
        alone = tensor.parameter and (model is not None or self.plan.models == 1)
        self._write(tensor, [value] if alone else value, slot, model or 0)

    def _write(self, tensor, parts, slot=0, model=0):
        process.check()
        layout = self._layout
        first = model * layout.units(tensor) // self.plan.models
        parts = iter(parts)
        for unit in count(first):
            if not (of_unit := list(islice(parts, tensor.sites))):
                return
            self._memory.write(layout.addresses[tensor].arena, layout.offset(tensor, unit, slot),
                               layout.pack(tensor, of_unit))

    def memory(self) -> dict[str, np.ndarray]:
        """All arenas as they are, by name, in elements of 4 bytes."""
        return {a: self._memory.read(a, 0, n, np.uint32) for a, n in self._layout.sizes.items()}

    def erase(self, name: str, *memories: dict[str, np.ndarray]):
        """Sets the tensor's elements to 0 in copies that `memory` gave."""
        tensor, layout = self.plan.tensors[name], self._layout
        for memory in memories:
            for begin, end in (span for unit in range(layout.units(tensor)) for span in layout.spans(tensor, unit)):
                memory[layout.addresses[tensor].arena][begin:end] = 0

    def snapshot(self):
        """A copy of all memory on the device, to be given to `restore`."""
        process.check()
        copy = self._new_memory()
        self._memory.copy_to(copy)
        return copy

    def restore(self, snapshot):
        process.check()
        snapshot.copy_to(self._memory)
