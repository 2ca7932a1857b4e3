"""The graph of layers: mistakes end in a sentence that names them, and `previous` gives the value of one step ago."""

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu.errors import UserError


def refuses(mistake, *words):
    """mistake() raises a UserError that ends as a sentence and holds all the words."""
    with pytest.raises(UserError) as caught:
        mistake()
    message = str(caught.value)
    missing = [w for w in words if str(w) not in message]
    assert not missing, f"{message!r} does not say {missing}"
    assert message.endswith(".") and len(message.split()) > 6, f"not a whole sentence: {message!r}"


def on_numpy(net, **more):
    more = {"optimizer": dh.SGD(0.01), "device": "numpy", **more}
    return dh.Model(net, **more)


def line(**more):
    return on_numpy(dh.Sequential(dh.Linear(2)), **{"input_shape": (2,), **more})


def loop():
    """a -> b -> a within one step."""
    x = dh.Input((2,))
    a, b = dh.Linear(2), dh.Linear(3)
    first = a(x)
    second = b(first)
    first.inputs = [second]
    return dh.Network(x, second)


def unlisted():
    x, z = dh.Input((2,)), dh.Input((3,))
    return dh.Network(x, dh.Linear(2)(dh.Concat()([x, z])))


def input_listed_twice():
    x = dh.Input((2,))
    return dh.Network([x, x], dh.Linear(2)(x))


# Layers and networks


@pytest.mark.parametrize("mistake, words", [
    (lambda: dh.SpatialPooler(columns=8, winners=8), ["8 columns", "8 winners", "winners <= 7"]),
    (lambda: dh.SpatialPooler(columns=8, winners=0), ["winners", "0"]),
    (lambda: dh.SpatialPooler(columns=8.5, winners=2), ["columns", "8.5"]),
    (lambda: dh.Linear(0), ["Linear", "0"]),
    (lambda: dh.Linear("5"), ["Linear", "'5'"]),
    (lambda: dh.Linear(True), ["Linear", "True"]),
    (lambda: dh.Linear(3, lr_scale=-1), ["lr_scale", "-1"]),
    (lambda: dh.Linear(3, lr_scale=float("nan")), ["lr_scale", "nan"]),
    (lambda: dh.TemporalMemory(0), ["cells_per_column", "0"]),
    (lambda: dh.TemporalMemory(5, decay=1.0), ["decay", "1.0"]),
    (lambda: dh.TemporalMemory(5, decay=-0.1), ["decay", "-0.1"]),
    (lambda: dh.TemporalMemory(5, decay=float("nan")), ["decay", "nan"]),
    (lambda: dh.TemporalMemory(5, decay="slow"), ["decay", "'slow'"]),
    (lambda: dh.TemporalMemory(5, window=0), ["window", "0"]),
    (lambda: dh.TemporalMemory(5, gate="softmax"), ["gate", "softmax"]),
    (lambda: dh.TemporalMemory(5, synapses=0), ["synapses", "0"]),
    (lambda: dh.TemporalMemory(5, synapses=2.5), ["synapses", "2.5"]),
    (lambda: dh.Input((0,)), ["input", "0"]),
    (lambda: dh.Input((2, "3")), ["input", "'3'"]),
    (lambda: dh.Sequential(), ["Sequential must have a layer", "got none"]),
    (lambda: dh.Sequential(dh.Linear(2), "relu"), ["Sequential", "relu"]),
    (lambda: dh.Linear(2)(np.zeros(3)), ["Linear", "ndarray"]),
    (lambda: dh.Concat()([dh.Input((2,))]), ["Concat", "two nodes"]),
    (lambda: dh.Add()(dh.Input((2,))), ["Add", "list"]),
    (lambda: dh.Input((2,)) + 3.0, ["Add", "float"]),
    (lambda: dh.previous(3), ["previous", "int"]),
    (lambda: dh.TemporalMemory(2)(dh.SpatialPooler(4, 1)(dh.Input((2,))), context=[3]), ["TemporalMemory", "int"]),
    (input_listed_twice, ["input"]),
    (loop, ["no cycle", "got Linear(units=3) -> Linear(units=2) -> Linear(units=3)", "dh.previous"]),
    (unlisted, ["Input", "inputs"]),
    (lambda: dh.Network(dh.Input((2,)), 7), ["outputs", "int"]),
    (lambda: dh.Network([], dh.Linear(2)(dh.Input((2,)))), ["inputs"]),
    (lambda: dh.Network(dh.Linear(2)(dh.Input((2,))), dh.Linear(2)(dh.Input((2,)))), ["input 0", "Linear"]),
    (lambda: dh.Network(dh.Input((2,)), dh.previous(dh.Linear(2))), ["previous", "Linear"]),
], ids=lambda v: "" if callable(v) else "-".join(map(str, v)))
def test_mistakes_in_a_graph(mistake, words):
    refuses(mistake, *words)


