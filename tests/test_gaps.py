"""A learner of rows of which some have no value, or begin a new sequence."""

import math
from datetime import datetime, timedelta

import numpy as np
import pytest

from deephtm_gpu.learner import Learner, is_plain, parts
from deephtm_gpu.sources import Row


def row(value, t=0, **more):
    return Row(value, "" if value is None else str(value), datetime(2024, 1, 1) + timedelta(hours=t), "", **more)


def wave(T, gaps=(), resets=()):
    return [row(None if t in gaps else math.sin(t / 4), t, reset=t in resets) for t in range(T)]


def weights(learner):
    return {name: array.copy() for name, array in learner.model.state_dict().items()}


def scales(learner):
    state = learner._scaler.state()
    return state["changes"], state["values"]


def same(a, b):
    return all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("ahead", [1, 3])
def test_nothing_is_learned_in_a_gap_and_the_state_goes_on(ahead):
    learner = Learner(ahead, timed=True, device="numpy")
    learner.learn(wave(60))
    before, steps = weights(learner), learner.model.steps
    scale, likelihood = scales(learner), learner._likelihood.state()["seen"]
    outputs = learner.learn([row(None, 60 + t) for t in range(5)])
    assert same(before, weights(learner)) and learner.model.steps == steps + 5 and learner.gaps == 5
    assert scales(learner) == scale and learner._likelihood.state()["seen"] == likelihood
    assert all(math.isfinite(o.prediction) and o.anomaly is None and o.likelihood is None for o in outputs)
    assert len({o.prediction for o in outputs}) == 5
    assert learner.comparison.rows == 60
    learner.learn(wave(70)[65:])
    assert not same(before, weights(learner))


def test_the_prediction_of_a_gap_is_what_it_would_have_been():
    """It was made before the row came."""
    whole, broken = Learner(2, False, device="numpy"), Learner(2, False, device="numpy")
    a, b = whole.learn(wave(60)), broken.learn(wave(60, gaps=(50,)))
    assert a[:50] == b[:50]
    assert [x.prediction for x in a[50:52]] == [x.prediction for x in b[50:52]]
    assert a[52].prediction != b[52].prediction


def test_gaps_before_the_first_value_are_passed_over():
    learner, late = Learner(1, False, device="numpy"), Learner(1, False, device="numpy")
    outputs = learner.learn([row(None)] * 4 + wave(20))
    assert [o.prediction for o in outputs[:5]] == [None] * 5
    assert outputs[4:] == late.learn(wave(20)) and learner.gaps == 4


def test_the_first_gap_takes_the_last_value_where_nothing_was_predicted():
    learner = Learner(3, False, device="numpy")
    outputs = learner.learn(wave(10, gaps=(1, 2)))
    assert [o.prediction is None for o in outputs] == [True] * 3 + [False] * 7


@pytest.mark.parametrize("resets", [(), (20, 32)])
def test_chunks_do_not_matter(resets):
    rows = wave(60, gaps=(0, 7, 8, 9, 30, 31, 32, 59), resets=resets)
    whole, cut = Learner(2, True, device="numpy"), Learner(2, True, device="numpy")
    assert whole.learn(rows) == [o for i in range(0, 60, 7) for o in cut.learn(rows[i: i + 7])]
    assert same(weights(whole), weights(cut))


def test_it_goes_on_from_a_gap_to_the_bit(tmp_path):
    rows = wave(60, gaps=(28, 29, 30, 31, 45), resets=(50,))
    learner = Learner(2, True, device="numpy")
    learner.learn(rows[:30])
    learner.save(tmp_path / "saved")
    other = Learner.load(tmp_path / "saved", "numpy")
    assert other.gaps == 2 and other.last == learner.last
    assert learner.learn(rows[30:]) == other.learn(rows[30:])


def test_nothing_is_remembered_beyond_a_reset():
    outputs = []
    for first in (1.0, 5.0):
        learner = Learner(1, False, device="numpy")
        learner.learn(wave(30))
        learner.model.step([np.float32([first]), np.float32([first])], learn=False)  # another state, the same weights
        outputs.append(learner.learn([row(0.5, 30, reset=True)]))
        assert learner.learn(wave(40)[31:])
    assert outputs[0] == outputs[1] and outputs[0][0].prediction is None


def test_persistence_does_not_reach_over_a_reset():
    learner = Learner(1, False, device="numpy")
    learner.learn([row(float(t)) for t in range(5)] + [row(9.0, reset=True), row(None), row(2.0)])
    assert learner.comparison.whole["persistence"].rows == 5  # 4, and the last, forecast by the 9 before the gap
    assert learner.comparison.whole["network"].rows == 5


def test_parts():
    rows = wave(8, gaps=(2, 3, 5), resets=(0, 3, 7))
    assert [len(part) for part in parts(rows)] == [2, 1, 1, 1, 1, 1, 1] and sum(parts(rows), []) == rows
    assert is_plain(wave(3)) and not is_plain(wave(3, gaps=(1,))) and not is_plain(wave(3, resets=(0,)))
