"""What the NumPy reference promises: properties of single ops, and of models that learn with it."""

import numpy as np
import pytest
from conftest import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st

import deephtm_gpu as dh
from deephtm_gpu.ops.cells import cells_forward, gate_forward
from deephtm_gpu.ops.context import (
    SMALLEST,
    context_append_backward,
    context_append_forward,
    context_append_sparse,
    context_forward,
    fast_update,
    slow_update,
)
from deephtm_gpu.ops.head import FIRST_BIAS, LOSERS, head_forward, losers_forward
from deephtm_gpu.ops.linear import linear_forward
from deephtm_gpu.ops.losses import cross_entropy_forward, softmax_forward, surprise_forward
from deephtm_gpu.ops.relu import relu_forward
from deephtm_gpu.ops.running_norm import SLOWEST, running_mean_update, running_norm_forward
from deephtm_gpu.ops.sampled import sampled_update
from deephtm_gpu.ops.sparse_linear import sparse_linear_forward
from deephtm_gpu.ops.spec import EPSILON
from deephtm_gpu.ops.synapse import synapse_forward, synapse_update
from deephtm_gpu.ops.topk import topk_forward
from deephtm_gpu.ops.update import entries_update, outer_update, rows_update, rule_example, vector_update
from deephtm_gpu.ops.wiring import dense_forward

seeds = st.integers(0, 2**32 - 1)


# Top-k


@pytest.mark.parametrize("overlap, K, rows", [
    ([1.0, 3.0, 3.0, 2.0, 3.0], 2, [1, 2, 4]),  # ties to the lower index, the runner-up's too
    ([0.0, 0.0, 0.0, 0.0], 3, [0, 1, 2, 3]),
    ([-0.0, 0.0, -1.0], 1, [0, 1]),  # both zeros are alike
    ([-5.0, -1.0, -3.0, -2.0], 2, [1, 3, 2]),  # all negative
    ([np.nan, 1.0, np.nan, -2.0, 0.5], 2, [1, 4, 3]),  # NaN behind everything
    ([np.nan, 1.0, np.nan], 1, [1, 0]),
    ([-np.inf, np.nan, 0.0], 2, [2, 0, 1]),
    ([np.nan, -np.inf, 0.0, np.nan], 3, [2, 0, 1, 3]),
])
def test_topk_ranks(overlap, K, rows):
    assert topk_forward(np.array([overlap]), K)[1].tolist() == [rows]


@pytest.mark.parametrize("C, K", [(1025, 5), (16384, 5), (65536, 40), (65536, 65535)])
@pytest.mark.parametrize("values", [[0.0, 1.0, 2.0], [-0.5], [np.nan, -np.inf, 1.0], [np.nan]])
def test_topk_of_many_with_ties(C, K, values):
    overlap = np.random.default_rng(C).choice(values, C)
    with np.errstate(invalid="ignore"):  # the lead over minus infinity is no number
        rows = topk_forward(overlap[None], K)[1][0]
    assert (rows == np.lexsort((np.arange(C), np.where(np.isnan(overlap), np.inf, -overlap)))[: K + 1]).all()


@given(seeds, st.integers(2, 40), st.booleans())
@settings(max_examples=50)
def test_topk_is_a_stable_sort(seed, C, ties):
    rng = np.random.default_rng(seed)
    K = int(rng.integers(1, C))
    overlap = rng.integers(-2, 3, (2, C)).astype(float) if ties else rng.normal(size=(2, C))
    winners, rows, activity, scale = topk_forward(overlap, K)
    for s in range(2):
        order = sorted(range(C), key=lambda c: (-overlap[s, c], c))[: K + 1]
        assert rows[s].tolist() == order and winners[s].tolist() == order[:K]
        lead = overlap[s, order[:K]] - overlap[s, order[K]]  # the runner-up inhibits all
        root = np.sqrt((lead**2).mean() + EPSILON)
        assert_close("activity", activity[s], lead / root, 1e-12)
        assert_close("scale", scale[s], [root], 1e-12)
        assert (activity[s] >= 0).all()


# Cells and their gate


def test_cells_of_a_column_stand_side_by_side():
    assert cells_forward(np.array([[2, 0]]), M=3).tolist() == [[6, 7, 8, 0, 1, 2]]


