"""Which module may import which. An import inside a function counts as one at the top of a file."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import deephtm_gpu

PACKAGE = Path(deephtm_gpu.__file__).parent

# From the bottom up: a module may import what stands in its own package or in a line above, never what stands beside it
# or below.
ORDER = (
    ("errors",),
    ("arguments", "files", "numeric"),
    ("ops",),  # references: NumPy alone
    ("graph",),  # nodes and networks: know neither layers nor plans
    ("plan.tensors",),
    ("layers", "losses"),
    ("plan",),  # lowering: knows layers and optimisers only as objects that lower themselves
    ("optimisers",),
    ("kernels",),  # WGSL text: knows no driver
    ("backends",),
    ("history", "series", "state"),
    ("saving",),  # of tensors, networks and objects; a model is read from a file by the last line of it
    ("anomaly", "novelty"),
    ("session",),
    ("saving.writing", "arrangement", "callbacks"),
    ("copying", "inspection", "fitting"),
    ("looking",),
    ("model",),
    ("population",),
    ("saving.loading",),
    ("sensorimotor",),
    ("deephtm_gpu",),  # the public names
    ("data",),
    ("sources",),
    ("forecast",),
    ("learner",),
    ("validate", "view", "adapters"),
    ("bench",),
    ("cli",),
    ("__main__",),
)

# The driver of the GPU: its own backend, the probes of a compiler, and what draws in a window.
WGPU = ("backends.wgpu", "validate.probes", "view.live.window", "view.live.paint", "bench.speed.roofline")

# Only adapters need these: who imports the package neither needs them nor waits for them.
OPTIONAL = {"river", "sklearn", "narwhals", "pandas", "polars", "pyarrow"}

KNOWN_CIRCLES: tuple[set[str], ...] = ()
KNOWN_IMPORTS: set[tuple[str, str]] = set()


def modules():
    """Name without the package's own ("deephtm_gpu" for that itself) -> path."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "deephtm_gpu"] = path
    return found


def imports_of(source, known):
    """The names of the modules that a text imports, those of the package as in `known`, others whole."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _own(alias.name, known)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written with the package's name"
            for alias in node.names:
                whole = _own(f"{node.module}.{alias.name}", known)
                yield whole if whole in known else _own(node.module, known)


def _own(name, known):
    if name == "deephtm_gpu":
        return name
    short = name.removeprefix("deephtm_gpu.")
    return short if name.startswith("deephtm_gpu.") and short in known else name


def graph():
    known = modules()
    return {name: set(imports_of(path.read_text(encoding="utf-8"), known)) for name, path in known.items()}


def circles(edges):
    """The sets of modules that import one another, however far round (Tarjan 1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(v):
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in edges[v] & edges.keys():
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            members = stack[stack.index(v):]
            del stack[stack.index(v):]
            if len(members) > 1 or v in edges[v]:
                found.append(set(members))

    for v in edges:
        if v not in index:
            visit(v)
    return found


def line_of(module):
    """The line of ORDER that a module stands in, and its package there: the longest name that fits."""
    fitting = [(len(package), n, package) for n, packages in enumerate(ORDER) for package in packages
               if module == package or module.startswith(package + ".")]
    assert fitting, f"{module} stands in no line of ORDER: say which modules it may import by putting it there"
    return max(fitting)[1:]


def test_no_modules_import_one_another():
    unknown = [sorted(circle) for circle in circles(graph()) if not any(circle <= known for known in KNOWN_CIRCLES)]
    assert not unknown


def test_modules_import_only_what_stands_below_them():
    wrong = []
    for module, imported in graph().items():
        line, package = line_of(module)
        for other in imported & modules().keys():
            if line_of(other)[1] != package and line_of(other)[0] >= line and (module, other) not in KNOWN_IMPORTS:
                wrong.append(f"{module} imports {other}")
    assert not wrong


def test_only_the_backend_knows_wgpu():
    edges = graph()
    users = {m for m, imported in edges.items()
             if any(name.split(".")[0] in ("wgpu", "rendercanvas") for name in imported)}
    assert users and not [m for m in users if not any(m == w or m.startswith(w + ".") for w in WGPU)]


TRIED = """
import sys

class Watch:
    @staticmethod
    def find_spec(name, path=None, target=None):
        print(name)

sys.meta_path.insert(0, Watch)
import deephtm_gpu.cli.main, deephtm_gpu.learner, deephtm_gpu.data, deephtm_gpu.adapters, deephtm_gpu.adapters.online
"""


def test_the_package_does_without_what_adapters_need():
    """Whether they are installed or not: what is tried to be imported counts."""
    done = subprocess.run([sys.executable, "-c", TRIED], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    tried = set(done.stdout.split())
    assert "deephtm_gpu.learner" in tried and not tried & OPTIONAL


def test_what_is_known_is_still_so():
    """An entry that is no longer needed goes."""
    edges, found = graph(), circles(graph())
    assert all(any(circle <= known for circle in found) for known in KNOWN_CIRCLES)
    assert all(other in edges[module] for module, other in KNOWN_IMPORTS)


@pytest.mark.parametrize("edges, expected", [
    ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
    ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, [{"a", "b", "c"}]),
    ({"a": {"a"}}, [{"a"}]),
    ({"a": {"b"}, "b": {"a", "c"}, "c": {"d"}, "d": {"c"}}, [{"a", "b"}, {"c", "d"}]),
])
def test_circles_are_found(edges, expected):
    assert sorted(map(sorted, circles(edges))) == sorted(map(sorted, expected))


def test_imports_in_functions_count():
    known = {"plan": 0, "plan.scope": 0, "deephtm_gpu": 0}
    source = "import wgpu.utils\ndef f():\n    from deephtm_gpu.plan import scope, other\n    import deephtm_gpu as dh"
    assert set(imports_of(source, known)) == {"wgpu.utils", "plan.scope", "plan", "deephtm_gpu"}
