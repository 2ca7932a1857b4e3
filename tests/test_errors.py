"""Errors cross the borders of processes whole."""

import copy
import pickle

import pytest

from deephtm_gpu.errors import DeviceError, TrainingError, UserError

ERRORS = [UserError("X must be 1, got 2; give 1."), DeviceError("No such device."),
          TrainingError("Training diverged.", 17, "layer 3", (2, 5)),
          TrainingError("Training diverged.", 17, "layer 3")]


WAYS = [copy.copy, copy.deepcopy,
        *(lambda e, p=p: pickle.loads(pickle.dumps(e, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1))]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_an_error_is_copied_and_pickled_whole(error, way):
    error.add_note("in sensor 7")
    other = way(error)
    assert type(other) is type(error) and str(other) == str(error)
    assert vars(other) == vars(error) and other.args == error.args
