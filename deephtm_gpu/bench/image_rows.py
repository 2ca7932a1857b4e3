"""Images in and out: bouncing balls, grammars of digits, moving digits, one configuration for all (`pictures_model`).

Everything is learned online, and scored on held-out sequences, predicted without learning by the averaged weights.
"""

from functools import partial

import numpy as np

from deephtm_gpu.bench.image_cost import cost_of_frame
from deephtm_gpu.bench.image_rivals import ConvGRU, frames_per_second, has_torch
from deephtm_gpu.bench.networks import pictures_model
from deephtm_gpu.bench.rows import Bound, Figures, Row
from deephtm_gpu.data.balls import Balls
from deephtm_gpu.data.digits import DigitGrammar, MovingDigits, nearest_digit
from deephtm_gpu.data.image_baselines import Ridge, copy_last, mean_frame

STREAMS = 4
LENGTH = 100  # frames of a sequence of balls
MOVES = 20  # and of a moving digit
HELD_OUT = 8  # sequences a stream
MOVING_HELD = 4 * HELD_OUT
MOVING_HELD_OUT = partial(MovingDigits, held_out=True)  # of pictures that are never learned from
SHORT, LONG = 25, 72  # sequences of balls a stream: 9,900 and 28,512 frames that are predicted
SETTLED = 10  # predictions before it count only where it says so: with the first frames nobody can know
ERROR, LATER, ALL = "error a frame, 9,900 frames", "error a frame, 28,512 frames", "the same, first frames included"
MOVING_SEQUENCES = 85
OURS, DENSE, RATIO = "frames/s, one stream", "of PyTorch, eager, dense", "ratio"
MOVED, CLASS = "error a frame, 6,800 frames", "class of the image made"


def _sequences(make, seed, kind, number, length) -> np.ndarray:
    """(length, STREAMS, C, H, W). kind: 0 to learn from, 1 held out."""
    return np.stack([make([seed, kind, number, s]).take(length) for s in range(STREAMS)], axis=1)


def _stacked(frames, count):
    """What the model sees: so many frames, the newest last; before the first that one again. (T, S, count*C, H, W)"""
    before = [np.concatenate([frames[:1]] * back + [frames[: len(frames) - back]]) for back in range(count)]
    return np.concatenate(before[::-1], axis=2)


def _learn(model, sequence, frames):
    """A new sequence: the memory begins with nothing."""
    model.reset()
    model.fit(_stacked(sequence, frames)[:-1], targets=sequence[1:])


def _errors(model, held_out, frames) -> np.ndarray:
    """Squared errors summed over a frame, (sequences, T-1, S)."""
    errors = []
    for sequence in held_out:
        model.reset()
        made = model.predict(_stacked(sequence, frames)[:-1], averaged=True)
        errors.append(((made - sequence[1:]) ** 2).sum(axis=(2, 3, 4)))
    return np.array(errors)


def _balls(seed, device, frames=2, sequences=LONG, **network) -> Figures:
    model = pictures_model(side=30, streams=STREAMS, frames=frames, seed=seed, device=device, **network)
    held_out = [_sequences(Balls, seed, 1, n, LENGTH) for n in range(HELD_OUT)]
    figures = {}
    for n in range(sequences):
        _learn(model, _sequences(Balls, seed, 0, n, LENGTH), frames)
        if n + 1 in (SHORT, LONG):
            errors = _errors(model, held_out, frames)
            figures[ERROR if n + 1 == SHORT else LATER] = float(errors[:, SETTLED - 1 :].mean())
            if n + 1 == LONG:
                figures[ALL] = float(errors.mean())
    return figures


def _moving(seed, device, sequences=MOVING_SEQUENCES, **network) -> Figures:
    """85 sequences of 4 streams: 6,800 frames."""
    model = pictures_model(side=24, streams=STREAMS, seed=seed, device=device, **network)
    for n in range(sequences):
        _learn(model, _sequences(MovingDigits, seed, 0, n, MOVES + 1), 2)
    held_out = [_sequences(MOVING_HELD_OUT, seed, 1, n, MOVES + 1) for n in range(MOVING_HELD)]
    return {MOVED: float(_errors(model, held_out, 2).mean())}


