"""The shaders, by themselves and composed into kernels, before two compilers (Naga in wgpu, Tint in Chrome) and against the
limits that every WebGPU device keeps."""

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu.kernels.compose import shader_folder, split
from deephtm_gpu.kernels.texture_code import on_textures
from deephtm_gpu.kernels.tuning import HARDWARE, SOFTWARE, Tuning
from deephtm_gpu.ops.table import OPS, PASSES, SHADERS
from deephtm_gpu.plan.lowering import lower
from deephtm_gpu.plan.plan import GIVEN, LOOK, ONLINE, Program

FILES = sorted(shader_folder().rglob("*.wgsl"))  # the library, and the probes of `deephtm validate`
LIBRARY = {path.stem: path.read_text() for path in FILES if path.parent == shader_folder()}

STORAGE_BUFFERS, WORKGROUP_BYTES, INVOCATIONS = 8, 16384, 256
BYTES = {"f32": 4, "u32": 4, "i32": 4, "atomic<u32>": 4, "atomic<i32>": 4, "vec2<f32>": 8, "vec2<u32>": 8, "vec4<f32>": 16,
         "vec4<u32>": 16}


# Files


def names(paths):
    return [str(p.relative_to(shader_folder())) for p in paths]


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_file_is_legal_for_naga(path, naga):
    assert naga(path.read_text()) is None


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_file_is_legal_for_tint(path, tint):
    assert tint(path.read_text()) is None


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_file_begins_with_what_it_does(path):
    first = path.read_text().splitlines()[0]
    assert re.match(r"// \w.{20,}", first), f"{path.name} begins with {first!r}, not with a comment that says what it does"


def test_compilers_refuse_what_they_must(naga, tint):
    """They are asked at all: a wrong type, and a barrier that not all invocations reach (which Naga lets through)."""
    wrong = "fn f() -> u32 { return 1.5; }"
    divided = "var<private> lane: u32; fn f() { if (lane == 0u) { workgroupBarrier(); } }"
    assert naga(wrong) and tint(wrong)
    assert "uniform" in tint(divided)


def test_every_file_is_used_by_the_op_table():
    assert set(LIBRARY) == set(SHADERS.values())


def test_what_several_files_declare_is_the_same_in_all():
    """A kernel takes each name once, from whichever file."""
    seen = {}
    for file, text in LIBRARY.items():
        for name, declaration in split(text).items():
            other, theirs = seen.setdefault(name, (file, declaration))
            assert declaration == theirs, f"{name} differs in {other}.wgsl and {file}.wgsl"


@pytest.mark.parametrize("op, passed", [(op, p) for op in OPS for p in op.passes], ids=list(PASSES))
def test_function_takes_what_the_pass_gives(op, passed):
    """As many parameters, in the order of the op table: places and whole numbers as u32, other numbers as f32."""
    declared = split(LIBRARY[op.shader])
    assert passed.name in declared, f"{op.shader}.wgsl has no function {passed.name}"
    case = op.example(np.random.default_rng(0), **op.sizes[0])
    given = [(n, "f32" if isinstance(case.get(n), float) else "u32") for n in (*passed.tensors, *passed.consts)]
    given += [("part", "u32"), ("parts", "u32")] if passed.rows else []
    text = re.match(rf"fn {passed.name}\(([^)]*)\)", declared[passed.name]).group(1)
    taken = [tuple(part.strip() for part in parameter.split(":")) for parameter in text.split(",")]
    assert [kind for _, kind in taken] == [kind for _, kind in given], f"{passed.name} takes {taken}, the pass gives {given}"
    for (theirs, _), (ours, _) in zip(taken, given):
        if ours in passed.consts or ours in ("part", "parts"):  # numbers are easily taken for one another
            assert theirs == ours, f"{passed.name} takes {theirs} where the pass gives {ours}"


# Kernels