def slow_entmax(z):
    """g with sum g = 1, g = max(0, z/2 - tau)^2: tau by bisection."""
    low, high = z.max() / 2 - 1, z.max() / 2
    for _ in range(100):
        tau = (low + high) / 2
        low, high = (tau, high) if (np.maximum(z / 2 - tau, 0) ** 2).sum() > 1 else (low, tau)
    return np.maximum(z / 2 - tau, 0) ** 2


@given(seeds, st.integers(1, 33), st.sampled_from([0.0, 0.01, 1.0, 10.0, 1e4]))
@settings(max_examples=60)
def test_gate_is_entmax(seed, M, spread):
    z = spread * np.random.default_rng(seed).normal(size=(1, 3 * M))
    cell, root = gate_forward(z, np.ones((1, 3)), 3, M)
    assert_close("rows sum to 1", cell.reshape(3, M).sum(axis=1), np.ones(3), 1e-9)
    for k, g in enumerate(cell.reshape(3, M)):
        assert_close("gate", g, slow_entmax(z[0, k * M:(k + 1) * M]), 1e-9)


@pytest.mark.parametrize("M", [1, 2, 5, 32])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("z", [0.0, -7.3, 1e4])
def test_column_bursts_where_all_cells_are_alike(M, dtype, z):
    cell, root = gate_forward(np.full((1, 2 * M), z, dtype), np.array([[2.0, 0.5]], dtype), 2, M)
    assert_close("burst", cell, np.repeat([[2.0 / M, 0.5 / M]], M, axis=1).reshape(1, -1), 1e-5)


def test_depolarised_cell_silences_the_others():
    cell, _ = gate_forward(np.array([[0.0, 2.5, 0.1]]), np.array([[3.0]]), 1, 3)
    assert cell.tolist() == [[0.0, 3.0, 0.0]]


# Contexts


def as_dense(index, value, size):
    dense = np.zeros(size)
    np.add.at(dense, index, value)
    return dense


@given(seeds, st.integers(1, 3))
@settings(max_examples=30)
def test_traces_and_their_lists_agree(seed, S):
    """Many random steps, beside the same done on dense arrays alone."""
    rng = np.random.default_rng(seed)
    C, M, K, decay = 12, 3, 3, 0.8
    N = C * M
    fast, slow = np.zeros((S, N)), np.zeros((S, C))
    fast_list, slow_list = ([np.zeros(0, np.int64) for _ in range(S)] for _ in range(2))
    dense_fast, dense_slow = fast.copy(), slow.copy()
    for _ in range(30):
        winners = np.stack([rng.permutation(C)[:K] for _ in range(S)])
        activity = 2 * rng.random((S, K)) * (rng.random((S, K)) < 0.8)
        surprise = rng.random((S, 1)) * (rng.random((S, 1)) < 0.6)
        cells = cells_forward(winners, M)
        cell = rng.random((S, K * M)) * (rng.random((S, K * M)) < 0.5)
        fast_update(cells, cell, fast, fast_list, decay)
        slow_update(winners, activity, surprise, slow, slow_list, 0.02)
        for s in range(S):
            dense_fast[s] *= decay
            dense_fast[s][dense_fast[s] < SMALLEST] = 0
            dense_fast[s][cells[s]] += cell[s]
            p = surprise[s, 0] if surprise[s, 0] >= 0.02 else 0
            dense_slow[s] *= 1 - (1 - np.exp(-1)) * p
            dense_slow[s][dense_slow[s] < SMALLEST] = 0
            added = activity[s] * p
            dense_slow[s][winners[s]] += np.where(added > SMALLEST, added, 0)
            for trace, dense, places in ((fast, dense_fast, fast_list), (slow, dense_slow, slow_list)):
                assert_close("trace", trace[s], dense[s], 1e-12)
                assert sorted(places[s].tolist()) == np.flatnonzero(dense[s]).tolist()  # each entry once
        index, value, norm = context_forward(fast, fast_list, slow, slow_list, N)
        for s in range(S):
            u, q = dense_fast[s], dense_slow[s]
            unit = np.concatenate([u / np.sqrt(u @ u + EPSILON), q / np.sqrt(q @ q + EPSILON)])
            assert_close("context", as_dense(index[s], value[s], N + C), unit, 1e-12)


