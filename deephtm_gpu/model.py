"""A model: a network on a device, learning online."""

from typing import Any

from deephtm_gpu.arguments import check_count, check_flag, check_seed, shown
from deephtm_gpu.arrangement import StreamsArrangement
from deephtm_gpu.backends.devices import open_device
from deephtm_gpu.copying import Copyable
from deephtm_gpu.errors import UserError
from deephtm_gpu.fitting import fit, refuse_within_fit, step_result, whole_series
from deephtm_gpu.graph.networks import Network, Sequential, as_network
from deephtm_gpu.history import History, StepResult
from deephtm_gpu.inspection import Inspectable
from deephtm_gpu.looking import Looking
from deephtm_gpu.losses.base import Loss
from deephtm_gpu.losses.table import as_losses, loss_weights
from deephtm_gpu.optimisers.base import Optimizer, check_rates
from deephtm_gpu.optimisers.polyak import PolyakSGD
from deephtm_gpu.saving.writing import save_model
from deephtm_gpu.session import Session, Setup


class Model(Looking, Inspectable, Copyable):
    """A network put on a device.

    Parameters
    ----------
    net : Sequential or Network
        How the information flows.
    input_shape : tuple of int, optional
        Of one input; needed with a Sequential.
    loss : str, Loss or a list of them, default "mse"
        Of all outputs, or of each: an object such as `dh.MSE()`, or its name: "mse" (half the squared error, summed
        over the output), "cross_entropy" (softmax; targets one-hot or class numbers), "bce" (a sigmoid for each number
        by itself; targets from 0 to 1).
    optimizer : Optimizer, optional
        PolyakSGD() where it is left out.
    streams : int, default 1
        Parallel sequences S that share the weights.
    seed : int, default 0
        Of the first weights.
    device : str, default "auto"
        "auto": a hardware GPU, else the processor; "gpu", "cpu" (the shaders on the processor), "numpy" (the
        reference), or part of an adapter's name.
    loss_weights : list of float, optional
        What each output's loss counts; 0: it is only reported.

    Raises
    ------
    UserError
        Where something does not fit.
    DeviceError
        Where there is no such device, or the network does not fit it.

    Examples
    --------
    >>> import numpy as np, deephtm_gpu as dh
    >>> model = dh.Model(dh.Sequential(dh.Linear(1)), input_shape=(1,), device="numpy")
    >>> len(model.fit(np.zeros(5) + 0.5))
    5
    """

    is_population = False

    def __init__(self, net: Sequential | Network, input_shape: tuple[int, ...] | None = None,
                 loss: str | Loss | list[str | Loss] = "mse", optimizer: Optimizer | None = None, streams: int = 1,
                 seed: int = 0, device: str = "auto", loss_weights: list[float] | None = None) -> None:
        self.streams, self.seed = check_count("streams", streams), check_seed("seed", seed)
        self.arrangement = StreamsArrangement(self.streams)
        self._start(net, input_shape, loss, optimizer, (self.seed,), device, loss_weights)

    def _start(self, net, input_shape, loss, optimizer, seeds, device, weights):
        """seeds: of each model of a population; an ordinary one has one."""
        network, optimizer = as_network(net, input_shape), PolyakSGD() if optimizer is None else optimizer
        outputs = len(network.outputs)
        losses, weights = as_losses(loss, outputs), loss_weights(weights, outputs)
        if not isinstance(optimizer, Optimizer):
            raise UserError(f"Model's optimizer must be an object such as dh.SGD(0.01), got {shown(optimizer)}.")
        self._check_rates(optimizer.models)
        self._open(Setup(network, losses, weights, optimizer, self.streams, seeds), device)

    def _open(self, setup: Setup, device):
        opened = open_device(device)
        self.device, self.session = opened.info, Session(setup, opened)

    # Learning and predicting

    def fit(self, inputs: Any, targets: Any = None, ahead: int = 1, progress: bool = False, callback: Any = None,
            mask: Any = None, learn: bool = True) -> History:
        """Learns online from a series.

        Without targets, output j learns to predict input j `ahead` steps later; with targets, step t learns from
        (inputs[t], targets[t]) at once. An interruption (Ctrl-C) leaves the model at the step `model.steps`.

        Parameters
        ----------
        inputs : array_like (T, *shape) or (T, S, *shape), a list of them, or an iterator of chunks
            One series per input. Chunks are one series, in bounded memory: the History keeps its newest rows.
        targets : array_like (T, *shape), a list, or an iterator, optional
            One series per output.
        ahead : int, default 1
            For how many steps later a prediction is.
        progress : bool, default False
            Whether a bar is drawn.
        callback : callable or list of them, optional
            Called with (steps done, History of the chunk); learning stops where one returns True. See `SaveEvery`.
        mask : array_like (T, S) of bool, optional
            False from a stream's end on: nothing is learned there, and the History has NaN. An ended stream begins
            again with `reset`.
        learn : bool, default True
            False: the temporal state goes on, and no weight, norm or count of updates moves.

        Returns
        -------
        History

        Raises
        ------
        UserError
            For a series that does not fit or holds NaN.
        TrainingError
            Where learning diverges; the model is back before the chunk.
        """
        ahead = 1 if targets is not None else check_count("ahead", ahead)
        with self.session.turn():
            return fit(self, inputs, targets, ahead, progress, callback, mask, learn)

    def step(self, x: Any, target: Any = None, learn: bool = True) -> StepResult:
        """One step of a live stream: learns from what arrived, and predicts.

        Parameters
        ----------
        x : array_like (*shape) or (S, *shape), or a list with one for each input
            What arrived.
        target : likewise, optional
            Of this step's prediction. Steps with and without one may take turns.
        learn : bool, default True
            As of `fit`.

        Returns
        -------
        StepResult
        """
        network, given, learn = self.network, target is not None, check_flag("learn", learn)
        with self.session.turn():
            lead = self.arrangement.one_step("x", x, len(network.inputs))
            targets = self.arrangement.one_step("target", target, len(network.outputs)) if given else None
            refuse_within_fit(self)
            xs, ys, _ = whole_series(self, lead, targets)
            return step_result(self, self.session.run(xs, ys, learn, self.session.ahead), given)

    def reset(self) -> None:
        """Begins a new sequence: forgets the temporal state and what is pending, and keeps the weights."""
        self.session.reset()

    @property
    def steps(self) -> int:
        """Steps run since the model was made."""
        return self.session.steps

    @property
    def network(self) -> Network:
        """The network that it was made of."""
        return self.session.setup.network

    @property
    def optimizer(self) -> Optimizer:
        """What its weights step by."""
        return self.session.setup.optimizer

    @property
    def lr(self) -> float | tuple[float, ...]:
        """The learning rate before its schedule (of PolyakSGD the scale); set it, and the next step goes by it."""
        return self.optimizer.lr

    @lr.setter
    def lr(self, value: float | list[float]) -> None:
        rates = check_rates(f"{type(self).__name__}'s lr", value)
        self._check_rates(None if isinstance(rates, float) else len(rates))
        self.optimizer.lr = rates

    def save(self, path: Any) -> None:
        """Writes everything needed to go on to the bit, for `dh.load(path)`: the whole file or none.

        Parameters
        ----------
        path : str or path-like
            The file.

        Raises
        ------
        UserError
            Where it cannot be written, a weight is not finite, or a layer or the optimiser is of a class of your own.
        """
        save_model(self, path)

    def _check_rates(self, models: int | None):
        if models is not None:
            raise UserError(f"Model's optimizer must have one learning rate, got {models}; several are for the models "
                            "of a dh.Population.")
