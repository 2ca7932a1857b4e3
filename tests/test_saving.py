"""Saving: N steps, save, load, M steps is the same as N + M steps, and no file but a whole one is gone on with."""

import csv
import inspect
import json
import math
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta

import numpy as np
import pytest
from conftest import set_in
from safetensors.numpy import save as save_safetensors

import deephtm_gpu as dh
from deephtm_gpu import layers
from deephtm_gpu.anomaly import AnomalyLikelihood
from deephtm_gpu.cli.main import main
from deephtm_gpu.data.baselines import Comparison
from deephtm_gpu.data.scaler import OnlineScaler
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.nodes import Layer, Node
from deephtm_gpu.learner import Learner
from deephtm_gpu.optimisers.base import Optimizer
from deephtm_gpu.optimisers.schedules import Schedule
from deephtm_gpu.plan.plan import Program
from deephtm_gpu.plan.tensors import GRADIENT, IO, SCRATCH, TAPE
from deephtm_gpu.saving import container
from deephtm_gpu.saving.container import read_container, write_container
from deephtm_gpu.saving.graph import describe_network, make_network
from deephtm_gpu.saving.objects import arguments_of, describe, make
from deephtm_gpu.saving.tree import join, split
from deephtm_gpu.validate.networks import _networks as validated_networks

DEVICES = ("numpy", "cpu", "gpu")


# Networks and series


def _chain(outputs=2, window=1, synapses=None):
    return dh.Sequential(dh.Linear(9), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(17, 3),
                         dh.TemporalMemory(2, window=window, synapses=synapses), dh.Linear(outputs))


def _looped():
    """Two inputs of 2 and 3, two memories, feedback from further on and from a node, a memory with contexts."""
    a, b = dh.Input((2,)), dh.Input(3)
    top = dh.TemporalMemory(2, window=3)
    mixed = dh.Linear(8, init_std=0.5)(dh.Concat()([a, b]))
    columns = dh.SpatialPooler(13, 3, lr_scale=0.5)(mixed + dh.Linear(8)(dh.previous(mixed)))
    cells = dh.TemporalMemory(3, decay=0.7)(columns, context=[dh.previous(top), dh.Linear(2)(b), columns])
    above = top(dh.SpatialPooler(11, 2)(dh.Linear(8)(cells)))
    return dh.Network([a, b], [dh.Linear(2)(cells) + dh.Linear(2)(above), dh.Linear(3)(above)])


# name -> (the arguments of Model, how to learn)
CASES = {
    "3 ahead": (lambda: dict(net=_chain(), input_shape=(2,)), dict(ahead=3)),
    "window, momentum, 2 ahead": (
        lambda: dict(
            net=_chain(window=3),
            input_shape=(2,),
            optimizer=dh.SGD(0.02, momentum=0.9, schedule=dh.Cosine(40, warmup=9)),
        ),
        dict(ahead=2),
    ),
    "graph, 2 streams": (
        lambda: dict(
            net=_looped(),
            loss=["mse", "cross_entropy"],
            streams=2,
            seed=5,
            optimizer=dh.AdamW(0.01, 0.1, clip_norm=1.0, schedule=dh.InverseDecay(7)),
        ),
        dict(ahead=1),
    ),
    "samples of synapses": (
        lambda: dict(net=_chain(window=2, synapses=19), input_shape=(2,), seed=7, optimizer=dh.Adam(0.01)),
        dict(ahead=1),
    ),
    "targets, RMSprop": (
        lambda: dict(net=_chain(3), input_shape=(2,), loss="cross_entropy", optimizer=dh.RMSprop(0.01)),
        dict(targets=True),
    ),
}
MANY_KINDS = "graph, 2 streams"  # of tensors: the case for the GPU, as a software adapter takes seconds to compile one
N, M = 13, 12


def _series(case, begin, end):
    """(inputs, the keywords of fit)"""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(N + M, 2, 2)).astype(np.float32)
    symbols = np.eye(3, dtype=np.float32)[rng.integers(3, size=(N + M, 2))]
    cut, how = slice(begin, end), dict(CASES[case][1])
    if how.pop("targets", False):
        return values[cut, 0], {"targets": symbols[cut, 0]}
    return ([values[cut], symbols[cut]] if "graph" in case else values[cut, 0]), how