def shared_between_sizes():
    x, z, layer = dh.Input((2,)), dh.Input((3,)), dh.Linear(2)
    return dh.Network([x, z], layer(x) + layer(z))


def previous_of_two_uses():
    x, layer = dh.Input((2,)), dh.Linear(2)
    return dh.Network(x, layer(x) + layer(dh.ReLU()(x)) + dh.previous(layer))


def sizes_in_a_circle():
    x, total = dh.Input((1,)), dh.Add()
    return dh.Network(x, total([x, dh.previous(total)]))


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: dh.Sequential(dh.Linear(4), dh.TemporalMemory(3)).network((2,)), ["TemporalMemory", "SpatialPooler"]),
        (
            lambda: dh.Sequential(dh.SpatialPooler(6, 2), dh.TemporalMemory(3), dh.TemporalMemory(3)).network((2,)),
            ["SpatialPooler"],
        ),
        (
            lambda: dh.Sequential(dh.SpatialPooler(6, 2), dh.TemporalMemory(3, synapses=25)).network((2,)),
            ["synapses=25", "at most 24", "18 cells", "6 columns", "<= 24"],
        ),
        (
            lambda: dh.Network(
                x := dh.Input((2,)), dh.TemporalMemory(3, synapses=27)(dh.SpatialPooler(6, 2)(x), context=x)
            ),
            ["synapses=27", "at most 26", "2 of further contexts", "<= 26"],
        ),
        (
            lambda: dh.Sequential(dh.SpatialPooler(1 << 20, 2), dh.TemporalMemory(1, synapses=1 << 11)).network((2,)),
            ["synapses=2048", "2^32", "<= 2047"],
        ),
        (
            lambda: dh.Network(x := dh.Input((2,)), dh.Add()([x, dh.Linear(3)(x)])),
            ["Add", "[2, 3]", "Input(shape=(2,)) (2), Linear(units=3) (3)"],
        ),
        (shared_between_sizes, ["Linear(units=2)", "'0.weight'", "(2, 2)", "(2, 3)"]),
        (previous_of_two_uses, ["previous", "Linear(units=2)", "called 2 times"]),
        (sizes_in_a_circle, ["previous", "dh.Linear"]),
    ],
)
def test_what_does_not_fit_is_told_by_the_model(make, words):
    refuses(lambda: on_numpy(make()), *words)


@pytest.mark.parametrize("more, words", [
    (dict(loss="huber"), ["loss", "'huber'", "'mse'", "'cross_entropy'"]),
    (dict(loss=["mse", "mse"]), ["2 losses", "1 output"]),
    (dict(streams=0), ["streams", "0"]),
    (dict(streams=1.5), ["streams", "1.5"]),
    (dict(seed=-1), ["seed", "-1"]),
    (dict(seed="lucky"), ["seed", "'lucky'"]),
    (dict(optimizer="sgd"), ["optimizer", "'sgd'"]),
    (dict(input_shape=None), ["input_shape"]),
    (dict(input_shape=(-2,)), ["input", "-2"]),
    (dict(device=""), ["device", "''"]),
    (dict(device="no such card"), ["device", "'no such card'"]),
])
def test_mistakes_in_a_model(more, words):
    refuses(lambda: line(**more), *words)


