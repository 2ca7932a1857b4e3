"""Whole networks, many steps, on a device against the NumPy reference in float64."""

from dataclasses import replace

import numpy as np

from deephtm_gpu import layers as dh
from deephtm_gpu.backends.batch import Batch, Outputs, shares
from deephtm_gpu.backends.numpy import NumpyBackend
from deephtm_gpu.backends.protocol import IN_ONE, SEVERAL, Factory, ways
from deephtm_gpu.optimisers import SGD, Adam, AdamW, InverseDecay, PolyakSGD, RMSprop
from deephtm_gpu.plan.lowering import lower
from deephtm_gpu.plan.plan import GIVEN, ONLINE, Program
from deephtm_gpu.plan.tensors import PARAMETERS
from deephtm_gpu.validate.check import Check, compare

STEPS = 18  # rounding has not yet tipped a winner by then; the reference itself moves less than the limit
LIMIT = 1e-6


def check_networks(make: Factory, only=None, steps=STEPS):
    """Yields a Check per network: predictions, losses, anomaly and all parameters after so many steps, in each way that
    the device has: with a step in several dispatches, and with many steps in one where a workgroup can do them alone.
    make: a factory of backends. only: the name of one network."""
    for name, (network, losses, optimizer, streams, ahead) in _networks().items():
        if only and name != only:
            continue
        plan, _ = lower(network, losses, optimizer, streams, seeds=3, ahead=ahead)
        batches = _batches(plan, streams, ahead, steps)
        oracle = NumpyBackend(plan, np.float64)
        want = Outputs.joined([oracle.run(b) for b in batches])
        worst = Check("network", name, True, limit=LIMIT, trials=0)
        names = (SEVERAL, IN_ONE) if streams == 1 else (SEVERAL,)
        for way, make_so in ways(make, *names).items():
            tried = make_so(plan)
            got = Outputs.joined([tried.run(b) for b in batches])
            _compare(worst, oracle, want, tried, got, f"{way}, " if way == IN_ONE else "")
        worst.holds = worst.error <= LIMIT
        yield worst


def _compare(worst, oracle, want, tried, got, how):
    plan = oracle.plan
    pairs = [("prediction", g, w) for g, w in zip(got.predictions, want.predictions)]
    pairs += [("loss", np.nan_to_num(g), np.nan_to_num(w)) for g, w in zip(got.losses, want.losses)]
    pairs += [("anomaly", got.anomaly, want.anomaly)] if plan.anomaly else []
    pairs += [(t.name, tried.read(t.name), oracle.read(t.name)) for t in plan.stored_in(*PARAMETERS)]
    for what, g, w in pairs:
        error, element = compare(g, w)
        worst.trials += 1
        if error > worst.error or not worst.where:
            worst.error, worst.where, worst.worst = error, how + what, element


def _chain(width, columns, winners, cells, outputs, inputs=1, gate="entmax", window=1, synapses=None):
    return dh.Sequential(
        dh.Linear(width), dh.ReLU(), dh.Linear(width), dh.ReLU(), dh.RunningNorm(),
        dh.SpatialPooler(columns, winners), dh.TemporalMemory(cells, gate=gate, window=window, synapses=synapses),
        dh.Linear(width), dh.ReLU(), dh.Linear(outputs),
    ).network((inputs,))


