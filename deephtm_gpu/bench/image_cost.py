"""What a frame costs forward: multiply-adds and bytes of what lists really hold, beside those of a dense form."""

import numpy as np

from deephtm_gpu.bench.networks import pictures_model
from deephtm_gpu.data.balls import Balls
from deephtm_gpu.plan.plan import GIVEN

MEMORY, DECODER = "synapse_forward", "sparse_transposed_forward"
LEARNED = 60  # frames before counting, so that contexts are filled


def cost_of_frame(seed: int = 0, **network) -> dict[str, float]:
    """Multiply-adds and bytes of the forward pass of a frame of 30×30 pixels, by part of the network.

    Parameters
    ----------
    seed : int, default 0
    **network
        Further arguments of `bench.networks.pictures`.

    Returns
    -------
    dict of str to float
        Millions of multiply-adds of the dense convolutions, of the memory's cells and of the decoder; what the last two
        would have dense; and megabytes of weights and numbers that are read and written forward.

    Examples
    --------
    >>> from deephtm_gpu.bench.image_cost import cost_of_frame
    >>> cost = cost_of_frame()
    >>> cost["memory"] < 0.05 * cost["memory, dense"]
    True
    """
    model, frames = pictures_model(side=30, seed=seed, device="numpy", **network), Balls(seed).take(LEARNED + 2)
    model.fit(np.concatenate([frames[:-2], frames[1:-1]], axis=1), targets=frames[2:])
    session = model.session
    calls = [c for c in session.plan.calls(GIVEN) if c.name.endswith("_forward")]
    slot = (LEARNED - 1) % session.plan.slots
    cost = {"convolutions": sum(c.work for c in calls if c.name == "conv_forward")}

    # The memory: a winner's cells times the context's entries. The second call is of the columns' head.
    call = next(c for c in calls if c.name == MEMORY)
    entries = np.array([len(values) for values in session.read(call.tensors["value"].name, slot)])
    cells = call.consts["L"]
    cost["memory"] = int(entries.sum()) * cells
    sites, (N, P) = call.sites, call.tensors["weight"].shape
    cost["memory, dense"] = sites * N * P

    # The decoder: only cells whose activity is not 0 paint.
    call = next(c for c in calls if c.name == DECODER)
    active = int(np.count_nonzero(session.read(call.tensors["value"].name, slot)))
    J = call.consts["side"] ** 2 * call.consts["I"]
    cost["decoder"], cost["decoder, dense"] = active * J, sites * N * J

    numbers = sum(t.size * t.sites for c in calls if c.name == "conv_forward" for t in (*c.read, *c.written))
    numbers += cost["memory"] + 2 * int(entries.sum()) + cost["decoder"]  # a weight each; index and value
    return {name: count / 1e6 for name, count in cost.items()} | {"megabytes": 4 * numbers / 1e6}
