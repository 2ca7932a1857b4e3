"""Letters make words, words make phrases: two levels of memory. Run it with: python demos/hierarchy.py"""

import deephtm_gpu as dh
from deephtm_gpu import view
from deephtm_gpu.cli.demo import script
from deephtm_gpu.data.symbol_baselines import frequent_accuracy, markov_accuracy
from deephtm_gpu.data.words import words

LAST = 200  # queries over which the accuracy is taken


def demo(steps=40_000, seed=0, device="auto"):
    # 1. The data: phrases such as `cad bof abe gig nam nol,eff.` The closing word depends on the opening, with five
    #    random words between. Each letter is a random code of 16 numbers; `ends` is 1 after words.
    text = words(between=5, steps=max(steps, 1), seed=seed)

    # 2. The lower level: letters win columns, and context chooses among their cells. Alone it remembers a few letters.
    letter, end = dh.Input((16,)), dh.Input((1,))
    column_trace, cell_trace = dh.Trace(decay=0.9), dh.Trace(decay=0.9)  # traces of words, connected in step 3
    columns = dh.SpatialPooler(256, winners=8)(dh.RunningNorm()(dh.ReLU()(dh.Linear(128)(letter))))
    context = [dh.previous(column_trace), dh.previous(cell_trace)]
    cells = dh.TemporalMemory(5, window=8, lr_scale=20.0, slow=False)(columns, context=context)

    # 3. The upper level ticks at the ends of words: it sees the sum of the lower cells over a word.
    word = dh.when(end, cells, gather="sum")
    word_columns = dh.SpatialPooler(128, winners=5)(word)
    column_trace(word_columns)
    cell_trace(dh.TemporalMemory(5, lr_scale=20.0, init_std=0.15)(word_columns))

    # 4. The next letter is predicted from the lower level's cells alone.
    hidden = dh.ReLU()(dh.Linear(128, lr_scale=3.0)(cells))
    net = dh.Network([letter, end], dh.Linear(text.task.classes, lr_scale=3.0)(hidden))
    optimizer = dh.Adam(1e-3, schedule=dh.InverseDecay(1000, floor=0.3))
    model = dh.Model(net, loss="cross_entropy", optimizer=optimizer, seed=seed, device=device)

    def learn(begin, end):
        history = model.fit([text.task.inputs[begin:end], text.ends[begin:end]], targets=text.task.targets[begin:end])
        return history.prediction, history

    return view.SymbolShow(
        model, text.task, "Letters make words, words make phrases", learn=learn, levels=("Letters", "Words"),
        lines={"no memory of how it began": 0.5}, steps=120, time="letters")


def report(show):
    """How often the first letter of the closing word was predicted right, of the last 200; without memory, half."""
    right, baselines = show.right(), {}
    accuracy = float(right[-LAST:].mean()) if len(right) else float("nan")
    if len(show.task.queries):
        table, frequent = markov_accuracy(show.task, 2), frequent_accuracy(show.task)
        baselines = {"table_of_two_letters": table, "most_frequent": frequent}
    return {
        "queries": len(right), "accuracy_last_200": accuracy, "baselines": baselines,
        "shown": {f"Closing words predicted right, of the last {min(LAST, len(right))}": f"{accuracy:.3f}"}}


if __name__ == "__main__":
    script("hierarchy", globals())
