"""Where a model stands: switching between kinds of steps, learning switched off, interruptions, copies, threads,
callbacks."""

import copy
import io
import json
import multiprocessing
import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu.plan.tensors import PARAMETERS, STATE

DEVICES = ["numpy", "cpu", "gpu"]


def series(steps, seed=0, width=3):
    phase = np.arange(steps)[:, None] * np.array([0.3, 0.17, 0.05])[:width] + seed
    return np.sin(phase).astype(np.float32)  # (T, width)


def model(device="numpy", window=3, streams=1, optimizer=None, seed=1, **more):
    net = dh.Sequential(
        dh.Linear(9), dh.RunningNorm(), dh.SpatialPooler(13, 3), dh.TemporalMemory(3, window=window), dh.Linear(3)
    )
    return dh.Model(net, (3,), optimizer=optimizer or dh.Adam(0.003), streams=streams, seed=seed, device=device, **more)


def held(m):
    """All that lives on, by name."""
    session = m.session
    return {t.name: session.read(t.name) for t in session.plan.stored_in(*PARAMETERS, STATE)}


def assert_alike(got, want):
    """Two models hold the same and go on alike, to the bit."""
    assert got.steps == want.steps
    for name, value in held(want).items():
        mine = held(got)[name]
        for g, w in zip(mine, value) if isinstance(value, list) else [(mine, value)]:
            n = min(len(g), len(w)) if isinstance(value, list) else None
            np.testing.assert_array_equal(g[:n], w[:n], err_msg=name)
    np.testing.assert_array_equal(got.fit(series(40, seed=9)).prediction, want.fit(series(40, seed=9)).prediction)


# Switching between kinds of steps


@pytest.fixture
def built(monkeypatch):
    """Counts the plans that are made."""
    from deephtm_gpu.session import session

    made, lower = [], session.lower
    monkeypatch.setattr(session, "lower", lambda *a, **k: (made.append(1), lower(*a, **k))[1])
    return made


@pytest.mark.parametrize("device", DEVICES)
def test_steps_with_and_without_targets_take_turns(device, built):
    m, xs, ys = model(device), series(200), series(200, seed=5)
    losses = []
    for t in range(200):
        losses.append(m.step(xs[t], ys[t]).loss if t % 2 else m.step(xs[t]).loss)
        if t == 2:
            before = len(built)
    assert len(built) == before
    assert np.isnan(losses).sum() == 1  # of the first step, whose input nothing had predicted
    # Each prediction is learned from once: half of them when the next input comes.
    assert m.session.position.updates == 200


def test_every_prediction_is_learned_from_once_whatever_its_target():
    """Steps that take turns do what a plan by hand does: the pending prediction, then the given target."""
    m, lone = model(window=1, optimizer=dh.SGD(0.01)), model(window=1, optimizer=dh.SGD(0.01))
    xs, ys = series(6), series(6, seed=5)
    for t in range(0, 6, 2):
        m.step(xs[t])
        m.step(xs[t + 1], ys[t + 1])
    lone.fit(xs[:1])
    weights = lone.state_dict()
    lone.step(xs[1])  # learns the first prediction as an online step does
    assert not np.array_equal(weights["4.bias"], lone.state_dict()["4.bias"])
    assert m.session.position.updates == 6


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("window", [1, 3])
def test_what_is_pending_survives_a_change_of_ahead(device, window):
    m, xs = model(device, window), series(60)
    m.fit(xs[:30], ahead=3)
    assert [(p.step, p.due) for p in m.session.position.pending] == [(27, 30), (28, 31), (29, 32)]
    history = m.fit(xs[30:], ahead=1)
    assert np.isfinite(history.late_loss).all() and len(history.late_loss) == 3
    assert np.isnan(history.loss).sum() == 1 and m.session.position.updates == 59
    assert [(p.step, p.due) for p in m.session.position.pending] == [(59, 60)]


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("first, second", [(1, 3), (5, 2), (3, 3), (2, 5)])
def test_changes_of_ahead_learn_each_prediction_from_its_own_target(window, first, second):
    m, xs = model(window=window), series(50)
    a = m.fit(xs[:20], ahead=first)
    b = m.fit(xs[20:], ahead=second)
    want = np.concatenate([np.sum((a.prediction[:-first] - xs[first:20]) ** 2, axis=1) / 2,
                           np.sum((a.prediction[-first:] - xs[20 : 20 + first]) ** 2, axis=1) / 2,
                           np.sum((b.prediction[:-second] - xs[20 + second :]) ** 2, axis=1) / 2])
    got = np.concatenate([a.loss[:-first], b.late_loss, b.loss[:-second]])
    np.testing.assert_allclose(got, want, rtol=1e-5)
    assert np.isnan(a.loss[-first:]).all() and np.isnan(b.loss[-second:]).all()


