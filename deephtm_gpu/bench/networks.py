"""The networks that are measured."""

import deephtm_gpu as dh


def post(winners=5, gate="entmax"):
    """DeepHTM's first experiment: 1 -> 256 ReLU -> 256 ReLU -> 256 columns -> 5 cells each -> 256 ReLU -> 1."""
    return dh.Sequential(
        dh.Linear(256), dh.ReLU(), dh.Linear(256), dh.ReLU(), dh.RunningNorm(),
        dh.SpatialPooler(columns=256, winners=winners), dh.TemporalMemory(cells_per_column=5, gate=gate),
        dh.Linear(256), dh.ReLU(), dh.Linear(1),
    )


def post_model(winners=5, gate="entmax", seed=0, device="auto"):
    return dh.Model(post(winners, gate), input_shape=(1,), loss="mse", optimizer=dh.PolyakSGD(), seed=seed, device=device)
