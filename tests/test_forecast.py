"""Forecasts without a network and their mixture with a network's: never much worse than the best trivial forecast.

The bound, 1.02, holds for the mean absolute error from row 1,000 on: until then the mixture learns which expert is
good. The constants of deephtm_gpu/forecast were chosen on other series and on seeds below 10.
"""

import json
import math
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from deephtm_gpu.bench import forecasts as bench
from deephtm_gpu.cli.bench import MOST_RATIO
from deephtm_gpu.data.baselines import Persistence as TrivialPersistence
from deephtm_gpu.data.baselines import SameSlotLastWeek
from deephtm_gpu.errors import UserError
from deephtm_gpu.forecast import Drift, LeastSquares, Mixture, Persistence, SameSlot
from deephtm_gpu.forecast import mixture as mixtures
from deephtm_gpu.forecast.least_squares import LAGS, RIDGE
from deephtm_gpu.forecast.scale import LIMIT, Scale
from deephtm_gpu.forecast.slots import DAY, WEEK
from deephtm_gpu.learner import Learner
from deephtm_gpu.saving.container import read_container
from deephtm_gpu.saving.tree import join, split
from deephtm_gpu.saving.writing import save_model

DATA = Path(__file__).parents[1] / "demos" / "data"
T = 3000
t = np.arange(T)


def _ar(noise, factor):
    x = np.zeros(T)
    for i in range(1, T):
        x[i] = factor * x[i - 1] + noise[i]
    return x


SERIES = {  # name -> (T,), of noise (T,) and a generator
    "counter": lambda e, rng: t * 1.0,
    "constant": lambda e, rng: np.full(T, -7.7),
    "step": lambda e, rng: np.where(t < 2000, 3.0, 50.0),
    "step with noise": lambda e, rng: np.where(t < 2000, 3.0, 50.0) + e,
    "step before row 1,000": lambda e, rng: np.where(t < 700, 3.0, 50.0),
    "trend with a sine": lambda e, rng: 0.02 * t + 5 * np.sin(t / 11),
    "trend with a sine and noise": lambda e, rng: 0.02 * t + 5 * np.sin(t / 11) + e,
    "white noise": lambda e, rng: e,
    "random walk": lambda e, rng: np.cumsum(e),
    "random walk with level shifts": lambda e, rng: np.cumsum(e + np.where(rng.random(T) < 0.003, 200.0, 0.0)),
    "random walk with outliers": lambda e, rng: np.cumsum(e) + np.where(rng.random(T) < 0.005, 1e5, 0.0),
    "autoregression": lambda e, rng: _ar(e, 0.95),
    "sawtooth": lambda e, rng: (t % 37) * 1.0,
    "bursts": lambda e, rng: np.where(rng.random(T) < 0.03, rng.exponential(20.0, T), 0.0),
    "heavy tails": lambda e, rng: np.cumsum(rng.standard_t(2, T)),
}


def _series(name, seed):
    rng = np.random.default_rng(seed)
    return SERIES[name](rng.normal(size=T), rng)


def _times(rows, minutes=60):
    return [datetime(2024, 3, 1) + timedelta(minutes=minutes * i) for i in range(rows)]


def _run(forecaster, values, times=None, network=None):
    """(T,) the forecasts of each row, which were made `ahead` rows earlier; NaN: none."""
    times, made = times or [None] * len(values), []
    for i, (value, when) in enumerate(zip(values, times)):
        network_too = () if network is None else (network[i],)
        made.append(forecaster.update(None if value is None else float(value), when, *network_too))
    return np.array(made, np.float64)


def _errors(values, ahead, network=None, times=None):
    """Mean absolute errors by name, as the benchmark takes them."""
    mixture = Mixture(ahead, times is not None)
    made = _run(mixture, values, times, network)
    trivial = {"persistence": TrivialPersistence(ahead)} | ({"week": SameSlotLastWeek(ahead)} if times else {})
    stamps = times or [None] * len(values)
    forecasts = {"mixture": [None] * ahead + made[:-ahead].tolist()}
    forecasts |= {n: [f.update(v, w) for v, w in zip(values, stamps)] for n, f in trivial.items()}
    return bench.errors_of(values, forecasts)


