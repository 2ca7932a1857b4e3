"""The networks that are measured: one configuration for all symbol tasks, one for clean and one for noisy regression.

The last is in `deephtm_gpu.learner`.
"""

import deephtm_gpu as dh

SLOW = 0.01  # the lr_scale of encoder and pooler: a code that moves cannot be read


def post(winners=5, gate="entmax"):
    """DeepHTM's first experiment: 1 -> 256 ReLU -> 256 ReLU -> 256 columns -> 5 cells each -> 256 ReLU -> 1."""
    return dh.Sequential(
        dh.Linear(256), dh.ReLU(), dh.Linear(256), dh.ReLU(), dh.RunningNorm(),
        dh.SpatialPooler(columns=256, winners=winners), dh.TemporalMemory(cells_per_column=5, gate=gate),
        # Slower: all phases share it, so they disturb each other.
        dh.Linear(256), dh.ReLU(), dh.Linear(1, lr_scale=0.3),
    )


def post_model(winners=5, gate="entmax", seed=0, device="auto"):
    return dh.Model(
        post(winners, gate), input_shape=(1,), loss="mse", optimizer=dh.PolyakSGD(), seed=seed, device=device
    )


def symbols(classes, gate="entmax", distal=20.0, synapses=None):
    """For streams of symbols. distal: lr_scale of the distal weights; 0 freezes them. synapses: of a cell, to 3,072
    cells and columns; None: all."""
    return dh.Sequential(
        dh.Linear(128, lr_scale=SLOW), dh.ReLU(), dh.Linear(128, lr_scale=SLOW), dh.ReLU(), dh.RunningNorm(),
        dh.SpatialPooler(columns=512, winners=10, lr_scale=SLOW),
        dh.TemporalMemory(cells_per_column=5, window=16, lr_scale=distal, gate=gate, synapses=synapses),
        dh.Linear(256, lr_scale=3.0), dh.ReLU(), dh.Linear(classes, lr_scale=3.0),
    )


def symbols_model(task, gate="entmax", distal=20.0, synapses=None, seed=0, device="auto"):
    """task: a `data.symbols.SymbolTask`."""
    return dh.Model(
        symbols(task.classes, gate, distal, synapses),
        input_shape=task.inputs.shape[1:],
        loss="cross_entropy",
        optimizer=dh.Adam(1e-3, schedule=dh.InverseDecay(1000, floor=0.3)),
        seed=seed,
        device=device,
    )


def levels(classes, feedback=True, slow=False, traces=(), start=0.15):
    """Letters and words: a memory of letters, and above it a memory of words.

    The upper memory ticks at the ends of words and sees all cells of a word at once. Traces of its columns and of its
    cells, which decay at ticks, are the distal context of the memory of letters. Inputs: the letter's code, and 1 at a
    word's end.

    start: init_std of the distal weights of the memory of words; with a larger one the cells depend more on the words
    before. feedback=False: one level. slow: whether the memory of letters has its own slow context, clocked by
    surprise. traces: with one level, the decays of further slow contexts of its columns.
    """
    letter, end = dh.Input((16,)), dh.Input((1,))
    hidden = dh.RunningNorm()(dh.ReLU()(dh.Linear(128, lr_scale=SLOW)(letter)))
    winners = dh.SpatialPooler(256, 8, lr_scale=SLOW)(hidden)
    of_words = [dh.Trace(decay=0.9), dh.Trace(decay=0.9)]
    if feedback:
        above = [dh.previous(trace) for trace in of_words]
    else:
        above = [dh.previous(dh.Trace(decay)(winners)) for decay in traces]
    cells = dh.TemporalMemory(5, window=8, lr_scale=20.0, slow=slow)(winners, context=above)
    if feedback:
        word = dh.when(end, cells, gather="sum")
        columns = dh.SpatialPooler(128, 5, lr_scale=SLOW)(word)
        remembered = dh.TemporalMemory(5, lr_scale=20.0, init_std=start)(columns)
        of_words[0](columns), of_words[1](remembered)
    hidden = dh.ReLU()(dh.Linear(128, lr_scale=3.0)(cells))
    return dh.Network([letter, end], dh.Linear(classes, lr_scale=3.0)(hidden))


def levels_model(text, seed=0, device="auto", **network):
    """text: a `data.words.Words`."""
    optimizer = dh.Adam(1e-3, schedule=dh.InverseDecay(1000, floor=0.3))
    return dh.Model(
        levels(text.task.classes, **network), loss="cross_entropy", optimizer=optimizer, seed=seed, device=device
    )


def pictures(frames=2, channels=1, side=30, columns=32, winners=6, cells=4, gate="entmax", neighbourhood=3):
    """Images in and out: a map of columns that predicts the next frame (IMAGES: one configuration for all tasks).

    frames: how many the caller stacks, the newest last, (frames * channels, side, side).
    """
    image = dh.Input((frames * channels, side, side))
    x = dh.WithOnes()(image)
    h = dh.ReLU()(dh.Conv2d(32, 5, stride=2, lr_scale=1.0)(dh.ReLU()(dh.Conv2d(16, 3, lr_scale=1.0)(x))))
    h = dh.RunningNorm()(dh.ReLU()(dh.Conv2d(32, 3, lr_scale=1.0)(h)))
    memory = dh.TemporalMemory(cells, decay=0.5, slow=False, neighbourhood=neighbourhood, dilation=2, write=0.2,
                               lr_scale=20.0, gate=gate)
    y = memory(dh.SpatialPooler(columns, winners, kernel=3, lr_scale=1.0)(h))
    y = dh.ReLU()(dh.ConvTranspose2d(8, 6, stride=2, lr_scale=10.0)(y))
    head = dh.Conv2d(channels, 3, lr_scale=10.0, init_std=0.5 * (2 / 72) ** 0.5)(y)
    return dh.Network(image, head + dh.Conv2d(channels, 5, start="copy", lr_scale=1.0)(x))


def pictures_model(streams=1, seed=0, device="auto", lr=1e-3, **network):
    """A constant rate, for learning never ends; what counts is predicted by averaged weights."""
    return dh.Model(pictures(**network), loss="bce", optimizer=dh.Adam(lr, average=0.1), streams=streams, seed=seed,
                    device=device)