def test_targets_given_after_a_pending_prediction():
    m, xs, ys = model(), series(30), series(30, seed=3)
    m.fit(xs[:10], ahead=2)
    history = m.fit(xs[10:], targets=ys[10:])
    assert len(history.late_loss) == 2 and np.isfinite(history.loss).all()
    assert not m.session.position.pending and m.session.position.updates == 30


def test_a_seam_between_fits_loses_no_loss():
    whole, parts, xs = model(), model(), series(90)
    want = whole.fit(xs, ahead=4)
    got = [parts.fit(xs[begin : begin + 30], ahead=4) for begin in (0, 30, 60)]
    losses = np.concatenate([got[0].loss[:-4], got[1].late_loss, got[1].loss[:-4], got[2].late_loss, got[2].loss])
    np.testing.assert_array_equal(losses, want.loss)
    assert [h.first for h in got] == [0, 30, 60]


@pytest.mark.parametrize("device", DEVICES)
def test_observing_drops_nothing_and_changes_nothing(device, built):
    plain, m, xs = model(device), model(device), series(80)
    for begin in (0, 40):
        want, got = plain.fit(xs[begin : begin + 40], ahead=2), m.fit(xs[begin : begin + 40], ahead=2)
        np.testing.assert_array_equal(got.prediction, want.prediction)
        m.observe(not begin)
    assert m.trace(xs[:5]).observed["3"]["cells"].shape == (5, 3, 3)
    assert_alike(m, plain)


# Learning switched off


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("window", [1, 3])
def test_without_learning_only_the_temporal_state_moves(device, window):
    m, xs = model(device, window), series(120)
    m.fit(xs[:40])
    parameters = [t.name for t in m.session.plan.stored_in(*PARAMETERS)]
    before = {name: m.session.read(name) for name in parameters}
    ahead = m.predict(xs[40:70])
    history = m.fit(xs[40:70], learn=False)
    np.testing.assert_array_equal(history.prediction, ahead)
    assert np.isfinite(history.loss[:-1]).all() and np.isfinite(history.late_loss).all()
    for x in xs[70:75]:
        assert np.isfinite(m.step(x, learn=False).loss)
    for name in parameters:
        np.testing.assert_array_equal(m.session.read(name), before[name], err_msg=name)
    assert m.steps == 75 and m.session.position.updates == 39
    again = m.fit(xs[75:])
    assert m.session.position.updates == 39 + 45 and np.isfinite(again.loss[:-1]).all()


def test_steps_left_out_get_no_credit():
    """After steps that nothing was learned from, the ring of a window starts empty: a model whose ring never held
    anything before does the same."""
    m, xs = model(window=4), series(60)
    m.fit(xs[:20])
    m.fit(xs[20:30], learn=False)
    ring = [t.name for t in m.session.plan.credit]
    m.step(xs[30])
    cells = m.session.read(ring[0]).reshape(4, -1)
    assert (cells != 39).any(axis=1).sum() == 1  # of 13 * 3 = 39 cells: one step stands there, the others are empty


# Interruptions


class Stop(Exception):
    pass


def interrupt_after(calls, monkeypatch, module, name):
    """The function raises at its call number `calls`, as a signal's handler might."""
    count, real = [0], getattr(module, name)

    def wrapped(*args, **kwargs):
        count[0] += 1
        if count[0] == calls:
            raise Stop
        return real(*args, **kwargs)

    monkeypatch.setattr(module, name, wrapped)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("ahead", [1, 3, 5])