def _grammar(seed, device, sequence, images=2000, **network) -> Figures:
    """Its streams begin at other places of the sequence."""
    def made(kind, length):
        streams = [DigitGrammar(sequence, [seed, kind, s], held_out=kind == 1, start=3 * s) for s in range(STREAMS)]
        wanted = np.stack([[g.sequence[(t + 3 * s) % len(sequence)] for s, g in enumerate(streams)]
                           for t in range(length)])
        return np.stack([g.take(length) for g in streams], axis=1), wanted

    model = pictures_model(side=8, streams=STREAMS, seed=seed, device=device, **network)
    frames, _ = made(0, images // STREAMS + 1)
    _learn(model, frames, 2)
    model.reset()
    frames, wanted = made(1, 30 * len(sequence))
    images = model.predict(_stacked(frames, 2)[:-1], averaged=True)[:, :, 0]
    right = nearest_digit(images) == wanted[1:]
    return {CLASS: float(right[len(sequence):].mean())}


def _trivial(make, test, length, seed, ridge=200, held=HELD_OUT) -> Figures:
    """Copying, and ridge regression on the last 1 to 3 frames, on the same held-out sequences. test: makes these."""
    held_out = [s for n in range(held) for s in np.moveaxis(_sequences(test, seed, 1, n, length), 1, 0)]
    learned = np.concatenate([make([seed, 0, n, 0]).take(length) for n in range(HELD_OUT)])
    figures = {"copy-last": float(np.mean([copy_last(s) for s in held_out])),
               "mean frame": float(np.mean([mean_frame(s, learned) for s in held_out]))}
    for count in (1, 2, 3):
        model = Ridge(count, held_out[0][0].size)
        for n in range(ridge):
            model.learn(make([seed, 0, n // STREAMS, n % STREAMS]).take(length))
        figures[f"ridge on {count} frames"] = float(np.mean([model.error(s) for s in held_out]))
    return figures


def _moving_rivals(seed) -> Figures:
    """The trivial predictors, and a ConvGRU that learns the same sequences, where PyTorch is there."""
    figures = _trivial(MovingDigits, MOVING_HELD_OUT, MOVES + 1, seed, held=MOVING_HELD)
    if not has_torch():
        return figures
    rival = ConvGRU(24, seed)
    for n in range(MOVING_SEQUENCES):
        rival.learn(_sequences(MovingDigits, seed, 0, n, MOVES + 1))
    held_out = [_sequences(MOVING_HELD_OUT, seed, 1, n, MOVES + 1) for n in range(MOVING_HELD)]
    return figures | {"ConvGRU, one frame in": float(np.mean([rival.errors(s) for s in held_out]))}


def _speed(seed, device) -> Figures:
    rates = frames_per_second(device, seed)
    return {OURS: rates["ours"], DENSE: rates["torch"], RATIO: rates["ratio"]}


def _most_frequent(sequence, seed) -> Figures:
    return {"most frequent digit": max(map(sequence.count, sequence)) / len(sequence)}


def _digits(sequence, *bounds, control=None, **network):
    name = "digits " + " ".join(map(str, sequence))
    row = Row(name, partial(_grammar, sequence=sequence, **network), bounds, partial(_most_frequent, sequence))
    if control is None:
        return (row,)
    bound = (Bound(CLASS, each=control),)
    return row, Row(f"control: uniform gates, {name}", partial(_grammar, sequence=sequence, gate="uniform"), bound)


BALLS = partial(_trivial, Balls, Balls, LENGTH)
IMAGE_ROWS = (
    Row("balls", _balls, (Bound(ERROR, mean=0.95, each=1.1), Bound(LATER, mean=0.60, each=0.70), Bound(ALL, mean=0.65)),
        BALLS),
    Row("control: uniform gates, balls", partial(_balls, sequences=SHORT, gate="uniform"), ()),
    Row("balls, one frame in", partial(_balls, frames=1), (Bound(LATER, mean=0.65),), BALLS),
    Row("moving digits", _moving, (Bound(MOVED, mean=2.6, each=2.9),), _moving_rivals),
    *_digits((0, 1, 2, 3, 0, 3, 2, 1), Bound(CLASS, mean_above=0.97, above=0.95)),
    *_digits((0, 1, 2, 3, 4, 1, 2, 5), Bound(CLASS, above=0.96), control=0.95),
    *_digits((0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 4, 3, 2, 1), Bound(CLASS, mean_above=0.97)),
    Row("cost of a frame, millions forward", lambda seed, device: cost_of_frame(seed), ()),
    *((Row("speed beside PyTorch", _speed, (Bound(RATIO, mean_above=4.0),)),) if has_torch() else ()),
)
