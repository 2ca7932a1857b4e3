"""Functions that can be read at a glance."""

import ast
from pathlib import Path

import pytest

import deephtm_gpu

PACKAGE = Path(deephtm_gpu.__file__).parent
LONGEST = 40  # lines of a function, its docstring left out

# Longer today, and no longer than this: to be made shorter, then struck out here.


def lengths(source):
    """(name, lines without the docstring) of every function, those within another too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            doc = node.body[0] if ast.get_docstring(node) is not None else None
            yield node.name, node.end_lineno - node.lineno + 1 - (doc.end_lineno - doc.lineno + 1 if doc else 0)


def long_functions():
    found = {}
    for path in PACKAGE.rglob("*.py"):
        for name, lines in lengths(path.read_text(encoding="utf-8")):
            if lines > LONGEST:
                found[f"{path.relative_to(PACKAGE).as_posix()} {name}"] = lines
    return found


def test_no_function_is_long():
    found = long_functions()
    assert not found


@pytest.mark.parametrize("source, expected", [
    ("def f():\n    return 1\n", [("f", 2)]),
    ('def f():\n    """One.\n\n    Two."""\n    return 1\n', [("f", 2)]),
    ("class A:\n    def f(self):\n        def g():\n            pass\n        return g\n", [("f", 4), ("g", 2)]),
])
def test_lines_are_counted_without_docstrings(source, expected):
    assert sorted(lengths(source)) == expected