def post(columns=256):
    """The post's network, with few columns where the size does not matter."""
    return dh.Sequential(
        dh.Linear(columns), dh.ReLU(), dh.Linear(columns), dh.ReLU(), dh.RunningNorm(),
        dh.SpatialPooler(columns=columns, winners=5), dh.TemporalMemory(cells_per_column=5),
        dh.Linear(columns), dh.ReLU(), dh.Linear(1)).network((1,))


def pools(columns=64):
    """Cells that see some of the places, in a window, and clipped: every pass of a pool."""
    return dh.Sequential(
        dh.Linear(columns), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(columns=columns, winners=5),
        dh.TemporalMemory(cells_per_column=5, window=4, synapses=37), dh.Linear(3)).network((3,))


def contexts():
    """Contexts of every kind, Concat, Add, previous, two losses."""
    x, z = dh.Input((6,)), dh.Input((3,))
    top = dh.Linear(6)
    hidden = dh.RunningNorm()(dh.ReLU()(dh.Linear(20)(dh.Concat()([x, z]))))
    low = dh.TemporalMemory(4)(dh.SpatialPooler(40, 4)(hidden), context=[dh.previous(top), dh.Linear(5)(z)])
    high = dh.TemporalMemory(3)(dh.SpatialPooler(30, 3)(dh.ReLU()(dh.Linear(20)(low)) + hidden), context=[low, dh.previous(low)])
    return dh.Network([x, z], [top(high), dh.Linear(3)(dh.Concat()([high, low]))])


def grids():
    """Grid cells that learn, with all their inputs, before a linear layer and as a memory's context."""
    movement, thing, begins = dh.Input((2,)), dh.Input((6,)), dh.Input((1,))
    place = dh.GridCells(3, 4, learn=True)(dh.Linear(2)(movement), anchor=dh.Linear(6)(thing), restart=begins)
    cells = dh.TemporalMemory(3)(dh.SpatialPooler(20, 3)(dh.Linear(9)(thing)), context=place)
    return dh.Network([movement, thing, begins], [dh.Linear(2)(place), dh.Linear(6)(cells)])


def expected():
    """Columns that two contexts expect, all of them and the winners alone."""
    x, z = dh.Input((6,)), dh.Input((3,))
    place = dh.Linear(21)(z)
    return dh.Network([x, z], [dh.Expectation(40, 8)(place), dh.Evidence()(dh.Expectation(40, 8)(place, of=dh.SpatialPooler(40, 4)(x)))])


NETWORKS = {  # network, losses, optimizer, streams, ahead
    "post": (post, ["mse"], dh.PolyakSGD(), 1, 1),
    "five ahead": (lambda: post(32), ["mse"], dh.SGD(0.01, momentum=0.9), 1, 5),
    "three streams": (post, ["mse"], dh.PolyakSGD(), 3, 1),
    "many streams": (lambda: post(16), ["mse"], dh.SGD(0.01, momentum=0.9), 300, 1),
    "pools": (pools, ["mse"], dh.PolyakSGD(), 1, 1),
    "pools, streams": (pools, ["mse"], dh.Adam(0.01, clip_norm=1.0), 3, 1),
    "contexts": (contexts, ["cross_entropy", "mse"], dh.SGD(0.01), 1, 1),
    "contexts, streams": (contexts, ["cross_entropy", "mse"], dh.PolyakSGD(), 2, 1),
    "grids": (grids, ["mse", "mse"], dh.PolyakSGD(clip_norm=1.0), 1, 1),
    "grids, streams": (grids, ["mse", "mse"], dh.Adam(0.01), 3, 1),
    "expected": (expected, ["bce", "mse"], dh.PolyakSGD(), 1, 0),
    "expected, streams": (expected, ["bce", "mse"], dh.SGD(0.01, clip_norm=1.0), 3, 0),
    "population": (lambda: post(32), ["mse"], dh.SGD([0.01, 0.02, 0.03]), 1, 1),
    "targets": (contexts, ["mse", "cross_entropy"], dh.PolyakSGD(), 1, 0),
}
TUNINGS = {"software": SOFTWARE, "hardware": HARDWARE, "most": Tuning(lanes=INVOCATIONS, wide=256, grain=64)}


