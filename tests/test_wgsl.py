"""The shaders, by themselves and composed into kernels, before two compilers (Naga in wgpu, Tint in Chrome) and against
the limits that every WebGPU device keeps."""

import re
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu.kernels.compose import declarations, files_of, shader_folder, shader_text
from deephtm_gpu.kernels.program import build
from deephtm_gpu.kernels.texture_code import on_textures
from deephtm_gpu.kernels.tuning import HARDWARE, SOFTWARE, Tuning
from deephtm_gpu.ops.spec import Struct
from deephtm_gpu.ops.table import OPS, PASSES, SHADERS
from deephtm_gpu.plan.lowering import lower
from deephtm_gpu.plan.plan import LOOK, ONLINE, Program
from deephtm_gpu.validate.networks import _twice

# Those of the ops and lib/, the probes of `deephtm validate`, the picture.
FILES = sorted(shader_folder().rglob("*.wgsl"))
LIBRARY = [
    n
    for n in (str(p.relative_to(shader_folder()).with_suffix("")) for p in FILES)
    if "/" not in n or n.startswith("lib/")
]

MOST_PARAMETERS = 16
STORAGE_BUFFERS, WORKGROUP_BYTES, INVOCATIONS = 8, 16384, 256
BYTES = {
    "f32": 4,
    "u32": 4,
    "i32": 4,
    "atomic<u32>": 4,
    "atomic<i32>": 4,
    "vec2<f32>": 8,
    "vec2<u32>": 8,
    "vec4<f32>": 16,
    "vec4<u32>": 16,
}


# Files


def names(paths):
    return [str(p.relative_to(shader_folder()).with_suffix("")) for p in paths]


def with_libs(name):
    """A shader file together with the files of the library that it names."""
    return "\n".join(shader_text(file) for file in files_of(name))


on_files = pytest.mark.parametrize("name", names(FILES))


@on_files
def test_file_with_its_libs_is_legal_for_naga(name, naga):
    assert naga(with_libs(name)) is None


@on_files
def test_file_with_its_libs_is_legal_for_tint(name, tint):
    assert tint(with_libs(name)) is None


@on_files
def test_file_begins_with_what_it_does(name):
    first, second, *_ = shader_text(name).splitlines()
    says = second if first.startswith("// lib:") else first
    assert re.match(r"// \w.{20,}", says), (
        f"{name}.wgsl begins with {says!r}, not with a comment that says what it does"
    )


def test_compilers_refuse_what_they_must(naga, tint):
    """They are asked at all: a wrong type, and a barrier that not all invocations reach (which Naga lets through)."""
    wrong = "fn f() -> u32 { return 1.5; }"
    divided = "var<private> lane: u32; fn f() { if (lane == 0u) { workgroupBarrier(); } }"
    assert naga(wrong) and tint(wrong)
    assert "uniform" in tint(divided)


def test_every_file_is_used():
    assert {name for name in LIBRARY if "/" not in name} == set(SHADERS.values())
    assert {name for name in LIBRARY if "/" in name} == {f for s in SHADERS.values() for f in files_of(s)} - set(
        SHADERS.values()
    )


def test_every_lib_that_a_file_names_is_used_there():
    """And no file needs one that it gets only because another lib names it."""
    for name in LIBRARY:
        named = re.match(r"// lib: (.*)", shader_text(name))
        libs = {f"lib/{lib.strip()}" for lib in named.group(1).split(",")} if named else set()
        words = set(re.findall(r"\w+", "\n".join(declarations(name).values())))
        assert libs == {lib for lib in files_of(name)[:-1] if words & declarations(lib).keys()}, f"{name}.wgsl"


def test_nothing_is_declared_in_two_files():
    seen = {}
    for file in LIBRARY:
        for name in declarations(file):
            assert seen.setdefault(name, file) == file, (
                f"{name} stands in {seen[name]}.wgsl and {file}.wgsl; move it to shaders/lib"
            )


def test_a_name_declared_twice_is_refused():
    """Where a kernel would take both."""
    again = {"relu": shader_text("relu") + "\nfn lanes_for(n: u32) -> u32 { return n; }\n"}
    with pytest.raises(ValueError, match="relu.wgsl declares 'lanes_for'"):
        build(lower(post(16), ["mse"], dh.SGD(0.01), 1, 0, 1)[0], override=again)


