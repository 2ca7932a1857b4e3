"""DeepHTM's first experiment: learn a sine online, one step at a time. Run it with: python demos/sine.py"""

import deephtm_gpu as dh
from deephtm_gpu import view
from deephtm_gpu.data.sine import memoryless_floor, persistence_rmse, sine

# 1. The data: one number a step, 50 steps a period. The network sees only the present one, never the one before.
PERIOD = 50
series = sine(steps=10_000, period=PERIOD)  # (10000, 1) float32

# 2. How the information flows. Each winning column has five cells; which of them answers depends on what came before.
net = dh.Sequential(
    dh.Linear(256), dh.ReLU(),
    dh.Linear(256), dh.ReLU(), dh.RunningNorm(),
    dh.SpatialPooler(columns=256, winners=5),
    dh.TemporalMemory(cells_per_column=5, decay=0.8),
    dh.Linear(256), dh.ReLU(),
    dh.Linear(1),
)

# 3. Put it on a device and let it learn: every step predicts the next value, and learns when that arrives.
model = dh.Model(net, input_shape=(1,), loss="mse", optimizer=dh.PolyakSGD(), seed=0, device="auto")
history = model.fit(series, progress=True)

# 4. How good is it? At one and the same height a sine may be rising or falling: whoever has no memory cannot tell, and
#    cannot get below the floor. Persistence says that the next value will be the present one.
floor, persistence = memoryless_floor(PERIOD), persistence_rmse(PERIOD)
off = view.errors(series, history.prediction)  # (10000,)
checkpoints = (1_000, 4_000, 10_000)
print(f"RMSE of the last 300 steps; memoryless floor {floor:.4f}, persistence {persistence:.4f}")
for steps in checkpoints:
    print(f"after {steps:>6,} steps: {view.rmse_after(off, steps):.4f}")

# 5. A picture of it all.
rows = view.structure_rows(model.layers(), input_shape=(1,))
figure = view.prediction_figure(
    series, history.prediction, history.anomaly, checkpoints, floor, persistence, rows, title="DeepHTM learns a sine")
view.save_figure(figure, "out/sine.png")
print("out/sine.png shows how it went.")