def test_small_entries_are_dropped():
    fast, places = np.array([[0.2, 0.124, 0.0, 0.126]]), [np.array([3, 0, 1])]
    fast_update(np.array([[2]]), np.array([[0.05]]), fast, places, decay=0.8)
    assert places[0].tolist() == [3, 0, 2]  # 0.124 * 0.8 < 0.1; what is new may be small, it goes in the next step
    assert_close("fast", fast, [[0.16, 0.0, 0.05, 0.1008]], 1e-12)


def test_slow_trace_stands_still_while_nothing_surprises():
    slow, places = np.array([[0.3, 0.0, 0.9]]), [np.array([2, 0])]
    slow_update(np.array([[1]]), np.array([[5.0]]), np.array([[0.0]]), slow, places, 0.02)
    assert slow.tolist() == [[0.3, 0.0, 0.9]] and places[0].tolist() == [2, 0]


def test_empty_context():
    none = [np.zeros(0, np.int64)]
    index, value, _ = context_forward(np.zeros((1, 6)), none, np.zeros((1, 2)), none, 6)
    assert len(index[0]) == 0 and len(value[0]) == 0
    bias = np.array([0.5, -1.0, 2.0])
    assert synapse_forward(np.array([[2, 0]]), index, value, np.ones((3, 8)), bias).tolist() == [[2.0, 0.5]]


def test_appended_vectors_stand_behind_at_unit_norm():
    index, value = [np.array([4, 1])], [np.array([0.6, 0.8])]
    start, norm = context_append_forward(np.array([[3.0, 4.0]]), index, value, base=10, D=2)
    assert start.tolist() == [[2]] and index[0].tolist() == [4, 1, 10, 11]
    assert_close("value", value[0], [0.6, 0.8, 0.6, 0.8], 1e-4)
    start, norm = context_append_sparse(np.array([[7, 0]]), np.array([[0.0, 2.0]]), index, value, base=20, L=2)
    assert start.tolist() == [[4]] and index[0].tolist() == [4, 1, 10, 11, 27, 20]
    assert_close("value", value[0][4:], [0.0, 1.0], 1e-4)
    along = context_append_backward([np.concatenate([np.zeros(4), value[0][4:]])], value, start, norm, 2)
    assert np.abs(along).max() < 1e-3  # a longer vector of the same direction is the same context


# Predicted columns


@given(seeds, st.integers(1, 9))
@settings(max_examples=60)
def test_losers_are_drawn_without_repetition(seed, K):
    rng = np.random.default_rng(seed)
    C = int(rng.integers(K + 1, 80))
    R = min(LOSERS * K, C)
    winners = np.stack([rng.permutation(C)[:K] for _ in range(2)])
    rows = losers_forward(winners, int(rng.integers(2**31)), np.full((1, 1), rng.integers(2**32)), K, C, R)
    assert (rows[:, :K] == winners).all()
    for drawn in rows[:, K:]:
        assert len(set(drawn.tolist())) == R and drawn.min() >= 0 and drawn.max() < C
    anomaly, delta = head_forward(rng.normal(size=rows.shape), rows, rng.random((2, K)), K, R)
    assert (delta[:, :K] < 0).all()
    for s in range(2):  # nobody is reported 0 and 1
        assert ((delta[s, K:] == 0) == np.isin(rows[s, K:], winners[s])).all() and (delta[s, K:] >= 0).all()


def test_every_column_is_drawn_and_differently_by_step_and_seed():
    winners = np.zeros((2, 1), np.int64)
    drawn = np.array([losers_forward(winners, t, np.array([[7]]), 1, 40, 4)[:, 1:] for t in range(600)])  # (600, S, R)
    counts = np.bincount(drawn[:, 0].reshape(-1), minlength=40)
    assert counts.min() > 25 and counts.max() < 110, f"600 draws of 4 in 40 columns, 60 each expected: {counts}"
    assert np.array_equal(drawn[:, 0], drawn[:, 1]), "copies of a stream stay copies"
    assert (drawn[1:, 0] != drawn[:-1, 0]).any(axis=1).mean() > 0.9
    assert (
        losers_forward(winners, 3, np.array([[8]]), 1, 40, 4) != losers_forward(winners, 3, np.array([[7]]), 1, 40, 4)
    ).any()