def _holds(errors):
    best = min(error for name, error in errors.items() if name not in ("mixture", "network"))
    return errors["mixture"] <= MOST_RATIO * best


def _bad_network(values, rng):
    """What a network may do: follow slowly, and be wrong at random."""
    slow, made = 0.0, []
    for value in values:
        slow += 0.02 * (value - slow)
        made.append(slow + np.std(values[:1000]) * rng.normal())
    return made


# The bound


@pytest.mark.parametrize("ahead", [1, 3, 24])
@pytest.mark.parametrize("name", SERIES)
def test_never_worse_than_the_best_trivial_forecast(name, ahead):
    for seed, with_network in ((1100, False), (1101, True)):
        values = _series(name, seed)
        network = _bad_network(values, np.random.default_rng(seed)) if with_network else None
        assert _holds(_errors(values, ahead, network)), seed


@pytest.mark.parametrize("ahead", [1, 24])
def test_with_the_learners_own_network(ahead):
    for name in ("counter", "trend with a sine", "step", "constant", "random walk"):
        result = bench.measure(name, bench.as_rows(_series(name, 1102)), ahead, seed=7, device="cpu")
        assert result.ratio <= MOST_RATIO, result


@pytest.mark.parametrize("unit", [1e-6, 1e9])
@pytest.mark.parametrize("ahead", [1, 5])
def test_units_do_not_matter(unit, ahead):
    for name in ("random walk with outliers", "trend with a sine and noise", "step with noise"):
        values = _series(name, 1103)
        want, got = (_run(Mixture(ahead, False), each) for each in (values, unit * values))
        assert np.abs(got / unit - want).max() <= 1e-6 * np.abs(values).max()


def test_a_pattern_of_a_week_is_found():
    rng, rows = np.random.default_rng(1104), 168 * 12
    values = np.tile(rng.normal(100, 20, 168), 12) + rng.normal(0, 1, rows)
    errors = _errors(values, 5, times=_times(rows))
    assert _holds(errors) and errors["mixture"] < 0.2 * errors["persistence"]


def test_a_good_network_is_followed():
    """A network that knows the future up to a little noise leaves nothing to the others."""
    rng = np.random.default_rng(1105)
    values = np.cumsum(rng.normal(size=T))
    network = np.concatenate([values[3:], values[-3:]]) + 0.1 * rng.normal(size=T)
    mixture = Mixture(3, False)
    _run(mixture, values, None, network)
    regret = mixture.regret()["network"]
    assert mixture.weights["network"] > 0.99 and regret.mixture < 1.3 * regret.expert
    assert regret.rows == T - 3 and regret.mixture < 0.2 * mixture.regret()["persistence"].expert


@pytest.mark.soak
@pytest.mark.parametrize("ahead", [1, 3, 24])
@pytest.mark.parametrize("path", sorted(DATA.glob("*.csv")), ids=lambda path: path.stem)
def test_never_worse_on_the_series_of_the_demos(path, ahead):
    result = bench.measure(path.stem, bench.read(str(DATA))[path.stem], ahead, seed=8, device="cpu")
    assert result.ratio <= MOST_RATIO, result


# The experts


