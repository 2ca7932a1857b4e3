"""A model: a network on a device, learning online."""

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from deephtm_gpu.arguments import check_count
from deephtm_gpu.backends.batch import Batch, Outputs, shares
from deephtm_gpu.backends.devices import open_device
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.forms import forms_of
from deephtm_gpu.graph.networks import Network, Sequential
from deephtm_gpu.graph.nodes import Input
from deephtm_gpu.graph.summary import summary
from deephtm_gpu.history import History, StepResult
from deephtm_gpu.loss import loss_names
from deephtm_gpu.loss import loss_weights as check_weights
from deephtm_gpu.numeric import as_array
from deephtm_gpu.optimisers.base import Optimizer
from deephtm_gpu.optimisers.polyak import PolyakSGD
from deephtm_gpu.plan.lowering import lower
from deephtm_gpu.plan.tensors import PARAMETERS, STATE, TAPE
from deephtm_gpu.saving.model import save_model
from deephtm_gpu.series import as_series, check_distribution
from deephtm_gpu.state import describe_observed, describe_state, observable
from deephtm_gpu.watch import Watch

CLASSIFYING = ("cross_entropy", "bce")
CHUNK = 512  # rows given to a backend at once; the result does not depend on it


@dataclass(frozen=True)
class LayerInfo:
    """A layer as a summary shows it. output_shape: without streams. parameters: how many numbers it learns."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    repr: str


class Model:
    """A network put on a device.

    net: a Sequential (then input_shape is needed) or a Network. loss: "mse" (half the squared error, summed over outputs)
    or "cross_entropy" (the network's output goes through softmax; targets one-hot or class numbers) or "bce" (each output
    through a sigmoid by itself; targets 0 to 1); one for all outputs or a list. loss_weights: how much each output's loss counts, a list;
    0: the output is only told. streams: S parallel sequences that share the weights. device: "auto", "gpu", "numpy" or part of an adapter's
    name. Raises UserError where something does not fit, DeviceError where there is no such device.
    """

    is_population = False

    def __init__(self, net, input_shape=None, loss="mse", optimizer=None, streams=1, seed=0, device="auto", loss_weights=None):
        self.streams = check_count("streams", streams)
        self.seed = check_count("seed", seed, least=0)
        self._begin(net, input_shape, loss, optimizer, (self.seed,), device, loss_weights)

    def _begin(self, net, input_shape, loss, optimizer, seeds, device, weights):
        """seeds: of each model of a population; an ordinary one has one."""
        self._seeds, self._units = seeds, len(seeds) * self.streams
        self._network = _network(net, input_shape)
        self._losses = loss_names(loss, len(self._network.outputs))
        self._loss_weights = check_weights(weights, len(self._network.outputs))
        self._optimizer = self._check_optimizer(optimizer)
        self._opened = open_device(device)
        self.device = self._opened.info
        self._steps = 0  # steps run since the model was made
        self._updates = 0  # updates made, which optimisers and their schedules count
        self._given = False  # whether weights were put in
        self._pending = 0  # steps on the tape whose target has not come
        self._observed: tuple[str, ...] = ()  # tensors that every row reports
        self._last: Outputs | None = None  # what the last row gave
        self._going = np.ones(self._units, bool)  # which streams have not ended since the last reset
        self._build(ahead=1 if self._predicts_inputs() else 0)

    # Learning and predicting

    def fit(self, inputs, targets=None, ahead=1, progress=False, callback=None, mask=None) -> History:
        """Learns online from a series and returns a History with one row per input.

        inputs: (steps, *shape) or (steps, S, *shape); a list of them where the network has several inputs. Without targets,
        output j learns to predict input j `ahead` steps later; with targets, step t learns from (inputs[t], targets[t]) at
        once. callback(steps done, History of the chunk) is called after every chunk; if it returns True, learning stops. (The last
        `ahead` losses of a chunk come too late for it; the History returned has them.)
        mask: (steps, S) truth values for streams that end early: false from a stream's end on. What stands there in the series
        is not looked at, nothing is learned from it, and the History has NaN. An ended stream begins again with reset().
        Raises UserError for a series that does not fit or holds NaN, TrainingError where learning diverges.
        """
        ahead = 0 if targets is not None else check_count("ahead", ahead)
        going = None if mask is None else self._check_mask(mask)
        xs, ys = self._series(inputs, targets, mask=going)
        if going is None:
            going = np.broadcast_to(self._going, (len(xs[0]), self._units))
        elif len(going) != len(xs[0]):
            raise UserError(f"mask has {len(going)} steps, the inputs have {len(xs[0])}; they must be as many.")
        for loss, x in zip(self._losses, ys or xs):
            if loss in CLASSIFYING:
                check_distribution("inputs" if ys is None else "targets", x, going, alone=loss == "bce")
        self._build(ahead)
        return self._run(xs, ys, True, progress, callback, going)

    def predict(self, inputs):
        """The predictions of the same pass without learning, from the present temporal state: (steps, *shape), or a list of
        them. Leaves every bit of the model as it was."""
        return self._look(inputs).prediction

    def trace(self, inputs) -> History:
        """As `predict`, and all that a History holds, with the observed too (see `observe`). Leaves every bit of the model as it was."""
        if self._observed:
            return self._look(inputs)
        kept = self._plan, self._forms, self._backend
        try:
            self._observed = tuple(tensor for *_, tensor in observable(self._network))
            self._plan, self._forms, self._backend = self._lowered(self._ahead)
            self._copy(kept[2], self._backend, *PARAMETERS, STATE, TAPE)
            return self._look(inputs)
        finally:
            self._observed = ()
            self._plan, self._forms, self._backend = kept

    def _look(self, inputs) -> History:
        xs, _ = self._series(inputs, None)
        with self._untouched():
            return self._run(xs, None, False)

    def step(self, x, target=None) -> StepResult:
        """One step of a live stream: learns from what arrived, predicts. x: *shape or (S, *shape)."""
        lead = self._at_once(x)
        history = self.fit(lead, None if target is None else self._target_at_once(target), ahead=max(1, self._ahead))
        loss = self._told_loss if target is None else history.loss
        made = history.prediction
        last = [self._last_of(p) for p in made] if isinstance(made, list) else self._last_of(made)
        return StepResult(last, self._last_of(loss), self._last_of(history.anomaly))

    def rollout(self, steps):
        """Generates `steps` values: feeds its own prediction back as the next input, from the last input seen. (steps, *shape).
        For networks whose outputs predict their inputs one step ahead. Leaves the model as it was."""
        check_count("steps", steps)
        if self._ahead != 1 or len(self._network.outputs) != len(self._network.inputs):
            raise UserError("rollout feeds predictions back as the next inputs; it needs a network that predicts all its inputs one step ahead.")
        if self._last is None:
            raise UserError("rollout goes on from the last input; the model has seen none since it was made or reset: fit or step first.")
        made = [self._last.predictions]
        with self._untouched():
            for _ in range(steps - 1):
                told = self._backend.run(self._rows(made[-1], None, self._going[None], learn=False))
                self._advance(told, 1)
                made.append(told.predictions)
        series = [np.concatenate([row[j] for row in made]) for j in range(len(made[0]))]
        return self._unpack([self._shown(s, j) for j, s in enumerate(series)])

    def reset(self):
        """Forgets the temporal state and what is pending: a new sequence begins. Keeps the weights.

        What the memories' windows have put off is learned first: their last steps can gather no more credit."""
        self._flush()
        self._backend.reset()
        self._pending, self._last = 0, None
        self._going[:] = True
        self._watch.forget()  # what it would run again belongs to the sequence before

    # Looking inside

    def layers(self) -> list[LayerInfo]:
        """The layers in the order of flow."""
        found = []
        for node, name in self._network.names().items():
            if isinstance(node.layer, Input):
                continue
            count = sum(t.size for t in self._plan.placed(*PARAMETERS) if t.learned and t.name.startswith(name + "."))
            form = self._forms[node]
            found.append(LayerInfo(name, type(node.layer).__name__, form.shape or (form.size,), count, repr(node.layer)))
        return found

    def summary(self) -> str:
        """The network as a table: layers, shapes, parameters, and what reads what. print(model.summary())"""
        counts = {info.name: info.parameters for info in self.layers()}
        return summary(self._network, self._forms, counts, f"{self.device.name} ({self.device.backend}, {self.device.kind})")

    def __repr__(self):
        learned = sum(info.parameters for info in self.layers())
        return f"<{type(self).__name__} of {len(self.layers())} layers, {learned:,} parameters, on {self.device.name}, after {self._steps:,} steps>"

    @property
    def dispatches(self) -> int | None:
        """Dispatches of an online step; None on NumPy."""
        return self._backend.dispatches

    def observe(self, on=True):
        """From now on every History has `observed`, the step of each row by layer name: of a pooler `winners` (T, K), the columns; of
        a memory `cells` (T, K, M), the activity of the winners' cells, and `predicted` (T, K), how likely it was that they win. Costs a
        little copying per step, and changes nothing of what is learned. As when `ahead` changes, what is pending is dropped."""
        observed = tuple(tensor for *_, tensor in observable(self._network)) if on else ()
        if observed != self._observed:
            self._observed = observed
            self._build(self._ahead, anew=True)

    def state(self) -> dict[str, dict[str, np.ndarray]]:
        """The last step by layer name: of a pooler `winners` (K,) and `activity` (C,); of a memory `cells` (C, M),
        `predictive` (C, M): how depolarised each cell is by the context that now stands, and `predicted` (C,): how likely
        each column is to win next. S in front where there are several streams."""
        return describe_state(self._network, self._forms, self._backend.read, self._plan, self._steps)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all weights, name -> array, as PyTorch users know it: "0.weight" (out, in), "0.bias" (out,), ..."""
        arrays = {t.name: self._backend.read(t.name) for t in self._weights()}
        return {n: _turned(a) if self._plan.tensors[n].transposed else a for n, a in arrays.items()}

    def load_state_dict(self, weights: dict[str, np.ndarray]):
        """Puts weights in, all or none. Raises UserError where names or shapes do not fit."""
        held = {t.name: t for t in self._weights()}
        if not isinstance(weights, Mapping):
            raise UserError(f"load_state_dict was given {type(weights).__name__!r}; it takes what state_dict() returns: name -> array.")
        if missing := sorted(held.keys() - weights.keys()):
            raise UserError(f"load_state_dict was given no {missing}; the model needs {sorted(held)}.")
        if unknown := sorted(weights.keys() - held.keys()):
            raise UserError(f"load_state_dict was given {unknown}, which the model does not have; it has {sorted(held)}.")
        arrays = {}
        for name, tensor in held.items():
            try:
                array = np.asarray(weights[name], np.float32)
            except (TypeError, ValueError):
                raise UserError(f"load_state_dict was given {name!r} of {type(weights[name]).__name__!r}; it takes arrays of numbers.") from None
            if not np.isfinite(array).all():
                raise UserError(f"load_state_dict was given {name!r} with NaN or infinity in it; nothing can be learned from there.")
            wanted = (*self._lead(), *(tensor.shape[::-1] if tensor.transposed else tensor.shape))
            if array.shape != wanted:
                raise UserError(f"load_state_dict was given {name!r} of shape {array.shape}; the model's is {wanted}.")
            arrays[name] = _turned(array) if tensor.transposed else array
        self._given = True
        for name, array in arrays.items():
            self._backend.write(name, array)
        self._watch.forget()

    def save(self, path):
        """Writes everything needed to go on to the bit (safetensors), for `dh.load(path)`. The file is there whole or not at all.

        Raises UserError where it cannot be written, a weight is not finite, or a layer, the optimiser or one of its arguments is
        of a class that deephtm_gpu does not have."""
        save_model(self, path)

    # Within

    def _standing(self) -> dict:
        """Where the model stands, its tensors aside: counts, what the last row gave, which streams go on."""
        counts = {"ahead": self._ahead, "pending": self._pending, "steps": self._steps, "updates": self._updates}
        return {"counts": counts, "last": self._last, "going": self._going}

    def _resume(self, standing, write):
        """Takes up where another stood, as `_standing` told. write(backend): puts that one's tensors in."""
        counts = standing["counts"]
        self._build(counts["ahead"])
        self._given = True
        write(self._backend)
        self._pending, self._steps, self._updates = counts["pending"], counts["steps"], counts["updates"]
        self._last, self._going = standing["last"], standing["going"]
        self._watch.forget()

    def _check_optimizer(self, optimizer) -> Optimizer:
        optimizer = PolyakSGD() if optimizer is None else optimizer
        if not isinstance(optimizer, Optimizer):
            raise UserError(f"Model's optimizer = {optimizer!r} was given; it is an object such as dh.SGD(0.01).")
        self._check_rates(optimizer)
        return optimizer

    def _check_rates(self, optimizer):
        if optimizer.models is not None:
            raise UserError(f"Model's optimizer has {optimizer.models} learning rates; they are for the models of a dh.Population: give one.")

    def _weights(self):
        return [t for t in self._plan.placed(*PARAMETERS) if not t.moment]

    def _predicts_inputs(self) -> bool:
        forms = forms_of(self._network)
        inputs, outputs = ([forms[n].size for n in nodes] for nodes in (self._network.inputs, self._network.outputs))
        return len(outputs) <= len(inputs) and all(o == i for o, i in zip(outputs, inputs))

    def _build(self, ahead, anew=False):
        """Lowers the network for predictions so many steps ahead; weights and state go over, what is pending is dropped."""
        if getattr(self, "_ahead", None) == ahead and not anew:
            return
        moves = self._steps or self._given  # else it is as it was made, and is simply made anew
        if moves:
            self._flush()
        elif hasattr(self, "_ahead"):
            del self._backend, self._watch  # before there is another: a population fills much memory
        plan, forms, backend = self._lowered(ahead)
        if moves:
            self._copy(self._backend, backend, *PARAMETERS, STATE)
        self._plan, self._forms, self._backend, self._ahead = plan, forms, backend, ahead
        self._pending = 0
        self._watch = Watch(backend, plan)

    def _lowered(self, ahead):
        """The plan, the forms of the nodes, and a backend as it is at first."""
        plan, forms = lower(self._network, self._losses, self._optimizer, self.streams, self._seeds, ahead, self._observed, self._loss_weights)
        return plan, forms, self._opened.backend(plan)

    @staticmethod
    def _copy(source, target, *places):
        """What stands in these places goes over from one backend to another."""
        for tensor in target.plan.placed(*places):
            for slot in range(target.plan.slots_of(tensor)):
                target.write(tensor.name, source.read(tensor.name, slot), slot)

    def _flush(self):
        """Learns what the memories' rings still hold (see `Plan.calls`)."""
        turns = self._plan.window - 1
        if turns and self._updates:
            rates = np.array([self._optimizer.rate(self._updates)] * turns, np.float32)
            share = None if self.streams == 1 else shares(np.ones((turns, self.streams), bool))
            updates = np.full(turns, self._updates)
            self._backend.run(Batch([], None, rates, updates, self._steps, 0, share, learn=True, flush=True))

    def _check_mask(self, mask) -> np.ndarray:
        """mask (steps, S) -> the same as an array, all its rules kept."""
        mask = as_array("mask", mask)
        if self.streams == 1:
            raise UserError("fit was given a mask and the model has one stream; cut the series where it ends, and call reset() before the next.")
        if mask.ndim != 2 or mask.shape[1] != self.streams or not (mask.dtype == bool or np.isin(mask, (0, 1)).all()):
            raise UserError(f"mask has shape {mask.shape}, type {mask.dtype}; it must be (steps, {self.streams}) truth values.")
        mask = mask.astype(bool)
        before = np.vstack([self._going, mask[:-1]])
        if (mask & ~before).any():
            step, stream = np.argwhere(mask & ~before)[0]
            raise UserError(f"mask lets stream {stream} go on at step {step} after it has ended; call reset() before a stream begins again.")
        return mask

    def _series(self, inputs, targets, mask=None):
        xs = as_series("inputs", inputs, [n.layer.shape for n in self._network.inputs], self.streams, mask=mask)
        if targets is None:
            return xs, None
        shapes = [self._forms[n].shape for n in self._network.outputs]
        classes = [loss == "cross_entropy" for loss in self._losses]
        ys = as_series("targets", targets, shapes, self.streams, classes, steps=len(xs[0]), mask=mask)
        return xs, ys

    def _rows(self, xs, ys, going, learn) -> Batch:
        rows = Batch(xs, ys, np.zeros(0), np.zeros(len(going), np.int64), self._steps, self._pending,
                    shares(going) if self.streams > 1 else None, learn)
        rows.updates[:] = self._updates + np.maximum(np.arange(len(rows)) - rows.waiting(self._ahead), 0)
        rows.rates = np.array([self._optimizer.rate(int(k)) for k in rows.updates], np.float32)
        return rows

    def _run(self, xs, ys, learn, progress=False, callback=None, going=None) -> History:
        """going (T, S): which streams have not ended; None: as it stands."""
        if going is None:
            going = np.broadcast_to(self._going, (len(xs[0]), self._units))
        done, parts, total = 0, [], len(xs[0])
        runs = int(going.any(axis=1).sum()) if learn else total  # behind them all streams have ended
        bar = tqdm(total=total, unit="step", disable=not progress)
        with bar:
            while done < runs:
                n = min(CHUNK, runs - done)
                cut = slice(done, done + n)
                chunk = [x[cut] for x in xs]
                rows = self._rows(chunk, ys and [y[cut] for y in ys], going[cut], learn)
                told = self._watch.run(rows, done) if learn else self._backend.run(rows)
                self._advance(told, n)
                if learn:
                    told.silence(~going[cut])
                    self._updates = int(rows.updates[-1]) + (rows.waiting(self._ahead) < n)
                    self._going = going[done + n - 1].copy()
                parts.append(told)
                done += n
                bar.update(n)
                if callback and callback(done, self._history([told])) is True:
                    break
            else:
                if runs < total:
                    self._going = going[-1].copy()
                    parts.append(Outputs.empty(self._plan, total - runs))
                    parts[-1].silence(np.ones((total - runs, self._units), bool))
        return self._history(parts)

    def _advance(self, told: Outputs, count):
        self._steps += count
        self._pending = min(self._pending + count, self._ahead)
        self._last = told.last()

    @contextmanager
    def _untouched(self):
        """What runs within leaves every bit of the model as it was."""
        kept = self._backend.snapshot(), self._steps, self._pending, self._last
        try:
            yield
        finally:
            self._backend.restore(kept[0])
            _, self._steps, self._pending, self._last = kept

    def _history(self, parts: list[Outputs]) -> History:
        """A row's loss was told when its target came, `ahead` rows later: put it back beside its prediction."""
        losses = [np.concatenate([p.losses[j] for p in parts]) for j in range(len(self._losses))]  # (T, S) each
        total = sum(weight * loss if weight != 1 else loss for weight, loss in zip(self._loss_weights, losses) if weight)
        self._told_loss = self._one(total)
        losses = [self._one(self._beside_predictions(loss)) for loss in losses]
        made = [np.concatenate([p.predictions[j] for p in parts]) for j in range(len(self._losses))]
        anomaly = np.concatenate([p.anomaly for p in parts])
        observed = [np.concatenate([p.observed[j] for p in parts]) for j in range(len(self._observed))]
        observed = describe_observed(self._network, self._forms, observed) if observed else {}
        observed = {layer: {name: self._one(array) for name, array in told.items()} for layer, told in observed.items()}
        loss = self._one(self._beside_predictions(total))
        return History(loss, self._unpack([self._shown(p, j) for j, p in enumerate(made)]), self._one(anomaly), observed, losses)

    def _beside_predictions(self, told):
        """told (T, S): of each row, the loss of the prediction whose target it brought."""
        if self._ahead == 0:
            return told
        loss = np.full_like(told, np.nan)
        loss[:-self._ahead] = told[self._ahead:]
        return loss

    def _shown(self, prediction, j):
        """(T, S, D) -> (T, *shape), with S behind T where there are several streams."""
        if self._ahead and prediction.shape[2] == np.prod(self._network.inputs[j].layer.shape):
            shape = self._network.inputs[j].layer.shape
        else:
            shape = (prediction.shape[2],)
        return self._one(prediction.reshape(*prediction.shape[:2], *shape))

    # How series and their histories are shaped to the user (a population has them otherwise)

    def _one(self, array):
        return array[:, 0] if self.streams == 1 else array

    def _last_of(self, array):
        return array[-1]

    def _lead(self) -> tuple[int, ...]:
        """What stands in front of a parameter's shape."""
        return ()

    @staticmethod
    def _unpack(arrays):
        return arrays[0] if len(arrays) == 1 else arrays

    def _target_at_once(self, target):
        if len(self._network.outputs) > 1:
            return [as_array("target", v)[None] for v in target]
        return as_array("target", target)[None]

    def _at_once(self, x):
        if len(self._network.inputs) > 1:
            return [as_array("x", v)[None] for v in x]
        return as_array("x", x)[None]


def _network(net, input_shape) -> Network:
    if isinstance(net, Network):
        return net
    if not isinstance(net, Sequential):
        raise UserError(f"Model was given {type(net).__name__!r}; it takes a dh.Sequential or a dh.Network.")
    if input_shape is None:
        raise UserError("A Model of a Sequential needs its input_shape, such as input_shape=(1,).")
    return net.network(input_shape)


def _turned(array):
    """The last two axes change places."""
    return np.ascontiguousarray(np.swapaxes(array, -1, -2))
