"""A column learns objects by touch, and recognises them by moving over them. Run it with: python demos/objects.py"""

import numpy as np

import deephtm_gpu as dh
from deephtm_gpu import view
from deephtm_gpu.cli.demo import script
from deephtm_gpu.data.objects import features_alone, objects

OBJECTS, EXPOSURES, TOUCHES = 20, 3, 6


def demo(steps=1_500, seed=0, device="auto"):
    # 1. The world: 20 objects, each with features at 10 points of a grid of 4 x 4. All objects have the same 10
    #    features, but at different points. A step is a touch; between touches the finger moves by a known displacement.
    task = objects(OBJECTS, features=10, points=10, side=4, seed=seed)

    # 2. The column. A feature wins 5 of 128 columns. Grid cells encode where on the object the finger is. Their code is
    #    the distal context of the cells, 32 in a column, which learn what to expect there:
    #        column.learn(object, places, features)
    column = dh.SensorimotorColumn(features=task.distinct, objects=OBJECTS, columns=128, winners=5, cells_per_column=32,
                                   seed=seed, device=device)

    # 3. Recognition: the object and the point of the first touch are unknown. So there are 200 hypotheses, each with a
    #    grid code of its own that moves with the finger. Those that expect another feature are dropped.
    #        column.begin(); column.sense(feature); column.move(displacement); column.predict(displacement)
    title = f"A column learns {OBJECTS} objects by touch, then recognises them"
    return view.ObjectsShow(column, task, title, total=steps, exposures=EXPOSURES, touches=TOUCHES, seed=seed)


def report(show):
    """The share of explorations with object and location at .9 after 2, 3, 4 touches, and that of an ideal observer."""
    complete = len(show.recognised)
    if not complete:
        return {"explorations": 0, "recognised": {}, "baselines": {},
                "shown": {"Still learning": f"it recognises from touch {show.lessons + 1:,} on; give more --steps"}}
    right, ideal = np.mean(show.recognised, axis=0), np.mean(show.ideal, axis=0)
    label = "Object and location known after {} touches (ideal observer)"
    return {
        "explorations": complete, "recognised": {f"after {k}": float(right[k - 1]) for k in range(1, TOUCHES + 1)},
        "baselines": {f"ideal observer after {k}": float(ideal[k - 1]) for k in (2, 3, 4)}
        | {f"object known by features alone after {TOUCHES}": features_alone(show.task, show.explored, TOUCHES)},
        "shown": {label.format(k): f"{right[k - 1]:.0%} ({ideal[k - 1]:.0%})" for k in (2, 3, 4)},
    }


if __name__ == "__main__":
    script("objects", globals())