def _model(case, device="numpy"):
    return dh.Model(**CASES[case][0](), device=device)


def _fit(model, case, begin, end):
    inputs, how = _series(case, begin, end)
    return model.fit(inputs, **how)


def _small():
    """Of few bytes, yet with a memory, and steps whose targets are pending."""
    model = dh.Model(
        dh.Sequential(dh.SpatialPooler(4, 2), dh.TemporalMemory(2), dh.Linear(1)), input_shape=(1,), device="numpy"
    )
    model.fit(np.sin(np.arange(9.0)), ahead=2)
    return model


def _assert_same_history(got, want):
    for part in ("prediction", "anomaly"):
        for g, w in zip(*(x if isinstance(x, list) else [x] for x in (getattr(got, part), getattr(want, part)))):
            np.testing.assert_array_equal(g, w[-len(g):])
    np.testing.assert_array_equal(got.loss, want.loss[-len(got.loss):])


def _assert_same(got, want, close=False):
    """All that the two hold, the tape too, and what they say. close: to rounding."""
    check = (
        (lambda g, w: np.testing.assert_allclose(g, w, rtol=1e-3, atol=1e-5))
        if close
        else np.testing.assert_array_equal
    )
    mine, other = got.session.position, want.session.position
    for part in ("steps", "updates", "ahead", "began", "learned"):
        assert getattr(mine, part) == getattr(other, part), part
    assert [(p.step, p.due, p.given) for p in mine.pending] == [(p.step, p.due, p.given) for p in other.pending]
    plan = want.session.plan
    for t in plan.tensors.values():
        if t.storage in (IO, GRADIENT, SCRATCH, "step"):
            continue
        for slot in range(plan.slots if t.storage == TAPE else 1):
            g, w = got.session.read(t.name, slot), want.session.read(t.name, slot)
            if not t.ragged:
                check(g, w)
            elif t.index:
                for a, b in zip(g, w):
                    np.testing.assert_array_equal(a, b)
    for name, values in want.state().items():
        for what, value in values.items():
            check(got.state()[name][what], value)


# To the bit


@pytest.mark.parametrize("case, device", [*((case, "numpy") for case in CASES), (MANY_KINDS, "gpu")])
def test_goes_on_to_the_bit(case, device, adapter, tmp_path):
    whole, half = _model(case, device), _model(case, device)
    want = _fit(whole, case, 0, N + M)
    _fit(half, case, 0, N)
    half.save(tmp_path / "m")
    loaded = dh.load(tmp_path / "m", device)
    _assert_same(loaded, half)
    inputs = _series(case, N, N + 3)[0]
    for got, kept in zip(loaded.predict(inputs), half.predict(inputs)):
        np.testing.assert_array_equal(got, kept)
    if loaded.session.position.ahead == 1:
        for got, kept in zip(loaded.rollout(4), half.rollout(4)):
            np.testing.assert_array_equal(got, kept)
    _assert_same_history(_fit(loaded, case, N, N + M), want)
    _assert_same(loaded, whole)
    loaded.reset(), whole.reset()
    _assert_same_history(_fit(loaded, case, 0, N), _fit(whole, case, 0, N))


def test_streams_that_have_ended_stay_ended(tmp_path):
    model, inputs = _model("graph, 2 streams"), _series("graph, 2 streams", 0, N)[0]
    model.fit(inputs, mask=np.arange(N)[:, None] < [N, 5])
    model.save(tmp_path / "m")
    loaded = dh.load(tmp_path / "m", "numpy")
    _assert_same_history(loaded.fit(inputs), model.fit(inputs))
    with pytest.raises(UserError, match="has ended"):
        loaded.fit(inputs, mask=np.ones((N, 2), bool))


