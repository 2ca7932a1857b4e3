"""Parts of a network that step less often than the rest: `every`, `when`, traces, and memories that tick."""

import numpy as np
import pytest
from conftest import assert_close
from test_graph import refuses

import deephtm_gpu as dh

RNG = np.random.default_rng
DEVICES = pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])


def seen(make, *series, device="numpy", streams=1):
    """What a node gives step by step, (T, D), or with S behind T. make(*inputs): the node."""
    inputs = [dh.Input(x.shape[1 + (streams > 1):]) for x in series]
    model = dh.Model(dh.Network(inputs, make(*inputs)), device=device, streams=streams)
    return model.predict(list(series) if len(series) > 1 else series[0])


def ramp(steps):
    return np.arange(1, steps + 1, dtype=np.float32)[:, None]


@DEVICES
def test_every_gives_each_nth_value_and_holds_it(device):
    assert seen(lambda x: dh.every(x, 3), ramp(8), device=device)[:, 0].tolist() == [0, 0, 3, 3, 3, 6, 6, 6]


@DEVICES
def test_sum_gathers_what_came_since_the_tick_before(device):
    assert seen(lambda x: dh.every(x, 3, gather="sum"), ramp(8), device=device)[:, 0].tolist() == [
        0,
        0,
        6,
        6,
        6,
        15,
        15,
        15,
    ]


@DEVICES
def test_when_goes_by_its_gate(device):
    gate = np.array([0, 1, 0.5, 0, 1, 1, 0, 0.6], np.float32)[:, None]
    assert seen(lambda x, g: dh.when(g, x), ramp(8), gate, device=device)[:, 0].tolist() == [0, 2, 2, 2, 5, 6, 6, 8]
    assert seen(lambda x, g: dh.when(g, x, gather="sum"), ramp(8), gate, device=device)[:, 0].tolist() == [
        0,
        3,
        3,
        3,
        12,
        6,
        6,
        15,
    ]


@DEVICES
def test_an_every_behind_an_every_counts_its_ticks(device):
    def twice(x):
        return dh.every(dh.every(x, 2, gather="sum"), 3, gather="sum")

    assert seen(twice, ramp(13), device=device)[:, 0].tolist() == [0] * 5 + [21] * 6 + [57] * 2


@DEVICES
def test_each_stream_has_its_own_gate(device):
    rng = RNG(1)
    x, gate = rng.normal(size=(20, 3, 2)).astype(np.float32), (rng.random((20, 3, 1)) < 0.4).astype(np.float32)
    together = seen(lambda a, g: dh.when(g, a, gather="sum"), x, gate, device=device, streams=3)
    for s in range(3):
        assert_close(
            "stream", together[:, s], seen(lambda a, g: dh.when(g, a, gather="sum"), x[:, s], gate[:, s]), 1e-6
        )


@DEVICES
def test_a_trace_leaks_and_behind_a_clock_it_steps_at_ticks(device):
    assert_close("trace", seen(dh.Trace(0.5), ramp(4), device=device)[:, 0], [1, 2.5, 4.25, 6.125], 1e-6)
    behind = seen(lambda x: dh.Trace(0.5)(dh.every(x, 2)), ramp(6), device=device)[:, 0]
    assert_close("trace", behind, [0, 2, 2, 5, 5, 8.5], 1e-6)


def test_a_layer_that_reads_several_clocks_goes_by_the_one_they_share():
    """A trace shows which clock it follows: it leaks at its ticks."""
    def sums(a, b):
        return dh.Trace(0.5)(a + b)

    x = np.ones((12, 1), np.float32)
    with_the_network = seen(lambda x: sums(dh.every(x, 4), x), x)[:, 0]
    assert with_the_network[:3].tolist() == [1, 1.5, 1.75]
    half = seen(lambda x: sums(e := dh.every(x, 2), dh.every(e, 2)), x)[:, 0]  # steps with e, every second step
    assert half[:8].tolist() == [0, 1, 1, 2.5, 2.5, 3.25, 3.25, 3.625]
    twins = seen(lambda x: sums(dh.every(x, 3), dh.every(x, 3)), x)[:, 0]
    assert twins[:6].tolist() == [0, 0, 2, 2, 2, 3], "two of the same steps are one clock"
    gated = seen(lambda x: sums(dh.when(x, x), dh.when(x, x)), x * np.tile([[0], [1], [0]], (4, 1)).astype(np.float32))[
        :, 0
    ]
    assert gated[:5].tolist() == [0, 2, 2, 2, 3]
    expected = dh.Expectation(3, 2)
    held = seen(lambda x: dh.Trace(0.5)(expected(dh.every(x, 3))), x)
    assert np.array_equal(held[2], held[4]) and not np.array_equal(held[4], held[5])
    strangers = seen(lambda x: sums(dh.every(x, 2), dh.every(x, 3)), x)[:, 0]
    assert strangers[:4].tolist() == [0, 1, 2.5, 3.25]


