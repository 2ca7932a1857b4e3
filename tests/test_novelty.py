"""Novelty and its quiet time against their formulas."""

import copy
import math
import pickle

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu.errors import UserError
from deephtm_gpu.novelty import ALARM, Quiet
from deephtm_gpu.saving.tree import join, split

SMALL = dict(values=60, distances=40, estimation=10, quiet=5, quiet_share=0.1)
RNG = np.random.default_rng(0)
SERIES = {
    "numbers": RNG.normal(size=400),
    "ties": RNG.integers(0, 12, 400).astype(float),
    "constants": np.repeat(RNG.normal(size=20).round(1), 20),
    "steps": np.repeat(RNG.integers(-3, 4, 8).astype(float), 50) + RNG.integers(0, 2, 400) / 8,
    "far apart": RNG.choice([-1.7e308, -1.0, -0.0, 0.0, 1e-300, 1.7e308], 400),
}


def by_formula(xs, values=20_000, distances=4_000, estimation=100, quiet=50, quiet_share=0.03):
    """The scores of a whole series, each from all rows before it."""
    with np.errstate(over="ignore"):
        g = [np.inf if t == 0 else np.abs(xs[t] - xs[max(0, t - values):t]).min() for t in range(len(xs))]
    raw = np.zeros(len(xs))
    for t in range(1, len(xs)):
        known = np.array(g[1:t][-distances:])
        m = np.sum(known >= g[t])
        if len(known) >= estimation and m < len(known):
            raw[t] = 1 / (1 + m)
    return quieted(raw, quiet, quiet_share)


def quieted(raw, rows, share):
    waits = [max(rows, math.floor(share * (t + 1))) for t in range(len(raw))]
    return np.array([x if all(raw[max(0, t - waits[t]):t] < x) else 0.0 for t, x in enumerate(raw)])


@pytest.mark.parametrize("settings", [SMALL, SMALL | dict(quiet=0, quiet_share=0), SMALL | dict(values=1),
                                      SMALL | dict(distances=10), {}], ids=str)
@pytest.mark.parametrize("kind", SERIES)
def test_formula(kind, settings):
    expected = by_formula(SERIES[kind], **settings)
    np.testing.assert_array_equal(dh.Novelty(**settings).batch(SERIES[kind]), expected)


def test_the_formula_has_something_to_find():
    for kind, least in (("numbers", 4), ("ties", 2), ("steps", 2)):
        scores = by_formula(SERIES[kind], **SMALL)
        assert 1 < (scores > 0).sum() < 200 and len(set(scores)) >= least, kind


def test_no_score_depends_on_later_rows():
    xs = SERIES["steps"]
    whole = dh.Novelty(**SMALL).batch(xs)
    for end in (1, 11, 50, 61, 233, 399):
        changed = np.concatenate([xs[:end], RNG.normal(0, 100, len(xs) - end)])
        scores = dh.Novelty(**SMALL).batch(changed)
        np.testing.assert_array_equal(scores[:end], whole[:end])
        assert end > 300 or (scores[end:] != whole[end:]).any()


def saved(novelty):
    """Its state as the saved file of a learner has it."""
    return join(*split(novelty.state(), "novelty"))


def through_state(novelty):
    other = dh.Novelty(**SMALL)
    other.batch(RNG.normal(size=77))  # is forgotten
    other.restore(saved(novelty))
    return other


@pytest.mark.parametrize("way", [through_state, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))],
                         ids=["state", "deepcopy", "pickle"])
@pytest.mark.parametrize("kind", SERIES)
def test_it_continues_to_the_bit(way, kind):
    xs = SERIES[kind]
    whole = dh.Novelty(**SMALL).batch(xs)
    for end in (0, 1, 2, 35, 60, 250):
        before = dh.Novelty(**SMALL)
        before.batch(xs[:end])
        after = way(before)
        before.batch(SERIES["numbers"])  # is not seen by the other
        np.testing.assert_array_equal(after.batch(xs[end:]), whole[end:])


def test_memory_is_bounded():
    xs = np.random.default_rng(1).normal(size=3000) * np.linspace(1, 50, 3000)
    novelty = dh.Novelty(**SMALL)
    sizes = []
    for x in xs:
        novelty.update(x)
        sizes.append([a.size for a in novelty.state().values() if isinstance(a, np.ndarray)])
    values, distances, *highest = np.max(sizes, axis=0)
    # The scores compared with later ones differ, and there are only as many as there are distances, and 0.
    assert (values, distances) == (60, 40) and max(highest) <= 41
    assert len(pickle.dumps(novelty)) < 4000


def test_a_constant_series_is_nothing_new():
    assert not dh.Novelty().batch(np.full(2000, 3.25)).any()
    assert not dh.Novelty().batch(np.arange(2000) % 3).any()


