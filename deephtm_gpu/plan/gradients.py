"""Where gradients lie: nowhere where a parameter has one use, else in a tensor that all its uses add to, and one step
follows.

A parameter with one use steps along factors that are never multiplied out (`ops/update.py`), and costs no memory. With
several (a layer called on several nodes) that would be a step of the optimiser by each: Adam would move several times
as far, and the norm of the sum would be unknown. So their gradients are materialised (`ops/gradient.py`), a stream's in
a tensor of its own, because Polyak steps and clipping need the norm of each stream's. """

from dataclasses import dataclass

from deephtm_gpu.ops.table import PASSES
from deephtm_gpu.plan.plan import Plan, make_call
from deephtm_gpu.plan.tensors import GRADIENT, Tensor


@dataclass
class Update:
    """A step of a parameter: the pass that makes it, and what this reads of the gradient: its factors in one use, or
    what several have added up. squares: how to get the squared norm of the gradient, of weight and bias together,
    (pass, tensors, constants). scale: of the learning rate. lag: see `Call`. sites: positions of a stream at which the
    use stands."""

    name: str
    tensors: dict
    consts: dict
    scale: float
    squares: list
    layer: str
    lag: int
    sites: int = 1

    @property
    def parameter(self) -> Tensor:
        """What it steps, a weight rather than the bias that goes with it."""
        return self.tensors.get("weight") or self.tensors["bias"]


# What steps along one use at once -> what adds the use to a gradient, and what steps along that.
MATERIALISED = {
    "outer_update": ("outer_gradient", "matrix_step"),
    "vector_update": ("vector_gradient", "vector_step"),
    "rows_update": ("rows_gradient", "rows_step"),
    "lazy_update": ("lazy_gradient", "rows_step"),
    "entries_update": ("entries_gradient", "entries_step"),
    "synapse_update": ("synapse_gradient", "synapse_step"),
    "sampled_update": ("sampled_gradient", "synapse_step"),
    "conv_gradient": ("conv_gradient", "matrix_step"),  # none at once: a window is used at every position
    "sparse_transposed_gradient": ("sparse_transposed_gradient", "rows_step"),
}


def one_step_each(plan: Plan, uses: list[Update]) -> list[Update]:
    """uses: in the order of the way back -> the updates, one per parameter, where its last use stood. Emits the calls
    that add uses up."""
    of_parameter: dict[Tensor, list[Update]] = {}
    for use in uses:
        of_parameter.setdefault(use.parameter, []).append(use)
    last = [use for use in uses if of_parameter[use.parameter][-1] is use]
    return [_one_step(plan, of_parameter[use.parameter]) for use in last]


def _one_step(plan: Plan, uses: list[Update]) -> Update:
    adds_up = uses[0].name == MATERIALISED[uses[0].name][0]
    if len(uses) == 1 and uses[0].sites == 1 and not adds_up:
        return uses[0]
    steps = {MATERIALISED[use.name][1] for use in uses}
    lags = {use.lag for use in uses}
    if len(steps) > 1 or len(lags) > 1:
        raise ValueError(f"the uses of {uses[0].parameter.name!r} do not add up: steps {steps}, lags {lags}")
    return _Sum(plan, uses, steps.pop()).update()


class _Sum:
    """The gradient of a parameter (and of the bias that steps with it) as tensors, to which its uses add."""

    def __init__(self, plan: Plan, uses: list[Update], step: str):
        self._plan, self._uses, self._step = plan, uses, PASSES[step]
        self._layer = uses[0].parameter.name.rpartition(".")[0]
        self._parameters = {n: uses[0].tensors[n] for n in ("weight", "bias") if n in uses[0].tensors}
        written = ("gradient", "bias_gradient", "touched")
        self._gradients = {n: self._gradient(n) for n in self._step.changes if n in written}

    def update(self) -> Update:
        """Emits the calls that add the uses up, and returns the step that follows."""
        for use in self._uses:
            self._add(use)
        rows, columns = self._uses[0].parameter.shape[0], self._uses[0].parameter.shape[-1]
        most = min(rows, sum(map(_most_rows, self._uses)))
        sizes = {"O": rows, "N": rows, "D": rows, "I": columns, "P": columns, "most": most}
        # One parameter has one rate. Where some of its uses are slow and others are not, the slow ones say: code that
        # is read moves slowly.
        scale = min(use.scale for use in self._uses)
        consts = {n: sizes[n] for n in self._step.consts if n in sizes}
        return Update(self._step.name, {**self._parameters, **self._gradients}, consts, scale, self._squares(sizes),
                      self._layer, self._uses[0].lag)

    def _gradient(self, name: str) -> Tensor:
        parameter = self._parameters["bias" if name == "bias_gradient" else "weight"]
        shape = parameter.shape[:1] if name == "touched" else parameter.shape
        return self._plan.add(Tensor(f"{parameter.name}.{name.removeprefix('bias_')}", shape, GRADIENT))

    def _add(self, use: Update):
        name = MATERIALISED[use.name][0]
        given = {"X": use.sites, **use.tensors, **use.consts, **self._gradients}
        if "value" in use.tensors:
            given["room"] = use.tensors["value"].size
        op = PASSES[name]
        arguments = {n: given[n] for n in (*op.tensors, *op.consts)}
        self._plan.learn.append(make_call(name, arguments, use.layer, use.lag, leaving=use.lag > 0))

    def _squares(self, sizes) -> list[tuple]:
        squares = []
        for name in ("gradient", "bias_gradient"):
            if name not in self._gradients:
                continue
            gradient = self._gradients[name]
            if name == "gradient" and "touched" in self._gradients:
                tensors = {"gradient": gradient, "touched": self._gradients["touched"]}
                squares.append(("rows_square", tensors, dict(N=sizes["N"], I=sizes["I"], most=sizes["most"])))
            else:
                squares.append(("gradient_square", {"gradient": gradient}, dict(D=gradient.size)))
        return squares


def _most_rows(use: Update) -> int:
    """How many rows a stream touches by it."""
    return use.sites * use.consts["L"] if "L" in use.consts else use.parameter.shape[0]