def test_reset_begins_the_count_anew():
    x = dh.Input((1,))
    model = dh.Model(dh.Network(x, dh.Linear(1)(dh.every(x, 3))), device="numpy", optimizer=dh.SGD(0.01))
    model.fit(ramp(2), targets=ramp(2))
    model.reset()
    held = model.predict(ramp(3))[:, 0]
    assert held[0] == held[1] != held[2]


# Memories that tick


def ticking(clock, device="numpy", **memory):
    x = dh.Input((4,))
    held = clock(x) if clock else x
    cells = dh.TemporalMemory(3, **memory)(dh.SpatialPooler(31, 4)(held))
    return dh.Model(dh.Network(x, dh.Linear(2)(cells)), seed=3, device=device, optimizer=dh.SGD(0.05))


def cells_of(history):
    return next(reported["cells"] for reported in history.observed.values() if "cells" in reported)


@DEVICES
@pytest.mark.parametrize("slow", [True, False])
def test_a_memory_that_ticks_does_what_one_does_that_sees_the_ticks_alone(device, slow):
    rng = RNG(5)
    x = rng.normal(size=(90, 4)).astype(np.float32)
    ticks, alone = ticking(lambda n: dh.every(n, 3), device, slow=slow), ticking(None, device, slow=slow)
    weights = {name: w if "bias" in name or "predicted" in name else 3 * w for name, w in ticks.state_dict().items()}
    weights["2.distal_weight"] = weights["2.distal_weight"] + rng.normal(size=weights["2.distal_weight"].shape)
    ticks.load_state_dict(weights)
    alone.load_state_dict(
        {
            name.replace("1.", "0.").replace("2.", "1.").replace("3.", "2.") if name[0] != "0" else name: w
            for name, w in weights.items()
        }
    )
    all_steps, at_ticks = cells_of(ticks.trace(x)), cells_of(alone.trace(x[2::3]))
    assert_close("cells", all_steps[2::3], at_ticks, 1e-4)
    assert_close("held", all_steps[4::3], all_steps[3::3][: len(all_steps[4::3])], 1e-6)
    assert not all_steps[:2].any(), "cells are active before the first tick"
    still = cells_of(ticks.trace(np.repeat(x[2::3], 3, axis=0)[:90]))
    assert len(np.unique(still.argmax(axis=2))) > 1, "the same cell always: the test would see nothing"


@DEVICES
def test_what_a_ticking_memory_expects_is_learned_at_ticks_alone(device):
    model, x = ticking(lambda n: dh.every(n, 3), device), RNG(6).normal(size=(9, 4)).astype(np.float32)
    changed = []
    for step in x:
        before = model.state_dict()["2.predicted_bias"]
        model.step(step, target=np.zeros(2, np.float32))
        changed.append(bool((model.state_dict()["2.predicted_bias"] != before).any()))
    assert changed == [False, False, True] * 3


def test_a_memory_that_ticks_goes_on_from_a_file(tmp_path):
    model, rng = ticking(lambda n: dh.every(n, 3, gather="sum")), RNG(7)
    x, y = rng.normal(size=(40, 4)).astype(np.float32), rng.normal(size=(40, 2)).astype(np.float32)
    model.fit(x[:20], targets=y[:20])
    model.save(tmp_path / "model")
    again = dh.load(tmp_path / "model", device="numpy")
    assert np.array_equal(again.fit(x[20:], targets=y[20:]).prediction, model.fit(x[20:], targets=y[20:]).prediction)


