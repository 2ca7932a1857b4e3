"""A sensorimotor column as a file, and back: the file of its memory's Model, and what stands around it."""

from numbers import Integral

from deephtm_gpu.errors import UserError
from deephtm_gpu.saving.loading import load_beside
from deephtm_gpu.saving.writing import save_model

KIND = "sensorimotor column"


def save_column(column, path):
    """Raises UserError where an object's name is neither text nor a whole number, or the file cannot be written."""
    names = []
    for name in column._places:
        if not isinstance(name, (str, Integral)):
            raise UserError(f"The object {name!r} cannot be saved; a file holds names that are texts or whole numbers: name it so.")
        names.append(name if isinstance(name, (str, bool)) else int(name))
    around = {"kind": KIND, "sizes": column._sizes, "codes": column._codes, "names": names,
              "places": {str(n): places for n, places in enumerate(column._places.values())}, "order": column._order.bit_generator.state}
    save_model(column.memory, path, around)


def load_column(kind, path, device):
    """kind: the class. Raises UserError where it is no such file, DeviceError where there is no such device."""
    memory, around = load_beside(path, device)
    if not isinstance(around, dict) or around.get("kind") != KIND:
        raise UserError(f"{path} holds no sensorimotor column; load it with dh.load.")
    try:
        column = kind(around["codes"], **around["sizes"], device=memory.session.opened)
        column._places = {name: around["places"][str(n)] for n, name in enumerate(around["names"])}
        column._order.bit_generator.state = around["order"]
        column._parts.take(memory)
    except UserError:
        raise
    except Exception as error:  # what stands in a file may be anything
        raise UserError(f"{path} does not describe a sensorimotor column ({type(error).__name__}: {error}); save it anew.") from None
    return column