def test_an_interrupted_fit_stands_at_the_step_that_it_names(device, ahead):
    """By a signal at random moments, several times in one series."""
    m, xs, rng = model(device), series(8000), np.random.default_rng(ahead)
    done = interruptions = named = 0
    whole = model(device)
    whole.fit(xs[:800], ahead=ahead)  # kernels are compiled
    began = time.perf_counter()
    whole.fit(xs[:800], ahead=ahead)
    longest = time.perf_counter() - began

    def handler(*_):
        raise Stop

    before = signal.signal(signal.SIGALRM, handler)
    try:
        while done < len(xs) - 40 and interruptions < 8:
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.001, longest))
            try:
                m.fit(xs[done : done + 800], ahead=ahead)
            except Stop as stop:
                interruptions += 1
                if hasattr(stop, "__notes__"):  # none where it came just before fit began or after its end
                    assert f"{m.steps:,}" in stop.__notes__[0]
                    named += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            done = m.steps
    finally:
        signal.signal(signal.SIGALRM, before)
    assert named
    fresh = model(device)
    if done:
        fresh.fit(xs[:done], ahead=ahead)
    want = fresh.fit(xs[done : done + 40], ahead=ahead)
    got = m.fit(xs[done : done + 40], ahead=ahead)
    np.testing.assert_array_equal(got.prediction, want.prediction)
    assert_alike(m, fresh)


def test_an_interruption_while_going_back_is_gone_back_from_too(monkeypatch):
    from deephtm_gpu.backends.numpy import NumpyBackend

    m, fresh, xs = model(), model(), series(100)
    m.fit(xs[:50])
    fresh.fit(xs[:50])
    for name in ("_run", "restore"):
        with monkeypatch.context() as patch:
            interrupt_after(1, patch, NumpyBackend, name)
            with pytest.raises(Stop):
                m.fit(xs[50:]) if name == "_run" else m.predict(xs[50:])
    assert m.steps == 50
    assert_alike(m, fresh)


def test_an_interrupted_look_changes_nothing(monkeypatch):
    from deephtm_gpu.backends.numpy import NumpyBackend

    m, fresh, xs = model(), model(), series(100)
    m.fit(xs[:50])
    fresh.fit(xs[:50])
    with monkeypatch.context() as patch:
        interrupt_after(3, patch, NumpyBackend, "_run")
        with pytest.raises(Stop):
            m.rollout(20)
    assert m.steps == 50
    assert_alike(m, fresh)


def test_an_exception_in_a_callback_leaves_the_chunk_done():
    m, fresh, xs = model(), model(), series(1500)

    def callback(done, history):
        if done >= 1000:
            raise Stop

    with pytest.raises(Stop) as stop:
        m.fit(xs, ahead=3, callback=callback)
    assert m.steps == 1024 and "1,024" in stop.value.__notes__[0]
    fresh.fit(xs[:1024], ahead=3)
    assert_alike(m, fresh)


# Copies


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_a_copy_goes_on_to_the_bit_and_by_itself(device, copied):
    m, xs = model(device), series(90)
    m.observe()
    m.fit(xs[:30], ahead=3)
    m.fit(xs[30:31])  # predictions for different steps wait
    other = copied(m)
    assert other.fit(xs[31:60]).observed["2"]["winners"].shape == (29, 3)
    m.fit(xs[31:60])
    assert_alike(other, m)
    other.lr = 0.5
    assert m.lr == 0.003


def test_a_population_and_its_models_can_be_copied():
    p = dh.Population(
        dh.Sequential(dh.Linear(4), dh.SpatialPooler(7, 2), dh.TemporalMemory(2), dh.Linear(1)), 3, (1,), device="numpy"
    )
    xs = np.stack([series(60, seed=s, width=1) for s in range(3)])
    p.fit(xs[:, :30])
    other, one = pickle.loads(pickle.dumps(p)), copy.deepcopy(p.model(1))
    want = p.fit(xs[:, 30:]).prediction
    np.testing.assert_array_equal(other.fit(xs[:, 30:]).prediction, want)
    np.testing.assert_array_equal(one.fit(xs[1, 30:]).prediction, want[1])


def test_networks_of_every_kind_can_be_pickled():
    from deephtm_gpu.validate.networks import _networks

    for name, (network, losses, optimizer, streams, *_) in _networks().items():
        m = dh.Model(network, loss=losses, optimizer=optimizer, streams=streams, device="numpy")
        other = pickle.loads(pickle.dumps(m))
        assert other.summary() == m.summary(), name
        for key, value in m.state_dict().items():
            np.testing.assert_array_equal(other.state_dict()[key], value, err_msg=f"{name}: {key}")


# Threads and processes


def test_threads_take_turns():
    m, xs = model(), series(600)
    made, errors = [], []

    def work(begin):
        try:
            for _ in range(3):
                made.append(len(m.fit(xs[begin : begin + 50])))
                m.predict(xs[:5])
        except Exception as error:  # reported by the main thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(100 * n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors and made == [50] * 12 and m.steps == 600
    assert np.isfinite(m.fit(xs[:50]).loss[:-1]).all()


