"""Optimisers and schedules through whole models, on both backends."""

import math

import numpy as np
import pytest
from conftest import assert_close

import deephtm_gpu as dh
from deephtm_gpu.ops.rule import TABLE, _lr_factor

OPTIMISERS = {
    "SGD": lambda **k: dh.SGD(0.05, **k),
    "momentum": lambda **k: dh.SGD(0.02, momentum=0.9, **k),
    "RMSprop": lambda **k: dh.RMSprop(0.003, **k),
    "Adam": lambda **k: dh.Adam(0.003, **k),
    "AdamW": lambda **k: dh.AdamW(0.003, weight_decay=0.1, **k),
    "PolyakSGD": lambda **k: dh.PolyakSGD(0.5, **k),
}
SCHEDULES = {
    "constant": lambda: dh.Constant(),
    "cosine": lambda: dh.Cosine(100, warmup=10),
    "inverse": lambda: dh.InverseDecay(20, floor=0.3),
}


def linear(optimizer, device="numpy", **more):
    return dh.Model(dh.Sequential(dh.Linear(2)), (3,), optimizer=optimizer, device=device, **more)


def memory(optimizer, device="numpy", window=2, **more):
    net = dh.Sequential(
        dh.Linear(16),
        dh.ReLU(),
        dh.RunningNorm(),
        dh.SpatialPooler(24, 3),
        dh.TemporalMemory(3, window=window),
        dh.Linear(8),
        dh.ReLU(),
        dh.Linear(2),
    )
    return dh.Model(net, (2,), optimizer=optimizer, device=device, **more)


def noise(steps, size=2, streams=None, seed=0):
    return np.random.default_rng(seed).normal(size=(steps, *([streams] if streams else []), size)).astype(np.float32)


def by_hand(name, schedule, weight, bias, inputs, targets):
    """A dense layer taught in float64 by the formulas of the papers, clipping left out."""
    theta = np.concatenate([weight, bias[:, None]], axis=1).astype(float)  # (2, 4)
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    lr = {"SGD": 0.05, "momentum": 0.02, "RMSprop": 0.003, "Adam": 0.003, "AdamW": 0.003, "PolyakSGD": 0.5}[name]
    for k, (x, y) in enumerate(zip(inputs.astype(float), targets.astype(float))):
        x = np.append(x, 1)
        error = theta @ x - y
        g = np.outer(error, x)
        factor = {"constant": 1.0, "inverse": max(0.3, 1 / (1 + k / 20)),
                  "cosine": (k + 1) / 10 if k < 10 else (1 + math.cos(math.pi * (k - 10) / 90)) / 2}[schedule]
        rate = lr * factor
        if name == "SGD":
            theta -= rate * g
        elif name == "PolyakSGD":
            theta -= rate * (error @ error) / ((g * g).sum() + 1e-12) * g
        elif name == "momentum":
            m = 0.9 * m + g
            theta -= rate * m
        elif name == "RMSprop":
            v = 0.99 * v + 0.01 * g * g
            theta -= rate * g / (np.sqrt(v) + 1e-8)
        else:
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            if name == "AdamW":
                theta -= rate * 0.1 * theta
            theta -= rate * (m / (1 - 0.9 ** (k + 1))) / (np.sqrt(v / (1 - 0.999 ** (k + 1))) + 1e-8)
    return theta


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_dense_layer_learns_as_the_papers_say(adapter, name, schedule, device):
    m = linear(OPTIMISERS[name](schedule=SCHEDULES[schedule]()), device)
    inputs, targets = noise(60, 3), noise(60, 2, seed=1)
    start = m.state_dict()
    m.fit(inputs[:25], targets[:25])
    m.fit(inputs[25:], targets[25:])
    want = by_hand(name, schedule, start["0.weight"], start["0.bias"], inputs, targets)
    now = m.state_dict()
    assert_close("weight and bias", np.concatenate([now["0.weight"], now["0.bias"][:, None]], axis=1), want, 2e-4)


