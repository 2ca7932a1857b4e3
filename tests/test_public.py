"""Every public name says what it takes, with a type, and what it gives, and shows an example that runs."""

import doctest
import inspect
import os
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import deephtm_gpu as dh
from deephtm_gpu.graph.nodes import Layer
from deephtm_gpu.losses.base import Loss
from deephtm_gpu.optimisers.base import Optimizer

ROOT = Path(__file__).resolve().parents[1]

NAMES = [name for name in dh.__all__]

# What a layer, a loss or an optimiser answers to the engine is documented once, at its base.
PROTOCOL = {name for base in (Layer, Loss, Optimizer) for name in vars(base)
            if not name.startswith("_")} | {"clock_key", "positions", "check_maps"}


def functions_of(name):
    """(what it is called, the function, the docstring that must name its arguments) of a public name and its
    methods."""
    thing = getattr(dh, name)
    if inspect.isfunction(thing):
        yield name, thing, thing.__doc__
        return
    for kind in thing.__mro__:
        if not kind.__module__.startswith("deephtm_gpu"):
            continue
        for method, member in vars(kind).items():
            function = member.fget if isinstance(member,
                                                 property) else inspect.unwrap(getattr(member, "__func__", member))
            if not inspect.isfunction(function) or method in PROTOCOL:
                continue
            if method in ("__init__", "__new__"):
                # not one that a subclass has replaced
                if getattr(thing, method) is member or getattr(thing, method) is function:
                    yield f"{name}.{method}", function, thing.__doc__
            elif method == "__call__" or not method.startswith("_"):
                yield f"{name}.{method}", function, function.__doc__


FUNCTIONS = {what: (function, doc) for name in NAMES for what, function, doc in functions_of(name)}


def arguments(function):
    return [p for n, p in inspect.signature(function).parameters.items() if n not in ("self", "cls")]


def section(doc, title):
    """The text of a numpydoc section; None where there is none."""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", inspect.cleandoc(doc or ""), re.M | re.S)
    return found and found[1]


@pytest.mark.parametrize("what", FUNCTIONS)
def test_arguments_and_results_have_types(what):
    function, _ = FUNCTIONS[what]
    lacking = [p.name for p in arguments(function) if p.annotation is p.empty]
    assert not lacking and inspect.signature(function).return_annotation is not inspect.Signature.empty
    typing.get_type_hints(function)  # they can be looked up


@pytest.mark.parametrize("what", FUNCTIONS)
def test_arguments_and_results_are_documented(what):
    function, doc = FUNCTIONS[what]
    assert doc and doc.strip()
    named = re.findall(r"^(\*{0,2}\w+(?:, \w+)*) : \S", section(doc, "Parameters") or "", re.M)
    named = [name.strip("*") for names in named for name in names.split(", ")]
    assert named == [p.name for p in arguments(function)]
    if inspect.signature(function).return_annotation not in (None, "None") and not what.endswith("__new__"):
        is_property = any(isinstance(vars(kind).get(function.__name__), property)
                          for kind in getattr(dh, what.split(".")[0]).__mro__
                          ) if "." in what else False
        assert is_property or section(doc, "Returns")


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_documented_as_they_are(name):
    thing = getattr(dh, name)
    for what, (function, doc) in FUNCTIONS.items():
        if what.split(".")[0] != name:
            continue
        text = section(doc, "Parameters") or ""
        for p in arguments(function):
            said = re.search(rf"^\**{p.name} : (.*)$", text, re.M)
            made = type(p.default).__name__ == "_HAS_DEFAULT_FACTORY_CLASS"  # of a dataclass: anew for each
            if p.default is p.empty or made or said is None or p.kind is p.VAR_POSITIONAL:
                continue
            default = re.search(r"default (.*)$", said[1])
            assert (p.default is None and "optional" in said[1]) or (default
                                                                     and eval(default[1]) == p.default), (what, p.name)
    assert inspect.cleandoc(thing.__doc__)


@pytest.mark.parametrize("name", NAMES)
def test_the_example_runs(name):
    thing = getattr(dh, name)
    assert ">>>" in (section(thing.__doc__, "Examples") or "")
    runner = doctest.DocTestRunner(verbose=False)
    tried = 0
    for test in doctest.DocTestFinder(recurse=False).find(thing, name, globs={}):
        tried += runner.run(test).attempted
    assert tried and runner.summarize(verbose=False).failed == 0


# Types, for those who import the package

MISTAKES = {
    'dh.Linear("many")': "arg-type",
    "dh.Linear(3)(dh.Linear(3))": "arg-type",
    "dh.SGD(0.1, momentun=0.9)": "call-arg",
    "loss: str = dh.MSE()": "assignment",
}


def mypy(script, cache):
    return subprocess.run([sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir",
                           str(cache), str(script)],
                          cwd=ROOT, env={**os.environ, "MYPYPATH": str(ROOT)}, capture_output=True, text=True,
                          check=False, timeout=600)


def test_a_users_script_passes_mypy_and_mistakes_do_not(tmp_path):
    done = mypy(Path(__file__).with_name("typed_user_script.py"), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for number, (mistake, found) in enumerate(MISTAKES.items()):
        wrong = tmp_path / f"wrong{number}.py"
        wrong.write_text(f"import deephtm_gpu as dh\n\n{mistake}\n", encoding="utf-8")
        done = mypy(wrong, tmp_path)
        assert done.returncode == 1 and found in done.stdout, (mistake, done.stdout)


def test_the_users_script_runs():
    script = Path(__file__).with_name("typed_user_script.py")
    done = subprocess.run([sys.executable, str(script)], cwd=ROOT, capture_output=True, text=True, check=False,
                          timeout=120)
    assert done.returncode == 0 and "loss" in done.stdout, done.stderr