def test_a_forked_child_is_told_to_spawn(adapter):
    m = model("gpu")
    m.fit(series(20))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # must not return into pytest
        answer = "nothing was raised"
        try:
            m.fit(series(5))
        except dh.DeviceError as error:
            answer = str(error)
        try:
            model("gpu")
            answer += " a new model was made"
        except dh.DeviceError:
            pass
        os.write(write, answer.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    assert "spawn" in answer and "was made" not in answer
    m.fit(series(5))


def _fit_elsewhere(m):
    return m.fit(series(20, seed=2)).prediction


def test_a_model_goes_to_a_spawned_process_and_fits_there():
    m = model()
    m.fit(series(30))
    with multiprocessing.get_context("spawn").Pool(1) as sample:
        there = sample.apply(_fit_elsewhere, (m,))
    np.testing.assert_array_equal(there, _fit_elsewhere(m))


# Iterators, callbacks, histories


@pytest.mark.parametrize("ahead", [1, 3])
def test_an_iterator_of_chunks_is_one_series(ahead):
    whole, m, xs = model(), model(), series(700)
    want = whole.fit(xs, ahead=ahead)
    got = m.fit(iter(np.array_split(xs, 7)), ahead=ahead)
    np.testing.assert_array_equal(got.prediction, want.prediction)
    np.testing.assert_array_equal(got.loss, want.loss)
    assert_alike(m, whole)


def test_an_iterator_takes_bounded_memory(monkeypatch):
    from deephtm_gpu import fitting

    monkeypatch.setattr(fitting, "HISTORY_BYTES", 40_000)
    m = model()
    history = m.fit(series(100, seed=n) for n in range(30))
    assert m.steps == 3000 and 1000 < len(history) < 3000
    assert history.first == 3000 - len(history) and len(history.loss) == len(history)


def test_targets_may_be_an_iterator_too():
    whole, m, xs, ys = model(), model(), series(90), series(90, seed=4)
    whole.fit(xs, targets=ys)
    m.fit(iter(np.split(xs, 3)), targets=iter(np.split(ys, 3)))
    assert_alike(m, whole)


def test_an_empty_iterator_is_a_sentence():
    with pytest.raises(dh.UserError, match="one chunk or more"):
        model().fit(iter([]))


def test_callbacks_save_stop_and_log(tmp_path):
    m, log, seen = model(), io.StringIO(), []
    stop = dh.StopWhen(lambda history: history.first >= 1024)
    m.fit(series(5000), callback=[dh.SaveEvery(tmp_path / "m", 600), dh.LogTo(log), dh.LogTo(seen.append), stop])
    assert m.steps == 1536
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["step"] for line in lines] == [512, 1024, 1536] == [d["step"] for d in seen]
    assert dh.load(tmp_path / "m", "numpy").steps == 1024
    m.fit(series(100), callback=dh.SaveEvery(tmp_path / "m", 600))
    assert dh.load(tmp_path / "m", "numpy").steps == 1636


@pytest.mark.parametrize("callback", [3, "x", [print, None]])
def test_what_is_no_callback_is_a_sentence(callback):
    with pytest.raises(dh.UserError, match="callback must be"):
        model().fit(series(5), callback=callback)


def test_a_history_is_short_and_turns_into_tables():
    import pandas

    m = model()
    m.fit(series(10))
    history = m.fit(series(20))
    assert len(history) == 20 and len(repr(history)) < 120 and "step 10" in repr(history)
    table = history.to_pandas()
    assert (
        list(table.columns) == ["loss", "anomaly", "prediction[0]", "prediction[1]", "prediction[2]"]
        and table.index[0] == 10
    )
    np.testing.assert_array_equal(table["prediction[1]"], history.prediction[:, 1])
    assert isinstance(table, pandas.DataFrame) and history.to_dict()["anomaly"] is history.anomaly


# Rates and layers that change


@pytest.mark.parametrize("device", DEVICES)
def test_a_layers_lr_scale_is_obeyed_when_it_changes(device):
    net = dh.Sequential(dh.Linear(9), dh.SpatialPooler(13, 3), dh.TemporalMemory(3), dh.Linear(3))
    m = dh.Model(net, (3,), optimizer=dh.Adam(0.01), device=device)
    m.fit(series(20), ahead=2)
    before = m.state_dict()
    net.layers[3].lr_scale = 0.0
    net.layers[0].lr_scale = 1.0
    m.fit(series(20), ahead=2)
    assert m.session.position.updates == 38
    np.testing.assert_array_equal(m.state_dict()["3.weight"], before["3.weight"])
    assert abs(m.state_dict()["0.weight"] - before["0.weight"]).max() > 0.01
    net.layers[2].decay = 0.5
    with pytest.raises(dh.UserError, match="decay must stay 0.8"):
        m.step(series(1)[0])


