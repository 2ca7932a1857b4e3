"""Lowering: a network, a loss and an optimiser become a plan."""

from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.clocks import clocks_of
from deephtm_gpu.graph.forms import Form, forms_of
from deephtm_gpu.graph.networks import Network
from deephtm_gpu.graph.nodes import Node, source_of
from deephtm_gpu.layers.spatial_pooler import SpatialPooler
from deephtm_gpu.plan.plan import Plan
from deephtm_gpu.plan.scope import Scope, Value, make_call
from deephtm_gpu.plan.tensors import IO, STATE, STEP, Tensor

LOSSES = ("mse", "cross_entropy", "bce")


def lower(network: Network, losses: list[str], optimizer, streams: int, seeds, ahead: int, observed=(),
          weights=None) -> tuple[Plan, dict[Node, Form]]:
    """The plan of one step, and the form of every node. losses, weights: one per output. seeds: the model's, or one each of a population's.
    ahead: how many steps ahead outputs predict the inputs; 0: targets are given. observed: names of tensors on the tape that every row
    is to report. Raises UserError where shapes do not fit."""
    seeds = (seeds,) if isinstance(seeds, int) else tuple(seeds)
    lowering = _Lowering(network, losses, weights or [1.0] * len(losses), optimizer, streams, seeds, ahead, observed)
    return lowering.plan, lowering.forms


