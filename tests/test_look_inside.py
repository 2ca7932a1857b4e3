"""Summaries and figures of what is inside a model."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import deephtm_gpu as dh
from deephtm_gpu.view.graph import network_figure
from deephtm_gpu.view.rasters import cells_figure, raster_figure
from deephtm_gpu.view.weights import distal_figure, receptive_fields_figure


def chain(synapses=None):
    return dh.Sequential(
        dh.Linear(16),
        dh.ReLU(),
        dh.RunningNorm(),
        dh.SpatialPooler(24, 3),
        dh.TemporalMemory(4, synapses=synapses),
        dh.Linear(1),
    )


@pytest.fixture(scope="module")
def model():
    made = dh.Model(chain(), input_shape=(1,), device="numpy")
    made.fit(series())
    return made


def series(steps=120):
    return np.sin(np.arange(steps) / 4).astype(np.float32)[:, None]


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def test_summary_tells_layers_shapes_parameters_and_flow(model):
    text = model.summary()
    assert "SpatialPooler(columns=24, winners=3)" in text and "24 × 4" in text and "numpy" in text
    total = sum(info.parameters for info in model.layers())
    assert f"{total:,} learned parameters" in text and repr(model).startswith("<Model of 6 layers")


def test_summary_of_a_graph_names_contexts_and_feedback():
    x, top = dh.Input((2,)), dh.Linear(3)
    cells = dh.TemporalMemory(2)(dh.SpatialPooler(9, 2)(dh.Linear(5)(x)), context=[dh.previous(top), x])
    network = dh.Network(x, [dh.Linear(2)(cells), top(cells)])
    text = network.summary()
    assert "(context: previous0, input0)" in text and "one step ago" in text
    assert "SpatialPooler" in repr(network) and "Linear(units=16)" in repr(chain())


def test_trace_is_predict_with_everything_and_leaves_no_trace(model):
    before = model.state_dict()
    history = model.trace(series(40))
    assert np.array_equal(history.prediction, model.predict(series(40)))
    assert history.observed["3"]["winners"].shape == (40, 3) and history.observed["4"]["cells"].shape == (40, 3, 4)
    after = model.state_dict()
    assert all(np.array_equal(before[n], after[n]) for n in before) and model.fit(series(3)).observed == {}


@pytest.mark.parametrize("ahead", [1, 2])
def test_trace_is_predict_where_the_surprise_of_a_symbol_counts(ahead):
    net = dh.Sequential(dh.Linear(9), dh.SpatialPooler(17, 3), dh.TemporalMemory(2, window=3), dh.Linear(4))
    model, symbols = (
        dh.Model(net, (4,), loss="cross_entropy", optimizer=dh.SGD(0.05), device="numpy"),
        np.eye(4, dtype=np.float32),
    )
    noise = np.random.default_rng(0).integers(4, size=60)
    model.fit(symbols[noise[:40]], ahead=ahead)
    assert np.array_equal(model.trace(symbols[noise[40:]]).prediction, model.predict(symbols[noise[40:]]))


def test_trace_while_observing():
    model = dh.Model(chain(), input_shape=(1,), device="numpy")
    model.observe()
    assert model.fit(series(30)).observed["3"]["winners"].shape == (30, 3)
    assert model.trace(series(5)).observed["3"]["winners"].shape == (5, 3)


def test_rasters_show_what_happened(model):
    history = model.trace(series(50))
    for figure in (raster_figure(history), cells_figure(history)):
        picture = pixels(figure)
        assert (picture.max(axis=2).astype(int) - picture.min(axis=2) > 60).mean() > 0.001  # coloured marks
    offsets = raster_figure(history).axes[0].collections[0].get_offsets()
    assert np.array_equal(np.sort(offsets[:, 1].astype(int)), np.sort(history.observed["3"]["winners"].reshape(-1)))


def test_a_graph_of_any_network():
    x, top = dh.Input((2,)), dh.Linear(3)
    cells = dh.TemporalMemory(2)(dh.SpatialPooler(9, 2)(dh.Linear(5)(x)), context=[dh.previous(top), x])
    model = dh.Model(dh.Network(x, [dh.Linear(2)(cells), top(cells)]), loss="mse", device="numpy")
    figure = network_figure(model)
    texts = {t.get_text() for t in figure.axes[0].texts}
    assert {"input0", "previous0", "1: SpatialPooler", "2: TemporalMemory", "9 × 2"} <= texts
    arrows = [p for p in figure.axes[0].patches if hasattr(p, "get_arrowstyle")]
    assert len(arrows) == 8 and {p.get_linestyle() for p in arrows} == {"-", "--", ":"}
    assert (pixels(figure) < 200).any()


def test_receptive_fields_are_where_a_column_won(model):
    figure = receptive_fields_figure(model, series(200))
    assert len(figure.axes) >= 2
    vectors = dh.Model(
        dh.Sequential(dh.Linear(8), dh.SpatialPooler(9, 2), dh.Linear(4)), input_shape=(2, 2), device="numpy"
    )
    assert receptive_fields_figure(vectors, np.random.default_rng(0).normal(size=(30, 2, 2))).axes


@pytest.mark.parametrize("synapses", [None, 40])
def test_distal_weights_of_a_cell(synapses):
    model = dh.Model(chain(synapses), input_shape=(1,), device="numpy")
    upper, lower, _ = distal_figure(model, (5, 2)).axes
    shown = upper.images[0].get_array()
    assert shown.shape == (4, 24) and lower.images[0].get_array().shape == (1, 24)
    weights = model.state_dict()["4.distal_weight"][5 * 4 + 2]
    if synapses is None:
        assert np.allclose(np.asarray(shown).T.reshape(-1), weights[:96])
    else:
        seen = np.ma.masked_invalid(shown).compressed()
        assert 0 < len(seen) <= 40 and np.isin(seen.astype(np.float32), weights).all()


@pytest.fixture(scope="module")
def twice():
    """A pooler and a memory that are used twice each, with the same weights; two inputs."""
    pooler, memory, relu = dh.SpatialPooler(24, 3), dh.TemporalMemory(4), dh.ReLU()
    x, y = dh.Input((6,)), dh.Input((6,))
    outputs = [dh.Linear(6)(memory(pooler(relu(node)))) for node in (x, y)]
    return dh.Model(dh.Network([x, y], outputs), device="numpy")


def test_shared_weights_name_their_owner(twice):
    texts = [t.get_text() for t in network_figure(twice).axes[0].texts]
    names = twice.network.names()
    firsts = {names[owner] for node, owner in twice.network.owners().items() if owner is not node}
    weighted = {info.name for info in twice.layers() if info.parameters}
    assert sorted(t for t in texts if t.startswith("weights of")) == sorted(
        f"weights of {name}" for name in firsts & weighted
    )
    assert len(firsts & weighted) == 2 and len(firsts) == 3  # a layer without weights shares none


def test_distal_weights_of_the_second_use_of_a_memory_are_those_of_the_first(twice):
    first, second = [info.name for info in twice.layers() if info.kind == "TemporalMemory"]
    shown = [distal_figure(twice, (5, 2), layer=name).axes[0].images[0].get_array() for name in (first, second)]
    assert np.array_equal(*shown) and np.asarray(shown[0]).any()


def test_the_figure_of_columns_takes_one_input(twice):
    with pytest.raises(dh.UserError, match="has 2 inputs"):
        receptive_fields_figure(twice, [np.zeros((9, 6))] * 2)


@pytest.mark.parametrize("do, words", [
    *[(lambda m, cell=cell: distal_figure(m, cell), ["cell must be (column, number in the column)"])
      for cell in (0, "ab", (0.5, 0), (0, "a"), None, (1, 2, 3), (-1, 0), [[0], [0, 1]])],
    (lambda m: raster_figure(m.fit(series(3))), ["observe()", "trace"]),
    (lambda m: raster_figure(m.trace(series(3)), layer=9), ["got 9", "'3'"]),
    (lambda m: distal_figure(m, (99, 0)), ["got (99, 0)", "to (23, 3)"]),
    (lambda m: distal_figure(m, (0, 0), layer="3"), ["got '3'", "'4'"]),
    (lambda m: raster_figure(_streams()), ["one stream", "got several"]),
    (lambda m: distal_figure(dh.Population(chain(), 2, (1,), device="numpy"), (0, 0)), ["population", "model(p)"]),
    (lambda m: receptive_fields_figure(m, series(9), columns=[0, 99]), ["99", "never won"]),
])
def test_mistakes_are_reported(model, do, words):
    with pytest.raises(dh.UserError) as error:
        do(model)
    assert all(word in str(error.value) for word in words), str(error.value)


def _streams():
    model = dh.Model(chain(), input_shape=(1,), streams=2, device="numpy")
    return model.trace(np.zeros((5, 2, 1), np.float32))