@pytest.mark.parametrize("make, words", [
    (lambda: dh.SGD(0), ["lr", "0"]),
    (lambda: dh.SGD(-0.1), ["lr", "-0.1"]),
    (lambda: dh.SGD(float("inf")), ["lr", "inf"]),
    (lambda: dh.SGD(float("nan")), ["lr", "nan"]),
    (lambda: dh.SGD("fast"), ["lr", "'fast'"]),
    (lambda: dh.SGD(0.1, momentum=1.0), ["momentum", "1.0"]),
    (lambda: dh.SGD(0.1, momentum="much"), ["momentum", "'much'"]),
    (lambda: dh.SGD(0.1, clip_norm=0), ["clip_norm", "0"]),
    (lambda: dh.PolyakSGD(scale=0), ["scale", "0"]),
])
def test_mistakes_in_an_optimiser(make, words):
    refuses(make, *words)


def test_numbers_of_numpy_are_numbers():
    """What comes out of a calculation is as good as what is typed."""
    dh.SGD(np.float64(0.1), momentum=np.float64(0.5)), dh.SGD(np.float32(0.1)), dh.PolyakSGD(np.float32(0.5))
    dh.Linear(np.int64(3), lr_scale=np.float32(0.5)), dh.TemporalMemory(np.int32(3), decay=np.float32(0.5))


# Series


ok = np.zeros((5, 2), np.float32)
nan = np.array([[0, 1], [2, np.nan], [0, 0]])
infinite = np.array([[0, 1], [np.inf, 0]])


@pytest.mark.parametrize("series, words", [
    (np.zeros((5, 3)), ["inputs", "(5, 3)", "(steps, 2)"]),
    (np.zeros(5), ["inputs", "(5,)", "(steps, 2)"]),
    (np.zeros((5, 4, 2)), ["inputs", "(5, 4, 2)", "(steps, 2)"]),
    (np.zeros((0, 2)), ["inputs", "0 steps"]),
    (nan, ["inputs", "nan", "step 1"]),
    (infinite, ["inputs", "inf", "step 1"]),
    (np.full((2, 2), 1e300), ["inputs", "step 0"]),
    ([["a", "b"]], ["inputs", "numbers"]),
    ([[1.0], [1.0, 2.0]], ["inputs", "numbers"]),
    (None, ["inputs"]),
    (3.0, ["inputs"]),
])
@pytest.mark.parametrize("use", ["fit", "predict"])
@pytest.mark.filterwarnings("ignore:overflow")
def test_mistakes_in_a_series(use, series, words):
    refuses(lambda: getattr(line(), use)(series), *words)


@pytest.mark.parametrize("targets, words", [
    (np.zeros((4, 2)), ["targets must have as many steps", "5, got 4"]),
    (np.zeros((5, 3)), ["targets", "(5, 3)", "(steps, 2)"]),
    (np.full((5, 2), np.nan), ["targets", "nan", "step 0"]),
])
def test_mistakes_in_targets(targets, words):
    refuses(lambda: line().fit(ok, targets), *words)


def test_mistakes_in_classes():
    m = line(loss="cross_entropy")
    refuses(lambda: m.fit(ok, np.array([0, 1, 2, 0, 1])), "targets", "2", "0 to 1")
    refuses(lambda: m.fit(ok, np.array([0, 1, -1, 0, 1])), "targets", "-1", "0 to 1")


def test_truth_values_are_classes():
    a, b = line(loss="cross_entropy"), line(loss="cross_entropy")
    classes = np.array([True, False, True, True, False])
    assert np.array_equal(a.fit(ok, classes).loss, b.fit(ok, classes.astype(int)).loss)


def two_outputs():
    x = dh.Input((2,))
    return on_numpy(dh.Network(x, [dh.Linear(2)(x), dh.Linear(3)(x)]))


def test_a_step_with_a_target_for_each_output():
    live, whole = two_outputs(), two_outputs()
    reported = live.step(np.ones(2), target=[np.zeros(2), np.zeros(3)])
    history = whole.fit(np.ones((1, 2)), [np.zeros((1, 2)), np.zeros((1, 3))])
    assert reported.loss == history.loss[0]
    assert all(np.array_equal(a, b[0]) for a, b in zip(reported.prediction, history.prediction))


