"""Layers, optimisers and schedules as plain data, and back.

An object is described by its class's name and the arguments of its constructor, which it keeps as attributes of the
same names: a new class needs nothing more to be saved. Back come only the public classes of `layers` and `optimisers`,
and among the arguments only plain data and schedules.
"""

import inspect

import numpy as np

from deephtm_gpu import layers, optimisers
from deephtm_gpu.errors import UserError
from deephtm_gpu.optimisers.schedules import Schedule


def describe(thing) -> dict:
    """{"class": its name, "arguments": {name: value}}. Raises UserError where it cannot be made again from that."""
    kind = type(thing)
    if _public(kind.__name__) is not kind:
        raise UserError(
            f"{thing!r} cannot be saved: its class must be one of deephtm_gpu, as a file holds no code, got "
            f"{kind.__name__!r}; use one of the package's own."
        )
    return {"class": kind.__name__, "arguments": {n: _plain(_kept(thing, n), thing) for n in arguments_of(kind)}}


def make(described: dict, kind: type):
    """The object that `describe` described, a `kind` (or of what its constructor returns). Raises UserError where there
    is no such class, and whatever the constructor has against the arguments."""
    name = described["class"]
    made = _public(name)
    if made is None or not issubclass(made, kind):
        raise UserError(f"It must name a {kind.__name__.lower()} of this version of deephtm_gpu, got {name!r}.")
    return made(**{n: _value(v) for n, v in described["arguments"].items()})


def arguments_of(kind: type) -> list[str]:
    """The names of its constructor's arguments."""
    return list(inspect.signature(kind).parameters)


def _public(name):
    """The class of that public name; None where there is none."""
    found = next((getattr(package, name) for package in (layers, optimisers) if name in package.__all__), None)
    return found if inspect.isclass(found) else None


def _kept(thing, name):
    try:
        return getattr(thing, name)
    except AttributeError:
        raise UserError(
            f"{thing!r} cannot be saved: it must keep its argument {name!r} as an attribute of the same name, got none."
        ) from None


def _plain(value, owner):
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (tuple, list)):
        return [_plain(v, owner) for v in value]
    try:
        return describe(value)
    except UserError as error:
        raise UserError(f"{owner!r} cannot be saved because of one of its arguments: {error}") from None


def _value(described):
    if isinstance(described, list):
        return tuple(_value(v) for v in described)
    return make(described, Schedule) if isinstance(described, dict) else described
