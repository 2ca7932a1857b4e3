"""Every backend keeps the written protocol: its members, their signatures, and what they guarantee."""

import inspect

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu.backends.batch import Batch, Outputs
from deephtm_gpu.backends.cpu.backend import OnProcessor
from deephtm_gpu.backends.numpy import NumpyBackend
from deephtm_gpu.backends.protocol import Backend, DeviceInfo, OpenMemory
from deephtm_gpu.backends.side_by_side import SideBySide
from deephtm_gpu.backends.wgpu.backend import GpuBackend, OnAdapter
from deephtm_gpu.plan.lowering import lower
from deephtm_gpu.plan.plan import ONLINE, Program
from deephtm_gpu.plan.tensors import IO, STEP

BACKENDS = (NumpyBackend, GpuBackend, SideBySide)
METHODS = [n for n, f in vars(Backend).items() if inspect.isfunction(f) and not n.startswith("_")]
MEMORY = [n for n, f in vars(OpenMemory).items() if inspect.isfunction(f) and not n.startswith("_")]
STEPS = 7


def plan(models=1):
    net = dh.Sequential(
        dh.Linear(9), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(17, 3), dh.TemporalMemory(3), dh.Linear(2)
    )
    return lower(net.network((2,)), ["mse"], dh.SGD(0.05), 1, range(models), 1)[0]


@pytest.fixture(params=["numpy", "gpu", "side by side", "gpu, 2 models", "cpu", "cpu, 2 models"])
def backend(request, adapter):
    return {
        "numpy": lambda: NumpyBackend(plan()),
        "gpu": lambda: OnAdapter(adapter)(plan()),
        "side by side": lambda: SideBySide(plan(2), NumpyBackend),
        "gpu, 2 models": lambda: OnAdapter(adapter)(plan(2)),
        "cpu": lambda: OnProcessor()(plan()),
        "cpu, 2 models": lambda: OnProcessor()(plan(2)),
    }[request.param]()


def run(backend, begin, end) -> Outputs:
    """Steps begin..end of a series, as a session has them run: before the first of all there is no prediction to
    score."""
    cuts = [(begin, max(begin, 1)), (max(begin, 1), end)]
    return Outputs.joined([backend.run(batch(backend, *cut)) for cut in cuts if cut[0] < cut[1]])


def batch(backend, begin, end) -> Batch:
    series = np.random.default_rng(3).normal(size=(STEPS, 1, 2)).astype(np.float32).repeat(backend.plan.units, axis=1)
    numbers = np.arange(begin, end)
    program, behind = (ONLINE, 1) if begin else (Program(), 0)
    return Batch(program, [series[begin:end]], None, np.full(end - begin, 0.05, np.float32), numbers, begin, behind)


def everything(backend):
    read = {t.name: backend.read(t.name) for t in backend.plan.tensors.values() if t.storage not in (IO, STEP)}
    return {name: np.concatenate(value) if isinstance(value, list) else value for name, value in read.items()}


def test_it_is_a_backend(backend):
    assert isinstance(backend, Backend)
    assert isinstance(backend.info, DeviceInfo) and backend.info.kind in ("hardware", "software")
    assert backend.dispatches is None or backend.dispatches > 0


def test_a_class_without_a_method_is_none():
    class Poor:
        plan = info = dispatches = read = write = snapshot = restore = reset = None

    assert not isinstance(Poor(), Backend)


def parameters(function):
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("kind", BACKENDS)
@pytest.mark.parametrize("name", METHODS)
def test_signatures_are_those_of_the_protocol(kind, name):
    assert parameters(getattr(kind, name)) == parameters(getattr(Backend, name))


def test_the_gpus_memory_is_open(adapter):
    backend = OnAdapter(adapter)(plan())
    assert isinstance(backend, OpenMemory) and not isinstance(NumpyBackend(plan()), OpenMemory)
    for name in MEMORY:
        assert parameters(getattr(GpuBackend, name)) == parameters(getattr(OpenMemory, name))


def test_pieces_equal_the_whole_and_restore_goes_back_to_the_bit(backend):
    begin = backend.snapshot()
    first = everything(backend)
    whole = run(backend, 0, STEPS)
    after = everything(backend)
    assert any(not np.array_equal(after[n], first[n]) for n in after)
    for _ in range(2):  # a snapshot can be used again
        backend.restore(begin)
        assert all(np.array_equal(v, first[n]) for n, v in everything(backend).items())
        parts = [run(backend, *cut) for cut in ((0, 2), (2, 3), (3, STEPS))]
        for got, want in ((np.concatenate([p.predictions[0] for p in parts]), whole.predictions[0]),
                          (np.concatenate([p.losses[0] for p in parts]), whole.losses[0]),
                          (np.concatenate([p.anomaly for p in parts]), whole.anomaly)):
            assert np.array_equal(got, want, equal_nan=True)
        assert all(np.array_equal(v, after[n]) for n, v in everything(backend).items())


def test_what_is_written_is_read_and_reset_leaves_parameters(backend):
    run(backend, 0, STEPS)
    weight = backend.read("0.weight")
    assert weight.shape == ((2,) if backend.plan.models > 1 else ()) + (9, 2)
    backend.write("0.weight", 2 * weight)
    assert np.array_equal(backend.read("0.weight"), 2 * weight)
    last = backend.plan.models - 1
    backend.write("0.weight", np.ones((9, 2), np.float32), model=last)
    assert np.array_equal(backend.read("0.weight", model=last), np.ones((9, 2)))
    fast = backend.read("4.fast")
    assert (
        fast.shape == (backend.plan.units, 17 * 3)
        and fast.any()
        and len(backend.read("4.fast_list")) == backend.plan.units
    )
    backend.reset()
    assert not backend.read("4.fast").any() and not any(len(entries) for entries in backend.read("4.fast_list"))
    assert np.array_equal(backend.read("0.weight", model=last), np.ones((9, 2)))