class _Lowering:
    def __init__(self, network, losses, weights, optimizer, streams, seeds, ahead, observed):
        self.network, self.losses, self.weights = network, losses, weights
        self.names, self.owners = network.names(), network.owners()
        self.clocks, self.ticks = clocks_of(network.nodes), {}  # ticks: a clock's node -> (tick, begun)
        self.plan = Plan(streams, ahead, seeds)
        self.forms = forms_of(network)
        self.values: dict[Node, Value] = {}
        self.backwards, self.endings, self.updates = [], [], []
        self.clock = self.plan.add(Tensor("t", (1,), STEP, index=True))
        # Of a population with a rate each, it comes with every row like an input.
        self.rate = self.plan.add(Tensor("rate", (1,), IO if optimizer.models else STEP))
        self.updates_before = self.plan.add(Tensor("k", (1,), STEP))
        classifies = "cross_entropy" in losses
        self.surprise = self.plan.add(Tensor("surprise", (1,), STATE, start=1.0)) if classifies else None
        self.share_of_streams = self.plan.add(Tensor("share_of_streams", (1,), STATE, start=1 / streams))
        self._lower_share()
        self.slow_nodes = _up_to_the_last_pooler(network)

        for node in network.nodes:
            self._lower_node(node)
        self._lower_observed(observed)
        for node, ending in self.endings:
            ending(self.values[source_of(node)])
        gradients = self._lower_losses()
        for node, backward in reversed(self.backwards):
            self._lower_backward(node, backward, gradients)
        optimizer.lower(self)

    def _lower_share(self):
        """Several streams: what each counts for stands in the rows, as streams may end."""
        if self.plan.streams > 1:
            self.plan.share = self._io("share", 1)
            for calls, lag in ((self.plan.forward, None), (self.plan.learn, 0)):
                calls.append(make_call("keep_update", {"x": self.plan.share, "kept": self.share_of_streams, "D": 1}, "streams", lag))

    def _lower_node(self, node):
        scope = Scope(self, node)
        inputs = [self.values[n] for n in node.inputs + node.contexts]
        value, backward = node.layer.lower(scope, inputs)
        value.grad = any(x.grad for x in inputs) or scope.learns
        self.values[node] = value
        self.backwards.append((node, lambda d: backward(d)))

    def _lower_observed(self, names):
        """A copy of each of these tensors in every row, so that who looks on needs no reading back of his own."""
        for name in names:
            tensor = self.plan.tensors[name]
            told = self._io(f"observed {name}", tensor.size)
            copy, read = ("number_forward", "places") if tensor.index else ("copy_forward", "x")
            self.plan.forward.append(make_call(copy, {read: tensor, "y": told, "D": tensor.size}, name.rpartition(".")[0], None, learning=False))
            self.plan.observed.append(told)

    def _lower_losses(self) -> dict[Node, list[Tensor]]:
        """Predictions, losses, and the gradient into every output."""
        gradients: dict[Node, list[Tensor]] = {}
        self.errors = []
        for j, (node, loss, weight) in enumerate(zip(self.network.outputs, self.losses, self.weights)):
            scope = Scope(self, node, f"loss{j}")
            y, to_pairs = scope.written_out(self.values[node])
            D = y.size
            if self.plan.ahead:
                target = self._target_among_inputs(j, node, D)
            else:
                target = self._io(f"target{j}", D)
            self.plan.targets.append(target)
            prediction, told = self._io(f"prediction{j}", D), self._io(f"loss{j}", 1)
            self.plan.predictions.append(prediction)
            self.plan.losses.append(told)
            dy = scope.scratch("dy", (D,))
            if loss == "mse":
                scope.forward("copy_forward", x=y.tensor, y=prediction, D=D)
                scope.learn("mse_forward", y=y.tensor, target=target, loss=told, D=D)
                scope.learn("mse_backward", y=y.tensor, target=target, extent=scope.state("extent", (2,)), dy=dy, D=D)
            elif loss == "bce":
                probability = scope.tape("probability", (D,))
                scope.forward("sigmoid_forward", y=y.tensor, probability=probability, D=D)
                scope.forward("copy_forward", x=probability, y=prediction, D=D)
                scope.learn("bce_forward", probability=probability, target=target, loss=told, D=D)
                scope.learn("cross_entropy_backward", probability=probability, target=target, dy=dy, D=D)
            else:
                probability = scope.tape("probability", (D,))
                scope.forward("softmax_forward", y=y.tensor, probability=probability, D=D)
                scope.forward("copy_forward", x=probability, y=prediction, D=D)
                scope.learn("cross_entropy_forward", probability=probability, target=target, loss=told, D=D)
                if j == self.losses.index("cross_entropy"):
                    scope.learn("surprise_forward", learning=False, probability=probability, target=target,
                                surprise=self.surprise, D=D)
                scope.learn("cross_entropy_backward", probability=probability, target=target, dy=dy, D=D)
            if weight == 0:  # it is only told
                continue
            if weight != 1:
                weighted = scope.scratch("dweighted", (D,))
                scope.learn("scale_forward", x=dy, y=weighted, by=float(weight), D=D)
                dy = weighted
            dy = self._without_the_ended(scope, dy)
            self.errors.append((dy, weight))
            gradients.setdefault(node, []).append(to_pairs(dy))
        return gradients

    def _without_the_ended(self, scope, dy) -> Tensor:
        """A stream that has ended teaches nothing more; what it has deferred comes through all the same."""
        if self.plan.streams == 1:
            return dy
        living = scope.scratch("dliving", dy.shape)
        scope.learn("ended_backward", dy=dy, share=self.share_of_streams, dliving=living, D=dy.size)
        return living

    def _target_among_inputs(self, j, node, D) -> Tensor:
        if j >= len(self.plan.inputs):
            raise UserError(f"Output {j} predicts input {j} where no targets are given, and there are {len(self.plan.inputs)} inputs; give targets.")
        if self.plan.inputs[j].size != D:
            raise UserError(
                f"Output {j} ({node.layer!r}) gives {D} numbers and input {j}, which it is to predict, has {self.plan.inputs[j].size}; "
                "make them the same, or give targets."
            )
        return self.plan.inputs[j]

    def _io(self, name, size) -> Tensor:
        return self.plan.add(Tensor(name, (size,), IO))

    def _lower_backward(self, node, backward, gradients):
        """Adds up what came back into the node, and sends it on to what stands before it."""
        if not self.values[node].grad or node not in gradients:
            return
        scope = Scope(self, node)
        total, *more = gradients[node]
        for n, d in enumerate(more):
            y = scope.scratch(f"sum{n}", total.shape)
            scope.learn("add_forward", a=total, b=d, y=y, D=total.size)
            total = y
        for before, d in zip(node.inputs + node.contexts, backward(total)):
            if d is not None and self.values[before].grad:
                gradients.setdefault(before, []).append(d)


def _up_to_the_last_pooler(network) -> set[Node]:
    """All nodes from which a spatial pooler is reached within a step, poolers included."""
    found = set()

    def mark(node):
        if node not in found:
            found.add(node)
            for before in node.flow:
                mark(before)

    for node in network.nodes:
        if isinstance(node.layer, SpatialPooler):
            mark(node)
    return found
