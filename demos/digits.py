"""A grammar of handwritten digits: which comes next, and what it looks like. Run it with: python demos/digits.py"""

import numpy as np

from deephtm_gpu import view
from deephtm_gpu.bench.networks import pictures_model
from deephtm_gpu.cli.demo import script
from deephtm_gpu.data.digits import DigitGrammar, nearest_digit

SEQUENCE = (0, 1, 2, 3, 0, 3, 2, 1)  # after 0 comes 1 or 3: that depends on what came before
LAST = 200  # images over which the accuracy is taken


def demo(steps=2_000, seed=0, device="auto"):
    # 1. The data: the sequence for ever, each time another picture of the digit, 8 x 8 pixels.
    digits = DigitGrammar(SEQUENCE, seed)

    # 2. The network of `demos/balls.py`, on a map of 4 x 4 positions.
    model = pictures_model(side=8, seed=seed, device=device)

    title = "Handwritten digits: " + " ".join(map(str, SEQUENCE)) + " …"
    return view.ImagesShow(model, digits, title, total=steps, keep=LAST, steps=120)


def report(show):
    """How often the image that was made is nearest to the mean of the right class, online."""
    made = nearest_digit(np.array([prediction[0] for _, prediction in show.kept]))
    steps = np.arange(show.done - len(made), show.done) + 1  # the first digit came before the first step
    accuracy = float(np.mean(np.array(SEQUENCE)[steps % len(SEQUENCE)] == made))
    frequent = max(map(SEQUENCE.count, SEQUENCE)) / len(SEQUENCE)
    return {
        "accuracy_last_200": accuracy, "baselines": {"most_frequent_digit": frequent},
        "shown": {f"Images of the right class, of the last {min(LAST, show.done)}": f"{accuracy:.3f}"},
    }


if __name__ == "__main__":
    script("digits", globals())