def test_least_squares_are_those_of_lstsq():
    """The weights, from the same inputs with the same weights, the ridge as rows of their own."""
    rng, ahead, memory = np.random.default_rng(1106), 4, 300.0
    expert = LeastSquares(ahead, memory=memory)
    inputs, targets, kept, limit = [], [], [], 0.0
    for value in np.cumsum(rng.normal(size=900)) + 10 * np.sin(t[:900] / 9):
        if len(kept) >= ahead:
            row, before, scale = kept[-ahead]
            inputs.append(row)
            targets.append(np.clip(value - before, -ahead * LIMIT * limit, ahead * LIMIT * limit) / scale)
        expert.update(float(value))
        limit = expert._scale.value
        kept.append((expert._inputs.copy(), value, limit if limit else 1.0))
    age = np.arange(len(inputs))[::-1]
    root = (1 - 1 / memory) ** (age / 2)
    A = np.concatenate([root[:, None] * np.array(inputs), math.sqrt(RIDGE) * np.eye(LAGS + 2)])
    b = np.concatenate([root * np.array(targets), np.zeros(LAGS + 2)])
    np.testing.assert_allclose(expert.weights, np.linalg.lstsq(A, b, rcond=None)[0], rtol=1e-8, atol=1e-10)
    assert np.abs(expert.weights).max() > 0.1


def test_least_squares_for_many_rows():
    """Constant for long, then alive, then a spike of 1e12, then alive again: the weights stay finite and useful."""
    rng = np.random.default_rng(1107)
    wave = np.sin(np.arange(2000) / 7)
    values = np.concatenate([np.full(20_000, 5.0), 5 + wave, [1e12], 5 + wave, np.full(20_000, 5.0), 5 + wave])
    values += np.where(values == 5.0, 0.0, 1e-3 * rng.normal(size=len(values)))
    expert, made = LeastSquares(1), []
    for value in values:
        expert.update(float(value))
        made.append(expert.predict())
    assert np.isfinite(made).all() and np.abs(expert.weights).max() < 10
    error = np.abs(values[1:] - made[:-1])[-500:].mean()
    assert error < 0.2 * np.abs(np.diff(values))[-500:].mean()


def test_drift_and_persistence():
    drift, persistence = Drift(ahead=4), Persistence()
    assert drift.predict() is None and persistence.predict() is None
    for value in range(50):
        drift.update(2.0 * value)
        persistence.update(2.0 * value)
    assert drift.predict() == pytest.approx(98 + 8) and persistence.predict() == 98


def test_scale_is_not_moved_by_an_outlier():
    scale = Scale()
    for difference in [1.0, -1.0] * 300 + [1e15]:
        scale.update(difference)
    assert 1 < scale.value < 1.1 and scale.clip(-1e15) == -LIMIT * scale.value and scale.clip(0.5) == 0.5


@pytest.mark.parametrize("cycle, slots", [(DAY, 24), (WEEK, 168)])
@pytest.mark.parametrize("ahead", [1, 24])
def test_same_slot_goes_by_the_clock(cycle, slots, ahead):
    expert, made = SameSlot(ahead, cycle), {}
    for i, when in enumerate(_times(3 * slots)):
        if i != slots + 5:  # a row that is missing
            expert.update(None if i == slots + 7 else float(i), when)
            made[i + ahead] = expert.predict()
    for i, forecast in made.items():
        earlier = i - slots
        want = earlier if earlier >= 0 and earlier not in (slots + 5, slots + 7) and i - ahead >= 16 else None
        assert forecast == want, i


@pytest.mark.parametrize("minutes", [7, 0, 60 * 24 * 30])
def test_same_slot_without_slots(minutes):
    expert = SameSlot(1, DAY)
    for when in _times(200, minutes):
        expert.update(1.0, when)
        assert expert.predict() is None


# The mixture


def _plain_weights(losses, prior, ahead):
    """As the formula says, in logarithms. losses: a list of lists, each row's, the oldest first."""
    decay = 1 - 1 / mixtures.MEMORY
    age = range(len(losses))[::-1]
    n = sum(decay**k for k in age)
    sums = [sum(decay**k * row[i] for k, row in zip(age, losses)) for i in range(len(prior))]
    log = [math.log(p) - n / math.sqrt(ahead) * math.log(s) for p, s in zip(prior, sums)]
    weights = [math.exp(each - max(log)) for each in log]
    weights = [w if w >= mixtures.NEGLIGIBLE else 0.0 for w in weights]
    return [w / sum(weights) for w in weights]


