"""A plan: the flat list of op calls of one step over named tensors. The NumPy backend walks it, the GPU backend turns it
into dispatches; what one validates, the other runs."""

from dataclasses import dataclass, field, replace

from deephtm_gpu.ops.spec import Pass
from deephtm_gpu.ops.table import PASSES
from deephtm_gpu.plan.tensors import IO, TAPE, Tensor

Argument = Tensor | float  # a number may stand where a pass reads one, and 0 where it has nothing to change


@dataclass(frozen=True, eq=False)
class Call:
    """One pass of an op on particular tensors. layer: whose it is, for messages. lag: how many steps before the step that is
    learned from the one lies whose tape it works on; None: it works on the step at hand. learning: left out of `predict`.
    leaving: it learns from a step that leaves a memory's ring, and takes nothing from the newest ones."""

    name: str
    tensors: dict[str, Argument]
    consts: dict[str, float]
    layer: str
    lag: int | None = None
    learning: bool = False
    leaving: bool = False

    @property
    def op(self) -> Pass:
        return PASSES[self.name]

    @property
    def read(self) -> list[Tensor]:
        names = self.op.reads + self.op.changes
        return [t for t in (self.tensors[n] for n in names) if isinstance(t, Tensor)]

    @property
    def written(self) -> list[Tensor]:
        return [t for t in (self.tensors[n] for n in self.op.changes + self.op.writes) if isinstance(t, Tensor)]

    @property
    def sites(self) -> int:
        """At how many positions of each stream it is called. What it reads that stands at one is the same for all of
        them."""
        return 1 if self.op.whole else max((t.sites for t in {*self.read, *self.written}), default=1)

    @property
    def entries(self) -> int:
        """The most that one of its ragged lists can hold."""
        return max((t.size for t in {*self.read, *self.written} if t.ragged), default=0)

    @property
    def work(self) -> int:
        """Multiply-adds at one position."""
        return self.op.work(**self.consts, **({"A": self.entries} if self.entries else {}))


def make_call(name, arguments, layer, lag=0, learning=True, leaving=False) -> Call:
    """Sorts arguments into tensors and constants."""
    op = PASSES[name]
    tensors = {k: arguments.pop(k) for k in op.tensors}
    consts = {k: arguments.pop(k) for k in op.consts}
    if arguments:
        raise TypeError(f"{name} takes no {sorted(arguments)}")
    call = Call(name, tensors, consts, layer, lag, learning, leaving)
    if call.sites > 1 and any(t.sites != call.sites for t in call.written):
        raise ValueError(f"{name} of {layer} works at {call.sites} positions, and would write what they share")
    return call


@dataclass
class Plan:
    """forward and learn: the calls of a step. What is learned from is the tape of a step `ahead` steps back (or, with
    ahead = 0, of the step itself).

    seeds: one for each of P independent models that run side by side, each with tensors of its own (see `dh.Population`); an
    ordinary model has one. streams: of each model.
    inputs, targets, predictions, losses: IO tensors, in the order of the network's inputs and outputs. anomaly: one IO
    tensor, or None without a memory. observed: IO tensors that are reported because someone looks on (see `Model.observe`).
    """

    streams: int
    ahead: int
    seeds: tuple[int, ...] = (0,)
    window: int = 1  # the longest of its temporal memories
    tensors: dict[str, Tensor] = field(default_factory=dict)
    forward: list[Call] = field(default_factory=list)
    learn: list[Call] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    targets: list[Tensor] = field(default_factory=list)
    predictions: list[Tensor] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)
    anomaly: Tensor | None = None
    observed: list[Tensor] = field(default_factory=list)
    share: Tensor | None = None  # IO, with several streams: what each counts for in a mean over them, 0 when it has ended

    @property
    def models(self) -> int:
        return len(self.seeds)

    @property
    def units(self) -> int:
        """Streams of all models."""
        return self.models * self.streams

    @property
    def rate_each(self) -> Tensor | None:
        """The learning rate, where every model has its own."""
        rate = self.tensors.get("rate")
        return rate if rate and rate.place == IO else None

    def some(self, begin: int, end: int) -> "Plan":
        """The plan of some of the models. The tensors are the same objects."""
        return replace(self, seeds=self.seeds[begin:end])

    @property
    def slots(self) -> int:
        """Steps on the tape: those that wait for their target, and as many behind them as the longest window of a temporal
        memory gives credit to. Two at least, so that a step can begin while the one before it is still being learned from."""
        return max(2, self.ahead + self.window)

    def slots_of(self, tensor: Tensor) -> int:
        return self.slots if tensor.place == TAPE else 1

    def slot(self, call: Call, step: int) -> int:
        """Where on the tape a call works in a step."""
        return (step - self.behind(call.lag)) % self.slots

    def behind(self, lag: int | None) -> int:
        """How many steps before the step at hand the one lies that a call of this lag works on."""
        return 0 if lag is None else self.ahead + lag

    def calls(self, learn: bool, due: bool, flush: bool = False) -> list[Call]:
        """The calls of a step in their order. learn: or only look (`predict`); due: whether there is a target. flush: no step,
        but what the oldest step of each ring still has to teach, so that a ring runs empty in `window` - 1 turns."""
        if flush:
            return [c for c in self.learn if c.leaving]
        forward = [c for c in self.forward if learn or not c.learning]
        back = [c for c in self.learn if due and (learn or not c.learning)]
        return back + forward if self.ahead else forward + back

    def add(self, tensor: Tensor) -> Tensor:
        if tensor.name in self.tensors:
            raise ValueError(f"two tensors are called {tensor.name!r}")
        self.tensors[tensor.name] = tensor
        return tensor

    def placed(self, *places: str) -> list[Tensor]:
        return [t for t in self.tensors.values() if t.place in places]
