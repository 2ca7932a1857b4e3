"""A plan: the flat list of op calls of one step over named tensors. The NumPy backend runs it, the GPU backend turns it
into dispatches. Both run the same plan, so one validates the other."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from math import lcm

from deephtm_gpu.ops.spec import Pass
from deephtm_gpu.ops.table import PASSES
from deephtm_gpu.plan.tensors import IO, TAPE, Tensor

Argument = Tensor | float  # a number for a constant input, and 0 for a tensor that is not updated


@dataclass(frozen=True, eq=False)
class Call:
    """One pass of an op on particular tensors. layer: whose it is, for messages. lag: how many steps before the step
    that is scored the one lies whose tape it works on; None: it works on the step at hand. learning: left out where
    nothing is learned. leaving: it learns from a step that leaves a memory's ring, and takes nothing from the newest
    ones."""

    name: str
    tensors: dict[str, Argument]
    consts: dict[str, float]
    layer: str
    lag: int | None = None
    learning: bool = False
    leaving: bool = False
    behind: int = 1  # how far back the step that is scored lies: 0 (this one), 1, or 2 for anything further

    def slot(self, phase: int, window: int) -> int:
        """A slot of the tape, to tell those that a call touches in the steps 0 and 1 of a program from others; not the
        real one."""
        back = 0 if self.lag is None else self.behind + self.lag
        return (phase - back) % max(2, self.behind + window)

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


@dataclass(frozen=True)
class Program:
    """What a step does, of all that a plan can do.

    forward: whether it goes a step forward. target: what the prediction of an earlier step (or, where targets are
    given, of this one) is scored against: "input", what just arrived; "given"; None, nothing is scored. teach: whether
    weights learn from that score. learn: whether what learns in the forward pass (running means, the heads that predict
    columns) does. near: whether the step that is scored is the one before (target "input"). flush: no step, but what
    the oldest step of each ring still has to teach, so that a ring runs empty in `window` - 1 turns.
    """

    forward: bool = True
    target: str | None = None
    teach: bool = False
    learn: bool = True
    near: bool = True
    flush: bool = False


ONLINE = Program(target="input", teach=True)  # learns what arrived, then predicts: a step in the long run
GIVEN = Program(target="given", teach=True)
LOOK = Program(target="input", learn=False)
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
    """forward and learn: the calls of a step. What is scored and learned from is the tape of an earlier step, or of the
    step itself where targets are given; which one comes with every step (see `Batch.behind`).

    seeds: one for each of P independent models that run side by side, each with tensors of its own (see
    `dh.Population`); an ordinary model has one. streams: of each model. ahead: the most steps that a prediction can
    wait for its target. inputs, predictions, losses: IO tensors, in the order of the network's inputs and outputs.
    targets: likewise; they have memory only where `given`. follows: whether output j can be scored against input j, a
    sentence that says why not, or None. anomaly: one IO tensor, or None without a memory. observed: IO tensors that are
    reported on request (see `Model.observe`). credit: state that holds what is put off in the memories' rings, as of
    consecutive steps.
    """

    streams: int
    ahead: int = 0
    seeds: tuple[int, ...] = (0,)
    window: int = 1  # the longest of its temporal memories
    windows: set[int] = field(default_factory=set)  # of all of them
    given: bool = True
    follows: str | None = None
    tensors: dict[str, Tensor] = field(default_factory=dict)
    forward: list[Call] = field(default_factory=list)
    learn: list[Call] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    targets: list[Tensor] = field(default_factory=list)
    predictions: list[Tensor] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)
    anomaly: Tensor | None = None
    observed: list[Tensor] = field(default_factory=list)
    credit: list[Tensor] = field(default_factory=list)
    # IO, with several streams: the weight of each in a mean over them, 0 if it is not active.
    share: Tensor | None = None

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
        return rate if rate and rate.storage == IO else None

    def some(self, begin: int, end: int) -> "Plan":
        """The plan of some of the models. The tensors are the same objects."""
        return self.of(range(begin, min(end, self.models)))

    def of(self, models) -> "Plan":
        """As `some`, of the models of these numbers."""
        return replace(self, seeds=tuple(self.seeds[p] for p in models))

    @property
    def slots(self) -> int:
        """Steps on the tape: those that wait for their target, and as many behind them as the longest window of a
        temporal memory gives credit to. Two at least, so that a step can begin while the one before it is still being
        learned from."""
        return max(2, self.ahead + self.window)

    def slots_of(self, tensor: Tensor) -> int:
        return self.slots if tensor.storage == TAPE else 1

    @property
    def online(self) -> Program:
        """What a step does in the long run."""
        return GIVEN if self.given else ONLINE

    @cached_property
    def ring_turn(self) -> int:
        """After so many steps the rings of all memories stand as before: numbers of steps may be counted modulo
        this."""
        return lcm(*self.windows)

    def calls(self, program: Program) -> list[Call]:
        """The calls of a step in their order."""
        if program.flush:
            return [c for c in self.learn if c.leaving]
        arrived = dict(zip(self.targets, self.inputs)) if program.target == "input" else {}
        behind = 0 if program.target == "given" else 1 if program.near else 2
        forward = [c for c in self.forward if program.learn or not c.learning] if program.forward else []
        back = [c for c in self.learn if program.target and (program.teach or not c.learning)]
        back, forward = ([_adapted(c, behind, arrived) for c in calls] for calls in (back, forward))
        return back + forward if program.target == "input" else forward + back

    def add(self, tensor: Tensor) -> Tensor:
        if tensor.name in self.tensors:
            raise ValueError(f"two tensors are called {tensor.name!r}")
        self.tensors[tensor.name] = tensor
        return tensor

    def stored_in(self, *storages: str) -> list[Tensor]:
        return [t for t in self.tensors.values() if t.storage in storages]


def _adapted(call: Call, behind: int, arrived: dict[Tensor, Tensor]) -> Call:
    """The call in a program: `arrived`, what stands for given targets."""
    tensors = {n: arrived.get(t, t) if isinstance(t, Tensor) else t for n, t in call.tensors.items()}
    return replace(call, behind=behind, tensors=tensors)
