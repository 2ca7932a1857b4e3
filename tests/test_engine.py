"""The engine as a whole: what a step may cost, and that backends, chunks and repeats agree."""

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu.backends.wgpu import backend as gpu_backend
from deephtm_gpu.data.sine import sine
from deephtm_gpu.session import checkpoint

MOST_DISPATCHES = 6
CREATES = (
    "create_buffer",
    "create_texture",
    "create_bind_group",
    "create_bind_group_layout",
    "create_pipeline_layout",
    "create_shader_module",
    "create_compute_pipeline",
    "create_command_encoder",
)


def post(winners=5, optimizer=None, device="gpu", seed=0, **more):
    net = dh.Sequential(
        dh.Linear(256),
        dh.ReLU(),
        dh.Linear(256),
        dh.ReLU(),
        dh.RunningNorm(),
        dh.SpatialPooler(columns=256, winners=winners),
        dh.TemporalMemory(cells_per_column=5),
        dh.Linear(256),
        dh.ReLU(),
        dh.Linear(1),
    )
    return dh.Model(net, input_shape=(1,), optimizer=optimizer or dh.PolyakSGD(), seed=seed, device=device, **more)


def small(device="gpu", **more):
    net = dh.Sequential(
        dh.Linear(24), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(40, 4), dh.TemporalMemory(3), dh.Linear(2)
    )
    return dh.Model(net, input_shape=(2,), device=device, **{"optimizer": dh.SGD(0.01), **more})