@given(seeds)
@settings(max_examples=40)
def test_anomaly_is_a_share(seed):
    rng = np.random.default_rng(seed)
    K, R = 5, 20
    rows = np.stack([rng.permutation(64)[: K + R] for _ in range(3)])
    activity = rng.random((3, K)) * rng.choice([0.0, 1e-3, 1.0])
    anomaly, _ = head_forward(10 * rng.normal(size=rows.shape), rows, activity, K, R)
    assert anomaly.shape == (3, 1) and (0 <= anomaly).all() and (anomaly <= 1).all()


def test_anomaly_of_sure_and_of_unexpected_columns():
    rows = np.array([[3, 5, 0, 1]])
    activity = np.array([[1.0, 3.0]])
    assert head_forward(np.array([[30.0, 30.0, -3.0, -3.0]]), rows, activity, 2, 2)[0][0, 0] < 1e-6
    assert head_forward(np.array([[-30.0, -30.0, 3.0, 3.0]]), rows, activity, 2, 2)[0][0, 0] > 1 - 1e-6
    assert_close("three quarters", head_forward(np.array([[30.0, -30.0, 0.0, 0.0]]), rows, activity, 2, 2)[0], [[0.75]])


# Other ops


def test_running_mean_is_the_plain_average_then_leaks_slowly():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2, 5))  # (steps, S, D)
    mean, count, extent = np.zeros(5), np.zeros(1), np.zeros(2)
    for row in x:
        running_mean_update(row, np.full((2, 1), 0.5), mean, count, extent)
    assert_close("average of all that was seen", mean, x.mean(axis=(0, 1)), 1e-12)
    count[0] = 1 / SLOWEST
    before = mean.copy()
    running_mean_update(x[0], np.full((2, 1), 0.5), mean, count, extent)
    assert_close("slowest rate", mean - before, SLOWEST * (x[0].mean(axis=0) - before), 1e-9)
    assert count[0] == 1 / SLOWEST


def test_running_norm_gives_unit_root_mean_square():
    rng = np.random.default_rng(0)
    x, mean = 3 + 2 * rng.normal(size=(2, 50)), np.full(50, 3.0)
    y, scale = running_norm_forward(x, mean)
    assert_close("y", y * scale, x - mean, 1e-12)
    assert_close("unit", (y * y).mean(axis=1), np.ones(2), 1e-3)
    constant, _ = running_norm_forward(np.full((1, 4), 3.0), np.full(4, 3.0))
    assert (constant == 0).all()


def test_dense_forward_writes_pairs_out():
    y = dense_forward(np.array([[3, 0], [1, 2]]), np.array([[1.5, -2.0], [0.0, 4.0]]), D=4)
    assert y.tolist() == [[-2.0, 0.0, 0.0, 1.5], [0.0, 0.0, 4.0, 0.0]]


def test_sparse_product_equals_the_dense_one():
    rng = np.random.default_rng(0)
    index = np.stack([rng.permutation(30)[:6] for _ in range(3)])
    value = rng.normal(size=(3, 6)) * [1, 0, 1, 1, 0, 1]
    weight, bias = rng.normal(size=(30, 7)), rng.normal(size=7)
    dense = linear_forward(dense_forward(index, value, 30), weight.T, bias)
    assert_close("y", sparse_linear_forward(index, value, weight, bias), dense, 1e-12)


def test_nan_goes_through_relu():
    assert np.isnan(relu_forward(np.array([[np.nan, -1.0]]))).tolist() == [[True, False]]


def test_surprise_is_what_was_not_expected():
    probability = softmax_forward(np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]]))
    surprise = np.ones((3, 1))
    surprise_forward(probability, np.array([[1.0, 0.0]] * 3), surprise)
    assert_close("surprise", surprise, [[0.5], [0.0], [1.0]], 2e-4)


def test_impossible_symbol_has_a_finite_loss():
    loss = cross_entropy_forward(np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32))
    assert np.isfinite(loss).all() and loss[0, 0] > 80


