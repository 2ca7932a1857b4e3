"""The flow table: its rows measure what they say."""

import numpy as np
import pytest

from deephtm_gpu.bench import flow
from deephtm_gpu.bench.networks import levels_model
from deephtm_gpu.bench.object_rows import _recognised
from deephtm_gpu.data.words import words
from deephtm_gpu.errors import UserError


def test_rows_are_chosen_by_part_of_their_names():
    assert len({row.name for row in flow.rows()}) == len(flow.rows())
    assert [row.name for row in flow.rows("500 OBJ")] == ["500 objects, 64 cells"]
    with pytest.raises(UserError, match=r"(?s)nonsense.*\n  500 objects, 64 cells"):
        flow.rows("nonsense")


def test_the_column_is_measured_beside_the_ideal_observer():
    figures = _recognised(seed=31, device="numpy", count=15)
    assert all(figures[f"short of the ideal after {k}"] <= 5 and figures[f"ideal after {k}"] > 20 for k in (2, 3, 4))
    assert figures["right after 4"] >= 95 and figures["wrong at any of these"] <= 2
    blind = _recognised(seed=31, device="numpy", count=100, cells_per_column=1, exposures=1, sensations=3)
    assert blind["right after 3"] < 30


def test_where_the_upper_level_never_ticks_it_gives_nothing_back():
    """The control of the levels: all that the feedback brings is 0."""
    text = words(between=1, steps=300, seed=33)
    model = levels_model(text, seed=33, device="numpy")
    for ends, speaks in ((np.zeros_like(text.ends), False), (text.ends, True)):
        model.reset()
        model.fit([text.task.inputs, ends], targets=text.task.targets)
        held = [
            name for name in model.session.plan.tensors if name.startswith("previous") and name.endswith("kept_value")
        ]
        assert len(held) == 2 and all(model.session.backend.read(name).any() == speaks for name in held)
