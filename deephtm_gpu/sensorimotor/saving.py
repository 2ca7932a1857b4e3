"""A sensorimotor column as a file, and back: the file of its memory's Model, with the column's own state beside it."""

from numbers import Integral

import numpy as np

from deephtm_gpu.arguments import finite
from deephtm_gpu.errors import UserError
from deephtm_gpu.losses.table import names_of
from deephtm_gpu.saving.graph import describe_network
from deephtm_gpu.saving.loading import load_beside
from deephtm_gpu.saving.tree import array_in
from deephtm_gpu.saving.writing import save_model

KIND = "sensorimotor column"


def save_column(column, path):
    """Raises UserError if an object's name is neither a text nor a whole number, or the file cannot be written."""
    names = []
    for name in column._places:
        if not isinstance(name, (str, Integral)):
            raise UserError(f"An object's name must be a text or a whole number in a saved column, got {name!r}; learn "
                            "it under such a name.")
        names.append(name if isinstance(name, (str, bool)) else int(name))
    places = {str(n): places for n, places in enumerate(column._places.values())}
    save_model(
        column.memory,
        path,
        {
            "kind": KIND,
            "sizes": column._sizes,
            "codes": column._codes,
            "names": names,
            "places": places,
            "order": column._order.bit_generator.state,
        },
    )


def load_column(kind, path, device):
    """kind: the class. Raises UserError if it is no such file, DeviceError if there is no such device."""
    memory, state = load_beside(path, device)
    if not isinstance(state, dict) or state.get("kind") != KIND:
        raise UserError(f"{path} must be a file of a sensorimotor column, got another file; load it with dh.load.")
    try:
        column = kind(state["codes"], **state["sizes"], device=memory.session.opened)
        if not _alike(memory, column.memory):
            raise UserError(f"{path} must hold the memory of such a column, got another model; save the column again.")
        if len(set(state["names"])) != len(state["names"]) or len(state["names"]) > column.capacity:
            raise ValueError(f"names must be of at most {column.capacity} objects, each once")
        column._places = {name: finite("places", array_in(state["places"], str(n), (None, 2), np.float32), ("L", 2))
                          for n, name in enumerate(state["names"])}
        column._order.bit_generator.state = state["order"]
        column._parts.take(memory)
    except UserError:
        raise
    except Exception as error:  # a file can contain anything
        raise UserError(f"{path} must describe a sensorimotor column, got an invalid description "
                        f"({type(error).__name__}: {error}); save the column again.") from None
    return column


def _alike(memory, own) -> bool:
    """Whether the loaded memory is what the column itself would have made, but for its weights."""
    return not memory.is_population and _made_of(memory) == _made_of(own)


def _made_of(model):
    setup = model.session.setup
    return model.streams, describe_network(setup.network), names_of(setup.losses), type(setup.optimizer)
