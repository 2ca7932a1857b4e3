"""A model as a file."""

import numpy as np

from deephtm_gpu.backends.batch import Outputs
from deephtm_gpu.losses.table import names_of
from deephtm_gpu.saving.container import write_container
from deephtm_gpu.saving.graph import describe_network
from deephtm_gpu.saving.objects import describe
from deephtm_gpu.saving.tree import split

MODEL = "model:"  # before the names of arrays that are the model's, but no tensors of its plan
BESIDE = "beside"  # before those of what belongs to the model's surroundings


def save_model(model, path, beside: dict | None = None):
    """Writes the model, and what belongs to its surroundings, `beside`: nested dictionaries of numbers, texts and
    arrays, for `load_beside`. Raises UserError where something cannot be described, or the file not be written."""
    setup, contents = model.session.setup, model.session.contents()
    at, (plain, more) = contents.position, split(beside, BESIDE)
    description = {
        "network": describe_network(setup.network),
        "losses": names_of(setup.losses),
        "loss_weights": setup.weights,
        "optimizer": describe(setup.optimizer),
        "streams": setup.streams,
        "seeds": list(setup.seeds),
        "population": model.is_population,
        "counts": {
            "ahead": at.ahead,
            "steps": at.steps,
            "updates": at.updates,
            "began": at.began,
            "learned": at.learned, "horizon": at.horizon,
        },
        "pending": [[p.step, p.due, p.given] for p in at.pending],
        "plan": {"ahead": contents.ahead, "given": contents.given},
        "beside": plain,
    }
    arrays = dict(contents.arrays)
    arrays |= {MODEL + name: array for name, array in last_arrays(at.last).items()}
    arrays |= {
        f"{MODEL}pending{n}.{j}": x for n, p in enumerate(at.pending) if p.target for j, x in enumerate(p.target)
    }
    arrays[MODEL + "going"] = at.active.astype(np.int64)
    write_container(path, description, arrays | more)


def last_arrays(last: Outputs | None) -> dict[str, np.ndarray]:
    """What the last step gave: a rollout goes on from it."""
    if last is None:
        return {}
    arrays = {f"prediction{j}": p for j, p in enumerate(last.predictions)} | {
        f"loss{j}": x for j, x in enumerate(last.losses)
    }
    return arrays | {"anomaly": last.anomaly}
