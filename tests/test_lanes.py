"""All lanes one after the other: sound kernels have no fault, and each kind of mistake is seen."""

import re
from functools import partial

import pytest

from deephtm_gpu.backends.lanes.backend import OnLanes
from deephtm_gpu.backends.lanes.meaning import FUNCTIONS, OPERATORS, Int, signed
from deephtm_gpu.backends.lanes.memory import UNSET, Faults, Watched
from deephtm_gpu.cli.main import main
from deephtm_gpu.kernels.compose import files_of, shader_text
from deephtm_gpu.ops.table import OPS
from deephtm_gpu.validate import check_ops
from deephtm_gpu.validate.lanes import _small, check_lanes

# (shader, what stands there, what is put in its place, what is said)
BREAKS = [
    ("relu", "work[y + i] =", "work[y + i + 9000000u] =", "is written, and it has"),
    ("relu", "work[x + i]", "work[x + i - 9000000u]", "is read, and it has"),
    ("lib/reduce", "scratch[lane] = value;\n  for", "for", "nothing was written there"),
    ("lib/reduce", "    workgroupBarrier();\n    if (lane % span < half) { scratch[lane] += scratch[lane + half]; }",
     "    if (lane % span < half) { scratch[lane] += scratch[lane + half]; }", "with no barrier|nothing was written"),
    ("context", "    storageBarrier();\n    workgroupBarrier();  // the", "    workgroupBarrier();  // the",
     "work.*with no barrier between"),
    ("update", "      storageBarrier();\n      workgroupBarrier();  // and the counts", "      workgroupBarrier();",
     "params.*with no barrier between"),
    ("topk", "  storageBarrier();\n  workgroupBarrier();\n}", "}", "lists.*with no barrier between"),
    ("lib/reduce", "  workgroupBarrier();\n  let total = scratch[lane - lane % span];",
     "  if (lane > 0u) { workgroupBarrier(); }\n  let total = scratch[lane - lane % span];", "some lanes reach a"),
    ("update", "let last = min(O, (part + 1u) * share);", "let last = O;", "in one dispatch"),
]


@pytest.mark.parametrize("file, old, new, said", BREAKS)
def test_a_mistake_is_seen(file, old, new, said):
    text = shader_text(file)
    assert old in text
    override = {file: text.replace(old, new, 1)}
    ops = [op for op in OPS if file in files_of(op.shader)]
    found = []
    for op in ops:
        found += [c.where for c in check_lanes(8, [op], (), override) if not c.holds]
        if found:
            break
    assert found and any(re.search(said, where) for where in found), found


@pytest.mark.parametrize("lanes", [1, 2, 16])
def test_other_numbers_of_lanes(lanes):
    ops = [op for op in OPS if op.name in ("relu", "topk", "gate", "update", "conv", "grid")]
    assert all(c.holds for c in check_lanes(lanes, ops, ()))


def test_command(capsys, tmp_path, monkeypatch):
    """With some of the ops; CI calls the command itself."""
    some = [op for op in OPS if op.name in ("relu", "topk", "context", "grid")]
    monkeypatch.setattr("deephtm_gpu.validate.lanes.check_lanes", partial(check_lanes, ops=some, networks=()))
    assert main(["validate", "--device", "cpu", "--check", "--json", str(tmp_path / "checks.json")]) == 0
    assert "all hold" in capsys.readouterr().out
    assert main(["validate", "--check"]) == 2
    assert "--check needs --device cpu" in capsys.readouterr().err


@pytest.mark.soak
def test_all_sizes():
    """Without the ones that take minutes."""
    make = OnLanes(8)
    assert all(c.holds for c in check_ops(make, [op if op.name != "sampled" else _small(op) for op in OPS]))
    assert not make.faults.found


def test_races_between_workgroups_and_lanes():
    faults = Faults()
    memory = Watched("work", [0.0] * 4, faults, True)
    memory.write(0, 1.0, 0)
    memory.write(0, 1.0, 1)  # the same number: nothing is lost
    memory.read(1, 0)
    memory.write(1, 0.0, 1)  # what stood there
    assert not faults.found
    memory.enter(1)
    memory.write(0, 2.0, 0)
    assert "touched by another in one dispatch" in faults.found[0]
    other = Watched("keys", [UNSET] * 2, faults, False)
    assert other.read(0, 3) == 0 and "nothing was written" in faults.found[-1]


@pytest.mark.parametrize("operator, a, b, value", [
    ("+", 0xFFFFFFFF, 2, 1), ("-", 0, 1, 0xFFFFFFFF), ("*", 0x10000, 0x10000, 0), ("/", 7, 2, 3), ("%", 7, 0, 0),
    ("-", Int(2), 5, -3), ("/", Int(-7), Int(2), -3), ("*", (1.0, 2.0), 2.0, (2.0, 4.0)), (">>", 0x80000000, 31, 1),
    ("<", (1, 5), (2, 3), (True, False))])
def test_operators_mean_what_wgsl_says(operator, a, b, value):
    assert OPERATORS[operator](a, b) == value


def test_functions_mean_what_wgsl_says():
    assert FUNCTIONS["firstTrailingBit"](0) == 0xFFFFFFFF and FUNCTIONS["countLeadingZeros"](1) == 31
    assert FUNCTIONS["u32"](-2.5) == 0 and FUNCTIONS["u32"](1e20) == 0xFFFFFFFF and signed(0xFFFFFFFF) == -1
    assert FUNCTIONS["exp"](1000.0) == float("inf") and FUNCTIONS["bitcast<u32>"](1.0) == 0x3F800000