@pytest.mark.parametrize("ahead", [1, 3])
def test_updates_are_counted_from_the_first_that_is_made(ahead):
    """Rows that wait for their target make none: Adam's first step is as long as its rate, whenever it comes."""
    m = dh.Model(dh.Sequential(dh.Linear(2)), (2,), optimizer=dh.Adam(0.01), device="numpy")
    series, start = noise(ahead + 1), m.state_dict()["0.weight"]
    m.fit(series[:ahead], ahead=ahead)
    assert np.array_equal(start, m.state_dict()["0.weight"])
    m.fit(series[ahead:], ahead=ahead)
    assert_close("step", np.abs(m.state_dict()["0.weight"] - start), np.full((2, 2), 0.01), 1e-3)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_backends_agree(adapter, name):
    models = [memory(OPTIMISERS[name](clip_norm=1.0, schedule=dh.InverseDecay(10)), d) for d in ("gpu", "numpy")]
    a, b = (m.fit(noise(60)).prediction for m in models)
    assert np.abs(a - b).max() <= 2e-3 * np.abs(b).max()


@pytest.mark.parametrize("name", ["RMSprop", "Adam", "AdamW", "momentum"])
def test_what_a_step_does_not_touch_stands_still(name):
    """Lazy: rows of losing columns and of silent cells, and what the rule remembers of them."""
    m = memory(OPTIMISERS[name]())
    m.fit(noise(40))
    names = ["3.weight", "4.distal_weight", "5.weight"]
    kept = [n + s for n in names for s in ("", ".moment", ".power", ".count") if n + s in m.session.plan.tensors]
    before = {n: m.session.backend.read(n) for n in kept}
    learned_from = m.session.backend.read("3.rows", (m.steps - 1) % m.session.plan.slots)[0]
    cells = m.session.backend.read("4.cells", (m.steps - 1) % m.session.plan.slots)[0]
    m.step(noise(41)[40])
    for n in kept:
        changed = np.flatnonzero((m.session.backend.read(n) != before[n]).reshape(len(before[n]), -1).any(axis=1))
        allowed = learned_from if n.startswith("3") else None
        if n.startswith("5"):
            allowed = cells
        assert len(changed) and (allowed is None or set(changed) <= set(allowed)), n


def test_a_rows_own_count_sets_its_pace():
    """A column that wins for the first time late learns as fast as one that won at the first step."""
    m = memory(dh.Adam(0.01, schedule=dh.InverseDecay(5)))
    m.fit(noise(200))
    count = m.session.backend.read("3.weight.count")
    assert count.max() > 50 and (count < 0.5 * count.max()).any()
    assert np.array_equal(count, m.session.backend.read("3.bias.count"))


