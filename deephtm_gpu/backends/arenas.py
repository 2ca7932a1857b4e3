"""What backends share whose tensors lie in arenas: the steps of a batch in and out, tensors read and written."""

from itertools import count, islice

import numpy as np

from deephtm_gpu.backends.batch import Batch, Outputs
from deephtm_gpu.kernels.arenas import Layout
from deephtm_gpu.kernels.program import CHUNK
from deephtm_gpu.plan.plan import Plan
from deephtm_gpu.plan.tensors import MATRIX, PARAM, STATE, Tensor

SUBMIT_SECONDS = 0.25  # a submit shall not take longer: drivers kill what runs for about two seconds, and Ctrl-C waits
STEP = np.dtype(
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


class ArenaBackend:
    """A kind of it calls `_open` and then `_fill`, has `info`, and says how steps are sent and run: `_program`,
    `_send_steps`, `_submit`. `_memory` reads and writes elements of 4 bytes: `read(arena, begin, length, kind)`,
    `write(arena, begin, array)`, `copy_to(other)`."""

    def _open(self, plan: Plan, layout=None):
        """layout: where tensors lie; by default all models in one `Layout`."""
        self.plan = plan
        self._layout = layout or Layout(plan, CHUNK)
        self._submit_steps = 16  # grows as far as SUBMIT_SECONDS allows

    def _fill(self):
        """Memory as it is before the first step."""
        self._memory = self._new_memory()
        for tensor in self.plan.stored_in(MATRIX, PARAM, STATE):
            self._write(tensor, self._first(tensor))

    def _check_process(self):
        """Raises DeviceError where this process may not use the device."""

    # Running

    def run(self, batch: Batch) -> Outputs:
        self._check_process()
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
            self._send(tensor, x)
        self._send_steps(self._step_numbers(batch))

    def _send(self, tensor: Tensor, x: np.ndarray):
        """The steps of an input, (T, S, D)."""
        self._memory.write("work", self._layout.offset(tensor), np.ascontiguousarray(x, np.float32))

    def _step_numbers(self, batch: Batch) -> np.ndarray:
        """The numbers of every step, and of the one behind the last."""
        steps, n, slots = np.zeros(len(batch) + 1, STEP), np.arange(len(batch) + 1), self.plan.slots
        scored = batch.first + n - batch.behind
        steps["number"], steps["t"] = n, (batch.first + n) & 0xFFFFFFFF
        steps["slot"], steps["back"] = (batch.first + n) % slots, scored % slots
        steps["scored"], steps["waiting"] = scored % self.plan.ring_turn, batch.waiting
        steps["k"][:-1] = batch.updates
        if batch.rates.ndim == 1:
            steps["rate"][:-1] = batch.rates
        return steps

    def _grow(self, steps: int, seconds: float):
        """How many steps a submit may have, from what some took."""
        fits = int(SUBMIT_SECONDS * steps / max(seconds, 1e-6))
        self._submit_steps = max(1, min(fits, 4 * self._submit_steps, self._layout.steps))

    def _read_back(self, batch: Batch, outputs: Outputs, begin: int):
        steps_of = self._outputs(len(batch))
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

    def _outputs(self, steps: int):
        """A function from a tensor of the outputs to its steps, (T, S, D)."""
        layout = self._layout
        raw = self._memory.read("work", layout.outputs_begin, layout.outputs_end - layout.outputs_begin, np.float32)

        def steps_of(tensor):
            at = layout.offset(tensor) - layout.outputs_begin
            S, D = self.plan.units, tensor.size
            return raw[at : at + steps * S * D].reshape(steps, S, D)

        return steps_of

    # Memory

    @property
    def bytes(self) -> int:
        """Of memory on the device; a copy of it comes on top while the model learns, to go back to."""
        return 4 * sum(self._layout.sizes.values())

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
        self._check_process()
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
        self._check_process()
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
        self._check_process()
        copy = self._new_memory()
        self._memory.copy_to(copy)
        return copy

    def restore(self, snapshot):
        self._check_process()
        snapshot.copy_to(self._memory)