def test_copies_of_a_stream_move_shared_weights_like_one():
    """S streams at a coefficient of 1/S: the mean of S like steps is the step. For every op that sums over streams."""
    rng = np.random.default_rng(0)
    S = 3
    left, right, rows = rng.normal(size=(1, 4)), rng.normal(size=(1, 6)), np.array([[5, 0, 8, 2]])
    index, value = [np.array([1, 4, 3])], [rng.normal(size=3)]

    def copies(x):
        return x * S if isinstance(x, list) else np.repeat(x, S, axis=0)

    def moved(update, arguments, *shapes, streams, **consts):
        """The parameters and what the rule remembers of them after two steps."""
        arrays = [np.ones(s) for s in shapes]
        given = arguments if streams == 1 else [copies(a) for a in arguments]
        # Or the sample.
        k = [5.0] if update in (outer_update, vector_update) else [np.array([77.0])] if update is sampled_update else []
        for _ in range(2):
            update(*given, np.full((streams, 1), 1 / streams), 0.1, *k, *arrays, **consts)
        return arrays

    cases = [
        (outer_update, [left, right], [(4, 6)] * 3, dict(scale=0.5)),
        (vector_update, [left], [(4,)] * 3, dict(scale=0.5)),
        (rows_update, [rows, left, right], [*[(9, 6)] * 3, (9,)], dict(scale=0.5)),
        (entries_update, [rows, left], [(9,)] * 4, dict(scale=0.5)),
        (synapse_update, [rows, left, index, value], [(9, 7), (9,), (9, 7), (9, 7), (9,), (9,), (9,), (9, 7)],
         dict(scale=0.5, bias_scale=0.1, P=7)),
        (sampled_update, [rows, left, index, value], [(9, 3), (9,), (9, 3), (9, 3), (9,), (9,), (9,), (9, 3)],
         dict(scale=0.5, bias_scale=0.1, F=3, P=7)),
    ]
    for update, arguments, shapes, consts in cases:
        for kind in ("sgd", "momentum", "adamw"):
            one, three = (moved(update, arguments, *shapes, streams=s, **rule_example(kind), **consts) for s in (1, S))
            for n, (a, b) in enumerate(zip(one, three)):
                assert_close(f"{update.__name__} with {kind}, array {n}", b, a, 1e-12)
            assert (one[0] != 1).any()
    x = rng.normal(size=(1, 5))
    means = []
    for given_x in (x, copies(x)):
        mean, count = np.zeros(5), np.array([4.0])
        running_mean_update(given_x, np.full((len(given_x), 1), 1 / len(given_x)), mean, count, np.zeros(2))
        means.append(mean)
    assert_close("mean", means[1], means[0], 1e-12)


# Models


def small(**kind):
    return dh.Sequential(
        dh.Linear(16), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(columns=24, winners=4),
        dh.TemporalMemory(cells_per_column=3), dh.Linear(12), dh.ReLU(), dh.Linear(kind.pop("outputs", 1)))


def model(optimizer=None, outputs=1, **more):
    more = {"input_shape": (outputs,), "device": "numpy", "seed": 3, **more}
    return dh.Model(small(outputs=outputs), optimizer=optimizer or dh.SGD(0.02), **more)


def sine(steps, period=17.3):
    return np.sin(2 * np.pi * np.arange(steps) / period).astype(np.float32)[:, None]


def letters(steps, n=4):
    return np.eye(n, dtype=np.float32)[np.random.default_rng(0).integers(n, size=steps)]


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert np.array_equal(a[name], b[name], equal_nan=True), f"{name} differs"


def bits(m):
    """All that a model holds: weights and the last step."""
    found = dict(m.state_dict())
    for layer, values in m.state().items():
        found.update({f"{layer} {n}": v for n, v in values.items()})
    return found


@pytest.mark.parametrize("optimizers", [
    (lambda: dh.SGD(0.03), lambda: dh.SGD(0.01)),
    (lambda: dh.SGD(0.03, momentum=0.9), lambda: dh.SGD(0.01, momentum=0.9)),
    (lambda: dh.PolyakSGD(), lambda: dh.PolyakSGD()),
], ids=["SGD", "momentum", "Polyak"])
def test_three_copies_of_a_series_learn_what_one_learns(optimizers):
    """The gradients of three streams add up, so that a third of the rate does the same; the Polyak step is a mean."""
    alone, together = model(optimizers[0]()), model(optimizers[1](), streams=3)
    series = sine(60)
    one = alone.fit(series)
    three = together.fit(np.repeat(series[:, None], 3, axis=1))
    assert three.prediction.shape == (60, 3, 1) and three.loss.shape == three.anomaly.shape == (60, 3)
    for s in range(3):
        assert_close(f"prediction of stream {s}", three.prediction[:, s], one.prediction, 1e-3)
    weights = together.state_dict()
    for name, w in alone.state_dict().items():
        if "predicted" not in name:  # a step of 1/S each, three times: rounded otherwise
            assert_close(name, weights[name], w, 1e-3)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("ahead", [1, 5])
