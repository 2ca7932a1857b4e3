"""Lowering: a network, a loss and an optimiser become a plan."""

from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.clocks import clocks_of
from deephtm_gpu.graph.defaults import settings_of
from deephtm_gpu.graph.forms import Form, forms_of
from deephtm_gpu.graph.networks import Network
from deephtm_gpu.graph.nodes import Node, source_of
from deephtm_gpu.losses.table import as_losses
from deephtm_gpu.plan.gradients import one_step_each
from deephtm_gpu.plan.plan import Plan, make_call
from deephtm_gpu.plan.scope import Scope, Value
from deephtm_gpu.plan.tensors import IO, SCRATCH, STATE, STEP, Tensor


def lower(network: Network, losses, optimizer, streams: int, seeds, ahead: int, observed=(), weights=None,
          given: bool | None = None) -> tuple[Plan, dict[Node, Form]]:
    """The plan of one step, and the form of every node. losses: one per output, or one for all, names or objects;
    weights: one per output. seeds: the model's, or one each of a population's. ahead: the most steps that a prediction
    can wait for the input that it predicts. given: whether there is memory for targets; None: where ahead is 0.
    observed: names of tensors on the tape that every step is to report. Raises UserError where shapes do not fit."""
    seeds = (seeds,) if isinstance(seeds, int) else tuple(seeds)
    given = ahead == 0 if given is None else given
    lowering = _Lowering(network, losses, weights, optimizer, streams, seeds, ahead, observed, given)
    return lowering.plan, lowering.forms


