"""Memory: a few big arenas, every tensor a slice of one, laid out before the first step.

    weights  vec4<f32>   per model: matrices, rows padded to a multiple of 4
    params   f32         per model: all other parameters
    work     f32         per stream: state, scratch, then the tape's slots; after the streams the steps of a batch (IO)
    lists    u32         per stream: indices; a ragged list as [length, entries...]

All of a stream's tensors stand at the same distance from those of the next stream, `stride`, and a model's parameters
from those of the next model. A tensor of a map stands there once for each position, one behind the other, at the
distance `site`.
"""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.plan.plan import Plan
from deephtm_gpu.plan.tensors import GRADIENT, IO, MATRIX, PARAM, SCRATCH, STATE, TAPE, Tensor

IO_BYTES = 32 << 20  # a chunk's steps fill at most this much


def _round4(n: int) -> int:
    return (n + 3) // 4 * 4  # vec4 loads may look past a tensor's end: the padding is zero, and nothing writes it


@dataclass(frozen=True)
class Address:
    """arena: which buffer. offset: of stream 0, slot 0, step 0, in elements of the arena (weights: vec4). A length in
    front of a ragged list is counted in."""

    arena: str
    offset: int


class Layout:
    """Where every tensor of a plan lies. steps: how many steps of a chunk there is room for.

    stride: from stream to stream, or in "weights" (in vec4) and "params" from model to model. tape, slot: of "work" and
    "lists": where the tape begins in a stream, from slot to slot. sizes: elements of 4 bytes in each arena.
    """

    def __init__(self, plan: Plan, steps: int):
        self.plan = plan
        self.addresses: dict[Tensor, Address] = {}
        self.stride, self.tape, self.slot = {}, {}, {}
        self.stride["weights"] = self._stack(
            "weights", plan.stored_in(MATRIX), 0, lambda t: t.shape[0] * (_round4(t.shape[1]) // 4)
        )
        params = sorted(plan.stored_in(PARAM), key=lambda t: t.size % 4 > 0)  # large ones stay aligned
        self.stride["params"] = _round4(self._stack("params", params, 0, lambda t: t.size))
        for arena, index in (("work", False), ("lists", True)):
            of = [t for t in plan.stored_in(STATE, GRADIENT, SCRATCH, TAPE) if t.index == index]
            self.tape[arena] = self._stack(arena, [t for t in of if t.storage != TAPE], 0, _room)
            end = self._stack(arena, [t for t in of if t.storage == TAPE], self.tape[arena], _room)
            self.slot[arena] = end - self.tape[arena]
            self.stride[arena] = self.tape[arena] + plan.slots * self.slot[arena]
        streams = {a: max(4, plan.units * self.stride[a]) for a in ("work", "lists")}

        of_io = plan.stored_in(IO)
        self.outputs = list(
            dict.fromkeys([*plan.predictions, *plan.losses, *([plan.anomaly] if plan.anomaly else []), *plan.observed])
        )
        given = [t for t in of_io if t not in self.outputs]
        step_bytes = 4 * plan.units * sum(t.size for t in of_io)
        self.steps = max(1, min(steps, IO_BYTES // max(1, step_bytes)))
        room = self.steps * plan.units
        end = self._stack("work", given, streams["work"], lambda t: room * t.size)
        self.outputs_begin = end  # the outputs are contiguous, so that one copy reads them back
        self.outputs_end = self._stack("work", self.outputs, end, lambda t: room * t.size)
        self.sizes = {
            "weights": max(4, 4 * plan.models * self.stride["weights"]),
            "params": max(4, plan.models * self.stride["params"]),
            "work": self.outputs_end,
            "lists": streams["lists"],
        }

    def _stack(self, arena, tensors, at, size) -> int:
        for t in tensors:
            self.addresses[t] = Address(arena, at)
            at += size(t)
        return at

    # Between arrays and arenas

    @staticmethod
    def site(tensor: Tensor) -> int:
        """From a position of a map to the next, in elements of 4 bytes."""
        return _room_of_one(tensor)

    def offset(self, tensor: Tensor, unit: int = 0, slot: int = 0) -> int:
        """Where the tensor begins in its arena (at the first position), in elements of 4 bytes. unit: the number of the
        model for a parameter, of the stream among those of all models else. IO: in the first step."""
        address = self.addresses[tensor]
        if tensor.storage == MATRIX:
            return 4 * (address.offset + unit * self.stride["weights"])
        if tensor.storage == IO:
            return address.offset + unit * tensor.size
        begin = address.offset + unit * self.stride[address.arena]
        return begin + (slot * self.slot[address.arena] if tensor.storage == TAPE else 0)

    def units(self, tensor: Tensor) -> int:
        """How many of it there are."""
        return self.plan.models if tensor.parameter else self.plan.units

    def length(self, tensor: Tensor) -> int:
        """Elements of 4 bytes that one stream's part of the tensor takes up, padding of matrices and of all positions
        but the last included."""
        if tensor.storage == MATRIX:
            return tensor.shape[0] * _round4(tensor.shape[1])
        return (tensor.sites - 1) * self.site(tensor) + _length_of_one(tensor)

    def spans(self, tensor: Tensor, unit: int = 0, slot: int = 0) -> list[tuple[int, int]]:
        """Where it begins and ends at each position, in elements of 4 bytes of its arena."""
        begin, length = self.offset(tensor, unit, slot), self.length(tensor)
        if tensor.sites == 1:
            return [(begin, begin + length)]
        return [(at, at + _length_of_one(tensor)) for at in range(begin, begin + length, self.site(tensor))]

    def pack(self, tensor: Tensor, values) -> np.ndarray:
        """One stream's part as it lies in its arena, values: one for each position; or a parameter, which has one."""
        *parts, last = (self._pack_one(tensor, value) for value in values)
        return np.concatenate([*(np.pad(p, (0, self.site(tensor) - len(p))) for p in parts), last]) if parts else last

    def unpack(self, tensor: Tensor, raw: np.ndarray) -> list:
        """The values that `pack` put together."""
        if tensor.sites == 1:
            return [self._unpack_one(tensor, raw)]
        begins = range(0, len(raw), self.site(tensor))
        return [self._unpack_one(tensor, raw[begin : begin + _length_of_one(tensor)]) for begin in begins]

    def _pack_one(self, tensor: Tensor, value) -> np.ndarray:
        if tensor.storage == MATRIX:
            wide = np.zeros((tensor.shape[0], _round4(tensor.shape[1])), np.float32)
            wide[:, : tensor.shape[1]] = value
            return wide.reshape(-1)
        value = np.asarray(value, np.uint32 if tensor.index else np.float32).reshape(-1)
        if not tensor.ragged:
            return value
        if tensor.index:
            value = np.concatenate([np.array([len(value)], np.uint32), value])
        return np.concatenate([value, np.zeros(_length_of_one(tensor) - len(value), value.dtype)])

    def _unpack_one(self, tensor: Tensor, raw: np.ndarray):
        if tensor.storage == MATRIX:
            return raw.reshape(tensor.shape[0], -1)[:, : tensor.shape[1]].copy()
        if tensor.ragged and tensor.index:
            return raw[1 : 1 + raw[0]].astype(np.int64)
        return raw.astype(np.int64) if tensor.index else raw.reshape(tensor.shape).copy()


def _length_of_one(tensor: Tensor) -> int:
    """A stream's tensor at one position."""
    return tensor.size + (1 if tensor.ragged and tensor.index else 0)


def _room_of_one(tensor: Tensor) -> int:
    return _round4(_length_of_one(tensor))


def _room(tensor: Tensor) -> int:
    return tensor.sites * _room_of_one(tensor)