@pytest.mark.parametrize("op, passed", [(op, p) for op in OPS for p in op.passes], ids=list(PASSES))
def test_function_takes_what_the_pass_gives(op, passed):
    """The parameters in the order of `Pass.arguments`: offsets and whole numbers as u32, other numbers as f32, structs
    by their name; and the structs' fields likewise."""
    declared = {name: text for file in files_of(op.shader) for name, text in declarations(file).items()}
    assert passed.name in declared, f"{op.shader}.wgsl has no function {passed.name}"
    case = op.example(np.random.default_rng(0), **op.sizes[0])

    def check(what, text, given):
        taken = [tuple(part.strip() for part in parameter.split(":")) for parameter in text.split(",")]
        kinds = [g.type if isinstance(g, Struct) else "f32" if isinstance(case.get(g), float) else "u32" for g in given]
        assert [kind for _, kind in taken] == kinds, f"{what} takes {taken}, the pass gives {given}"
        for (theirs, _), ours in zip(taken, given):
            if isinstance(ours, Struct):
                assert theirs == ours.name
                check(
                    f"{ours.type} of {what}",
                    re.match(r"struct \w+ \{(.*)\}", declared[ours.type], re.DOTALL).group(1),
                    ours.fields,
                )
            elif ours in (*passed.consts, "part", "parts"):  # numbers are easily taken for one another
                assert theirs == ours.removeprefix("bias_"), f"{what} takes {theirs} where the pass gives {ours}"

    check(passed.name, re.match(rf"fn {passed.name}\(([^)]*)\)", declared[passed.name]).group(1), passed.arguments)


def test_signatures_are_short():
    for file in LIBRARY:
        for name, text in declarations(file).items():
            if found := re.match(rf"fn {name}\(([^)]*)\)", text):
                assert len(found.group(1).split(",")) <= MOST_PARAMETERS, (
                    f"{name} of {file}.wgsl takes {found.group(1)}"
                )


# Kernels


def post(columns=256):
    """The post's network, with few columns where the size does not matter."""
    return dh.Sequential(
        dh.Linear(columns), dh.ReLU(), dh.Linear(columns), dh.ReLU(), dh.RunningNorm(),
        dh.SpatialPooler(columns=columns, winners=5), dh.TemporalMemory(cells_per_column=5),
        dh.Linear(columns), dh.ReLU(), dh.Linear(1)).network((1,))


def samples(columns=64):
    """Cells that see some of the places, in a window, and clipped: every pass of a sample."""
    return dh.Sequential(
        dh.Linear(columns), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(columns=columns, winners=5),
        dh.TemporalMemory(cells_per_column=5, window=4, synapses=37), dh.Linear(3)).network((3,))


def contexts():
    """Contexts of every kind, Concat, Add, previous, two losses."""
    x, z = dh.Input((6,)), dh.Input((3,))
    top = dh.Linear(6)
    hidden = dh.RunningNorm()(dh.ReLU()(dh.Linear(20)(dh.Concat()([x, z]))))
    low = dh.TemporalMemory(4)(dh.SpatialPooler(40, 4)(hidden), context=[dh.previous(top), dh.Linear(5)(z)])
    high = dh.TemporalMemory(3)(
        dh.SpatialPooler(30, 3)(dh.ReLU()(dh.Linear(20)(low)) + hidden), context=[low, dh.previous(low)]
    )
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
    return dh.Network(
        [x, z],
        [dh.Expectation(40, 8)(place), dh.Evidence()(dh.Expectation(40, 8)(place, of=dh.SpatialPooler(40, 4)(x)))],
    )


def maps():
    """At positions of a map: a memory with a window and a vector for context, clocks, and all as a vector."""
    x, z = dh.Input((5, 2, 3)), dh.Input((3,))
    columns = dh.SpatialPooler(33, 3)(dh.RunningNorm()(dh.ReLU()(dh.Linear(20)(x))))
    cells = dh.TemporalMemory(3, window=3)(columns, context=[dh.Linear(4)(z), columns])
    above = dh.TemporalMemory(2, synapses=11)(dh.SpatialPooler(16, 2)(dh.when(dh.Surprise()(cells), cells)))
    return dh.Network([x, z], [dh.Linear(5)(cells) + dh.Linear(5)(above), dh.Linear(3)(dh.Flatten()(cells))])


