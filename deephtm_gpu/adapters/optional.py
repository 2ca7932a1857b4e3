"""Packages that only an adapter needs."""

from importlib import import_module
from types import ModuleType

from deephtm_gpu.errors import UserError


class MissingPackageError(UserError, ImportError):
    """An optional package is not installed. It can be caught as an ImportError too."""


def import_optional(module: str, extra: str) -> ModuleType:
    """Import a module of an optional package.

    Parameters
    ----------
    module : str
        Its whole name, such as "river.base".
    extra : str
        The extra of this package that installs it.

    Returns
    -------
    module

    Raises
    ------
    MissingPackageError
        If the package is not installed.
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise  # it is installed, and something that it needs is not
        raise MissingPackageError(f"deephtm_gpu.adapters.{extra} needs the package {package}, which is not installed; "
                                  f"install it (pip install deephtm_gpu[{extra}]).") from None