@pytest.mark.parametrize("ahead", [1, 4])
def test_weights_are_those_of_the_formula(ahead):
    rng = np.random.default_rng(1108)
    values = _ar(rng.normal(size=T), 0.9)[:120]
    network = np.roll(values, -ahead) + math.sqrt(ahead) * rng.normal(size=120)  # about as good as the others
    mixture = Mixture(ahead, False)
    experts = [Persistence(), Drift(ahead), LeastSquares(ahead)]
    made, losses, shared = [], [], 0
    for i, value in enumerate(values.tolist()):
        if i >= ahead:
            losses.append([abs(value - forecast) for forecast in made[i - ahead]])
        for expert in experts:
            expert.update(value)
        made.append([network[i], *(expert.predict() for expert in experts)])
        mixture.update(value, None, network[i])
        if i > 20:
            want = _plain_weights(losses, [mixtures.PRIOR[name] for name in mixture.names], ahead)
            assert list(mixture.weights.values()) == pytest.approx(want, rel=1e-9, abs=1e-12)
            shared += max(want) < 0.99
    assert shared > 10


def test_the_forecast_is_the_weighted_mean():
    rng = np.random.default_rng(1109)
    values, mixture = np.cumsum(rng.normal(size=300)), Mixture(1, False)
    checked = 0
    for value in values:
        forecast = mixture.update(float(value), None, float(value) + rng.normal())
        of_all, given = mixture._waiting[-1][-2:]
        want = sum(w * f for w, f in zip(mixture.weights.values(), mixture._waiting[-1]) if w)
        assert of_all == pytest.approx(want, rel=1e-9) and given == forecast
        checked += of_all == given
    assert checked > 10


def test_a_forecast_does_not_depend_on_later_rows():
    rng = np.random.default_rng(1110)
    values, times = np.cumsum(rng.normal(size=900)), _times(900)
    changed = np.concatenate([values[:600], rng.normal(1e6, 1e3, 300)])
    network = rng.normal(size=900)
    a, b = (_run(Mixture(5, True), each, times, network) for each in (values, changed))
    assert np.array_equal(a[:600], b[:600]) and not np.array_equal(a[600:], b[600:])


@pytest.mark.parametrize("half", [0, 1, 4, 16, 17, 140, 400])
@pytest.mark.parametrize("timed", [False, True])
def test_saved_and_restored_to_the_bit(half, timed):
    rng = np.random.default_rng(1111)
    values = [None if i % 50 == 49 else float(v) for i, v in enumerate(np.cumsum(rng.normal(size=500)))]
    times, network = (_times(500) if timed else None), rng.normal(size=500)
    whole, first, second = (Mixture(4, timed) for _ in range(3))
    want = _run(whole, values, times, network)
    _run(first, values[:half], times and times[:half], network[:half])
    plain, arrays = split(first.state(), "mixture")
    second.restore(join(json.loads(json.dumps(plain)), arrays))
    got = _run(second, values[half:], times and times[half:], network[half:])
    np.testing.assert_array_equal(got, want[half:])
    assert second.regret() == whole.regret()


def test_a_missing_value_teaches_nothing_and_passes_time():
    ahead = 3
    values = [float(v) for v in range(200)]
    whole, gap = Mixture(ahead, False), Mixture(ahead, False)
    _run(whole, values)
    _run(gap, values[:150])
    before = gap.regret()["persistence"]
    assert gap.update(None) is not None and gap.regret()["persistence"] == before
    _run(gap, values[151:])
    assert gap.regret()["persistence"].rows == before.rows + 49
    assert whole.regret()["persistence"].rows == 200 - ahead
    alone = Mixture(ahead, False)
    assert _run(alone, [None] * 10).tolist() == pytest.approx([math.nan] * 10, nan_ok=True) and not alone.regret()