class _Lowering:
    def __init__(self, network, losses, weights, optimizer, streams, seeds, ahead, observed, given):
        self.network, self.losses = network, as_losses(losses, len(network.outputs))
        self.weights = weights or [1.0] * len(self.losses)
        self.names, self.owners = network.names(), network.owners()
        self.clocks, self.ticks = clocks_of(network.nodes), {}  # ticks: a clock's node -> (tick, has_ticked)
        self.plan = Plan(streams, ahead, seeds, given=given)
        self.forms = forms_of(network)
        self.values: dict[Node, Value] = {}
        self.backwards, self.endings, self.updates = [], [], []
        self.clock = self.plan.add(Tensor("t", (1,), STEP, index=True))
        # Of a population with a rate each, it comes with every step like an input.
        self.rate = self.plan.add(Tensor("rate", (1,), IO if optimizer.models else STEP))
        self.scored = self.plan.add(Tensor("scored", (1,), STEP, index=True))  # the number of the step that is scored
        self.waiting = self.plan.add(Tensor("waiting", (1,), STEP))  # how many steps it waited for its target
        self.updates_before = self.plan.add(Tensor("k", (1,), STEP))
        # How unexpected what arrived was, for the memories: of the first output that gives it.
        self.surprising = next((j for j, loss in enumerate(self.losses) if loss.gives_surprise), None)
        self.surprise = self.surprised = None  # and the (H, W) of the map that it is of
        if self.surprising is not None:
            form = self.forms[network.outputs[self.surprising]]
            self.surprise = self.plan.add(Tensor("surprise", (1,), STATE, start=1.0, sites=form.sites))
            self.surprised = form.positions
        self.share_of_streams = self.plan.add(Tensor("share_of_streams", (1,), STATE, start=1 / streams))
        self._lower_share()
        self.settings = settings_of(network, self.forms, self.surprise is not None)

        for node in network.nodes:
            self._lower_node(node)
        self._lower_observed(observed)
        for node, ending in self.endings:
            ending(self.values[source_of(node)])
        gradients = self._lower_losses()
        for node, backward in reversed(self.backwards):
            self._lower_backward(node, backward, gradients)
        self.updates = one_step_each(self.plan, self.updates)
        optimizer.lower(self)

    def _lower_share(self):
        """Several streams: what each counts for comes with every step, as streams may end."""
        if self.plan.streams > 1:
            self.plan.share = self._io("share", 1)
            for calls, lag in ((self.plan.forward, None), (self.plan.learn, 0)):
                calls.append(
                    make_call(
                        "keep_update", {"x": self.plan.share, "kept": self.share_of_streams, "D": 1}, "streams", lag
                    )
                )

    def _lower_node(self, node):
        scope = Scope(self, node)
        if scope.tick and scope.tick.sites not in (1, scope.sites):
            raise UserError(
                f"{node.layer!r} must stand where there is one clock, got a clock at each of {scope.tick.sites} "
                "positions of a map; give dh.when a gate of one number, not a map."
            )
        inputs = [self.values[n] for n in node.inputs + node.contexts]
        value, backward = node.layer.lower(scope, inputs)
        value.grad = any(x.grad for x in inputs) or scope.learns
        self.values[node] = value
        self.backwards.append((node, lambda d: backward(d)))

    def _lower_observed(self, names):
        """A copy of each of these tensors in every step, so that observers need no reading back of their own."""
        for name in names:
            tensor, layer = self.plan.tensors[name], name.rpartition(".")[0]
            output = self._io(f"observed {name}", tensor.size * tensor.sites)
            if tensor.sites > 1 and tensor.index:
                numbers = self.plan.add(Tensor(f"{name} numbers", tensor.shape, SCRATCH, sites=tensor.sites))
                self._report("number_forward", layer, index=tensor, y=numbers, D=tensor.size)
                tensor = numbers
            if tensor.sites > 1:
                self._report("flat_forward", layer, x=tensor, flat=output, D=tensor.size, X=tensor.sites)
            elif tensor.index:
                self._report("number_forward", layer, index=tensor, y=output, D=tensor.size)
            else:
                self._report("copy_forward", layer, x=tensor, y=output, D=tensor.size)
            self.plan.observed.append(output)

    def _report(self, name, layer, **arguments):
        self.plan.forward.append(make_call(name, arguments, layer, None, learning=False))

    def _lower_losses(self) -> dict[Node, list[Tensor]]:
        """Predictions, losses, and the gradient into every output."""
        gradients: dict[Node, list[Tensor]] = {}
        self.errors = []
        for j, (node, loss, weight) in enumerate(zip(self.network.outputs, self.losses, self.weights)):
            scope = Scope(self, node, f"loss{j}")
            y, to_sparse = scope.to_dense(self.values[node])
            made = loss.activate(scope, y.tensor)  # at each position of a map
            scope.sites = 1  # the loss is of one vector, as targets come
            flat, to_map = scope.flattened(Value(made, y.size))
            flat, D = flat.tensor, flat.size
            target, prediction, error = self._reported(j, node, D)
            dy = scope.scratch("dy", (D,))
            scope.forward("copy_forward", x=flat, y=prediction, D=D)
            loss.forward(scope, flat, target, error)
            if j == self.surprising:
                self._lower_surprise(scope, made, target)
            loss.backward(scope, flat, target, dy)
            if weight == 0:  # it is only reported
                continue
            dy = self._mask_inactive(scope, self._weighted(scope, dy, weight))
            self.errors.append((dy, weight))
            gradients.setdefault(node, []).append(to_sparse(to_map(dy)))
        return gradients

    def _reported(self, j, node, D) -> tuple[Tensor, Tensor, Tensor]:
        """Of output j: target, prediction, loss."""
        target = Tensor(f"target{j}", (D,), IO)
        if self.plan.given:
            self.plan.add(target)
        self.plan.follows = self.plan.follows or self._why_no_input(j, node, D)
        prediction, loss = self._io(f"prediction{j}", D), self._io(f"loss{j}", 1)
        self.plan.targets.append(target)
        self.plan.predictions.append(prediction)
        self.plan.losses.append(loss)
        return target, prediction, loss

    def _weighted(self, scope, dy, weight) -> Tensor:
        if weight == 1:
            return dy
        weighted = scope.scratch("dweighted", dy.shape)
        scope.learn("scale_forward", x=dy, y=weighted, by=float(weight), D=dy.size)
        return weighted

    def _lower_surprise(self, scope, probability, target):
        """probability: at each position of a map; the target comes flat."""
        if probability.sites > 1:
            size = dict(D=probability.size, X=probability.sites)
            targets = scope.scratch("targets", probability.shape, sites=probability.sites)
            scope.learn("map_forward", learning=False, flat=target, x=targets, **size)
            target = targets
        scope.learn("surprise_forward", learning=False, probability=probability, target=target, surprise=self.surprise,
                    D=probability.size)

    def _mask_inactive(self, scope, dy) -> Tensor:
        """Nothing is learned from a stream that is not active, except from its deferred steps."""
        if self.plan.streams == 1:
            return dy
        active = scope.scratch("dmasked", dy.shape)
        scope.learn("mask_backward", dy=dy, share=self.share_of_streams, dmasked=active, D=dy.size)
        return active

    def _why_no_input(self, j, node, D) -> str | None:
        """Why output j cannot predict input j; None where it can."""
        inputs = self.plan.inputs
        if j >= len(inputs):
            return (f"Without targets there must be an input for output {j} to predict, got {len(inputs)} inputs; "
                    "give targets.")
        if inputs[j].size != D:
            return (f"Without targets output {j} ({node.layer!r}) must have the size of input {j}, got {D} and "
                    f"{inputs[j].size}; make them the same, or give targets.")
        given, made = self.forms[self.network.inputs[j]], self.forms[node]
        if given.positions and made.positions and given.positions != made.positions:
            return (f"Output {j} ({node.layer!r}) must predict input {j}, a map {given.whole_shape}, got a map "
                    f"{made.whole_shape}; make them the same, or give targets.")
        return None

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
        for n, (before, d) in enumerate(zip(node.inputs + node.contexts, backward(total))):
            if d is not None and self.values[before].grad:
                if d.sites > self.values[before].sites:  # a vector that all positions see
                    d = self._sum_of_sites(scope, n, d)
                gradients.setdefault(before, []).append(d)

    def _sum_of_sites(self, scope, n, d) -> Tensor:
        y = scope.scratch(f"over_positions{n}", d.shape, sites=1)
        scope.learn("sites_forward", x=d, y=y, by=1.0, D=d.size, X=d.sites)
        return y