@cache
def kernels(adapter, name, lanes) -> tuple[str, ...]:
    """The WGSL of all kernels that a network runs, in learning and in predict, with and without a target, a step in several
    dispatches and many in one."""
    from deephtm_gpu.backends.wgpu.backend import GpuBackend

    class Collector(GpuBackend):
        def _pipeline(self, code):
            found.append(code)

    found = []
    make, losses, optimizer, streams, ahead = NETWORKS[name]
    plan, _ = lower(make(), losses, optimizer, streams, range(3) if name == "population" else 0, ahead)
    for lasting in (False, True):
        backend = Collector(plan, adapter, TUNINGS[lanes], lasting=lasting)
        for program in (GIVEN if plan.given else ONLINE, replace(ONLINE, near=False), Program(), LOOK, Program(learn=False)):
            backend._program(program)
    return tuple(dict.fromkeys(found))


on_networks = pytest.mark.parametrize("name", NETWORKS)
on_lanes = pytest.mark.parametrize("lanes", TUNINGS)


@on_networks
@on_lanes
def test_kernels_are_legal_for_naga(name, lanes, adapter, naga):
    for code in kernels(adapter, name, lanes):
        assert (complaint := naga(code)) is None, f"{complaint}\n{code}"


@on_networks
def test_kernels_on_textures_are_legal_for_naga(name, adapter, naga):
    for code in kernels(adapter, name, "software"):
        assert (complaint := naga(on_textures(code, 4096))) is None, f"{complaint}\n{on_textures(code, 4096)}"


def test_what_reads_and_writes_an_arena_on_textures():
    """Indices within indices, all assignments, comparisons that are none; names that only look like an arena's."""
    arena = "@group(0) @binding(2) var<storage, read_write> work: array<f32>;\n"
    told = on_textures(arena + "work[a] = work[b + u32(work[c])]; if (work[d] == work4[e]) { work[f] -= g * 2.0; }", 8).splitlines()
    assert told[0] == "@group(0) @binding(2) var work: texture_storage_2d<r32float, read_write>;"
    assert "vec2<u32>(i & 7u, i >> 3u)" in told[1]
    assert told[3] == ("store_work(a, load_work(b + u32(load_work(c)))); "
                       "if (load_work(d) == work4[e]) { store_work(f, load_work(f) - (g * 2.0)); }")


@on_networks
@on_lanes
def test_kernels_are_legal_for_tint(name, lanes, adapter, tint):
    for code in kernels(adapter, name, lanes):
        assert (complaint := tint(code)) is None, f"{complaint}\n{code}"


@on_networks
@on_lanes
def test_kernels_keep_within_the_limits_of_every_device(name, lanes, adapter):
    assert kernels(adapter, name, lanes)
    for code in kernels(adapter, name, lanes):
        numbers = {n: int(v) for n, v in re.findall(r"const (\w+): u32 = (\d+)u;", code)}
        assert numbers["WG"] <= INVOCATIONS and "@workgroup_size(WG)" in code
        bindings = re.findall(r"@binding\((\d+)\) var<storage", code)
        assert len(bindings) == len(set(bindings)) <= STORAGE_BUFFERS
        used = sum(workgroup_bytes(kind, numbers) for kind in re.findall(r"var<workgroup> \w+: ([^;]+);", code))
        assert used <= WORKGROUP_BYTES, f"{used} bytes of workgroup memory"


def workgroup_bytes(kind, numbers) -> int:
    if array := re.fullmatch(r"array<(.+), (\w+)>", kind):
        inner, length = array.groups()
        return workgroup_bytes(inner, numbers) * (numbers[length] if length in numbers else int(length.rstrip("u")))
    return BYTES[kind]
