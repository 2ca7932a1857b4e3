"""Models whose arenas lie one behind the other, each laid out as if it were alone: one machine code serves every one of
them, and what a model computes does not depend on how many there are."""

from deephtm_gpu.kernels.arenas import IO_BYTES, Layout
from deephtm_gpu.kernels.program import CHUNK
from deephtm_gpu.plan.plan import Plan
from deephtm_gpu.plan.tensors import IO, Tensor

_LINE = 16  # elements of 4 bytes of a cache line
_FEWEST = 16  # steps of a chunk, however many models


class ApartLayout:
    """As a `Layout` of all models.

    one: that of a single model. each: from a model to the next, by arena, in elements of 4 bytes.
    """

    def __init__(self, plan: Plan):
        io = 4 * plan.units * sum(t.size for t in plan.stored_in(IO))
        self.models, self.streams = plan.models, plan.streams
        self.one = Layout(plan.some(0, 1), max(_FEWEST, min(CHUNK, 8 * IO_BYTES // max(1, io))))
        self.each = {a: -(-n // _LINE) * _LINE for a, n in self.one.sizes.items()}
        self.sizes = {a: n * plan.models for a, n in self.each.items()}
        self.addresses, self.steps = self.one.addresses, self.one.steps
        self.outputs_begin, self.outputs_end = self.one.outputs_begin, self.one.outputs_end
        self.length, self.pack, self.unpack = self.one.length, self.one.pack, self.one.unpack

    def units(self, tensor: Tensor) -> int:
        """How many of it there are."""
        return self.models * self.one.units(tensor)

    def offset(self, tensor: Tensor, unit: int = 0, slot: int = 0) -> int:
        model, own = self._of(tensor, unit)
        return self._begin(tensor, model) + self.one.offset(tensor, own, slot)

    def spans(self, tensor: Tensor, unit: int = 0, slot: int = 0) -> list[tuple[int, int]]:
        model, own = self._of(tensor, unit)
        at = self._begin(tensor, model)
        return [(at + begin, at + end) for begin, end in self.one.spans(tensor, own, slot)]

    def _of(self, tensor, unit):
        return (unit, 0) if tensor.parameter else divmod(unit, self.streams)

    def _begin(self, tensor, model):
        return model * self.each[self.addresses[tensor].arena]
