"""The examples in the docstrings run, and what they print is right."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

from deephtm_gpu.adapters.optional import MissingPackageError

ROOT = Path(__file__).parent.parent
MODULES = sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "deephtm_gpu").rglob("*.py")
                 if ">>> " in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    try:
        module = import_module(name)
    except MissingPackageError as error:
        pytest.skip(str(error))
    failed, attempted = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert attempted and not failed


def test_there_are_examples():
    assert {
        "deephtm_gpu.learner",
        "deephtm_gpu.data.sine",
        "deephtm_gpu.sensorimotor.column",
        "deephtm_gpu.view.rasters",
    } <= set(MODULES)
