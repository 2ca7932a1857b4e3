"""Windows above 1: deferred credit through a whole model, what it costs, and what reset() does with it."""

import numpy as np
import pytest
from conftest import assert_close

import deephtm_gpu as dh
from deephtm_gpu.plan.lowering import lower
from deephtm_gpu.plan.plan import ONLINE

N, T = 40 * 3, 4


def network(window, **memory):
    return dh.Sequential(
        dh.Linear(24),
        dh.ReLU(),
        dh.RunningNorm(),
        dh.SpatialPooler(40, 4),
        dh.TemporalMemory(3, window=window, **memory),
        dh.Linear(16),
        dh.ReLU(),
        dh.Linear(7),
    )


def model(window=T, device="numpy", optimizer=None, seed=0, **more):
    return dh.Model(
        network(window),
        (7,),
        loss="cross_entropy",
        optimizer=optimizer or dh.Adam(0.01),
        seed=seed,
        device=device,
        **more,
    )


def symbols(steps, seed=0):
    """A stream that can be learned: 0 1 2 3 4 or 5 1 2 3 6, one after the other."""
    rng = np.random.default_rng(seed)
    words = [[0, 1, 2, 3, 4], [5, 1, 2, 3, 6]]
    stream = np.concatenate([words[rng.integers(2)] for _ in range(steps // 5 + 1)])[:steps]
    return np.eye(7, dtype=np.float32)[stream]


class Ring:
    """Deferred credit said once more, plainly, in float64: a list of past steps with a full gradient over all cells
    each."""

    def __init__(self, window, decay=0.8):
        self.window, self.decay, self.steps = window, decay, []

    def learn(self, cells, dcell, root, activity, fast, index, value, weight):
        """One step learned from; `fast` (N,): the trace that its context was read from. Returns (cells, dz, index,
        value) of the step that leaves, None while the ring fills."""
        dz = _gate_backward(dcell, root, activity)
        norm = np.sqrt(fast @ fast + 1e-4)
        unit = fast / norm
        e = np.zeros(N)
        for i in index[index < N]:
            e[i] = sum(d * weight[c, i] for d, c in zip(dz, cells))
        seen = unit * (fast != 0)
        into_trace = (e - (e @ seen) * seen) / norm
        for age, step in enumerate(reversed(self.steps), start=1):
            if age < self.window:
                step["dcell"] += self.decay ** (age - 1) * into_trace[step["cells"]]
        self.steps.append(dict(cells=cells, dcell=dcell.copy(), root=root, activity=activity, index=index, value=value))
        return self._leave() if len(self.steps) == self.window else None

    def flush(self):
        return [self._leave() for _ in range(len(self.steps))]

    def _leave(self):
        s = self.steps.pop(0)
        return s["cells"], _gate_backward(s["dcell"], s["root"], s["activity"]), s["index"], s["value"]


def _gate_backward(dcell, root, activity, M=3):
    dz = np.empty_like(dcell)
    for k, a in enumerate(activity):
        at = slice(k * M, (k + 1) * M)
        r, g = root[at], dcell[at]
        dz[at] = a * r * (g - (r @ g) / r.sum())
    return dz


@pytest.mark.parametrize("window", [1, 2, 4, 9])
def test_distal_weights_learn_from_what_the_ring_gathered(window):
    """Every step of a model with plain SGD, its distal update predicted from the plain ring above; reset() at the
    end."""
    lr, backend_of = 0.05, {}
    m = dh.Model(network(window), (7,), loss="cross_entropy", optimizer=dh.SGD(lr), device="numpy", seed=1)
    backend_of = m.session.backend
    ring, series = Ring(window), symbols(60)

    def read(name, slot):
        return np.asarray(backend_of.read(f"4.{name}" if "." not in name else name, slot)[0], float)

    def moved(left, weight, bias):
        for cells, dz, index, value in left:
            for d, c in zip(dz, cells):
                if d != 0:
                    weight[c, index] -= lr * d * value
                    bias[c] -= lr * d

    tapes = {}
    for t, x in enumerate(series):
        weight, bias = (m.state_dict()[f"4.distal_{n}"].astype(float) for n in ("weight", "bias"))
        m.step(x)
        slots = m.session.plan.slots
        tapes[t] = dict(
            cells=backend_of.read("4.cells", t % slots)[0],
            root=read("root", t % slots),
            activity=read("3.activity", t % slots),
            index=backend_of.read("4.context", t % slots)[0],
            value=read("context_value", t % slots),
            norm=read("norm", t % slots)[0],
        )
        if t == 0:
            continue
        tape = tapes[t - 1]  # learned from now
        dcell = np.asarray(backend_of.read("5.dx", (t - 1) % slots)[0], float)
        fast = np.zeros(N)
        cells_there = tape["index"] < N
        fast[tape["index"][cells_there]] = tape["value"][cells_there] * tape["norm"]
        left = ring.learn(
            tape["cells"], dcell, tape["root"], tape["activity"], fast, tape["index"], tape["value"], weight
        )
        moved([left] if left else [], weight, bias)
        assert_close(f"distal weight at step {t}", m.state_dict()["4.distal_weight"], weight, 1e-5)
        assert_close(f"distal bias at step {t}", m.state_dict()["4.distal_bias"], bias, 1e-4)
    start = m.state_dict()["4.distal_weight"]
    m.reset()
    moved(ring.flush(), weight, bias)
    assert_close("distal weight after reset", m.state_dict()["4.distal_weight"], weight, 1e-5)
    assert window == 1 or not np.array_equal(start, m.state_dict()["4.distal_weight"])


@pytest.mark.parametrize("window", [1, 2, 8, 16])
def test_gpu_and_numpy_agree(adapter, window):
    series = symbols(60)
    models = [model(window, d) for d in ("gpu", "numpy")]
    predictions = []
    for m in models:
        first = m.fit(series[:40]).prediction
        m.reset()
        predictions.append(np.concatenate([first, m.fit(series[40:]).prediction]))
    assert np.abs(predictions[0] - predictions[1]).max() <= 1e-4
    for name, value in models[0].state_dict().items():
        assert_close(name, value, models[1].state_dict()[name], 1e-3)


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
@pytest.mark.parametrize("ahead", [1, 3])
def test_pieces_equal_the_whole(adapter, device, ahead):
    series, whole, pieces = symbols(70), model(device=device), model(device=device)
    at_once = whole.fit(series, ahead=ahead)
    parts = [pieces.fit(series[a:b], ahead=ahead).prediction for a, b in ((0, 1), (1, 3), (3, 40), (40, 70))]
    assert np.array_equal(at_once.prediction, np.concatenate(parts))
    for name, value in whole.state_dict().items():
        assert np.array_equal(value, pieces.state_dict()[name]), name


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
def test_predict_leaves_every_bit(adapter, device):
    series, looked, alone = symbols(60), model(device=device), model(device=device)
    for m in (looked, alone):
        m.fit(series[:30])
    assert np.array_equal(looked.predict(series[30:50]), looked.predict(series[30:50]))
    assert np.array_equal(looked.fit(series[30:]).prediction, alone.fit(series[30:]).prediction)
    for name, value in looked.state_dict().items():
        assert np.array_equal(value, alone.state_dict()[name]), name


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
def test_short_sequences_teach_the_distal_weights_too(adapter, device):
    """A sequence shorter than the window: its steps never leave the ring, but reset() learns from them."""
    m = model(window=16, device=device)
    start = m.state_dict()["4.distal_weight"]
    m.fit(symbols(6))
    assert np.array_equal(start, m.state_dict()["4.distal_weight"])
    m.reset()
    taught = m.state_dict()["4.distal_weight"]
    assert not np.array_equal(start, taught)
    m.reset()
    assert np.array_equal(taught, m.state_dict()["4.distal_weight"]), "what was learned once is not learned again"


def test_other_ahead_in_between_learns_what_was_deferred():
    m = model(window=8)
    m.fit(symbols(30))
    before = m.state_dict()["4.distal_weight"]
    m.fit(symbols(1), ahead=2)  # what was pending is learned, and a step leaves the ring
    assert not np.array_equal(before, m.state_dict()["4.distal_weight"])


def test_a_step_costs_the_same_whatever_the_window():
    """But for T*K*M multiply-adds: the same calls on tensors of the same sizes."""
    def cost(window):
        plan, _ = lower(network(window).network((7,)), ["cross_entropy"], dh.Adam(0.01), 1, 0, 1)
        calls = [c for c in plan.calls(ONLINE)]
        return sorted(c.name for c in calls), sum(c.work for c in calls)

    (names2, work2), (names16, work16), (names64, work64) = (cost(w) for w in (2, 16, 64))
    assert names2 == names16 == names64
    assert work16 - work2 == 14 * 4 * 3 and work64 - work16 == 48 * 4 * 3


def test_reaches_further_back_than_one_step():
    """What comes at the end was decided five steps before; the leak alone keeps it only faintly."""
    m = model(window=8, seed=3, optimizer=dh.Adam(0.005))
    series = symbols(4000, seed=1)
    history = m.fit(series)
    now, then = series[-500:].argmax(axis=1), history.prediction[-501:-1].argmax(axis=1)
    ends = np.isin(now, (4, 6))
    assert (now == then)[ends].mean() >= 0.95


@pytest.mark.parametrize("window", [0, -1, 2.5, "8", None])
def test_no_such_window_is_a_sentence(window):
    with pytest.raises(dh.UserError, match="window"):
        dh.TemporalMemory(3, window=window)