NETWORKS = {  # network, losses, optimizer, streams, ahead
    "post": (post, ["mse"], dh.PolyakSGD(), 1, 1),
    "five ahead": (lambda: post(32), ["mse"], dh.SGD(0.01, momentum=0.9), 1, 5),
    "three streams": (post, ["mse"], dh.PolyakSGD(), 3, 1),
    "many streams": (lambda: post(16), ["mse"], dh.SGD(0.01, momentum=0.9), 300, 1),
    "samples": (samples, ["mse"], dh.PolyakSGD(), 1, 1),
    "samples, streams": (samples, ["mse"], dh.Adam(0.01, clip_norm=1.0), 3, 1),
    "contexts": (contexts, ["cross_entropy", "mse"], dh.SGD(0.01), 1, 1),
    "contexts, streams": (contexts, ["cross_entropy", "mse"], dh.PolyakSGD(), 2, 1),
    "grids": (grids, ["mse", "mse"], dh.PolyakSGD(clip_norm=1.0), 1, 1),
    "grids, streams": (grids, ["mse", "mse"], dh.Adam(0.01), 3, 1),
    "expected": (expected, ["bce", "mse"], dh.PolyakSGD(), 1, 0),
    "expected, streams": (expected, ["bce", "mse"], dh.SGD(0.01, clip_norm=1.0), 3, 0),
    "maps": (maps, ["cross_entropy", "mse"], dh.PolyakSGD(clip_norm=1.0), 1, 1),
    "maps, streams": (maps, ["cross_entropy", "mse"], dh.Adam(0.01), 3, 1),
    "called twice": (partial(_twice, synapses=19), ["mse", "bce"], dh.PolyakSGD(clip_norm=1.0), 1, 0),
    "called twice, streams": (partial(_twice, window=4), ["mse", "bce"], dh.Adam(0.01, clip_norm=1.0), 3, 0),
    "population": (lambda: post(32), ["mse"], dh.SGD([0.01, 0.02, 0.03]), 1, 1),
    "targets": (contexts, ["mse", "cross_entropy"], dh.PolyakSGD(), 1, 0),
}
TUNINGS = {"software": SOFTWARE, "hardware": HARDWARE, "most": Tuning(lanes=INVOCATIONS, wide=256, grain=64)}


@cache
def kernels(name, lanes) -> tuple[str, ...]:
    """The WGSL of all kernels that a network runs, in learning and in predict, with and without a target, a step in
    several dispatches and many in one."""
    make, losses, optimizer, streams, ahead = NETWORKS[name]
    plan, _ = lower(make(), losses, optimizer, streams, range(3) if name == "population" else 0, ahead)
    programs = [build(plan, TUNINGS[lanes], plan.calls(program), in_one=in_one) for in_one in (False, True)
                for program in (plan.online, replace(ONLINE, near=False), Program(), LOOK, Program(learn=False))]
    return tuple(dict.fromkeys(k.code for p in programs for part in (p.head, p.body, p.tail) for k in part))


on_networks = pytest.mark.parametrize("name", NETWORKS)
on_lanes = pytest.mark.parametrize("lanes", TUNINGS)


@on_networks
@on_lanes
def test_kernels_are_legal_for_naga(name, lanes, naga):
    for code in kernels(name, lanes):
        assert (complaint := naga(code)) is None, f"{complaint}\n{code}"


@on_networks
def test_kernels_on_textures_are_legal_for_naga(name, naga):
    for code in kernels(name, "software"):
        assert (complaint := naga(on_textures(code, 4096))) is None, f"{complaint}\n{on_textures(code, 4096)}"


def test_what_reads_and_writes_an_arena_on_textures():
    """Indices within indices, all assignments, comparisons that are none; names that only look like an arena's."""
    arena = "@group(0) @binding(2) var<storage, read_write> work: array<f32>;\n"
    reported = on_textures(arena + "work[a] = work[b + u32(work[c])]; if (work[d] == work4[e]) { work[f] -= g "
                               "* 2.0; }", 8).splitlines()
    assert reported[0] == "@group(0) @binding(2) var work: texture_storage_2d<r32float, read_write>;"
    assert "vec2<u32>(i & 7u, i >> 3u)" in reported[1]
    assert reported[3] == ("store_work(a, load_work(b + u32(load_work(c)))); "
                       "if (load_work(d) == work4[e]) { store_work(f, load_work(f) - (g * 2.0)); }")


@on_networks
@on_lanes
def test_kernels_are_legal_for_tint(name, lanes, tint):
    for code in kernels(name, lanes):
        assert (complaint := tint(code)) is None, f"{complaint}\n{code}"


@on_networks
@on_lanes
def test_kernels_keep_within_the_limits_of_every_device(name, lanes):
    assert kernels(name, lanes)
    for code in kernels(name, lanes):
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