def test_the_learning_rate_can_be_read_and_set():
    m = model(optimizer=dh.SGD(0.0001))
    m.fit(series(10))
    assert m.lr == 0.0001
    m.lr = 1e-12
    before = m.state_dict()
    m.fit(series(10))
    assert abs(m.state_dict()["4.weight"] - before["4.weight"]).max() < 1e-9
    with pytest.raises(dh.UserError, match="lr"):
        m.lr = -1
    with pytest.raises(dh.UserError, match="one learning rate"):
        m.lr = [1.0, 2.0]


def test_other_settings_of_the_optimiser_are_obeyed_too():
    m = model(optimizer=dh.SGD(0.01))
    m.fit(series(10))
    before = m.state_dict()
    m.optimizer.clip_norm = 0.01
    m.fit(series(10))
    assert 0 < abs(m.state_dict()["4.weight"] - before["4.weight"]).max() < 10 * 0.01 * 0.01


# Found by trying to break it


def test_a_rate_of_zero_can_be_saved_copied_and_taken_back(tmp_path):
    for optimizer in (dh.PolyakSGD(), dh.Adam(0.01), dh.SGD(0.01, clip_norm=1.0)):
        layer = dh.Linear(3)
        m = dh.Model(dh.Sequential(layer, dh.Linear(1)), (1,), optimizer=optimizer, device="numpy")
        m.fit(series(20, width=1))
        for scale in (0, None, 0.5):
            layer.lr_scale = scale
            m.save(tmp_path / "m")
            other, loaded = copy.deepcopy(m), dh.load(tmp_path / "m", "numpy")
            want = m.fit(series(10, width=1)).prediction
            np.testing.assert_array_equal(other.fit(series(10, width=1)).prediction, want)
            np.testing.assert_array_equal(loaded.fit(series(10, width=1)).prediction, want)
    for wrong in ("a", -1, np.ones(2)):
        layer.lr_scale = wrong
        with pytest.raises(dh.UserError, match="lr_scale"):
            m.step(series(1, width=1)[0])


@pytest.mark.parametrize(
    "change", [lambda m: m.fit(series(9), ahead=3), lambda m: m.observe()], ids=["ahead", "observe"]
)
@pytest.mark.parametrize("steps", [0, 20])
@pytest.mark.parametrize("error", [KeyboardInterrupt, dh.DeviceError])
def test_an_interrupted_change_of_plan_can_be_repeated(monkeypatch, change, steps, error):
    from deephtm_gpu.session import session

    m, fresh = model(), model()
    if steps:
        m.fit(series(steps)), fresh.fit(series(steps))
    with monkeypatch.context() as patch:
        patch.setattr(session, "Checkpoint", lambda backend: (_ for _ in ()).throw(error("now")))
        with pytest.raises(error):
            change(m)
    change(m), change(fresh)
    assert m.trace(series(3)).observed.keys() == fresh.trace(series(3)).observed.keys() != set()
    assert_alike(m, fresh)


def test_weights_are_put_in_all_or_none(monkeypatch):
    from deephtm_gpu.backends.numpy import NumpyBackend

    m, fresh, weights = model(), model(), model(seed=7).state_dict()
    m.fit(series(20)), fresh.fit(series(20))
    with monkeypatch.context() as patch:
        interrupt_after(4, patch, NumpyBackend, "write")
        with pytest.raises(Stop):
            m.load_state_dict(weights)
    assert_alike(m, fresh)
    m.load_state_dict(weights)
    for name, array in m.state_dict().items():
        np.testing.assert_array_equal(array, weights[name])


@pytest.mark.parametrize("ahead", [2, 3])
def test_cutting_a_series_after_given_targets_changes_nothing(ahead):
    letters = np.eye(5, dtype=np.float32)[np.random.default_rng(0).integers(5, size=60)]

    def made():
        net = dh.Sequential(dh.SpatialPooler(13, 3), dh.TemporalMemory(3), dh.Linear(5))
        m = dh.Model(net, (5,), loss="cross_entropy", optimizer=dh.Adam(0.01), device="numpy")
        m.fit(letters[:20], targets=letters[1:21])
        return m

    whole, cut = made(), made()
    want = whole.fit(letters[20:], ahead=ahead).prediction
    got = [cut.fit(letters[begin:end], ahead=ahead).prediction for begin, end in ((20, 21), (21, 22), (22, 60))]
    np.testing.assert_array_equal(np.concatenate(got), want)