def test_a_jump_in_a_sine():
    t = np.arange(2000)
    xs = np.sin(t / 7) + np.random.default_rng(2).normal(0, 0.02, 2000)
    xs[1500:1520] += 3
    scores = dh.Novelty().batch(xs)
    assert scores[1500] >= ALARM and not (scores[1501:1520] >= ALARM).any()
    xs[1500:1520] -= 3
    assert dh.Novelty().batch(xs)[1500] < ALARM


def test_a_long_run_of_alarms_is_quieted():
    rng = np.random.default_rng(3)
    xs = rng.random(3000)
    xs[2000:2200] = 10.0 ** np.linspace(1, 9, 200)  # each further away than the one before
    loud, scores = dh.Novelty(quiet=0, quiet_share=0).batch(xs), dh.Novelty().batch(xs)
    assert (loud[2000:2200] >= ALARM).sum() == 200 and np.flatnonzero(scores[2000:2200] >= ALARM).tolist() == [0]


@pytest.mark.parametrize("rows, share", [(0, 0), (1, 0), (7, 0), (0, 0.1), (3, 0.05), (0, 1)])
def test_quiet(rows, share):
    xs = np.random.default_rng(4).integers(0, 50, 500)
    quiet = Quiet(rows, share)
    assert [quiet.update(x) for x in xs] == quieted(xs, rows, share).tolist()


def test_a_value_that_is_not_finite_is_refused_and_leaves_no_trace():
    novelty, untouched = dh.Novelty(**SMALL), dh.Novelty(**SMALL)
    for x in SERIES["numbers"]:
        for bad in (math.nan, math.inf, -math.inf):
            with pytest.raises(UserError, match=f"must be finite numbers, got {bad}; .*[.]$"):
                novelty.update(bad)
        assert novelty.update(x) == untouched.update(x)


@pytest.mark.parametrize("change, said", [
    (dict(values=0), "values of Novelty must be a whole number, 1 or more, got 0"),
    (dict(values=2.5), "values of Novelty must be a whole number"),
    (dict(distances=0), "distances of Novelty must be a whole number, 1 or more, got 0"),
    (dict(estimation=0), "estimation of Novelty must be a whole number, 1 or more, got 0"),
    (dict(estimation=41), r"must have estimation <= distances, got Novelty\(estimation=41, distances=40\)"),
    (dict(quiet=-1), "quiet time must be a whole number, 0 or more, got -1"),
    (dict(quiet_share=1.5), "part of the rows so far must be a number from 0 to 1, got 1.5"),
    (dict(quiet_share=math.nan), "part of the rows so far must be a number from 0 to 1, got nan"),
])
def test_bad_settings(change, said):
    with pytest.raises(UserError, match=said):
        dh.Novelty(**SMALL | change)


@pytest.mark.parametrize("other, said", [
    (dict(values=59), "last 59 values of 300, got 60; make the Novelty with the same values"),
    (dict(values=61), "last 61 values of 300, got 60"),
    (dict(distances=39), "last 39 distances of 299, got 40"),
])
def test_a_state_of_other_settings(other, said):
    novelty = dh.Novelty(**SMALL)
    novelty.batch(SERIES["numbers"][:300])
    with pytest.raises(UserError, match=said):
        dh.Novelty(**SMALL | other).restore(novelty.state())


@pytest.mark.parametrize("name, forge", [
    ("values", lambda a: a * np.nan), ("values", lambda a: a[:5]), ("values", lambda a: a.astype(np.float32)),
    ("values", lambda a: 3), ("distances", lambda a: -1 - a), ("distances", lambda a: np.append(a, 1.0)),
    ("highest_rows", lambda a: np.full_like(a, a[-1])), ("highest_rows", lambda a: a[:-1]),
    ("highest_rows", lambda a: a + 1), ("highest_scores", lambda a: a[::-1]),
    ("highest_scores", lambda a: a * np.nan), ("rows", lambda n: n + 1), ("rows", lambda n: -1),
    ("rows", lambda n: 0.5),
])
def test_a_forged_state_is_refused_and_changes_nothing(name, forge):
    xs = np.append(SERIES["numbers"][:300], [100.0, 5.0])  # two scores to compare with
    novelty, other = dh.Novelty(**SMALL), dh.Novelty(**SMALL)
    novelty.batch(xs)
    other.batch(xs)
    state = novelty.state()
    assert len(state["highest_scores"]) > 1
    with pytest.raises((UserError, ValueError)):
        other.restore(state | {name: forge(state[name])})
    np.testing.assert_array_equal(other.batch(xs), novelty.batch(xs))