@DEVICES
def test_surprise_is_the_anomaly_of_its_memory_and_may_be_a_gate(device):
    x = dh.Input((4,))
    cells = dh.TemporalMemory(3)(dh.SpatialPooler(31, 4)(x))
    surprise = dh.Surprise()(cells)
    model = dh.Model(dh.Network(x, [surprise, dh.when(surprise, x)]), device=device)
    series = RNG(8).normal(size=(30, 4)).astype(np.float32)
    reported = model.trace(series)
    assert_close("surprise", reported.prediction[0][:, 0], reported.anomaly, 1e-6)
    ticks = reported.anomaly > 0.5
    assert_close("held", reported.prediction[1][ticks], series[ticks], 1e-6)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda x: dh.every(x, 0), ["every's steps", "0"]),
        (lambda x: dh.every(x, 1 << 25), ["every's steps", "16,777,216"]),
        (
            lambda x: dh.Surprise()(dh.previous(dh.TemporalMemory(2)(dh.SpatialPooler(9, 2)(x)))),
            ["Surprise", "TemporalMemory"],
        ),
        (
            lambda x: dh.TemporalMemory(2)(dh.SpatialPooler(9, 2)(x), context=3),
            ["TemporalMemory", "context must be a node", "got 3"],
        ),
        (
            lambda x: dh.TemporalMemory(2, window=4)(dh.SpatialPooler(9, 2)(dh.every(x, 2) + dh.every(x, 2))),
            ["window=4", "dh.every"],
        ),
        (lambda x: dh.every(x, 2.5), ["every's steps", "2.5"]),
        (lambda x: dh.every("x", 2), ["Every", "'str'"]),
        (lambda x: dh.every(x, 2, gather="mean"), ["gather", "'mean'", "'sum'"]),
        (lambda x: dh.when(x, x), ["gate of dh.when must be one number", "got 4 numbers"]),
        (lambda x: dh.when(3, x), ["When", "'int'"]),
        (lambda x: dh.Trace(1.0)(x), ["decay", "1.0"]),
        (lambda x: dh.Surprise()(x), ["Surprise", "TemporalMemory"]),
        (
            lambda x: dh.TemporalMemory(2, window=4)(dh.SpatialPooler(9, 2)(dh.every(x, 2))),
            ["window=4", "dh.every", "window=1"],
        ),
        (lambda x: dh.TemporalMemory(2, slow=3), ["slow", "3"]),
        (lambda x: dh.TemporalMemory(2, init_std=-1), ["init_std", "-1"]),
    ],
)
def test_mistakes(make, words):
    refuses(lambda: dh.Model(dh.Network(x := dh.Input((4,)), make(x)), device="numpy"), *words)


@DEVICES
def test_a_path_behind_a_clock_goes_on_at_ticks(device):
    move = RNG(9).normal(size=(12, 2)).astype(np.float32)
    cells = dh.GridCells(modules=3, orientation=0.0)
    held = seen(lambda m: cells(dh.every(m, 3)), move, device=device)
    assert_close("code", held[2::3], seen(dh.GridCells(modules=3, orientation=0.0), move[2::3]), 1e-4)
    assert_close("held", held[4], held[2], 1e-6)
    anchored = seen(
        lambda m: dh.GridCells(modules=3, orientation=0.0)(dh.every(m, 3), anchor=dh.Linear(6, init_std=0.0)(m)),
        move,
        device=device,
    )
    assert_close("an anchor is only looked at", anchored, held, 1e-6)
    begins = seen(
        lambda m, b: dh.GridCells(modules=3, orientation=0.0)(dh.every(m, 3), restart=dh.every(b, 3)),
        move,
        np.ones((12, 1), np.float32),
        device=device,
    )
    assert_close("a restart is held too, and counts once", begins[4], begins[2], 1e-6)


@DEVICES
@pytest.mark.parametrize(
    "moves", [lambda: dh.Trace(0.5), lambda: dh.GridCells(2, 3, orientation=0.1)], ids=["trace", "grid cells"]
)
def test_between_ticks_nothing_goes_back_through_what_stands_still(device, moves):
    x = dh.Input((4,))
    model = dh.Model(
        dh.Network(x, dh.Linear(3)(moves()(dh.Linear(2)(dh.every(x, 3))))), device=device, optimizer=dh.SGD(0.1), seed=1
    )
    changed, rng = [], RNG(10)
    for _ in range(9):
        before = model.state_dict()["1.weight"]
        model.step(rng.normal(size=4).astype(np.float32), target=np.ones(3, np.float32))
        changed.append(bool((model.state_dict()["1.weight"] != before).any()))
    assert changed == [False, False, True] * 3


@DEVICES
def test_the_state_of_a_ticking_memory_tells_the_next_tick(device):
    cycle = np.eye(4, dtype=np.float32) + 0.1
    model = ticking(lambda n: dh.every(n, 3), device)
    model.fit(np.repeat(cycle[np.arange(900) // 3 % 4], 1, axis=0), targets=np.zeros((900, 2), np.float32))
    winners = [
        next(v["winners"] for v in model.trace(np.repeat(cycle, 3, axis=0)).observed.values() if "winners" in v)[
            3 * k + 2
        ]
        for k in range(4)
    ]
    predicted = model.state()["2"]["predicted"]
    assert set(np.argsort(-predicted)[:4]) == set(winners[0]), (
        "900 steps end with the fourth of the cycle; the first comes next"
    )
