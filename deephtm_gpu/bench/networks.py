"""The networks that are measured: one configuration for all symbol tasks, one for clean and one for noisy regression (the last
is `deephtm_gpu.learner`'s)."""

import deephtm_gpu as dh

SLOW = 0.01  # encoder and pooler beside the rest: a moving code cannot be read


def post(winners=5, gate="entmax"):
    """DeepHTM's first experiment: 1 -> 256 ReLU -> 256 ReLU -> 256 columns -> 5 cells each -> 256 ReLU -> 1."""
    return dh.Sequential(
        dh.Linear(256), dh.ReLU(), dh.Linear(256), dh.ReLU(), dh.RunningNorm(),
        dh.SpatialPooler(columns=256, winners=winners), dh.TemporalMemory(cells_per_column=5, gate=gate),
        dh.Linear(256), dh.ReLU(), dh.Linear(1, lr_scale=0.3),  # slower: what all phases of the sine share lets them disturb each other
    )


def post_model(winners=5, gate="entmax", seed=0, device="auto"):
    return dh.Model(post(winners, gate), input_shape=(1,), loss="mse", optimizer=dh.PolyakSGD(), seed=seed, device=device)


def symbols(classes, gate="entmax", distal=20.0, synapses=None):
    """For streams of symbols. distal: how many times faster than the rest the distal weights learn; 0 freezes them. synapses: of a
    cell, of 3,072 places; None: all."""
    return dh.Sequential(
        dh.Linear(128, lr_scale=SLOW), dh.ReLU(), dh.Linear(128, lr_scale=SLOW), dh.ReLU(), dh.RunningNorm(),
        dh.SpatialPooler(columns=512, winners=10, lr_scale=SLOW),
        dh.TemporalMemory(cells_per_column=5, window=16, lr_scale=distal, gate=gate, synapses=synapses),
        dh.Linear(256, lr_scale=3.0), dh.ReLU(), dh.Linear(classes, lr_scale=3.0),
    )


def symbols_model(task, gate="entmax", distal=20.0, synapses=None, seed=0, device="auto"):
    """task: a `data.symbols.SymbolTask`."""
    return dh.Model(symbols(task.classes, gate, distal, synapses), input_shape=task.inputs.shape[1:], loss="cross_entropy",
                    optimizer=dh.Adam(1e-3, schedule=dh.InverseDecay(1000, floor=0.3)), seed=seed, device=device)


def levels(classes, feedback=True, slow=False, traces=(), start=0.15):
    """Letters and words: a memory of letters, and above it one of words that ticks at their ends and sees all of a word's cells at once.
    What words leave behind, of their columns and of their cells, leaks at ticks, and comes back to the letters as distal context. Inputs:
    the letter's code, and 1 at a word's end.

    start: of the distal weights of the memory of words: with larger ones a word's cells say more of the words before it. feedback=False: one level. slow: whether the letters' memory has its own slow context, clocked by surprise. traces: of one level, the
    decays of further slow contexts of its columns."""
    letter, end = dh.Input((16,)), dh.Input((1,))
    hidden = dh.RunningNorm()(dh.ReLU()(dh.Linear(128, lr_scale=SLOW)(letter)))
    winners = dh.SpatialPooler(256, 8, lr_scale=SLOW)(hidden)
    left = [dh.Trace(decay=0.9), dh.Trace(decay=0.9)]
    above = [dh.previous(trace) for trace in left] if feedback else [dh.previous(dh.Trace(decay)(winners)) for decay in traces]
    cells = dh.TemporalMemory(5, window=8, lr_scale=20.0, slow=slow)(winners, context=above)
    if feedback:
        word = dh.when(end, cells, gather="sum")
        columns = dh.SpatialPooler(128, 5, lr_scale=SLOW)(word)
        remembered = dh.TemporalMemory(5, lr_scale=20.0, init_std=start)(columns)
        left[0](columns), left[1](remembered)
    hidden = dh.ReLU()(dh.Linear(128, lr_scale=3.0)(cells))
    return dh.Network([letter, end], dh.Linear(classes, lr_scale=3.0)(hidden))


def levels_model(text, seed=0, device="auto", **network):
    """text: a `data.words.Words`."""
    return dh.Model(levels(text.task.classes, **network), loss="cross_entropy", optimizer=dh.Adam(1e-3, schedule=dh.InverseDecay(1000, floor=0.3)),
                    seed=seed, device=device)
