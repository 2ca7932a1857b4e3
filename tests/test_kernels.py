"""From a plan to kernels without a GPU: nothing in `kernels` needs one, or wgpu."""

import subprocess
import sys
from dataclasses import replace

import pytest

import deephtm_gpu as dh
from deephtm_gpu.errors import DeviceError
from deephtm_gpu.kernels.program import LoopLimitError, build
from deephtm_gpu.kernels.tuning import HARDWARE, SOFTWARE
from deephtm_gpu.plan.lowering import lower

OFFLINE = """
import sys
sys.modules["wgpu"] = None  # any import of it raises ImportError
from importlib import import_module
from pkgutil import iter_modules
import deephtm_gpu as dh
import deephtm_gpu.kernels as kernels
for module in iter_modules(kernels.__path__):
    import_module(f"deephtm_gpu.kernels.{module.name}")
from deephtm_gpu.kernels.program import build
from deephtm_gpu.plan.lowering import lower
plan, _ = lower(dh.Sequential(dh.Linear(8), dh.Linear(2)).network((2,)), ["mse"], dh.SGD(0.1), 1, 0, 1)
program = build(plan)
assert program.body and all("fn main(" in kernel.code for kernel in program.body)
print("built")
"""


def plan(columns=64):
    net = dh.Sequential(dh.Linear(columns), dh.SpatialPooler(columns, 4), dh.TemporalMemory(3), dh.Linear(2))
    return lower(net.network((2,)), ["mse"], dh.PolyakSGD(), 1, 0, 1)[0]


def test_kernels_are_built_where_there_is_no_wgpu():
    done = subprocess.run([sys.executable, "-c", OFFLINE], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and done.stdout == "built\n", done.stderr


def test_a_step_is_one_kernel_for_many_rows_or_several_for_one():
    one, several = (build(plan(), SOFTWARE, in_one=in_one) for in_one in (True, False))
    assert one.steps > 1 and len(one.body) == 1 and not one.head and not one.tail
    assert several.steps == 0 and several.body
    assert all(k.lanes == SOFTWARE.lanes and k.x >= 1 and k.y == 1 for k in several.body)


def test_a_program_is_mapped_kernel_by_kernel():
    program = build(plan(), in_one=False)
    names = program.map(lambda kernel: kernel.code)
    assert names.body == tuple(k.code for k in program.body) and names.steps == program.steps


def test_too_many_loop_iterations_are_an_error_that_names_the_layers():
    tuning = replace(SOFTWARE, loops=30)
    with pytest.raises(LoopLimitError, match=r"layers .*2.* need more than 30 loop iterations"):
        build(plan(), tuning)
    assert issubclass(LoopLimitError, DeviceError)
    assert build(plan(), replace(HARDWARE, loops=None)).body