def _networks():
    """name -> (network, losses, optimiser, streams, ahead)"""
    return {
        "the post's network": (_chain(256, 256, 5, 5, 1), ["mse"], PolyakSGD(), 1, 1),
        "odd sizes, 3 streams": (_chain(37, 131, 7, 3, 5, 5), ["mse"], PolyakSGD(), 3, 1),
        "momentum, 2 streams, 5 ahead": (_chain(33, 65, 4, 4, 2, 2), ["mse"], SGD(0.01, momentum=0.9), 2, 5),
        "symbols": (_chain(64, 127, 10, 5, 11, 11), ["cross_entropy"], SGD(0.05), 1, 1),
        "symbols, targets given, 3 streams": (_chain(29, 64, 63, 2, 11, 6), ["cross_entropy"], SGD(0.05), 3, 0),
        "window 2, RMSprop": (_chain(31, 67, 5, 3, 7, 7, window=2), ["cross_entropy"], RMSprop(0.001), 1, 1),
        "window 8, Adam, 3 streams": (_chain(31, 67, 5, 3, 7, 7, window=8), ["cross_entropy"], Adam(0.001), 3, 1),
        "window 16, AdamW, targets given": (_chain(16, 61, 7, 5, 11, 7, window=16), ["bce"],
                                            AdamW(0.001, 0.01, schedule=InverseDecay(10)), 1, 0),
        "window 8, clipped, 5 ahead": (_chain(16, 67, 5, 3, 2, 2, window=8), ["mse"],
                                       PolyakSGD(0.5, clip_norm=0.5, schedule=InverseDecay(10)), 2, 5),
        "41 synapses a cell": (_chain(37, 131, 7, 3, 5, 5, synapses=41), ["mse"], PolyakSGD(), 1, 1),
        "61 synapses a cell, window 8, Adam, 3 streams": (_chain(31, 67, 5, 3, 7, 7, window=8, synapses=61),
                                                          ["cross_entropy"], Adam(0.001), 3, 1),
        "levels with clocks, layers at two places, 2 streams": (_levels(), ["mse"], SGD(0.02), 2, 1),
        "layers called twice, window 4, Adam, 2 streams": (_twice(window=4), ["mse", "bce"], Adam(0.001), 2, 0),
        "layers called twice, 19 synapses a cell, clipped": (_twice(synapses=19), ["mse", "bce"],
                                                             PolyakSGD(clip_norm=0.5), 1, 0),
        "levels with clocks, Adam": (_levels(), ["mse"], Adam(0.001), 1, 1),
        "two senses, two memories, feedback": (_graph(), ["mse", "cross_entropy"], SGD(0.02), 2, 1),
        "grid cells that learn, a memory's context, 2 streams": (_place(), ["mse"], PolyakSGD(), 2, 1),
        "grid cells, anchored, beginning anew": (_anchored(), ["mse", "cross_entropy", "mse"],
                                                 SGD(0.02, clip_norm=0.5), 1, 1),
        "expected columns, targets given": (_expectation(), ["bce"], SGD(0.5), 1, 0),
        "evidence, 2 streams": (_evidence(), ["mse"], SGD(0.5, momentum=0.5, clip_norm=0.5), 2, 0),
        "a map of 3 × 5 positions": (_map(3, (3, 5), window=4), ["mse"], PolyakSGD(), 1, 1),
        "a map of symbols, 2 streams": (_map(7, (2, 3), synapses=37), ["cross_entropy"],
                                        Adam(0.001, clip_norm=0.5), 2, 1),
        "images in, images out, averaged Adam, 2 streams": (_images(), ["bce"], Adam(0.001, average=0.3), 2, 0),
        "maps and vectors, a clock at each position": (_maps_and_vectors(), ["mse", "bce"], SGD(0.1), 1, 0),
    }


def _graph():
    a, b = dh.Input((3,)), dh.Input((7,))
    cols = dh.SpatialPooler(61, 5, lr_scale=0.5)(dh.RunningNorm()(dh.Linear(40, lr_scale=0.5)(dh.Concat()([a, b]))))
    top = dh.TemporalMemory(2)
    cells = dh.TemporalMemory(3)(cols, context=[dh.previous(top), dh.Linear(4, lr_scale=1.0)(b), cols])
    above = top(dh.SpatialPooler(31, 4)(dh.Linear(16)(cells)))
    return dh.Network([a, b], [dh.Linear(3)(cells) + dh.Linear(3)(above), dh.Linear(7)(above)])


def _levels():
    """A second level that ticks every third step, a third one that ticks by surprise."""
    x, encoder, reader = dh.Input((3,)), dh.Linear(16), dh.Linear(3)
    top = dh.TemporalMemory(2)
    cells = dh.TemporalMemory(3)(dh.SpatialPooler(41, 4)(dh.RunningNorm()(encoder(x))), context=[dh.previous(top)])
    word = dh.every(cells, 3, gather="sum")
    words = dh.TemporalMemory(2)(dh.SpatialPooler(31, 3)(word), context=[dh.Trace(0.9)(word)])
    phrase = dh.when(dh.Surprise()(words), dh.Linear(3)(words))
    phrases = top(dh.SpatialPooler(23, 3)(dh.ReLU()(encoder(phrase))))
    return dh.Network(x, reader(dh.Linear(8)(cells)) + reader(dh.ReLU()(dh.Linear(8)(words))) + dh.Linear(3)(phrases))


def _twice(**memory):
    """Every kind of weights in two calls: a dense layer, a pooler, a memory, a reader of cells, and expected columns,
    all of them and the winners alone."""
    x, z = dh.Input((5,)), dh.Input((5,))
    encoder, pooler, reader = dh.Linear(16), dh.SpatialPooler(29, 3), dh.Linear(7)
    cells = dh.TemporalMemory(3, **memory)
    columns = [pooler(dh.RunningNorm()(encoder(sense))) for sense in (x, z)]
    expected = dh.Expectation(29, 3, std=0.6, bias=-1.0, floor=0.0)
    evidence = dh.Evidence()(expected(dh.Linear(9)(z), of=columns[0]))
    y = dh.Add()([reader(cells(c, context=z)) for c in columns]) + dh.Linear(7)(evidence)
    return dh.Network([x, z], [y, expected(dh.Linear(9)(x))])


def _place():
    movement, sense = dh.Input((2,)), dh.Input((5,))
    place = dh.GridCells(modules=3, learn=True, lr_scale=300.0)(movement)  # so far that a wrong step shows
    columns = dh.SpatialPooler(61, 5)(dh.RunningNorm()(dh.Linear(40)(sense)))
    return dh.Network([sense, movement], dh.Linear(5)(dh.TemporalMemory(3)(columns, context=place)))


