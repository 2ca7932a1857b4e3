"""A B C D and X B C Y: what follows C depends on the first letter. Run it with: python demos/letters.py"""

import deephtm_gpu as dh
from deephtm_gpu import view
from deephtm_gpu.cli.demo import script
from deephtm_gpu.data.letters import NOISE, letters
from deephtm_gpu.data.symbol_baselines import frequent_accuracy, markov_accuracy

LAST = 200  # queries over which the accuracy is taken


def demo(steps=8_000, seed=0, device="auto"):
    # 1. The data: the two words in random order, with one to three noise letters between them, and no reset. Each
    # letter is a random code of 16 numbers. `targets` are the next letters.
    task = letters(n=2, steps=max(steps, 1), seed=seed)  # inputs (T, 16), targets (T,)
    names = ["A", "X", "D", "Y", "B", "C", *[""] * (NOISE // 2), "noise", *[""] * (NOISE - NOISE // 2 - 1)]

    # 2. The network. `window`: credit is given over 16 of the memory's own past steps. Layers before a pooler learn 100
    #    times slower by default, for a code that moves cannot be read; the distal weights here learn 20 times faster.
    net = dh.Sequential(
        dh.Linear(128), dh.ReLU(), dh.Linear(128), dh.ReLU(), dh.RunningNorm(),
        dh.SpatialPooler(columns=512, winners=10),
        dh.TemporalMemory(cells_per_column=5, window=16, lr_scale=20.0),
        dh.Linear(256, lr_scale=3.0), dh.ReLU(),
        dh.Linear(task.classes, lr_scale=3.0),
    )
    optimizer = dh.Adam(1e-3, schedule=dh.InverseDecay(1000, floor=0.3))
    model = dh.Model(net, input_shape=(16,), loss="cross_entropy", optimizer=optimizer, seed=seed, device=device)

    # 3. Watch it: model.fit(task.inputs, task.targets) learns. B and C win the same columns in both words, because
    #    columns depend on the letter alone. But other cells of these columns are active after A than after X.
    watched = [("A", "B", "B in A B C D"), ("X", "B", "B in X B C Y"),
               ("A", "B", "C", "C in A B C D"), ("X", "B", "C", "C in X B C Y")]
    return view.SymbolShow(
        model, task, "A B C D and X B C Y: cells remember how it began", names=names, watched=watched,
        lines={"a table of the last two letters": 0.5}, steps=120, blocks_title="The same columns, other cells")


def report(show):
    """How often the ending was predicted right, of the last 200. A table of the last two letters reaches half."""
    right, baselines = show.right(), {}
    accuracy = float(right[-LAST:].mean()) if len(right) else float("nan")
    if len(show.task.queries):
        table, frequent = markov_accuracy(show.task, 2), frequent_accuracy(show.task)
        baselines = {"table_of_two_letters": table, "most_frequent": frequent}
    shared = {"B": show.shared(0, 1), "C": show.shared(2, 3)}  # 1: the same cells after A as after X
    return {
        "queries": len(right), "accuracy_last_200": accuracy, "cells_shared": shared, "baselines": baselines,
        "shown": {f"Endings predicted right, of the last {min(LAST, len(right))}": f"{accuracy:.3f}",
                  "Cell activity that both contexts share": f"B {shared['B']:.0%}, C {shared['C']:.0%}"}}


if __name__ == "__main__":
    script("letters", globals())