@pytest.mark.parametrize("device", DEVICES)
def test_goes_on_in_a_new_process(device, adapter, tmp_path):
    case = MANY_KINDS
    whole, half = _model(case, device), _model(case, device)
    want = _fit(whole, case, 0, N + M)
    _fit(half, case, 0, N)
    half.save(tmp_path / "m")
    np.savez(tmp_path / "x.npz", *_series(case, N, N + M)[0])
    program = (
        "import os, sys, numpy as np, deephtm_gpu as dh\n"
        "os.chdir(sys.argv[1])\n"
        "model = dh.load('m', sys.argv[2])\n"
        "given = np.load('x.npz')\n"
        "history = model.fit([given[name] for name in given])\n"
        "np.savez('reported.npz', *history.prediction, loss=history.loss, anomaly=history.anomaly)\n"
        "model.save('m')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), device], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "reported.npz") as reported:
        history = dh.History(reported["loss"], [reported["arr_0"], reported["arr_1"]], reported["anomaly"])
        _assert_same_history(history, want)
    _assert_same(dh.load(tmp_path / "m", device), whole)


@pytest.mark.parametrize("source, target", [("gpu", "numpy"), ("numpy", "gpu")])
def test_goes_on_on_another_device_to_rounding(source, target, adapter, tmp_path):
    case = MANY_KINDS
    half = _model(case, source)
    _fit(half, case, 0, N)
    half.save(tmp_path / "m")
    moved, stayed = dh.load(tmp_path / "m", target), dh.load(tmp_path / "m", source)
    got, want = _fit(moved, case, N, N + 4), _fit(stayed, case, N, N + 4)
    np.testing.assert_allclose(got.loss, want.loss, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(got.anomaly, want.anomaly, rtol=1e-4, atol=1e-5)
    _assert_same(moved, stayed, close=True)
    moved.save(tmp_path / "back")
    back = dh.load(tmp_path / "back", source)
    np.testing.assert_allclose(
        _fit(back, case, N + 4, N + M).loss, _fit(stayed, case, N + 4, N + M).loss, rtol=1e-2, atol=1e-4
    )


def test_a_file_from_before_the_gradients_of_shared_layers_were_written_out_loads(tmp_path):
    """It has sums over streams, 0 between steps, and fewer squared norms, which a step writes before it reads them."""
    x, z, pooler, memory = dh.Input((2,)), dh.Input((2,)), dh.SpatialPooler(13, 3), dh.TemporalMemory(2, window=2)
    net = dh.Network([x, z], [dh.Linear(2)(memory(pooler(sense))) for sense in (x, z)])
    model = dh.Model(net, optimizer=dh.Adam(0.01, clip_norm=1.0), streams=2, device="numpy")
    first, then = np.random.default_rng(0).normal(size=(2, 2, N, 2, 2)).astype(np.float32)
    model.fit(list(first))
    model.save(tmp_path / "new")
    description, arrays = read_container(tmp_path / "new")
    weight = next(n for n in arrays if n.endswith(".distal_weight"))
    arrays[weight + ".total"] = np.zeros_like(arrays[weight])
    arrays["squares_clipped"] = np.ones_like(arrays["squares_clipped"][:, :-2])
    write_container(tmp_path / "old", description, arrays)
    old = dh.load(tmp_path / "old", "numpy")
    _assert_same_history(old.fit(list(then)), model.fit(list(then)))


def test_no_step_reads_from_an_earlier_one_what_is_not_saved():
    for network, losses, optimizer, streams, ahead, *_ in validated_networks().values():
        plan = dh.Model(network, loss=losses, optimizer=optimizer, streams=streams, device="numpy").session.plan
        given = {*plan.inputs, *plan.targets, plan.share}
        ever = {t for c in plan.forward + plan.learn for t in c.written}
        kinds = [Program(target=target, teach=teach, learn=learn, near=near) for target in (None, "input", "given")
                 for teach in (False, True) for learn in (False, True) for near in (False, True)]
        lessons = [Program(forward=False, target=target, teach=True) for target in ("input", "given")]
        for program in [*kinds, *lessons, Program(flush=True)]:
            written = set()
            for call in plan.calls(program):
                early = [t.name for t in call.read if t.storage in (IO, SCRATCH) and t in ever - given - written]
                assert not early, f"{call.name} reads {early} before the step writes it; make it state"
                written.update(call.written)


def test_saving_changes_nothing_and_a_fresh_model_can_be_saved(tmp_path):
    model, other = _model("3 ahead"), _model("3 ahead")
    model.save(tmp_path / "m")
    _assert_same_history(_fit(dh.load(tmp_path / "m", "numpy"), "3 ahead", 0, N), _fit(other, "3 ahead", 0, N))
    before = (_fit(model, "3 ahead", 0, N), model.save(tmp_path / "m"), (tmp_path / "m").read_bytes())[2]
    model.save(str(tmp_path / "m"))
    assert (tmp_path / "m").read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["m"]
    _assert_same(model, other)


# Classes that describe themselves

# Every public class with all the arguments of its constructor, none at its default: a new class or argument fails here.
EXAMPLES = {
    dh.Add: {},
    dh.Concat: {},
    dh.ReLU: {},
    dh.Flatten: {},
    dh.RunningNorm: {},
    dh.Surprise: {},
    dh.WithOnes: {},
    dh.Conv2d: dict(channels=3, kernel=np.int64(5), stride=2, start="copy", lr_scale=0.3, init_std=0.1),
    dh.ConvTranspose2d: dict(channels=3, kernel=4, stride=2, lr_scale=0.3, init_std=0.1),
    dh.Constant: {},
    dh.Input: dict(shape=(2, 3)),
    dh.Linear: dict(units=np.int64(7), lr_scale=0.25, init_std=np.float32(0.1)),
    dh.SpatialPooler: dict(columns=11, winners=2, kernel=np.int64(3), lr_scale=0),
    dh.TemporalMemory: dict(
        cells_per_column=3,
        decay=0.1,
        window=4,
        lr_scale=0.3,
        gate="uniform",
        synapses=5,
        slow=False,
        init_std=0.2,
        clock="columns",
        neighbourhood=np.int64(3),
        dilation=2,
        write=0.2,
    ),
    dh.GridCells: dict(
        modules=3,
        side=np.int64(4),
        sharpness=2,
        scale=1.5,
        ratio=np.float32(1.25),
        orientation=0.1,
        learn=True,
        init_std=np.float32(0.1),
        lr_scale=0.3,
    ),
    dh.Expectation: dict(columns=11, cells_per_column=3, std=0.5, bias=-2.0, floor=0.01, lr_scale=0.3, losers=0.5),
    dh.Evidence: dict(epsilon=0.1),
    dh.Every: dict(steps=np.int64(3), gather="sum"),
    dh.When: dict(gather="sum"),
    dh.Trace: dict(decay=0.25),
    dh.Cosine: dict(steps=9, warmup=2),
    dh.InverseDecay: dict(steps=9, floor=0.3),
    dh.SGD: dict(lr=0.1, momentum=0.3, clip_norm=2.0, average=0.2, schedule=dh.Cosine(8)),
    dh.PolyakSGD: dict(scale=0.3, clip_norm=2.0, average=0.2, schedule=dh.Cosine(8, 3)),
    dh.RMSprop: dict(lr=0.1, alpha=0.5, eps=1e-3, clip_norm=2.0, average=0.2, schedule=dh.InverseDecay(8)),
    dh.Adam: dict(lr=0.1, betas=(0.1, 0.2), eps=1e-3, clip_norm=2.0, average=0.2, schedule=dh.InverseDecay(8)),
    dh.AdamW: dict(lr=0.1, weight_decay=0.2, betas=[0.1, 0.2], eps=1e-3, clip_norm=2.0, average=0.2,
                   schedule=dh.InverseDecay(8)),
}
PUBLIC = [
    c
    for c in (getattr(dh, n) for n in dh.__all__)
    if inspect.isclass(c) and issubclass(c, (Layer, Optimizer, Schedule))
]


@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: kind.__name__)
def test_every_public_class_comes_back_with_its_arguments(kind):
    assert kind in EXAMPLES, (
        f"dh.{kind.__name__} has no example here; give one with all its arguments, none at its default"
    )
    given = EXAMPLES[kind]
    defaults = {n: p.default for n, p in inspect.signature(kind).parameters.items()}
    assert set(given) == set(arguments_of(kind)) and not any(given[n] == defaults[n] for n in given)

    def bare(made):
        return made.layer if isinstance(made, Node) else made

    first = bare(kind(**given))
    described = describe(first)
    again = bare(make(json.loads(json.dumps(described)), object))
    assert type(again) is kind and describe(again) == described
    for name, value in given.items():
        kept = getattr(again, name)
        value = tuple(value) if isinstance(value, list) else value
        assert repr(kept) == repr(value) if isinstance(value, Schedule) else kept == value, name


def test_a_graph_comes_back_with_its_names():
    network = _looped()
    again = make_network(json.loads(json.dumps(describe_network(network))))
    assert describe_network(again) == describe_network(network)
    shown = [[(name, type(node.layer).__name__) for node, name in n.names().items()] for n in (network, again)]
    assert shown[0] == shown[1]


class Halving(Schedule):
    def factor(self, updates):
        return 0.5 ** updates


class Wider(dh.Linear):
    pass


class Forgetful(dh.ReLU):
    def __init__(self, decay_rate):
        pass


@pytest.mark.parametrize("change, said", [
    (dict(optimizer=dh.SGD(0.1, schedule=Halving())), "SGD.*must be one of deephtm_gpu, .*got 'Halving'"),
    (dict(net=dh.Sequential(Wider(1))), "must be one of deephtm_gpu, .*got 'Wider'"),
])
def test_own_classes_are_not_saved(change, said, tmp_path):
    model = dh.Model(**{"net": dh.Sequential(dh.Linear(1)), "input_shape": (1,), "device": "numpy", **change})
    _refused(lambda: model.save(tmp_path / "m"), said)
    assert not list(tmp_path.iterdir())


def test_a_class_that_forgets_its_arguments_is_told(monkeypatch):
    monkeypatch.setattr(layers, "ReLU", Forgetful)
    Forgetful.__name__ = "ReLU"
    _refused(lambda: describe(Forgetful(2)), "must keep its argument 'decay_rate'")


# Refusals


def _refused(mistake, said):
    with pytest.raises(UserError, match=said) as caught:
        mistake()
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


@pytest.fixture
def saved(tmp_path):
    _small().save(tmp_path / "m")
    return tmp_path / "m"


def _load(path):
    return dh.load(path, "numpy")


def test_no_such_file(tmp_path):
    _refused(lambda: _load(tmp_path / "none"), "got a path without a file")
    _refused(lambda: _load(tmp_path), "must be a model's file, got a folder")
    if os.path.exists("/dev/null"):
        _refused(lambda: _load("/dev/null"), "pipe or a device")
    for path in (None, 7, "", "a\0b"):
        _refused(lambda: _load(path), "must be the name of a file")
        _refused(lambda: _small().save(path), "must be the name of a file")
    (tmp_path / "text").write_text("no tensors at all, but long enough to look at\n" * 9)
    _refused(lambda: _load(tmp_path / "text"), "must be a safetensors file")
    (tmp_path / "other").write_bytes(save_safetensors({"a": np.zeros(3)}, metadata={"format": "pt"}))
    _refused(lambda: _load(tmp_path / "other"), "must be a model of deephtm_gpu, got another safetensors file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read and write everything")
def test_no_permission(saved):
    saved.chmod(0)
    _refused(lambda: _load(saved), "cannot be read .*check the file and its permissions")
    saved.parent.chmod(0o500)
    try:
        _refused(lambda: _small().save(saved), "not writable")
    finally:
        saved.parent.chmod(0o700)


def test_no_place_to_save(tmp_path, saved):
    model, before = _small(), saved.read_bytes()
    _refused(lambda: model.save(tmp_path / "none" / "m"), "there is no folder")
    _refused(lambda: model.save(saved / "m"), "there is no folder")
    _refused(lambda: model.save(tmp_path), "got a folder")
    if os.path.exists("/dev/null"):
        _refused(lambda: model.save("/dev/null"), "pipe or a device")
    assert saved.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_link_is_followed(tmp_path, saved):
    (tmp_path / "link").symlink_to("m")
    model = _small()
    model.step(0.5)
    model.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and _load(saved).steps == model.steps


def test_every_prefix_is_refused(saved):
    for size in reversed(range(saved.stat().st_size)):
        os.truncate(saved, size)
        with pytest.raises(UserError, match="must be a safetensors file, got another, incomplete or damaged file"):
            read_container(saved)


def test_a_flipped_bit_is_refused(saved):
    whole = saved.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    rng = np.random.default_rng(0)
    bits = [8 * at + int(rng.integers(8)) for at in [*range(8), *range(8, header, 9)]] + rng.integers(
        8 * header, 8 * len(whole), 200
    ).tolist()
    for bit in bits:
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        saved.write_bytes(flipped)
        with pytest.raises(UserError):
            read_container(saved)


def test_another_format_is_refused(saved, monkeypatch):
    was = container.FORMAT
    monkeypatch.setattr(container, "FORMAT", was + 1)
    _refused(lambda: _load(saved), f"must be in format {was + 1}, .*got format {was}")


@pytest.mark.parametrize("kind", [dict(), dict(streams=2), dict(models=2)], ids=str)
def test_a_file_of_before_outliers_were_bounded_goes_on(tmp_path, kind):
    """It lacks the largest errors of late, and those of the running mean."""
    make, series = (dh.Population if "models" in kind else dh.Model), np.random.default_rng(0).normal(size=(60, 2))
    model = make(dh.Sequential(dh.Linear(5), dh.RunningNorm(), dh.Linear(1)), input_shape=(1,), device="numpy", **kind)
    first, then = (
        np.moveaxis(s, 1, 0) if "models" in kind else s[:, :, None] if kind else s[:, :1]
        for s in (series[:30], series[30:])
    )
    model.fit(first)
    model.save(tmp_path / "m")
    description, arrays = read_container(tmp_path / "m")
    assert {name for name in arrays if name.endswith("extent")} == {"1.extent", "loss0.extent"}
    write_container(
        tmp_path / "m", description, {name: array for name, array in arrays.items() if not name.endswith("extent")}
    )
    _assert_same_history(_load(tmp_path / "m").fit(then), model.fit(then))


def _array(name, make_it):
    def change(description, arrays):
        arrays[name] = make_it(arrays.get(name))
    return change


NODES = ("network", "nodes")


@pytest.mark.parametrize("change, said", [
    (lambda d, a: a.pop("2.weight"), "must hold '2.weight'"),
    (lambda d, a: a.pop("lengths:1.fast_list"), "must hold 'lengths:1.fast_list'"),
    (_array("9.weight", lambda _: np.zeros(3, np.float32)), "must hold only tensors of its network, got '9.weight'"),
    (_array("2.weight", lambda w: w[:3]), "'2.weight' must be float32 .*got float32"),
    (_array("2.bias", lambda w: w.astype(np.float64)), "'2.bias' must be float32 .*got float64"),
    (_array("2.bias", lambda w: w * np.nan), "'2.bias' must be finite, got NaN"),
    (_array("lengths:1.fast_list", lambda n: n + 1000), "lengths from 0 to 8"),
    (_array("0.winners", lambda w: w - 1000), "'0.winners' must hold indices"),
    (set_in(*NODES, 2, "arguments", "cells_per_column", to=3), "its '.*' must be .*, got"),
    (set_in(*NODES, 2, "arguments", "cells_per_column", to=10**12), "must be a whole number from 1 to 2,147,483,647"),
    (set_in(*NODES, 3, "arguments", "units", to=-1), "units must be .*got -1"),
    (set_in(*NODES, 3, "arguments", "width", to=1), "width"),
    (set_in(*NODES, 3, "inputs", to=[2, 1]), "describe a model"),
    (set_in(*NODES, 3, "inputs", to=[77]), "describe a model"),
    (set_in(*NODES, 3, "class", to="os.system"), "must name a layer .*got 'os.system'"),
    (set_in(*NODES, 3, "class", to="Model"), "must name a layer .*got 'Model'"),
    (set_in(*NODES, 3, "class", to="load"), "must name a layer .*got 'load'"),
    (set_in("optimizer", "class", to="Linear"), "must name a optimizer .*got 'Linear'"),
    (set_in("optimizer", to=None), "describe a model"),
    (set_in("losses", to=["rmse"]), "'rmse'"),
    (set_in("pending", to=[[0, 1, False]] * 9), "counts"),
    (set_in("pending", 0, 0, to=-1), "count"),
    (set_in("pending", to=[[3, 4, False]]), "counts"),
    (set_in("counts", "ahead", to=10**9), "counts"),
    (set_in("counts", "steps", to=1), "counts"),
    (set_in("counts", "learned", to="x"), "count"),
    (set_in("plan", "ahead", to=10**9), "must be float32 .*got"),
    (set_in("plan", to=None), "describe a model"),
    (set_in("streams", to="many"), "describe a model"),
])
def test_what_does_not_fit_together_is_refused(saved, change, said):
    description, arrays = read_container(saved)
    change(description, arrays)
    write_container(saved, description, arrays)
    _refused(lambda: _load(saved), said)


def test_weights_that_are_not_finite_are_not_saved(saved):
    model, before = _small(), saved.read_bytes()
    model.session.backend.write("2.bias", np.array([np.inf], np.float32))
    _refused(lambda: model.save(saved), "NaN or infinity in '2.bias'")
    assert saved.read_bytes() == before


# Whole or not at all

KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import numpy as np
import deephtm_gpu as dh

path = Path(sys.argv[1])
model = dh.load(path, "numpy")
random.seed(1)
began = time.perf_counter()
for _ in range(4):
    model.step(0.5)
    model.save(path)
once = (time.perf_counter() - began) / 4  # on this machine, just now
for _ in range(25):
    child = os.fork()
    if child == 0:
        while True:
            model.step(0.5)
            model.save(path)
    time.sleep(random.uniform(0.5, 10) * once)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    model = dh.load(path, "numpy")
print(model.steps)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_at_any_moment_leaves_a_whole_file(saved):
    done = subprocess.run([sys.executable, "-c", KILLED, str(saved)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 9 + 4 + 10  # it went on all the time


# deephtm run


@pytest.fixture
def halves(tmp_path):
    """whole.csv of 60 half-hours, and a.csv and b.csv, its halves."""
    lines = [
        f"2024-01-{1 + i // 48:02}T{i % 48 // 2:02}:{i % 2 * 30:02},{10 + math.sin(i / 3):.4f}\n" for i in range(60)
    ]
    for name, part in (("whole", lines), ("a", lines[:33]), ("b", lines[33:])):
        (tmp_path / f"{name}.csv").write_text("when,load\n" + "".join(part))
    return tmp_path


def _run(folder, name, *more):
    return main(["run", str(folder / f"{name}.csv"), "--column", "load", "--device", "numpy", *map(str, more)])


def _table(path):
    """The rows that came; what is predicted behind the last one is left out."""
    with open(path, newline="") as file:
        return [row for row in csv.reader(file) if row[1]]


@pytest.mark.parametrize("how", [["--timestamp", "when", "--ahead", 3], []])
def test_run_in_two_halves_is_the_run_in_one(halves, how, capsys):
    saved = halves / "run.model"
    assert _run(halves, "whole", *how, "--out", halves / "whole.out") == 0
    want = capsys.readouterr().out
    assert _run(halves, "a", *how, "--seed", 0, "--out", halves / "a.out", "--save", saved) == 0
    assert _run(halves, "b", *how[:2], "--out", halves / "b.out", "--resume", saved, "--save", saved) == 0
    shown = capsys.readouterr().out
    assert _table(halves / "a.out") + _table(halves / "b.out")[1:] == _table(halves / "whole.out")
    assert (
        shown.splitlines()[-2:] == want.splitlines()[-2:] and "27 rows of" in shown and "after 33 earlier ones" in shown
    )
    assert dh.load(saved, "numpy").steps == 60
    assert Learner.load(saved, "numpy")._likelihood.state()["seen"] == 60


def _moved(state):
    """As it comes back from a file."""
    plain, arrays = split(state, "beside")
    return join(json.loads(json.dumps(plain)), arrays)


@pytest.mark.parametrize("half", [1, 9, 30, 350, 700])
def test_what_stands_around_the_model_goes_on_to_the_bit(half):
    """Before the comparison knows the time between rows and after it; before and after the first likelihood, and once
    around the ring."""
    rng = np.random.default_rng(0)
    values, scores = rng.normal(10, 1, 900), rng.random(900)
    times = [datetime(2024, 1, 1) + timedelta(hours=6 * t) for t in range(900)]

    def made():
        return OnlineScaler(), AnomalyLikelihood(window=500), Comparison(ahead=2, timed=True, later=400)

    def run(parts, begin, end):
        scaler, likelihood, comparison = parts
        for t in range(begin, end):
            comparison.update(values[t], times[t], values[t] + scores[t], values[t] - scores[t])
        return *scaler.standardise(values[begin:end]), likelihood.batch(scores[begin:end])

    whole, first, second = made(), made(), made()
    want = run(whole, 0, 900)
    run(first, 0, half)
    for old, new in zip(first, second):
        new.restore(_moved(old.state()))
    for g, w in zip(run(second, half, 900), want):
        np.testing.assert_array_equal(g, w[half:])
    assert second[2].table() == whole[2].table() and "no forecast" not in second[2].table()


def test_a_ring_of_another_window_is_refused():
    _refused(lambda: AnomalyLikelihood(window=500).restore(AnomalyLikelihood().state()), "same window")


@pytest.mark.parametrize("name, more, said", [
    ("b", ["--resume", "{folder}/timed", "--timestamp", "when", "--ahead", 2], "a model with --ahead 3, got --ahead 2"),
    ("b", ["--resume", "{folder}/timed", "--timestamp", "when", "--seed", 2], "a model with --seed 0, got --seed 2"),
    ("b", ["--resume", "{folder}/timed"], "a column of timestamps, got no --timestamp"),
    ("b", ["--resume", "{folder}/bare", "--timestamp", "when"], "no timestamps, got --timestamp when"),
    ("b", ["--resume", "{folder}/model"], "must be a file that `deephtm run --save` wrote, got a model alone"),
    ("b", ["--resume", "{folder}/none"], "got a path without a file"),
    ("b", ["--resume", "{folder}/a.csv"], "must be a safetensors file"),
    ("a", ["--save", "{folder}/none/m"], "no folder"),
    ("a", ["--save", "{folder}"], "must be a file to save a model, got a folder"),
    ("a", ["--save", "{folder}/a.csv"], "is the file that is read"),
    ("a", ["--save", "{folder}/m", "--out", "{folder}/m"], "is the file of --out"),
])
def test_mistakes_of_resuming(halves, name, more, said, capsys):
    Learner(3, True, device="numpy").save(halves / "timed")
    Learner(1, False, device="numpy").save(halves / "bare")
    _small().save(halves / "model")
    before = {p.name: p.read_bytes() for p in halves.iterdir()}
    assert _run(halves, name, *[str(m).format(folder=halves) for m in more]) == 2
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1
    assert {p.name: p.read_bytes() for p in halves.iterdir()} == before


def test_a_mistake_in_the_last_row_loses_no_other(halves, capsys):
    with open(halves / "a.csv", "a") as file:
        file.write("2024-02-01T00:00,many\n")
    assert _run(halves, "a", "--save", halves / "m", "--out", halves / "out") == 2
    assert "line 35" in capsys.readouterr().err
    assert (halves / "out").read_text().count("\n") == 34 and Learner.load(halves / "m", "numpy").comparison.rows == 33


def test_ctrl_c_waits_for_the_end_of_a_chunk_that_is_to_be_saved(halves, monkeypatch, capsys):
    learn = Learner.learn

    def interrupted(learner, rows):
        signal.raise_signal(signal.SIGINT)
        return learn(learner, rows)

    monkeypatch.setattr(Learner, "learn", interrupted)
    assert _run(halves, "a", "--save", halves / "m", "--out", halves / "out") == 130
    assert Learner.load(halves / "m", "numpy").comparison.rows == 33 == len(_table(halves / "out")) - 1


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C of another process works differently there")
def test_ctrl_c_saves(tmp_path):
    command = [
        sys.executable,
        "-m",
        "deephtm_gpu",
        "run",
        "-",
        "--column",
        "v",
        "--device",
        "numpy",
        "--save",
        tmp_path / "m",
    ]
    with subprocess.Popen(
        command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdin.write(b"v\n1\n2\n3\n")
        for _ in range(4):
            process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=20)
    assert process.returncode == 130 and b"Traceback" not in error
    assert Learner.load(tmp_path / "m", "numpy").comparison.rows == 3
