"""The symbol tasks, read back from their streams; what scores them; and what trivial predictors reach."""

import re

import numpy as np
import pytest

from deephtm_gpu.data.high_order import high_order
from deephtm_gpu.data.letters import letters
from deephtm_gpu.data.reber import reber
from deephtm_gpu.data.symbol_baselines import frequent_accuracy, frequent_right, markov_accuracy, markov_right
from deephtm_gpu.data.symbols import SymbolTask, elements_to, moving_accuracy
from deephtm_gpu.data.words import words
from deephtm_gpu.errors import UserError

TASKS = {
    "high order": lambda seed=0, steps=3000: high_order(steps, seed, swap_at=1500),
    "two endings": lambda seed=0, steps=3000: high_order(steps, seed, swap_at=1500, endings=2),
    "noise in 100 classes": lambda seed=0, steps=3000: high_order(
        steps, seed, swap_at=1500, endings=4, noise_classes=100
    ),
    "letters": lambda seed=0, steps=3000: letters(5, steps, seed),
    "reber": lambda seed=0, steps=3000: reber(steps, seed),
    "reber in codes": lambda seed=0, steps=3000: reber(steps, seed, code=16),
}


@pytest.mark.parametrize("make", TASKS.values(), ids=TASKS)
def test_every_task(make):
    task, again, other = make(), make(), make(seed=1)
    assert task.inputs.dtype == np.float32 and task.inputs.shape == (3000, task.inputs.shape[1])
    assert (
        task.symbols.shape == (3001,)
        and task.targets.shape == (3000,)
        and task.valid.shape == (len(task.queries), task.classes)
    )
    assert 0 <= task.symbols.min() and task.symbols.max() == task.classes - 1
    assert (np.diff(task.queries) > 0).all() and task.queries[-1] < 3000
    assert task.hits(task.targets[task.queries]).all()  # what comes is valid
    np.testing.assert_array_equal(task.inputs, again.inputs)
    np.testing.assert_array_equal(task.symbols, again.symbols)
    assert (task.symbols != other.symbols).any()

    shorter = make(steps=2000)  # a shorter task is the beginning of a longer one
    np.testing.assert_array_equal(shorter.inputs, task.inputs[:2000])
    np.testing.assert_array_equal(shorter.targets, task.targets[:2000])
    np.testing.assert_array_equal(shorter.valid, task.valid[:len(shorter.queries)])


def _text(task):
    return "".join("." if name.startswith("noise") else name for name in (task.names[s] for s in task.symbols))


@pytest.mark.parametrize("endings", [1, 2, 4])
def test_high_order_sequences(endings):
    task = high_order(8000, 3, swap_at=4000, endings=endings)
    text = _text(task)
    old, new = set(text[:task.swap_at].split(".")[:-1]), set(text[task.swap_at:].split(".")[:-1])
    assert len(old) == len(new) == 8 * endings and not old & new
    assert {len(s) for s in old} == {7, 8}
    sequences = {(s[0], s[1:-1]) for s in old}
    assert len(sequences) == 8 and len({inner for _, inner in sequences}) == 4

    def endings_of(sequences, first, inner):
        return {s[-1] for s in sequences if s[:-1] == first + inner}

    for first, inner in sequences:
        (partner,) = {f for f, i in sequences if i == inner} - {first}
        assert (
            endings_of(old, first, inner) == endings_of(new, partner, inner)
            and len(endings_of(old, first, inner)) == endings
        )
    valid = {"".join(np.array(task.names)[row]) for row in task.valid}
    assert {len(v) for v in valid} == {endings}


def test_high_order_stream():
    task = high_order()
    assert task.inputs.shape == (20_000, 16) and task.classes == 11 and 10_000 <= task.swap_at < 10_009
    # Noise symbols, a code each, in one class.
    assert len(np.unique(task.inputs[task.symbols[:-1] == 10], axis=0)) > 1000
    assert len(np.unique(task.inputs[task.symbols[:-1] < 10], axis=0)) == 10
    assert abs(task.inputs.mean()) < 0.1 and abs(task.inputs.std() - 1) < 0.15
    assert high_order(300, swap_at=None, noise_classes=100).classes == 110


@pytest.mark.parametrize("n", [1, 3, 20])
def test_letters(n):
    task = letters(n, 4000)
    middle = "".join(f"m{i}" for i in range(1, n + 1))
    text = _text(task)
    assert re.fullmatch(rf"((A{middle}D|X{middle}Y)\.{{1,3}})+[AXDYm\d]*", text)
    assert task.classes == 14 + n and task.inputs.shape == (4000, 16)
    assert len(np.unique(task.inputs, axis=0)) == task.classes
    assert (task.symbols[task.queries] == 3 + n).all()


