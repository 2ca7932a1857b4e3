"""A show of a model that predicts the next frame of moving pictures."""

from collections import deque
from collections.abc import Iterable
from itertools import chain, islice

import numpy as np
from matplotlib.colors import hsv_to_rgb, to_rgb

from deephtm_gpu.arguments import check_count
from deephtm_gpu.errors import UserError
from deephtm_gpu.view.dreams import asleep, draw_strip, dream, frames_of
from deephtm_gpu.view.live.look import DARK
from deephtm_gpu.view.live.model_show import ModelShow
from deephtm_gpu.view.live.picture import Picture, packed
from deephtm_gpu.view.live.spec import Spec
from deephtm_gpu.view.live.tracks import Bars, Columns, Line

MORE, LESS = np.array(to_rgb(DARK.unexpected)), np.array(to_rgb(DARK.expected))
SIDE = 470  # of the pictures
RATE = 0.02  # of the running mean and variance of a position's error
HIGHEST = 8.0  # standard deviations that are the brightest surprise
STRIP = 10  # frames of a row of the strip
_TOO_SHORT = "An ImagesShow's source must have two frames or more, got {}; give a longer one."
GOLDEN = 0.618034  # neighbours in number have hues far apart


class ImagesShow(ModelShow):
    """A model that learns moving pictures: at each step the last frames come in, and the next is predicted.

    Parameters
    ----------
    model : dh.Model
        Of one stream and one input, (frames * C, H, W), the newest frame last; its output, (C, H, W), is the next
        frame. C is 1 or 3. With a SpatialPooler on a map and a TemporalMemory.
    source : iterable of ndarray (C, H, W)
        The frames, from 0 to 1; iterated over again where it ends, which begins a new sequence.
    title : str
        Of the picture.
    total : int
        How many steps.
    lines : dict, optional
        The errors of trivial predictors, by name.
    keep : int, default 10
        How many frames are kept, for `kept`.
    **spec
        Further arguments of Spec.

    Attributes
    ----------
    error : ndarray (total,)
        The squared error summed over the frame that came; NaN where it has not.
    copied : ndarray (total,)
        The same of predicting that nothing changes, on the same frames.
    kept : deque of (ndarray, ndarray)
        The last frames that came, and what was predicted for each.
    dreaming : bool
        Whether predictions are fed back as frames, without learning; see `dream`.

    Raises
    ------
    UserError
        Where the model has several streams or no map of columns, or frames do not fit it.

    Examples
    --------
    >>> from deephtm_gpu import view
    >>> from deephtm_gpu.bench.networks import pictures_model
    >>> from deephtm_gpu.data.digits import DigitGrammar
    >>> model = pictures_model(side=8, device="numpy")
    >>> show = view.ImagesShow(model, DigitGrammar((0, 1, 2)), "Digits", total=20)
    >>> show.advance(20, show.ring())
    20
    """

    def __init__(self, model, source: Iterable, title: str, total: int, lines=None, keep: int = STRIP, **spec):
        super().__init__(model, check_count("ImagesShow's total", total))
        self._level, (self._tall, self._wide) = self.levels[0], _map_under(model, self.levels[0])
        columns = self._level.columns
        self._source, self._frames = source, iter(source)
        first = next(self._frames, None)
        self._count, self._shape = frames_of(model)
        if first is None:
            raise UserError(_TOO_SHORT.format("none"))
        self._checked(first)
        self._frames = chain([first], self._frames)
        self._seen: list[np.ndarray] = []  # the last of them, the newest last
        self.error, self.copied = (np.full(self.total, np.nan, np.float32) for _ in range(2))
        self.dreaming, self._dreamer, self._dreamt = False, None, 0
        self._mean, self._variance = 0.0, 0.0  # of each position's error
        self.kept: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=check_count("ImagesShow's keep", keep))
        C, H, W = self._shape
        scale = max(H * W / 8, 1.0)
        error = Line("error", "Squared error of a frame", (scale / 2000, scale), lines=lines or {}, weight=1.6)
        tracks = error, Bars(), Columns(columns, self._level.winners, level="In the middle of the map")
        hue = np.arange(columns) * GOLDEN % 1
        self._hues = hsv_to_rgb(np.stack([hue, np.full(columns, 0.6), np.full(columns, 0.9)], axis=1))
        map_of = {"wide": self._wide, "tall": self._tall}
        blocks = (Picture("The frame that came", W, H), Picture("What was predicted", W, H),
                  Picture("Difference", W, H, "orange: more, blue: less"),
                  Picture("Surprise", caption="error of a position", **map_of),
                  Picture("Strongest columns", **map_of),
                  Picture("Columns predicted", caption="of the winners, how many", **map_of))
        self.spec = Spec(title, tracks, blocks, **{"side": SIDE, "time": "frames", "dreams": True} | spec)

    @property
    def phase(self):
        return f"dreaming, {self._dreamt} frames" if self.dreaming else ""

    def advance(self, steps, ring):
        if not self.dreaming:
            return super().advance(steps, ring)
        for _ in range(steps):
            ring.push(ring.fields.pack(1, **self._dream()))
        return steps

    def dream(self):
        self.dreaming, self._dreamt = bool(self._seen) and not self.dreaming, 0
        if self.dreaming:
            self._dreamer, self._dreamt_of = asleep(self.model), list(self._seen)

    def reset(self):
        super().reset()
        self._seen = []

    def pictures(self):
        """strip: the last frames above what was predicted for them, and below what it dreams after the newest one."""
        if not self.kept:
            return {}
        frames, predictions = zip(*list(self.kept)[-STRIP:])
        return {"strip": draw_strip(frames, predictions, dream(asleep(self.model), self._seen, STRIP))}

    def last_errors(self, steps: int) -> tuple[float, float]:
        """The mean of `error` and of `copied` over the last so many steps, or as many as there are."""
        last = slice(max(0, self.done - steps), self.done)
        return float(self.error[last].mean()), float(self.copied[last].mean())

    # Learning

    def _learn(self, begin, end):
        fields, n = [], begin
        while n < end:
            pieces = self._next(end - n)
            fields.append(self._learn_piece(n, *pieces))
            n += len(pieces[0])
        return {name: np.concatenate([f[name] for f in fields]) for name in fields[0]}

    def _next(self, most):
        """Inputs, targets (n, ...) of a piece of one sequence, n <= most, and the frames before the targets."""
        arrived = self._arrived(most)
        if not arrived:
            self.reset()
            self._frames = iter(self._source)
            arrived = self._arrived(most)
            if not arrived:
                raise UserError(_TOO_SHORT.format("one"))
        all_of = [*self._seen, *arrived]
        inputs = np.stack([self._stacked(all_of[n : n + self._count]) for n in range(len(arrived))])
        before = np.stack(all_of[self._count - 1 : -1])
        self._seen = all_of[-self._count :]
        return inputs, np.stack(arrived), before

    def _arrived(self, most):
        """The next frames, at most so many. The first of a sequence only begins it."""
        if not self._seen:
            self._seen = [self._checked(frame) for frame in islice(self._frames, 1)] * self._count
        return [self._checked(frame) for frame in islice(self._frames, most)]

    def _learn_piece(self, n, inputs, targets, before):
        history = self.model.fit(inputs, targets=targets)
        made = history.prediction
        end = n + len(inputs)
        self.error[n:end] = ((made - targets) ** 2).sum(axis=(1, 2, 3))
        self.copied[n:end] = ((before - targets) ** 2).sum(axis=(1, 2, 3))
        surprise = [self._surprise(difference) for difference in targets - made]
        self.kept.extend(zip(targets, made))
        observed = self._observed(history)
        self._fill(targets[-1], made[-1], surprise[-1], {name: array[-1] for name, array in observed.items()})
        return self._fields(self.error[n:end], history.anomaly, observed)

    def _dream(self):
        """One dreamt frame: fields."""
        result = self._dreamer.fit(self._stacked(self._dreamt_of)[None], learn=False)
        made = result.prediction[0]
        self._dreamt_of = [*self._dreamt_of[1:], made]
        self._dreamt += 1
        observed = self._observed(result)
        self._fill(made, made, np.zeros((self._tall, self._wide)), {name: a[-1] for name, a in observed.items()})
        return self._fields(np.full(1, np.nan), np.full(1, np.nan), observed)

    def _fields(self, error, anomaly, observed):
        middle = np.s_[:, :, self._tall // 2, self._wide // 2]
        order = np.argsort(observed["winners"][middle], axis=1)
        sorted_by = {name: np.take_along_axis(array[middle], order, axis=1) for name, array in observed.items()}
        return {"error": error, "anomaly": anomaly, **sorted_by}

    def _observed(self, history):
        return {"winners": history.observed[self._level.pooler]["winners"],
                "predicted": history.observed[self._level.memory]["predicted"]}

    def _surprise(self, difference):
        """The error of each position of the map, above what is usual there, in standard deviations (H, W)."""
        squared = (difference**2).mean(axis=0)
        rows, columns = (np.arange(n) * into // n for n, into in zip(squared.shape, (self._tall, self._wide)))
        error, count = np.zeros((self._tall, self._wide)), np.zeros((self._tall, self._wide))
        where = rows[:, None], columns[None]
        np.add.at(error, where, squared)
        np.add.at(count, where, 1)
        error /= np.maximum(count, 1)
        above = error - self._mean
        found = above / np.sqrt(self._variance + 1e-6)
        self._mean = self._mean + RATE * above
        self._variance = (1 - RATE) * (self._variance + RATE * above**2)
        return found

    def _fill(self, frame, made, surprise, observed):
        """The pictures at the side. observed: winners, predicted (K, H, W)."""
        strongest = observed["winners"][0].astype(int)
        heat = np.clip(surprise / HIGHEST, 0, 1)[:, :, None] * MORE
        predicted = np.clip(observed["predicted"].mean(axis=0), 0, 1)[:, :, None] * LESS
        colours = (_coloured(frame), _coloured(made), _signed(frame - made), heat, self._hues[strongest], predicted)
        for block, image in zip(self.blocks, colours):
            block[:] = packed(image)

    def _stacked(self, frames):
        return np.concatenate(frames[-self._count :])

    def _checked(self, frame):
        frame = np.asarray(frame, np.float32)
        if frame.shape != self._shape:
            raise UserError(f"A frame must be of shape {self._shape} as the model predicts, got {frame.shape}; resize "
                            "it, or give another model.")
        return frame


def _coloured(frame):
    """(C, H, W) -> (H, W, 3)"""
    return np.clip(np.broadcast_to(np.moveaxis(frame, 0, 2), (*frame.shape[1:], 3)), 0, 1)


def _signed(difference):
    """What was more than predicted in one colour, what was less in the other, (H, W, 3)."""
    grey = difference.mean(axis=0)[:, :, None]
    return np.clip(grey, 0, 1) * MORE + np.clip(-grey, 0, 1) * LESS


def _map_under(model, level) -> tuple[int, int]:
    """The sides of the map that a level's memory stands on."""
    memory = next(node for node, name in model.network.names().items() if name == level.memory)
    positions = model.session.forms[memory].positions
    if positions is None:
        raise UserError("An ImagesShow's model must have its TemporalMemory on a map, got one on a vector; give it "
                        "images through dh.Conv2d layers.")
    return positions
