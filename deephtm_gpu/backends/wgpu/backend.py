"""The GPU backend: a plan turned into dispatches, recorded once and replayed step after step."""

import time
from dataclasses import replace
from functools import cache, lru_cache, partial

import numpy as np
import wgpu

from deephtm_gpu.backends.arenas import STEP, ArenaBackend
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

SMALL_GRAIN = 97  # multiply-adds of a workgroup, where an op is to be shared out whatever it is worth
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


class GpuBackend(ArenaBackend):
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
        self._open(plan)
        self._adapter, self._override, self._persistent = adapter, override, persistent
        self.info = _info(adapter)
        self._device = open_device(adapter)
        self._tuning = tuning or tuning_of(adapter)
        self._check_room()
        self._align = max(_TURN_BYTES, self._device.limits["min-uniform-buffer-offset-alignment"])
        usage = wgpu.BufferUsage.UNIFORM | wgpu.BufferUsage.COPY_DST
        self._steps = self._device.create_buffer(size=STEP.itemsize * (self._layout.steps + 1), usage=usage)
        self._turns = self._device.create_buffer(size=self._align * self._layout.steps, usage=usage)
        self._fill()
        self._group_layout, self._group = self._bind()
        self._programs: dict[Program, KernelProgram] = {}

    def _check_process(self):
        process.check()

    # Running

    def _send_steps(self, numbers: np.ndarray):
        self._device.queue.write_buffer(self._steps, 0, numbers)

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
            self._grow(n, seconds)

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

    # Recording

    @property
    def dispatches(self) -> float:
        """Of a step that learns, where many run one after the other."""
        program = self._program(self.plan.online)
        return len(program.body) / max(1, program.steps)

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
