"""What a step costs, counted: dispatches, bytes, multiply-adds. Times depend on the machine, counts do not."""

import json

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu.backends.wgpu.backend import GpuBackend
from deephtm_gpu.bench.speed import cases, elsewhere, kernels, report, roofline, timing
from deephtm_gpu.cli.main import main
from deephtm_gpu.kernels.tuning import HARDWARE, LLVMPIPE, SOFTWARE
from deephtm_gpu.plan.lowering import lower
from deephtm_gpu.plan.plan import ONLINE

# Of a step of the post's network; the dense layers alone take 1.3 MB and 262,144.
MOST_BYTES, MOST_WORK = 2_200_000, 400_000
# With the columns: the pooler's product and the scan for the winners.
GROWS = {"linear_forward": "5", "topk_forward": "5"}


def plan_of(columns=256, models=1, **more):
    network = cases.network(columns=columns, **more).network((1,))
    return lower(network, ["mse"], dh.PolyakSGD(), 1, range(models), 1)[0]


def test_bytes_and_work_of_a_step():
    costs = kernels.cost_of_step(plan_of())
    assert sum(c.bytes for c in costs) <= MOST_BYTES and sum(c.work for c in costs) <= MOST_WORK


@pytest.mark.parametrize("tuning, most", [(HARDWARE, 6), (SOFTWARE, 6), (LLVMPIPE, 6)])
def test_dispatches_of_a_step(adapter, tuning, most):
    several = GpuBackend(plan_of(), adapter, tuning, persistent=False).dispatches
    one = GpuBackend(plan_of(), adapter, tuning, persistent=True).dispatches
    assert several <= most and one <= 0.5
    assert GpuBackend(plan_of(models=3), adapter, tuning, persistent=True).dispatches == one


def test_with_more_columns_only_the_poolers_product_and_the_scan_grow():
    """Bytes and multiply-adds, call by call, from 256 to 16,384 columns."""
    few, many = ([c for c in kernels.cost_of_step(plan_of(columns, synapses=cases.SPARSE))] for columns in (256, 16384))
    assert [(c.name, c.layer) for c in few] == [(c.name, c.layer) for c in many]
    for a, b in zip(few, many):
        if GROWS.get(a.name) == a.layer:
            assert b.work > 8 * a.work
        else:
            # Lists that were bounded by 256 columns may be longer; none is longer than what K winners can leave behind.
            assert b.bytes <= 3 * a.bytes + 20_000 and b.work <= 3 * a.work, (a, b)


def test_the_scheduler_takes_one_dispatch_where_it_should_be_faster(adapter):
    """A small model on a software adapter; not one whose matrices are worth many workgroups."""
    assert GpuBackend(plan_of(), adapter, LLVMPIPE).dispatches < 1
    big = lower(
        dh.Sequential(dh.Linear(64), dh.SpatialPooler(30_000, 5), dh.Linear(1)).network((1,)),
        ["mse"],
        dh.PolyakSGD(),
        1,
        0,
        1,
    )[0]
    assert GpuBackend(big, adapter, HARDWARE).dispatches > 1


def test_interleaved_cases_take_turns():
    order = []

    def case(name):
        return cases.Case(name, lambda: cases.Opened(lambda steps: order.append(name)))

    results = timing.interleave([case("a"), case("b")], rounds=3, seconds=0.0)
    assert "".join(order[-6:]) == "ababab" and [len(t.runs) for _, _, t in results] == [3, 3]


def test_kernel_times_and_roofline(adapter, monkeypatch):
    for of, name, fewer in ((kernels, "TURNS", 2), (kernels, "RUNS", 1), (roofline, "TIMES", 2), (roofline, "RUNS", 1)):
        monkeypatch.setattr(of, name, fewer)  # that there are figures is looked at, not how good they are
    model = dh.Model(
        dh.Sequential(dh.Linear(16), dh.SpatialPooler(24, 3), dh.TemporalMemory(2), dh.Linear(1)),
        input_shape=(1,),
        device="gpu",
    )
    model.fit(np.zeros((9, 1), np.float32))
    timed = kernels.time_ops(model.session.backend)
    assert [c.name for c in timed] == [c.name for c in model.session.plan.calls(ONLINE)]
    assert all(c.microseconds >= 0 for c in timed) and sum(c.microseconds for c in timed) > 0
    best = roofline.measure(adapter)
    assert best.bytes > 1e6 and best.rate > 1e6
    assert best.share(best.bytes, 0, 0.5) == pytest.approx(0.5)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(timing, "MAX_STEPS", 40)
    monkeypatch.setattr(elsewhere, "torch_cases", lambda: [])
    monkeypatch.setattr(report, "interleave", lambda chosen, seconds: timing.interleave(chosen, 2, 0.01, 16))


def test_bench_prints_a_table_and_writes_json(quick, tmp_path, capsys):
    assert main(["bench", "--device", "numpy", "--rows", "window", "--json", str(tmp_path / "speed.json")]) == 0
    results = json.loads((tmp_path / "speed.json").read_text())["speed"]
    assert results.pop()["bytes"] > 1 << 20
    assert [t["case"] for t in results] == ["window 1", "window 8", "window 16"]
    assert all(t["median"] > 0 and len(t["steps_per_second"]) == 2 and t["bytes_per_step"] > 0 for t in results)
    printed = capsys.readouterr().out
    assert "window 16" in printed and "median" in printed


def test_what_has_no_room_is_left_out_and_said(quick, capsys, monkeypatch):
    monkeypatch.setattr(report, "_memory", lambda device: 100 << 20)
    assert main(["bench", "--device", "numpy", "--rows", "models"]) == 0
    printed = capsys.readouterr().out
    assert "1 models" in printed and "4,096 models" in printed and "left out" in printed


def test_an_unknown_row_is_error_of(capsys):
    assert main(["bench", "--device", "numpy", "--rows", "rainbow"]) == 2
    assert "rainbow" in (error := capsys.readouterr().err) and "columns" in error