def test_a_constant_is_forecast_to_the_bit():
    for ahead in (1, 24):
        network = np.random.default_rng(0).normal(size=2000)  # has no share in it after the first rows
        made = _run(Mixture(ahead, False), [0.1] * 2000, None, network)
        assert (made[100:] == 0.1).all()


def test_one_row():
    for timed in (False, True):
        mixture = Mixture(2, timed)
        assert mixture.update(3.0, datetime(2024, 1, 1)) == 3.0 and mixture.regret() == {}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, "many", [1.0]])
def test_what_is_not_a_number_is_refused(number):
    mixture = Mixture(1, False)
    with pytest.raises(UserError, match="value must be a finite number.*got"):
        mixture.update(number)
    with pytest.raises(UserError, match="network must be a finite number.*got"):
        mixture.update(1.0, None, number)


def test_memory_is_bounded():
    mixture = Mixture(3, True)

    def held():
        return sum(a.size for a in split(mixture.state(), "m")[1].values())

    times = _times(3 * 2016, minutes=5)
    _run(mixture, np.sin(t[:3000]), times[:3000])
    before = held()
    _run(mixture, np.sin(t[:3000]), times[3000:6000])
    assert held() == before


# The learner


def test_the_learner_gives_the_mixture_and_the_network():
    values = _series("random walk", 1112)[:400]
    learner = Learner(ahead=2, timed=False, device="numpy")
    rows = bench.as_rows(values)
    outputs = learner.learn(rows[:150]) + learner.learn(rows[150:])
    network = [output.network for output in outputs]
    assert network[:2] == [None, None] and network[152:] == learner.forecast[:-2].tolist()
    want = _run(Mixture(2, False), values, None, [*network[2:], *learner.forecast[-2:].tolist()])
    assert [output.prediction for output in outputs][2:] == want[:-2].tolist()
    assert "regret" in learner.summary() and "mixture" in learner.summary()
    regret = learner.mixture.regret()["network"]
    assert regret.expert == pytest.approx(np.abs(values[2:] - network[2:]).mean())


@pytest.mark.parametrize("values_alone", [False, True])
def test_a_learner_continues_to_the_bit(tmp_path, values_alone):
    rows = bench.as_rows(_series("autoregression", 1113)[:120])
    whole, first = (Learner(3, timed=False, device="numpy", values_alone=values_alone) for _ in range(2))
    want = whole.learn(rows)
    first.learn(rows[:70])
    first.save(tmp_path / "m")
    again = Learner.load(tmp_path / "m", "numpy")
    assert again.learn(rows[70:]) == want[70:] and again.summary() == whole.summary()


def test_a_file_from_before_the_mixture_goes_on(tmp_path):
    """Its network sees the values alone and predicts as before; the mixture begins."""
    rows = bench.as_rows(_series("autoregression", 1114)[:120])
    learner = Learner(3, timed=False, device="numpy", values_alone=True)
    learner.learn(rows[:70])
    learner.save(tmp_path / "m")
    description, arrays = read_container(tmp_path / "m")
    state = join(description["beside"], arrays)
    waiting, comparison = state.pop("predictions")[:, 1].copy(), state["comparison"]
    state |= {"scaler": state.pop("inputs"), "waiting": waiting}
    del state["mixture"]
    for part in ("whole", "late"):
        comparison[part]["model"] = comparison[part].pop("network")
        del comparison[part]["mixture"]
    save_model(learner.model, tmp_path / "old", state)
    old, again = Learner.load(tmp_path / "old", "numpy"), tmp_path / "again"
    want = [output.network for output in learner.learn(rows[70:])]
    assert [output.network for output in old.learn(rows[70:])] == want
    assert old.comparison.whole["network"].percent == learner.comparison.whole["network"].percent
    old.save(again)
    assert Learner.load(again, "numpy").learn(rows[:9]) == old.learn(rows[:9])