def test_counts_beyond_the_table_go_on_where_it_ends():
    rule = {n: v for n, v in dh.Adam(0.01, betas=(0.9, 0.99999), schedule=dh.InverseDecay(10**6)).rule().items()}
    asked = [rule[n] for n in ("log1", "log2", "epsilon", "decay_rate", "floor")]
    k = np.array([[TABLE - 2], [TABLE - 1], [TABLE], [TABLE + 1]])
    for within, beyond in zip(_lr_factor(k[:2], *asked), _lr_factor(k, *asked)):
        assert_close("pace", beyond[:2], within, 1e-12)
        assert (np.diff(beyond[:, 0]) != 0).all() and np.diff(beyond[:, 0], 2) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_clipped_gradients_are_as_long_as_allowed(name):
    """SGD's step shows the gradient; the others see the same one."""
    if name in ("SGD", "PolyakSGD"):
        m = linear(OPTIMISERS[name](clip_norm=0.01))
        start = m.state_dict()
        m.fit(noise(1, 3), noise(1, 2))
        moved = np.concatenate([(m.state_dict()[n] - start[n]).ravel() for n in start])
        free = linear(OPTIMISERS[name]())
        free.fit(noise(1, 3), noise(1, 2))
        freely = np.concatenate([(free.state_dict()[n] - start[n]).ravel() for n in start])
        assert_close("direction", moved / np.linalg.norm(moved), freely / np.linalg.norm(freely), 1e-3)
        assert np.linalg.norm(moved) < 0.2 * np.linalg.norm(freely)
        if name == "SGD":
            assert np.linalg.norm(moved) == pytest.approx(0.05 * 0.01, rel=1e-3)
    clipped, free = (memory(OPTIMISERS[name](clip_norm=c)) for c in (0.05, 1e6))
    unclipped = memory(OPTIMISERS[name]())
    a, b, c = (x.fit(noise(50)).prediction for x in (clipped, free, unclipped))
    assert not np.allclose(a, c, rtol=1e-3) and np.abs(b - c).max() <= 1e-4 * np.abs(c).max()


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
def test_a_step_of_adam_is_exact(adapter, device):
    """1 - .999 in float32 is wrong in the fifth digit, and so would be all steps, together: what columns are near a tie
    would soon be others."""
    model = linear(dh.Adam(1.0, eps=1e-30), device)
    weight = model.session.read("0.weight").astype(np.float64)
    x, y = np.array([[1.0, 2.0, -1.0]]), np.array([[1.0, -1.0]])
    moment, power = 0.0, 0.0
    for t in range(1, 6):
        error = weight @ x[0] + model.session.read("0.bias") - y[0]
        gradient = np.outer(error, x[0])
        moment, power = 0.9 * moment + 0.1 * gradient, 0.999 * power + 0.001 * gradient**2
        model.fit(x, targets=y)
        step = moment / (1 - 0.9**t) / np.sqrt(power / (1 - 0.999**t))
        made = model.session.read("0.weight").astype(np.float64)
        assert np.abs(weight - step - made).max() <= 2e-6
        weight = made


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
@pytest.mark.parametrize("name", ["SGD", "momentum", "RMSprop", "Adam", "AdamW"])
def test_copies_of_a_stream_learn_what_one_does(adapter, name, device):
    """The gradients of S streams add up: with the rate of SGD divided by S (Adam and RMSprop do not see the scale)."""
    S, series = 3, noise(40)  # later, RMSprop has made whole steps of what was rounding
    rates = {"SGD": (dh.SGD(0.03), dh.SGD(0.01)), "momentum": (dh.SGD(0.03, momentum=0.5), dh.SGD(0.01, momentum=0.5)),
             "RMSprop": (dh.RMSprop(0.003), dh.RMSprop(0.003)), "Adam": (dh.Adam(0.003), dh.Adam(0.003)),
             "AdamW": (dh.AdamW(0.003), dh.AdamW(0.003))}[name]
    one, three = memory(rates[0], device, window=4), memory(rates[1], device, window=4, streams=S)
    a, b = one.fit(series).prediction, three.fit(np.repeat(series[:, None], S, axis=1)).prediction
    assert np.array_equal(b[:, 0], b[:, 1]) and np.array_equal(b[:, 0], b[:, 2])
    assert np.abs(a - b[:, 0]).max() <= 1e-3 * np.abs(a).max()


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: dh.Adam(0), "lr"),
        (lambda: dh.Adam(1e-3, betas=(1.0, 0.9)), "beta"),
        (lambda: dh.Adam(1e-3, betas=(0.9, 0)), "beta"),
        (lambda: dh.Adam(1e-3, betas=0.9), "betas"),
        (lambda: dh.Adam(1e-3, eps=0), "eps"),
        (lambda: dh.RMSprop(0.1, alpha=1), "alpha"),
        (lambda: dh.AdamW(1e-3, weight_decay=-1), "weight_decay"),
        (lambda: dh.Adam(1e-3, clip_norm=0), "clip_norm"),
        (lambda: dh.Adam(1e-3, schedule="cosine"), "schedule"),
        (lambda: dh.Cosine(10, warmup=10), "warmup must be shorter than its steps"),
        (lambda: dh.Cosine(0), "steps"),
        (lambda: dh.InverseDecay(0), "steps"),
        (lambda: dh.InverseDecay(10, floor=2), "floor"),
        (lambda: dh.SGD("fast"), "lr"),
        (lambda: dh.PolyakSGD(-1), "scale"),
        (lambda: dh.SGD(0.1, momentum=1.0), "momentum"),
    ],
)
def test_a_wrong_argument_is_a_sentence(make, match):
    with pytest.raises(dh.UserError, match=match):
        make()


def test_binary_cross_entropy_gives_probabilities_and_learns():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(1500, 3)).astype(np.float32)
    targets = (inputs[:, :2] > 0).astype(np.float32)
    m = linear(dh.SGD(0.3), loss="bce")
    history = m.fit(inputs, targets)
    p = np.clip(history.prediction, 1e-7, 1 - 1e-7)
    assert p.shape == (1500, 2) and ((0 <= p) & (p <= 1)).all()
    want = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).sum(axis=1)
    assert_close("loss", history.loss[:300], want[:300], 1e-3)
    assert history.loss[-300:].mean() < 0.3 < history.loss[:50].mean()
    with pytest.raises(dh.UserError, match="0 to 1"):
        m.fit(inputs[:3], targets[:3] + 0.5)
