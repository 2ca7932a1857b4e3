"""What the engine chooses where the user does not, each by one rule. `summary()` shows what came out.

    learning rate    lr_scale=None: 0.01 up to and in the last spatial pooler (a moving code cannot be read), 1 after it
    first weights    init_std=None: of Linear behind dense numbers √(2/inputs), half of it in an output; behind winners
                     or cells 0.25/√winners, with a cross-entropy among the losses 0.5/√winners; of SpatialPooler
                     √(2/inputs)
    memory's clock   clock=None: "outputs" with a cross-entropy among the losses, else "columns"; behind dh.every or
                     dh.when "columns"

Why these: MODEL, "Start" and "Learning rates". The rules know no layers: these pass in what a rule depends on.
"""

from dataclasses import dataclass
from math import sqrt

from deephtm_gpu.arguments import check_scale
from deephtm_gpu.graph.clocks import clocks_of
from deephtm_gpu.graph.forms import Form

SLOW_ENCODER = 0.01  # of the learning rate
OUTPUTS, COLUMNS = "outputs", "columns"
CLOCKS = (OUTPUTS, COLUMNS)
BY_LOSS = "by loss"  # what `summary` shows where the loss decides, and none was chosen yet


@dataclass(frozen=True)
class Setting:
    """Where a layer's node stands. inputs: the forms of what it reads. surprises: whether an output's loss gives a
    surprise (None: not known, as no loss was chosen yet). slow: whether a pooler comes later in the step, or is the
    layer itself. ticks: whether it stands behind dh.every or dh.when."""

    inputs: tuple[Form, ...]
    is_output: bool
    surprises: bool | None
    slow: bool
    ticks: bool


def settings_of(network, forms, surprises: bool | None) -> dict:
    """The setting of every node."""
    slow, clocks = slow_nodes(network), clocks_of(network.nodes)
    return {
        node: Setting(tuple(forms[n] for n in node.inputs), node in network.outputs, surprises, node in slow,
                      clocks[node] is not None)
        for node in network.nodes
    }


def lr_scale(given: float | None, slow: bool) -> float:
    """What multiplies the learning rate of a layer's parameters."""
    if given is not None:
        return float(check_scale(given))
    return SLOW_ENCODER if slow else 1.0


def dense_std(inputs: int, is_output: bool = False) -> float:
    """Of weights that read `inputs` dense numbers, at the start (He et al. 2015)."""
    return (0.5 if is_output else 1.0) * sqrt(2 / inputs)


def sparse_std(winners: int, surprises: bool) -> float:
    """Of weights that read the winners of a pooler, or their cells, at the start."""
    return (0.5 if surprises else 0.25) / sqrt(winners)


def memory_clock(given: str | None, surprises: bool, ticks: bool) -> str:
    """Whose surprise clocks the slow context of a memory."""
    if given is not None:
        return given
    return OUTPUTS if surprises and not ticks else COLUMNS


def slow_nodes(network) -> set:
    """All nodes from which a spatial pooler is reached within a step, poolers included."""
    found, ahead = set(), [node for node in network.nodes if node.layer.slows_what_it_reads]
    while ahead:
        node = ahead.pop()
        if node not in found:
            found.add(node)
            ahead += node.flow
    return found
