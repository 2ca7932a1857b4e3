"""The processor backend: WGSL to LLVM IR, what is kept on disk, the same bits however a plan runs."""

import os
import pickle
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import deephtm_gpu as dh
from deephtm_gpu.backends.cpu import backend, native
from deephtm_gpu.backends.cpu.backend import ONE_LANE, CpuBackend, OnProcessor
from deephtm_gpu.backends.cpu.driver import ir_of, source_of
from deephtm_gpu.backends.cpu.syntax import SyntaxNotKnown, parse
from deephtm_gpu.backends.cpu.translate import float_text, translate
from deephtm_gpu.backends.numpy import NumpyBackend
from deephtm_gpu.backends.protocol import IN_ONE, PARTS, SEVERAL
from deephtm_gpu.bench.networks import post_model
from deephtm_gpu.data.sine import sine
from deephtm_gpu.kernels.program import build
from deephtm_gpu.ops.table import OPS
from deephtm_gpu.plan.lowering import lower
from deephtm_gpu.validate.ops import check_ops

ARENA = "".join(f"@group(0) @binding({n}) var<storage, read_write> {name}: array<{kind}>;\n" for n, (name, kind) in
                enumerate([("weights", "vec4<f32>"), ("work", "f32"), ("lists", "u32")]))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty folder for machine code, and nothing known in this process."""
    monkeypatch.setenv("DEEPHTM_CACHE", str(tmp_path / "cache"))
    native.native.cache_clear()
    yield tmp_path / "cache"
    native.native.cache_clear()


def small(models=1, window=1, streams=1, optimizer=None):
    net = dh.Sequential(dh.Linear(9), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(17, 3),
                        dh.TemporalMemory(3, window=window), dh.Linear(2))
    return lower(net.network((2,)), ["mse"], optimizer or dh.SGD(0.05), streams, range(models), 1)[0]


# The language


@pytest.mark.parametrize("text, seen", [
    ("fn f() { switch x { } }", "may not be switch"), ("fn f() { let x = $; }", "no such character"),
    ("override a: u32;", "may not begin with 'override'"), ("fn f( { }", "a name must stand"),
    ("fn f() { x = 1u }", "';' is missing")])
def test_what_is_not_of_the_subset_is_a_sentence(text, seen):
    with pytest.raises(SyntaxNotKnown, match=seen):
        parse(text)


@pytest.mark.parametrize("body, seen", [
    ("return unknown(1u);", "function 'unknown'"), ("return y;", "called 'y'"), ("return 1.0;", "a u32 must stand")])
def test_what_cannot_be_translated_is_a_sentence(body, seen):
    with pytest.raises(SyntaxNotKnown, match=seen):
        translate(parse(f"fn f() -> u32 {{ {body} }}"))


@pytest.mark.parametrize("expression, value", [
    ("1u + 2u * 3u", 7), ("(1u + 2u) * 3u", 9), ("7u / 2u % 2u", 1), ("1u << 3u | 1u", 9),
    ("select(1u, 2u, 3u > 2u)", 2),
    ("u32(3.9)", 3), ("min(4u, 3u) + max(1u, 2u)", 5), ("countOneBits(0xffu)", 8), ("firstTrailingBit(8u)", 3),
    ("firstTrailingBit(0u)", 0xFFFFFFFF), ("countLeadingZeros(1u)", 31), ("extractBits(0xabcdu, 4u, 8u)", 0xBC),
    ("u32(dot(vec4<f32>(1.0, 2.0, 3.0, 4.0), vec4<f32>(2.0)))", 20), ("u32(vec3<f32>(1.0, 5.0, 2.0).y)", 5),
    ("bitcast<u32>(1.0)", 0x3F800000), ("u32(-1.5)", 0), ("u32(1e20)", 0xFFFFFFFF), ("~0u", 0xFFFFFFFF),
    ("u32(i32(-3) + 5)", 2), ("0u - 1u", 0xFFFFFFFF), ("clamp(9u, 2u, 5u)", 5), ("u32(floor(2.7))", 2),
    ("u32(abs(-4.0))", 4), ("select(5u, 6u, 1u > 2u || 3u > 2u && !false)", 6), ("u32(true)", 1)])
def test_expressions_mean_what_wgsl_says(expression, value):
    assert run(f"fn f() -> u32 {{ return {expression}; }}") == value


@pytest.mark.parametrize("body, value", [
    ("var n = 0u; for (var i = 0u; i < 5u; i++) { if (i == 3u) { continue; } n += i; } return n;", 7),
    ("var n = 0u; while (true) { n += 2u; if (n > 6u) { break; } } return n;", 8),
    ("var n = 3u; { var n = 4u; n += 1u; } return n;", 3),
    ("var v = vec4<f32>(); v[2] = 3.0; v.x = 1.0; return u32(v.z + v.x);", 4),
    ("var a: array<u32, 4>; for (var i = 0u; i < 4u; i++) { a[i] = i * i; } return a[3] + a[2];", 13),
    ("let v = vec4<f32>(1.0, 2.0, 3.0, 4.0); let w = v.zw; return u32(w.x * w.y);", 12),
    ("if (true) { return 1u; } else { return 2u; }", 1), ("loop { return 5u; }", 5)])
def test_statements_mean_what_wgsl_says(body, value):
    assert run(f"fn f() -> u32 {{ {body} }}") == value


def run(function) -> int:
    """What the function f gives: written into a list by a kernel of one workgroup."""
    import ctypes

    source = ("// program 1 ;0x1x1;\n@group(0) @binding(3) var<storage, read_write> lists: array<u32>;\n"
              f"{function}\nfn store(x: u32) {{ lists[0] = x; }}\n"
              "@compute @workgroup_size(1) fn main_0(@builtin(workgroup_id) id: vec3<u32>) { store(f()); }")
    code = native.Native(native.compiled(ir_of(source)))
    given = np.zeros(64, np.uint32)
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 7, *[ctypes.c_uint32] * 4)(code.address)
    at = given.ctypes.data
    call(at, at, at, at, at + 128, at + 192, at, 0, 1, 0, 1)
    return int(given[0])


def test_a_float_is_written_to_the_bit():
    for number in (0.1, 1e-4, -3.5, 1.17549435e-38, 0.63212055882855767):
        text = float_text(number)
        assert np.frombuffer(bytes.fromhex(text[2:])[::-1], "<f8")[0] == np.float32(number)


def test_only_plain_loops_over_the_lanes_shares_are_wide():
    """What LLVM chose by itself has made it abort; and a loop that it cannot make wide would be reported on stderr."""
    loops = {"work[x + i] = select(work[i], 0.0, work[i] < 1.0)": 1, "sum += work[x + i] * work[i]": 1,
             "work[x + i] = exp(work[i])": 0, "work[lists[i]] = 1.0": 0, "if (x > i) { work[i] = 1.0; }": 0,
             "weights[i] += vec4<f32>(1.0)": 0,
             "work[i % x] = 1.0": 0}
    for body, wide in loops.items():
        text = f"fn f(x: u32) {{ var sum = 0.0; for (var i = lane; i < x; i += WG) {{ {body}; }} }}"
        ir = translate(parse("const WG: u32 = 1u; var<private> lane: u32;" + ARENA + text))
        assert len(re.findall(r"distinct !\{!\d+, !0\}", ir)) == wide, body


def test_compiling_says_nothing(cache, capfd):
    some = [op for op in OPS if op.name in ("running_norm", "average", "update", "relu", "outer_square")]
    assert all(check.holds for check in check_ops(OnProcessor(), some))
    assert capfd.readouterr().err == ""


# On disk


def test_machine_code_is_made_once(cache, monkeypatch):
    made = []
    compiled = native.compiled
    monkeypatch.setattr(native, "compiled", lambda ir: made.append(ir) or compiled(ir))
    first = post_model(device="cpu").fit(sine(20)).prediction
    count = len(made)
    assert count == len(list(cache.glob("*.o"))) > 0 and not list(cache.glob("*.tmp"))
    native.native.cache_clear()  # as a new process
    again = post_model(device="cpu").fit(sine(20)).prediction
    assert len(made) == count and np.array_equal(first, again, equal_nan=True)


@pytest.mark.parametrize("damage", [lambda b: b[:40], lambda b: b"", lambda b: b[:-1] + bytes([b[-1] ^ 1]),
                                    lambda b: b"\0" * len(b)])
def test_a_damaged_file_is_made_anew(cache, damage):
    first = CpuBackend(small())
    first._program(first.plan.online)
    (path,) = cache.glob("*.o")
    sound = path.read_bytes()
    path.write_bytes(damage(sound))
    native.native.cache_clear()
    again = CpuBackend(small())
    again._program(again.plan.online)
    assert path.read_bytes() == sound


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DEEPHTM_CACHE", str(tmp_path / "file" / "below"))
    native.native.cache_clear()
    assert np.isfinite(post_model(device="cpu").fit(sine(5)).prediction).all()


def test_two_processes_may_compile_at_once(tmp_path):
    program = ("from deephtm_gpu.bench.networks import post_model; from deephtm_gpu.data.sine import sine; "
               "print(float(post_model(device='cpu').fit(sine(30)).prediction.sum()))")
    env = os.environ | {"DEEPHTM_CACHE": str(tmp_path)}
    both = [subprocess.Popen([sys.executable, "-c", program], env=env, stdout=subprocess.PIPE, text=True)
            for _ in range(2)]
    one, other = (p.communicate(timeout=120)[0] for p in both)
    assert one == other and float(one) != 0 and not list(tmp_path.glob("*.tmp"))


# The same bits


def batch(plan, T=30):
    from deephtm_gpu.backends.batch import Batch, shares

    rng = np.random.default_rng(3)
    inputs = [rng.normal(size=(T, 1, t.size)).astype(np.float32).repeat(plan.units, axis=1) for t in plan.inputs]
    share = shares(np.ones((T, plan.streams), bool)) if plan.streams > 1 else None
    return Batch(plan.online, inputs, None, np.full(T, 0.02, np.float32), np.arange(1, T + 1), 1, 1, share=share,
                 waiting=1)


def test_however_it_runs_it_gives_the_same_bits():
    """Many steps in one kernel, several kernels, chunks of other lengths, among other models, on another thread."""
    make, plan = OnProcessor(), small(window=3, optimizer=dh.Adam(0.01))
    want = make(plan)
    expected = want.run(batch(plan))
    for other in (make.ways[SEVERAL](plan), make.ways[IN_ONE](plan), make(small(3, window=3, optimizer=dh.Adam(0.01)))):
        got = other.run(batch(other.plan))
        assert np.array_equal(got.predictions[0][:, :1], expected.predictions[0])
        assert np.array_equal(got.losses[0][:, :1], expected.losses[0])
    cut = make(plan)
    cut._submit_steps = 1
    assert np.array_equal(cut.run(batch(plan)).predictions[0], expected.predictions[0])


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_models_on_several_threads(threads, monkeypatch):
    monkeypatch.setattr(backend, "cores", lambda: threads)
    backend._threads.cache_clear()
    plan = small(5)
    got = CpuBackend(plan).run(batch(plan)).predictions[0]
    backend._threads.cache_clear()
    alone = CpuBackend(small()).run(batch(small())).predictions[0]
    assert np.array_equal(got[:, :1], alone) and len({p.tobytes() for p in got.swapaxes(0, 1)}) == 5


def test_what_does_not_fit_into_memory_is_refused_with_numbers(monkeypatch):
    monkeypatch.setattr(backend, "computer_memory", lambda: 1 << 16)
    with pytest.raises(dh.DeviceError, match=r"twice, .* got \d+ MiB, most of it for .*, and there are 0 MiB"):
        CpuBackend(small())


def test_a_forked_child_may_use_it():
    """Unlike a GPU: machine code and memory are its own, and it starts threads of its own."""
    program = ("import os, numpy as np, deephtm_gpu as dh\n"
               "net = dh.Sequential(dh.Linear(4), dh.Linear(1))\n"
               "p = dh.Population(net, 4, (1,), device='cpu'); x = np.ones((4, 9))\n"
               "p.fit(x)\n"
               "child = os.fork()\n"
               "ok = np.isfinite(p.fit(x).prediction).all()\n"
               "os._exit(not ok) if child == 0 else None\n"
               "assert os.waitpid(child, 0)[1] == 0 and ok\n")
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork on this system")
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


# Graphs that nobody wrote


def layers(draw, channels):
    """A chain of layers; a memory may follow columns."""
    made = [dh.Linear(draw(st.integers(1, 13)))]
    if draw(st.booleans()):
        made.append(dh.ReLU())
    if draw(st.booleans()):
        made.append(dh.RunningNorm())
    columns = draw(st.integers(2, 37))
    made.append(dh.SpatialPooler(columns, draw(st.integers(1, columns - 1))))
    if draw(st.booleans()):
        made.append(dh.TemporalMemory(draw(st.integers(1, 5)), window=draw(st.sampled_from([1, 1, 2, 5])),
                                      gate=draw(st.sampled_from(["entmax", "uniform"])),
                                      synapses=draw(st.sampled_from([None, None, 4]))))
    return [*made, dh.Linear(channels)]


@st.composite
def plans(draw):
    channels = draw(st.integers(1, 4))
    shape = draw(st.sampled_from([(channels,), (channels,), (channels, 2, 3)]))
    optimizer = draw(st.sampled_from([dh.PolyakSGD(), dh.SGD(0.01), dh.SGD(0.01, momentum=0.9), dh.Adam(0.003),
                                      dh.AdamW(0.003, 0.01), dh.RMSprop(0.003), dh.SGD(0.01, clip_norm=0.5)]))
    net = dh.Sequential(*layers(draw, channels)).network(shape)
    return lower(net, ["mse"], optimizer, draw(st.sampled_from([1, 1, 2, 5])), draw(st.integers(0, 99)),
                 draw(st.integers(1, 3)))[0]


def agrees(plan):
    steps = batch(plan, 6)
    want = NumpyBackend(plan, np.float64).run(steps)
    single = NumpyBackend(plan).run(steps)
    got = OnProcessor()(plan).run(steps)
    for g, s, w in zip(got.predictions, single.predictions, want.predictions):
        near = np.abs(g - w).max() <= 1e-4 + 20 * np.abs(s - w).max()
        # Where a winner stands on a tie within rounding, float32 in NumPy leaves float64 as well.
        assert np.isfinite(g).all() and near, (np.abs(g - w).max(), np.abs(s - w).max())


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(plans())
def test_random_plans(plan):
    agrees(plan)


@pytest.mark.soak
@settings(max_examples=250, suppress_health_check=list(HealthCheck))
@given(plans())
def test_many_random_plans(plan):
    agrees(plan)


@pytest.mark.parametrize("way", [SEVERAL, PARTS])
def test_workgroups_beyond_the_work_do_nothing(way):
    plan = small(streams=3)
    got = OnProcessor().ways[way](plan).run(batch(plan))
    want = NumpyBackend(plan, np.float64).run(batch(plan))
    assert np.abs(got.predictions[0] - want.predictions[0]).max() < 1e-4


def test_one_source_holds_each_declaration_once():
    source = source_of(build(small(), ONE_LANE, in_one=False))
    assert source.count("fn room_of(") == 1 and source.splitlines()[0].startswith("// program 0 ")


def test_a_copy_is_on_the_processor_and_goes_on_to_the_bit():
    model = post_model(device="cpu")
    model.fit(sine(30))
    copy = pickle.loads(pickle.dumps(model))
    assert model.device.backend == copy.device.backend == "cpu"
    assert np.array_equal(copy.fit(sine(20)).prediction, model.fit(sine(20)).prediction)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no such timers on this system")
@pytest.mark.parametrize("seconds", [0.003, 0.02, 0.06, 0.15])
def test_an_interrupted_population_stands_at_a_step(seconds):
    """Its threads have ended before it goes back to its copy."""
    def population():
        net = dh.Sequential(dh.Linear(64), dh.ReLU(), dh.SpatialPooler(64, 5), dh.TemporalMemory(4), dh.Linear(1))
        return dh.Population(net, 6, (1,), optimizer=dh.PolyakSGD(), device="cpu")

    series = np.stack([sine(8000, period=20 + n) for n in range(6)])
    interrupted, fresh = population(), population()
    interrupted.fit(series[:, :40])
    fresh.fit(series[:, :40])
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, seconds)
            for _ in range(50):
                interrupted.fit(series[:, 40:])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    done = interrupted.steps - 40
    whole, rest = divmod(done, series.shape[1] - 40)
    for _ in range(whole):
        fresh.fit(series[:, 40:])
    if rest:
        fresh.fit(series[:, 40 : 40 + rest])
    assert fresh.steps == interrupted.steps
    assert np.array_equal(interrupted.fit(series[:, :40]).prediction, fresh.fit(series[:, :40]).prediction)