def test_mistakes_in_streams_and_several_inputs():
    refuses(lambda: line(streams=3).fit(ok), "inputs", "(5, 2)", "(steps, 3, 2)")
    refuses(lambda: line(streams=3).fit(np.zeros((5, 2, 2))), "inputs", "(5, 2, 2)", "(steps, 3, 2)")
    x, z = dh.Input((2,)), dh.Input((3,))
    m = on_numpy(dh.Network([x, z], dh.Linear(2)(dh.Concat()([x, z]))))
    refuses(lambda: m.fit([ok]), "inputs must be a list of 2 series", "got 1 series")
    refuses(lambda: m.fit([ok, ok]), "inputs[1]", "(5, 2)", "(steps, 3)")
    refuses(lambda: m.fit([ok, np.zeros((4, 3))]), "inputs[1] must have as many steps", "5, got 4")


@pytest.mark.parametrize("ahead", [0, -1, 1.5, "soon"])
def test_mistakes_in_ahead(ahead):
    refuses(lambda: line().fit(ok, ahead=ahead), "ahead", repr(ahead))


def test_mistakes_in_rollout():
    m = line()
    refuses(lambda: m.rollout(3), "rollout", "fit")
    m.fit(ok)
    refuses(lambda: m.rollout(0), "steps", "0")
    refuses(lambda: m.rollout(1.5), "steps", "1.5")


def test_outputs_that_cannot_predict_their_inputs():
    """Without targets, output j predicts input j: it must be of its size."""
    m = on_numpy(dh.Sequential(dh.Linear(3)), input_shape=(2,))
    refuses(lambda: m.fit(ok), "must have the size of input 0, got 3 and 2", "targets")
    x = dh.Input((2,))
    two = on_numpy(dh.Network(x, [dh.Linear(2)(x), dh.Linear(4)(x)]))
    refuses(lambda: two.fit(ok), "output 1", "got 1 inputs", "targets")


def test_a_mistake_leaves_the_model_as_it_was():
    m, untouched = line(), line()
    for model in (m, untouched):
        model.fit(ok + 1)
    for mistake in (
        lambda: m.fit(nan),
        lambda: m.fit(ok, np.zeros((4, 2))),
        lambda: m.fit(ok, ahead=0),
        lambda: m.predict(infinite),
    ):
        refuses(mistake)
    again = np.random.default_rng(0).normal(size=(20, 2))
    assert np.array_equal(m.fit(again).loss, untouched.fit(again).loss, equal_nan=True)


def test_mistakes_in_weights():
    m = line()
    weights = m.state_dict()
    refuses(lambda: m.load_state_dict({"0.weight": weights["0.weight"]}), "load_state_dict", "0.bias")
    refuses(lambda: m.load_state_dict({**weights, "9.weight": weights["0.weight"]}), "load_state_dict", "9.weight")
    refuses(lambda: m.load_state_dict({**weights, "0.weight": np.zeros((2, 3))}), "0.weight", "(2, 3)", "(2, 2)")


# What flows


def random(steps, D=2):
    return np.random.default_rng(0).normal(size=(steps, D)).astype(np.float32)


def test_previous_gives_the_value_of_one_step_ago():
    x = dh.Input((2,))
    series, zeros = random(6), np.zeros((1, 2), np.float32)
    for steps, node in ((1, dh.previous(x)), (2, dh.previous(dh.previous(x)))):
        m = on_numpy(dh.Network(x, node))
        seen = m.predict(series)
        assert np.array_equal(seen, np.concatenate([zeros] * steps + [series[:-steps]]))
        m.fit(series)
        assert np.array_equal(m.predict(series)[0], series[-steps])
        m.reset()
        assert np.array_equal(m.predict(series), seen)  # zeros again


def test_previous_in_every_stream():
    x = dh.Input((2,))
    m = on_numpy(dh.Network(x, dh.Add()([x, dh.previous(x)])), streams=3)
    series = np.random.default_rng(0).normal(size=(5, 3, 2)).astype(np.float32)
    expected = series.copy()
    expected[1:] += series[:-1]
    assert np.array_equal(m.predict(series), expected)