@pytest.mark.parametrize("first, second", [(1, 3), (3, 1)])
def test_without_learning_each_prediction_is_scored_by_its_own_target(first, second):
    m, xs = model(optimizer=dh.SGD(1e-9)), series(40)
    a = m.fit(xs[:20], ahead=first)
    b = m.fit(xs[20:], ahead=second, learn=False)
    own = np.sum((a.prediction[-first:] - xs[20 : 20 + first]) ** 2, axis=1) / 2
    np.testing.assert_allclose(b.late_loss[:first], own[: len(b.late_loss)], rtol=1e-4)
    known = np.isfinite(b.loss)
    later = np.sum((b.prediction[:-second] - xs[20 + second :]) ** 2, axis=1) / 2
    np.testing.assert_allclose(b.loss[:-second][known[:-second]], later[known[:-second]], rtol=1e-4)


def test_a_callback_that_learns_too_is_a_sentence():
    m = model()
    with pytest.raises(dh.UserError, match="within its own fit"):
        m.fit(series(600), callback=lambda done, history: m.step(series(1)[0]) and None)
    assert m.steps == 512 and m.predict(series(5)).shape == (5, 3)
    m.step(series(1)[0])


def test_the_horizon_outlives_given_targets(tmp_path):
    m = model()
    m.fit(series(20), ahead=3)
    m.step(series(1)[0], series(1)[0])
    m.save(tmp_path / "m")
    for one in (m, dh.load(tmp_path / "m", "numpy")):
        one.step(series(1)[0])
        assert one.session.position.pending[-1].due - one.session.position.pending[-1].step == 3


def test_a_models_optimiser_is_its_own():
    population = dh.Population(dh.Sequential(dh.Linear(1)), 2, (1,), optimizer=dh.SGD(0.1), device="numpy")
    one = population.model(0)
    one.lr = 0.5
    assert population.lr == 0.1


def test_a_forked_child_cannot_read_either(adapter):
    m = model("gpu")
    m.fit(series(20))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        answers = 0
        for look in (m.state_dict, m.state, lambda: copy.deepcopy(m), lambda: m.predict(series(3))):
            try:
                look()
            except dh.DeviceError:
                answers += 1
        os.write(write, b"%d" % answers)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        assert pipe.read() == "4"
    os.waitpid(child, 0)


@pytest.mark.parametrize("mistake, words", [
    (lambda m: m.fit(iter([series(5)]), mask=np.ones((5, 2))), "mask must be left out"),
    (lambda m: m.fit(iter([series(5)]), targets=series(5)), "targets must be an iterator"),
    (lambda m: m.fit(iter([series(5), series(5)]), targets=iter([series(5)])), "as many chunks"),
    (lambda m: m.observe(np.zeros(2)), "observe's on must be True or False"),
    (lambda m: m.load_state_dict({1: 0, "x": 0, **m.state_dict()}), "no other weights"),
])
def test_mistakes_end_in_a_sentence(mistake, words):
    with pytest.raises(dh.UserError, match=words):
        mistake(model())


def test_steps_of_several_inputs_that_do_not_fit_are_a_sentence():
    x, z = dh.Input((2,)), dh.Input((1,))
    m = dh.Model(dh.Network([x, z], dh.Linear(2)(dh.Concat()([x, z]))), device="numpy")
    for wrong in (5, None, [np.zeros(2)]):
        with pytest.raises(dh.UserError, match="must be a list of 2"):
            m.step(wrong)


def test_winners_at_several_places_learn_by_every_optimiser(adapter):
    z = np.random.default_rng(0).normal(size=(12, 2, 2, 2)).astype(np.float32)
    for optimizer in (dh.PolyakSGD(), dh.SGD(0.01, clip_norm=0.5)):
        made = [dh.Model(dh.Sequential(dh.SpatialPooler(8, 2), dh.Linear(2)), (2, 2, 2), optimizer=optimizer,
                         device=device).fit(z).prediction for device in DEVICES]
        for other in made[1:]:
            np.testing.assert_allclose(made[0], other, atol=1e-4)