def test_reber():
    task = reber(20_000)
    text = _text(task)
    lower = "T*V(?:PXT*V)*"  # through the lower loop, by P to the upper end and by X back, as often as it likes
    inner = re.compile(rf"B(?:TS*X(?:S|X{lower}(?:V|PS))|P{lower}(?:V|PS))E")
    for t in task.queries:
        start = text.rindex("B", 0, t)
        assert inner.fullmatch(text[start:t + 1]) and text[t + 1] == text[start - 1]
    assert len(task.queries) > 1000 and task.inputs.shape == (20_000, 7) and (task.inputs.sum(axis=1) == 1).all()
    assert set("".join(text)) == set("BTPSXVE")


# Scores


def test_right():
    task = SymbolTask(np.zeros((4, 1), np.float32), np.array([0, 1, 2, 0, 2]), np.array([1, 3]),
                      np.array([[0, 1, 1], [0, 0, 1]], bool), ("a", "b", "c"))
    prediction = np.zeros((4, 3))
    prediction[1], prediction[3] = [0.2, 0.4, 0.4], [0.5, 0.1, 0.4]
    assert task.right(prediction).tolist() == [True, False] and task.targets.tolist() == [1, 2, 0, 2]
    with pytest.raises(UserError, match=r"must have shape \(4, 3\).*got shape \(4, 2\)"):
        task.right(prediction[:, :2])


def test_moving_accuracy():
    np.testing.assert_allclose(moving_accuracy(np.array([1, 0, 1, 1], bool), 2), [np.nan, 0.5, 0.5, 1])
    assert np.isnan(moving_accuracy(np.ones(5, bool), 100)).all()


def test_elements_to():
    task = high_order(seed=2)
    before = int(np.sum(task.queries < task.swap_at))
    right = np.ones(len(task.queries), bool)
    assert elements_to(task, right) == (task.queries[99] + 1, task.queries[before + 99] + 1 - task.swap_at)
    right[:50] = False  # 95 of a hundred are right when 5 of these are left
    right[before + 10:] = False
    assert elements_to(task, right) == (task.queries[144] + 1, None)
    task = high_order(900, swap_at=None)
    assert elements_to(task, np.ones(len(task.queries), bool)) == (task.queries[99] + 1, None)
    assert elements_to(task, np.ones(len(task.queries), bool), window=200) == (None, None)


# Baselines


def test_baselines_of_letters():
    task = letters(5)
    assert (
        0.4 < frequent_accuracy(task) < 0.6
        and 0.4 < markov_accuracy(task, 1) < 0.6
        and 0.4 < markov_accuracy(task, 5) < 0.6
    )
    assert markov_accuracy(task, 6) == 1


def test_baselines_of_high_order():
    task = high_order()
    assert frequent_right(task).mean() < 0.35
    assert elements_to(task, markov_right(task, 1)) == (None, None)
    before, after = elements_to(task, markov_right(task, 7, recent=True))
    assert before < 1500 and after < 1500  # a table of whole sequences learns it, and forgets at once
    assert elements_to(task, markov_right(task, 7))[1] is None  # counting does not: the old endings lead until the end


def test_baselines_of_reber():
    task = reber()
    assert 0.4 < frequent_accuracy(task) < 0.6 and 0.4 < markov_accuracy(task, 2) < 0.65


@pytest.mark.parametrize("make, said", [
    (lambda: high_order(0), "steps .* must be 1 or more, got 0"),
    (lambda: high_order(endings=3), "endings must be 1, 2 or 4, got 3"),
    (lambda: high_order(noise_classes=0), "noise_classes must be from 1 to 5000, .*got 0"),
    (lambda: high_order(100), "swap_at must be a step from 1 to 99, got 10000; .*None"),
    (lambda: letters(0), "n, .* must be 1 or more, got 0"),
    (lambda: reber(code=0), "code, .* must be 1 or more, got 0"),
])
def test_refused(make, said):
    with pytest.raises(UserError, match=said):
        make()


@pytest.mark.parametrize(
    "wrong, says",
    [
        (dict(between=-1), "between must be .*got -1"),
        (dict(between=1.5), "between must be .*got 1.5"),
        (dict(between="a"), "between must be .*got 'a'"),
        (dict(steps=0), "steps must be .*got 0"),
        (dict(steps=2.5), "steps must be .*got 2.5"),
        (dict(openings=3), "openings must be 1 or 2, got 3"),
        (dict(openings=1.0), "openings must be .*got 1.0"),
        (dict(seed=-1), "seed must be .*got -1"),
        (dict(seed="a"), "seed must be .*got 'a'"),
    ],
)
def test_words_that_cannot_be(wrong, says):
    with pytest.raises(UserError, match=says):
        words(**{"steps": 10} | wrong)