def noise(steps, streams=1, size=2, seed=0):
    shape = (steps, size) if streams == 1 else (steps, streams, size)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class Counter:
    """Counts calls of wgpu's classes."""

    def __init__(self, monkeypatch):
        self.counts = {}
        device = type(gpu_backend.open_device(_best()))
        for name in CREATES:
            self._watch(monkeypatch, device, name)
        for name in ("read_buffer", "read_texture"):
            self._watch(monkeypatch, type(gpu_backend.open_device(_best()).queue), name, "read")
        encoder = gpu_backend.open_device(_best()).create_command_encoder()
        compute = encoder.begin_compute_pass()
        self._watch(monkeypatch, type(compute), "dispatch_workgroups")
        compute.end()

    def _watch(self, monkeypatch, owner, name, reported=None):
        inner, reported = getattr(owner, name), reported or name

        def counted(*args, **kwargs):
            self.counts[reported] = self.counts.get(reported, 0) + 1
            return inner(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    def of(self, action) -> dict[str, int]:
        self.counts.clear()
        action()
        return dict(self.counts)


def _best():
    from deephtm_gpu.backends.wgpu.adapters import list_adapters

    return list_adapters()[0]


def test_a_step_is_at_most_six_dispatches_and_creates_nothing(adapter, monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY", 256)
    model, series = post(), sine(700)
    model.fit(series[:300])  # everything is recorded
    model.session.backend._submit_steps = model.session.backend._layout.steps  # found already
    counter = Counter(monkeypatch)

    def cost(steps):
        model.fit(series[:300])  # so that a snapshot is due in the fit that counts
        return counter.of(lambda: model.fit(series[:steps]))

    short, long = cost(100), cost(200)
    per_step = (long["dispatch_workgroups"] - short["dispatch_workgroups"]) / 100
    assert per_step <= MOST_DISPATCHES
    del short["dispatch_workgroups"], long["dispatch_workgroups"]
    assert short == long, "a longer chunk must create and read back no more than a short one"
    assert long["read"] == 1
    memory = long.pop("create_buffer", 0) + long.pop("create_texture", 0)
    assert memory <= 4 and long["create_command_encoder"] <= 3  # a snapshot; it, the submit, the reading
    assert set(long) == {"create_command_encoder", "read"}


def test_live_steps_create_nothing_but_encoders(adapter, monkeypatch):
    model, series = post(), sine(400)
    model.fit(series[:300])
    model.session.backend._submit_steps = model.session.backend._layout.steps  # found already
    model.step(series[300])
    created = Counter(monkeypatch).of(lambda: [model.step(x) for x in series[301:321]])
    assert created["create_command_encoder"] <= 40 and created["read"] == 20  # reading takes an encoder too
    assert set(created) == {"create_command_encoder", "read", "dispatch_workgroups"}


@pytest.mark.parametrize("winners", [5, 10])
def test_gpu_and_numpy_agree_on_the_sine(adapter, winners):
    series = sine(200)
    models = [post(winners, device=d) for d in ("gpu", "numpy")]
    predictions, winning = [], [[], []]
    for model, w in zip(models, winning):
        made = []
        for x in series:
            made.append(model.step(x).prediction)
            w.append(model.state()["5"]["winners"])
        predictions.append(np.array(made))
    assert np.array_equal(winning[0], winning[1])
    assert np.abs(predictions[0] - predictions[1]).max() <= 1e-4


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
@pytest.mark.parametrize("streams", [1, 3])
def test_two_runs_are_equal_to_the_bit(adapter, device, streams):
    results = []
    for _ in range(2):
        model = small(device, streams=streams, optimizer=dh.PolyakSGD())
        history = model.fit(noise(150, streams))
        results.append([history.prediction, history.loss, history.anomaly, *model.state_dict().values()])
    for a, b in zip(*results):
        assert np.array_equal(a, b, equal_nan=True)


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
@pytest.mark.parametrize("ahead", [1, 5])
def test_pieces_equal_the_whole(adapter, device, ahead):
    series = noise(90, seed=1)
    whole, pieces, single = (small(device) for _ in range(3))
    at_once = whole.fit(series, ahead=ahead)
    parts = [pieces.fit(series[a:b], ahead=ahead) for a, b in ((0, 1), (1, 4), (4, 50), (50, 90))]
    assert np.array_equal(at_once.prediction, np.concatenate([p.prediction for p in parts]))
    assert np.array_equal(at_once.anomaly, np.concatenate([p.anomaly for p in parts]))
    for name, value in whole.state_dict().items():
        assert np.array_equal(value, pieces.state_dict()[name]), name
    if ahead == 1:
        assert np.array_equal(at_once.prediction, [single.step(x).prediction for x in series])
    assert np.isnan(at_once.loss[-ahead:]).all() and np.isfinite(at_once.loss[:-ahead]).all()
    error = at_once.prediction[:-ahead] - series[ahead:]
    assert np.allclose(at_once.loss[:-ahead], 0.5 * (error**2).sum(axis=1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
def test_predict_leaves_every_bit(adapter, device):
    series = noise(120, seed=2)
    model, twin = small(device), small(device)
    model.fit(series[:60])
    twin.fit(series[:60])
    looked = model.predict(series[60:90])
    assert np.array_equal(looked, model.predict(series[60:90]))
    for name, value in twin.state_dict().items():
        assert np.array_equal(value, model.state_dict()[name]), name
    assert np.array_equal(model.fit(series[60:]).prediction, twin.fit(series[60:]).prediction)


def test_predict_agrees_between_backends(adapter):
    series = noise(80, seed=3)
    models = [small(d) for d in ("gpu", "numpy")]
    predictions = []
    for model in models:
        model.fit(series[:40])
        predictions.append(model.predict(series[40:]))
    assert np.abs(predictions[0] - predictions[1]).max() <= 1e-4


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
def test_a_loss_out_of_bounds_stops_with_the_step_and_good_weights(adapter, device):
    model = small(device, optimizer=dh.SGD(0.01))
    model.fit(noise(300, seed=4))
    good = model.state_dict()
    bad = noise(700, seed=5)
    bad[600] = 1e30
    with pytest.raises(dh.TrainingError, match="step 600: the loss"):
        model.fit(bad)
    after = model.state_dict()
    assert all(np.isfinite(v).all() for v in after.values())
    assert any(not np.array_equal(v, good[n]) for n, v in after.items()), "the good chunk before the bad one is kept"
    assert np.isfinite(model.fit(noise(50, seed=6)).prediction).all()


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
def test_divergence_stops_with_the_layer(adapter, device):
    net = dh.Sequential(dh.SpatialPooler(16, 3), dh.TemporalMemory(3), dh.Linear(8), dh.ReLU(), dh.Linear(1))
    model = dh.Model(net, (4,), optimizer=dh.SGD(0.01), device=device)
    start = model.state_dict()
    series = noise(60, size=4)
    series[7] = 3e38  # the overlaps of the pooler are more than a float32 holds, and NaN goes on through pairs
    with pytest.raises(dh.TrainingError, match="step 7: layer 0 gave"):
        model.fit(series, np.zeros((60, 1)))
    assert all(np.array_equal(v, start[n]) for n, v in model.state_dict().items())


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
def test_reset_forgets_the_sequence_and_keeps_the_weights(adapter, device):
    model = small(device)
    model.fit(noise(50, seed=7))
    weights = model.state_dict()
    model.reset()
    assert all(np.array_equal(v, weights[n]) for n, v in model.state_dict().items())
    assert np.isnan(model.step(noise(1)[0]).loss), "nothing is pending after reset"
    weights = model.state_dict()
    fresh = small(device)
    fresh.load_state_dict(weights)
    model.reset()
    series = noise(30, seed=8)
    assert np.array_equal(model.predict(series), fresh.predict(series))


def test_state_shows_the_last_step(adapter):
    for device in ("numpy", "gpu"):
        model = small(device)
        model.fit(noise(30, seed=9))
        state = model.state()
        winners, activity = state["3"]["winners"], state["3"]["activity"]
        assert set(np.flatnonzero(activity)) <= set(winners) and len(winners) == 4
        active = state["4"]["cells"]
        assert active.shape == (40, 3) and np.allclose(active.sum(axis=1), activity, atol=1e-5)
        assert (
            state["4"]["predictive"].shape == (40, 3)
            and ((0 <= state["4"]["predicted"]) & (state["4"]["predicted"] <= 1)).all()
        )


def test_rollout_continues_a_learned_sine(adapter):
    model = post(10, device="numpy")
    model.fit(sine(6000))
    made = model.rollout(50)
    assert made.shape == (50, 1)
    assert np.sqrt(np.mean((made - sine(6050)[6000:]) ** 2)) < 0.2
    assert np.array_equal(made, model.rollout(50)), "rollout leaves the model as it was"


def test_auto_says_once_that_it_falls_back(monkeypatch, capsys):
    from deephtm_gpu.backends import choice, devices
    from deephtm_gpu.backends.wgpu import adapters

    monkeypatch.setattr(adapters, "list_adapters", lambda: ())
    monkeypatch.setattr(devices, "_told", set())
    assert small("auto").device.backend == "cpu" and not capsys.readouterr().err
    monkeypatch.setattr(choice, "no_compiler", lambda: "needs llvmlite, and there is none; pip install llvmlite")
    with pytest.raises(dh.DeviceError, match="device='cpu' needs llvmlite"):
        small("cpu")
    for _ in range(2):
        assert small("auto").device.backend == "numpy"
    assert capsys.readouterr().err.count("running on NumPy") == 1
    with pytest.raises(dh.DeviceError, match="mesa-vulkan-drivers"):
        small("gpu")


def test_a_network_too_large_for_the_adapter_is_a_sentence(adapter):
    net = dh.Sequential(dh.SpatialPooler(8192, 4), dh.TemporalMemory(32), dh.Linear(1))
    with pytest.raises(dh.DeviceError, match="distal_weight"):
        dh.Model(net, input_shape=(1,), device="gpu")