def test_feedback_from_a_layer_further_on():
    """A sum that runs: y = x + previous(y)."""
    x, total = dh.Input((1,)), dh.Linear(1)
    m = on_numpy(dh.Network(x, total(dh.Concat()([x, dh.previous(total)]))))
    weights = m.state_dict()
    (weight,) = (n for n in weights if n.endswith(".weight"))
    m.load_state_dict({**weights, weight: np.ones((1, 2))})
    series = random(20, 1)
    assert np.allclose(m.predict(series), np.cumsum(series, axis=0), atol=1e-5)


def test_feedback_into_a_memory():
    """From a layer behind the memory, as a context: the distal weights have places for it."""
    x, top = dh.Input((3,)), dh.Linear(3)
    cells = dh.TemporalMemory(2)(dh.SpatialPooler(8, 2)(x), context=dh.previous(top))
    m = on_numpy(dh.Network(x, top(cells)))
    (name,) = (n for n in m.state_dict() if n.endswith("distal_weight"))
    assert m.state_dict()[name].shape == (16, 16 + 8 + 3)
    before = m.state_dict()[name]
    m.fit(random(30, 3))
    changed = m.state_dict()[name] != before
    assert changed[:, -3:].any(), "the weights from the context never moved"


def test_previous_of_winners_is_held_as_pairs():
    def seen(hold):
        x = dh.Input((9,))
        columns = dh.SpatialPooler(9, 3)(x)
        return on_numpy(dh.Network(x, dh.previous(columns) if hold else columns)).predict(random(8, 9))

    now, then = seen(hold=False), seen(hold=True)
    assert ((now > 0).sum(axis=1) == 3).all()
    assert np.array_equal(then[1:], now[:-1]) and (then[0] == 0).all()


def test_previous_is_a_constant_in_backward():
    """What stands behind it alone learns nothing through it."""
    x = dh.Input((2,))
    behind = dh.Linear(3)
    m = on_numpy(dh.Network(x, dh.Linear(2)(dh.previous(behind(x)))))
    before = m.state_dict()
    m.fit(random(10))
    after = m.state_dict()
    moved = {n for n in before if not np.array_equal(before[n], after[n])}
    names = {node.layer: name for node, name in m.network.names().items()}
    assert moved and not {n for n in moved if n.startswith(names[behind] + ".")}


def test_frozen_layer_stands_still():
    m = on_numpy(dh.Sequential(dh.Linear(4, lr_scale=0), dh.ReLU(), dh.Linear(2)), input_shape=(2,))
    before = m.state_dict()
    m.fit(random(10))
    after = m.state_dict()
    assert np.array_equal(before["0.weight"], after["0.weight"]) and np.array_equal(before["0.bias"], after["0.bias"])
    assert not np.array_equal(before["2.weight"], after["2.weight"])


def test_add_and_concat():
    x, z = dh.Input((4,)), dh.Input((2,))
    m = on_numpy(dh.Network([x, z], [dh.Concat()([z, z + z]), dh.Add()([z, z, z])]))
    a, b = random(5, 4), random(5, 2)
    joined, summed = m.predict([a, b])
    assert np.allclose(joined, np.concatenate([b, 2 * b], axis=1)) and np.allclose(summed, 3 * b)


@pytest.mark.parametrize("last", [dh.ReLU, dh.RunningNorm, lambda: dh.SpatialPooler(6, 2), lambda: dh.Linear(6)])
def test_any_layer_may_be_the_last_where_targets_are_given(last):
    """Its size need not be the input's: nobody asks it to predict the input."""
    m = on_numpy(dh.Sequential(dh.Linear(6), last()), input_shape=(2,))
    assert m.fit(random(10), targets=np.zeros((10, 6))).prediction.shape == (10, 6)


def test_names_and_shapes_of_weights():
    m = on_numpy(
        dh.Sequential(
            dh.Linear(8), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(10, 3), dh.TemporalMemory(2), dh.Linear(2)
        ),
        input_shape=(2,),
    )
    shapes = {n: w.shape for n, w in m.state_dict().items()}
    expected = {"0.weight": (8, 2), "0.bias": (8,), "2.mean": (8,), "3.weight": (10, 8), "3.bias": (10,),
                "4.distal_weight": (20, 30), "4.distal_bias": (20,), "5.weight": (2, 20), "5.bias": (2,)}
    assert expected.items() <= shapes.items()