def test_fitting_in_two_parts_is_fitting_the_whole(loss, streams, ahead):
    series = letters(600) if loss == "cross_entropy" else sine(600)
    if streams > 1:
        series = np.stack([series, series[::-1]], axis=1)
    optimizer = dh.PolyakSGD if ahead == 1 else lambda: dh.SGD(0.01, momentum=0.5)
    whole, parts = (model(optimizer(), series.shape[-1], loss=loss, streams=streams) for _ in range(2))
    once = whole.fit(series, ahead=ahead)
    cuts = [series[:3], series[3:4], series[4:97], series[97:]]
    twice = [parts.fit(part, ahead=ahead) for part in cuts]
    for what in ("prediction", "anomaly"):
        assert np.array_equal(getattr(once, what), np.concatenate([getattr(t, what) for t in twice])), what
    assert_same_bits(bits(whole), bits(parts))


def test_fitting_step_by_step_is_fitting_the_whole():
    whole, steps = model(), model()
    once = whole.fit(sine(40))
    each = [steps.step(x) for x in sine(40)]
    assert np.array_equal(once.prediction, [e.prediction for e in each])
    assert np.array_equal(once.anomaly, [e.anomaly for e in each])
    assert np.isnan(each[0].loss) and np.array_equal(once.loss[:-1], [e.loss for e in each[1:]])
    assert_same_bits(bits(whole), bits(steps))


@pytest.mark.parametrize("ahead", [1, 5])
def test_predict_leaves_every_bit(ahead):
    looked, left_alone = model(), model()
    for m in (looked, left_alone):
        m.fit(sine(50), ahead=ahead)
    before = bits(looked)
    first, again = looked.predict(sine(30)), looked.predict(sine(30))
    assert np.array_equal(first, again) and first.shape == (30, 1)
    assert_same_bits(bits(looked), before)
    a, b = (m.fit(sine(50), ahead=ahead) for m in (looked, left_alone))
    assert np.array_equal(a.prediction, b.prediction)
    assert_same_bits(bits(looked), bits(left_alone))


def test_rollout_feeds_predictions_back_and_leaves_the_model_as_it_was():
    m, left_alone = model(), model()
    for each in (m, left_alone):
        last = each.fit(sine(80)).prediction[-1]
    made = m.rollout(6)
    assert np.array_equal(made, m.rollout(6)) and np.array_equal(made[0], last)
    assert np.array_equal(made[1:], m.predict(made[:-1]))  # the same as if they had come from outside
    assert np.array_equal(made, m.rollout(6))
    assert np.array_equal(m.fit(sine(20)).prediction, left_alone.fit(sine(20)).prediction)


def test_predict_is_the_pass_of_fit_without_learning():
    """With a learning rate that moves nothing, fit and predict give the same; with one that does, not."""
    still, learning = model(dh.SGD(1e-30)), model()
    for m in (still, learning):
        m.fit(sine(200))  # the mean of the norm has settled by then
    ahead = still.predict(sine(20))
    assert_close("prediction", still.fit(sine(20)).prediction, ahead, 0.05)
    assert not np.allclose(learning.predict(sine(20)), learning.fit(sine(20)).prediction, rtol=1e-4)


@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_prediction_is_for_the_value_that_comes_ahead_steps_later(ahead):
    series = sine(40)
    history = model().fit(series, ahead=ahead)
    error = 0.5 * (history.prediction[:-ahead] - series[ahead:])[:, 0] ** 2
    assert_close("loss", history.loss[:-ahead], error)
    assert np.isnan(history.loss[-ahead:]).all()


def test_nothing_is_learned_from_a_value_before_it_has_come():
    m = model()
    start = m.state_dict()
    m.fit(sine(5), ahead=5)
    now = m.state_dict()
    learned = [n for n in start if not np.array_equal(start[n], now[n])]
    assert all("mean" in n or "count" in n or "predicted" in n for n in learned), learned
    m.fit(sine(6)[5:], ahead=5)
    assert not np.array_equal(m.state_dict()["7.bias"], start["7.bias"])
    a, b = sine(30), sine(30)
    b[20:] = -3.0
    ours, theirs = (model().fit(s, ahead=5).prediction for s in (a, b))
    assert np.array_equal(ours[:20], theirs[:20]) and not np.array_equal(ours[20:], theirs[20:])