def _anchored():
    """Of one movement among 7, of an object described by 3 numbers, and now and then from its beginning."""
    thing, movement, begins = dh.Input((3,)), dh.Input((7,)), dh.Input((1,))
    moved = dh.Linear(4)(movement)
    cells = dh.GridCells(modules=5, side=3, sharpness=2.0, init_std=0.3, learn=True, lr_scale=1.0)
    place = cells(moved, anchor=dh.Linear(10)(thing), restart=begins)
    hidden = dh.ReLU()(dh.Linear(33)(place))
    return dh.Network([thing, movement, begins], [dh.Linear(3)(hidden), dh.Linear(7)(hidden), dh.Linear(1)(place)])


def _expectation():
    """The context learns too, and the biases are such that columns are expected at first."""
    x = dh.Input((5,))
    return dh.Network(x, dh.Expectation(11, 7, std=0.3, bias=-2.0, floor=0.02)(dh.RunningNorm()(dh.Linear(37)(x))))


def _evidence():
    x, place = dh.Input((5,)), dh.Input((3,))
    columns = dh.SpatialPooler(61, 5)(x)
    z = dh.Expectation(61, 7, std=1.0, bias=-3.0)(dh.Linear(33)(place), of=columns)
    return dh.Network([x, place], dh.Evidence()(z))


def _map(channels, positions, **memory):
    x = dh.Input((channels, *positions))
    columns = dh.SpatialPooler(41, 4)(dh.RunningNorm()(dh.ReLU()(dh.Linear(13)(x))))
    return dh.Network(x, dh.Linear(channels)(dh.TemporalMemory(3, **memory)(columns)))


def _images():
    """Convolutions dense and sparse, cells that see their neighbourhood, and a way around them."""
    image = dh.Input((2, 6, 4))
    x = dh.WithOnes()(image)
    h = dh.RunningNorm()(dh.ReLU()(dh.Conv2d(9, 5, stride=2)(dh.ReLU()(dh.Conv2d(7, 3)(x)))))
    memory = dh.TemporalMemory(3, decay=0.5, slow=False, neighbourhood=3, dilation=2, write=0.2, lr_scale=5.0)
    cells = memory(dh.SpatialPooler(23, 4, kernel=3)(h))
    painted = dh.ReLU()(dh.ConvTranspose2d(5, 6, stride=2)(cells))
    return dh.Network(image, dh.Conv2d(1, 3)(painted) + dh.Conv2d(1, 5, start="copy")(x))


def _maps_and_vectors():
    """A vector that all positions see, feedback of a map, expected columns, a layer at two places, and a map that
    becomes a vector."""
    x, gate, z, reader = dh.Input((3, 2, 2)), dh.Input((1, 2, 2)), dh.Input((5,)), dh.Linear(5)
    columns = dh.SpatialPooler(31, 4)(dh.RunningNorm()(dh.Linear(9)(x)))
    cells = dh.TemporalMemory(2)(columns, context=[dh.previous(columns), dh.Linear(4)(z)])
    held = dh.when(gate, dh.Concat()([reader(dh.Linear(8)(cells)), dh.Trace(0.8)(x)]), gather="sum")
    slow = dh.TemporalMemory(2)(dh.SpatialPooler(23, 3)(held))
    fits = dh.Evidence()(dh.Expectation(31, 3, std=0.5, bias=-1.0)(z, of=columns))
    vector = dh.Linear(6)(dh.Flatten()(dh.Concat()([held, fits])))
    return dh.Network([x, gate, z], [reader(dh.Linear(8)(slow)) + dh.Linear(5)(cells), vector])


CLASSES = {7: 1, 11: 1, 42: 6}  # of inputs that are symbols, by their size: the positions of each


def _batches(plan, streams, ahead, T=STEPS) -> list[Batch]:
    """A series: without targets, the first steps have nothing to learn from yet."""
    rng = np.random.default_rng(5)

    def series(tensor, positions):
        if positions:
            classes = tensor.size // positions
            symbols = np.eye(classes, dtype=np.float32)[rng.integers(classes, size=(T, streams, positions))]
            return np.swapaxes(symbols, 2, 3).reshape(T, streams, -1)
        return rng.normal(size=(T, streams, tensor.size)).astype(np.float32)

    inputs = [series(t, CLASSES.get(t.size, 0)) for t in plan.inputs]
    targets = None if ahead else [series(t, 1) for t in plan.targets]
    active = np.ones((T, streams), bool)
    active[2 * T // 3:, 1:2] = False  # stream 1 ends early
    share = shares(active) if streams > 1 else None
    whole = Batch(GIVEN, inputs, targets, np.full(T, 0.02, np.float32), np.arange(T), first=0, share=share)
    if not ahead:
        return [whole]
    first, rest = whole.part(0, ahead), whole.part(ahead, T)
    return [
        replace(first, program=Program()),
        replace(
            rest, program=replace(ONLINE, near=ahead == 1), behind=ahead, waiting=ahead, updates=rest.updates - ahead
        ),
    ]
