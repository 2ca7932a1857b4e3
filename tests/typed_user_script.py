"""What a user writes: passes `mypy --strict` (tests/test_public.py)."""

import numpy as np

import deephtm_gpu as dh


def build(columns: int) -> dh.Network:
    x = dh.Input((2,))
    code = dh.SpatialPooler(columns, winners=3)(dh.RunningNorm()(dh.Linear(16)(x)))
    memory = dh.TemporalMemory(4, clock="columns")
    slow = dh.Trace(0.9)(dh.every(code, steps=2))
    cells = memory(code, context=[dh.previous(memory), slow])
    return dh.Network(x, dh.Linear(2)(cells) + dh.Linear(2)(x))


optimizer: dh.Adam = dh.Adam(1e-3, schedule=dh.InverseDecay(1000))
model = dh.Model(build(32), loss=dh.MSE(), optimizer=optimizer, device="numpy")
series = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
try:
    history: dh.History = model.fit(series)
    print("loss", float(np.nanmean(history.loss)), model.summary())
except dh.TrainingError as error:
    print(error.step, error.layer)