def test_ahead_learns_from_activations_of_then_and_weights_of_now():
    """One output layer, so that it can be said in NumPy: w -= lr (w_now x_then - x_now) x_then."""
    m = dh.Model(dh.Sequential(dh.Linear(1)), input_shape=(1,), optimizer=dh.SGD(0.1), device="numpy")
    series = np.random.default_rng(0).normal(size=(12, 1)).astype(np.float32)
    start = m.state_dict()
    w, b = float(start["0.weight"][0, 0]), float(start["0.bias"][0])
    history = m.fit(series, ahead=3)
    then_y = []
    for t, x in enumerate(series[:, 0].astype(float)):
        if t >= 3:
            error = then_y[t - 3] - x
            w, b = w - 0.1 * error * series[t - 3, 0], b - 0.1 * error
        then_y.append(w * x + b)
    assert_close("prediction", history.prediction[:, 0], then_y, 1e-5)


def test_targets_are_learned_at_once():
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(30, 2)).astype(np.float32), rng.normal(size=(30, 3)).astype(np.float32)
    m = dh.Model(small(outputs=3), input_shape=(2,), optimizer=dh.SGD(0.02), device="numpy")
    start = m.state_dict()["7.weight"]
    history = m.fit(inputs, targets)
    assert_close("loss", history.loss, 0.5 * ((history.prediction - targets) ** 2).sum(axis=1))
    assert not np.array_equal(m.state_dict()["7.weight"], start)


def test_classes_stand_for_one_hot_targets():
    inputs, classes = sine(40), np.arange(40) % 4
    a, b = (dh.Model(small(outputs=4), input_shape=(1,), loss="cross_entropy", optimizer=dh.SGD(0.02), device="numpy")
            for _ in range(2))
    reported, ours = a.fit(inputs, classes), b.fit(inputs, np.eye(4)[classes])
    assert np.array_equal(reported.prediction, ours.prediction)
    assert_close("probabilities", reported.prediction.sum(axis=1), np.ones(40))
    assert_close("loss", reported.loss, -np.log(reported.prediction[np.arange(40), classes]))


def test_reset_begins_a_new_sequence():
    m, fresh = model(), model()
    m.fit(sine(30))
    m.reset()
    fresh.load_state_dict(m.state_dict())
    assert np.array_equal(m.predict(sine(20)), fresh.predict(sine(20)))
    weights = m.state_dict()
    m.fit(sine(1))  # what was pending is gone: nothing is learned from the first value
    now = m.state_dict()
    assert all(np.array_equal(weights[n], now[n]) for n in weights if n.startswith(("0.", "5.", "7.")))


def test_model_goes_on_after_it_ran_out_of_bounds():
    """The weights are those of a good chunk, and learning goes on from there."""
    m = model()
    m.fit(sine(10))
    with pytest.raises(dh.TrainingError):
        m.fit(np.full((20, 1), 1e30, np.float32))
    assert all(np.isfinite(w).all() for w in m.state_dict().values())
    history = m.fit(sine(300))
    assert np.isfinite(history.prediction).all() and history.loss[-50:-1].mean() < history.loss[:50].mean()


def test_seed_says_what_a_model_is():
    same, again, other = model(seed=5), model(seed=5), model(seed=6)
    assert_same_bits(same.state_dict(), again.state_dict())
    assert not np.array_equal(same.state_dict()["0.weight"], other.state_dict()["0.weight"])
    assert np.array_equal(same.fit(sine(50)).prediction, again.fit(sine(50)).prediction)


def test_memory_starts_as_the_model_says():
    weights = model().state_dict()
    distal, N = weights["4.distal_weight"], 24 * 3
    assert distal.shape == (N, N + 24) and abs(distal[:, :N].std() - 0.7) < 0.05 and (distal[:, N:] == 0).all()
    assert (weights["4.predicted_weight"] == 0).all() and (weights["4.predicted_bias"] == FIRST_BIAS).all()
    assert weights["5.weight"].shape == (12, N) and abs(weights["5.weight"].std() - 0.25 / 2) < 0.02
