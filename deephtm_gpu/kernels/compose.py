"""Kernels from the library of WGSL functions: puts the shaders' declarations together, sets their constants to the network
at hand, and writes the entry point that calls the ops of a dispatch."""

import re
from functools import cache
from importlib import resources
from pathlib import Path

from deephtm_gpu.kernels.arenas import Layout
from deephtm_gpu.kernels.schedule import Dispatch, Member
from deephtm_gpu.ops.table import SHADERS
from deephtm_gpu.plan.tensors import IO, STEP, TAPE, Tensor

ACROSS = 32768  # workgroups along x; more go on along y
BINDINGS = ("weights", "params", "work", "lists")  # by number; the steps come behind them
STEPS, TURN = len(BINDINGS), len(BINDINGS) + 1

_NAME = re.compile(r"\b(?:fn|var(?:<[^>]*>)?|const|struct)\s+(\w+)")


@cache
def shader_folder() -> Path:
    """`shaders/`: inside the installed package, or beside the package in a checkout."""
    packaged = Path(str(resources.files("deephtm_gpu") / "shaders"))
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "shaders"


@cache
def declarations(shader: str) -> dict[str, str]:
    """The top-level declarations of shaders/<shader>.wgsl by name, in their order."""
    text = (shader_folder() / f"{shader}.wgsl").read_text()
    return split(text)


def split(text: str) -> dict[str, str]:
    """WGSL text -> {name: declaration}, comments left out. A top-level declaration ends with the first line that ends in `;`
    or `}` with all braces closed."""
    found, lines = {}, []
    for line in re.sub(r"[ \t]*//[^\n]*", "", text).splitlines():
        if not lines and not line.strip():
            continue
        lines.append(line)
        whole = "\n".join(lines)
        if whole.count("{") == whole.count("}") and line.rstrip().endswith((";", "}")):
            found[_NAME.search(whole).group(1)] = whole
            lines = []
    return found


def settings(layout: Layout, lanes: int) -> dict[str, str]:
    """The constants of the library that hang on the network and the device."""
    return {
        "WG": f"const WG: u32 = {lanes}u;",
        "STREAMS": f"const STREAMS: u32 = {layout.plan.streams}u;",
        "STREAM": f"const STREAM: u32 = {layout.stride['work']}u;",
        "LISTS": f"const LISTS: u32 = {layout.stride['lists']}u;",
    }


def _steps(layout: Layout) -> str:
    """The rows of the chunk, one behind the last too; and the rows that this dispatch is for."""
    return f"""struct Step {{ row: u32, t: u32, rate: f32, k: f32, slot: u32, back: u32, scored: u32, waiting: f32 }}
struct Turn {{ first: u32, count: u32, pad0: u32, pad1: u32 }}
@group(0) @binding({STEPS}) var<uniform> steps: array<Step, {layout.rows + 1}>;
@group(0) @binding({TURN}) var<uniform> turn: Turn;"""


def compose(dispatch: Dispatch, layout: Layout, lanes: int, override: dict[str, str] | None = None) -> str:
    """The WGSL of a dispatch. override: shader text by file name, in place of the library's (to break one on purpose)."""
    library: dict[str, str] = {}
    for shader in dict.fromkeys(SHADERS[m.call.name] for m in dispatch.members()):
        own = split(override[shader]) if override and shader in override else declarations(shader)
        for name, text in own.items():
            if library.setdefault(name, text) != text:
                raise ValueError(f"two shaders declare {name!r} differently; give one of them another name")
    library.update(settings(layout, lanes))
    library.setdefault("lane", "var<private> lane: u32;")
    return "\n".join([*library.values(), _steps(layout), _entry(dispatch, layout)])


def _entry(dispatch: Dispatch, layout: Layout) -> str:
    body = _many_steps(dispatch, layout) if dispatch.lasting else _solo(dispatch, layout) if dispatch.solo else _wide(dispatch, layout)
    return "\n".join([
        "@compute @workgroup_size(WG)",
        "fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) id: vec3<u32>) {",
        "  lane = local;",
        f"  let group = id.x + id.y * {ACROSS}u;",
        *("  " + line for line in body),
        "}",
    ])


def _bases(layout, unit, model):
    """unit: the number of the stream among those of all models, as WGSL."""
    yield f"let unit = {unit};"
    yield f"if (unit >= {layout.plan.units}u) {{ return; }}"
    yield "let work_base = unit * STREAM;"
    yield "let list_base = unit * LISTS;"
    if layout.plan.models > 1:
        yield f"let weight_base = ({model}) * {layout.stride['weights']}u;"
        yield f"let param_base = ({model}) * {layout.stride['params']}u;"


_ROW = ("let now = steps[turn.first];", "let next = steps[turn.first + 1u];")


def _solo(dispatch, layout):
    yield from _bases(layout, "group", "group" if layout.plan.streams == 1 else f"group / {layout.plan.streams}u")
    yield from _ROW
    yield from _calls(dispatch.groups[0].members, layout, "")


def _many_steps(dispatch, layout):
    yield from _bases(layout, "group", "group")
    # Row n says its own number. (Told by `turn` alone, Mesa's lavapipe would compile the kernel anew for each number of steps.)
    yield "for (var n = turn.first; steps[n].row < turn.first + turn.count; n++) {"
    yield "  let now = steps[n];"
    yield from ("  " + line for line in _calls(dispatch.groups[0].members, layout, ""))
    yield "  storageBarrier();"
    yield "  workgroupBarrier();"
    yield "}"


def _wide(dispatch, layout):
    parts = sum(g.parts for g in dispatch.groups)
    model = f"group / {parts}u" if layout.plan.models > 1 else "0u"
    # The functions step from stream to stream themselves.
    yield from _bases(layout, f"({model}) * {layout.plan.streams}u", model)
    yield from _ROW
    if layout.plan.models > 1:
        yield f"let part = group % {parts}u;"
    part, first, branch = "part" if layout.plan.models > 1 else "group", 0, "if"
    for group in dispatch.groups:
        yield f"{branch} ({part} < {first + group.parts}u) {{"
        yield from ("  " + line for line in _calls(group.members, layout, f"{part} - {first}u, {group.parts}u"))
        first, branch = first + group.parts, "} else if"
    yield "}"


def _calls(members: list[Member], layout: Layout, parts: str):
    for member in members:
        if member.barrier:
            yield "storageBarrier();"
            yield "workgroupBarrier();"
        op = member.call.op
        arguments = [_place(member.call.tensors[n], member, layout) for n in op.tensors]
        arguments += [_number(member.call.consts[n]) for n in op.consts]
        if op.rows is not None:
            arguments.append(parts or "0u, 1u")
        yield f"{op.name}({', '.join(arguments)});"


def _place(tensor: Tensor | float, member: Member, layout: Layout) -> str:
    """Where the tensor lies, as WGSL; a number as itself."""
    if not isinstance(tensor, Tensor):
        return _number(tensor)
    step = "next" if member.phase else "now"
    if tensor.place == STEP:
        return f"{step}.{tensor.name}"
    place = layout.places[tensor]
    if tensor.parameter:
        base = {"weights": "weight_base", "params": "param_base"}[place.arena]
        return f"{base} + {place.offset}u" if layout.plan.models > 1 else f"{place.offset}u"
    if tensor.place == IO:
        at = f"{place.offset}u + ({step}.row * {layout.plan.units}u + unit) * {tensor.size}u"
        return f"work[{at}]" if tensor.name == "rate" else at  # a number, as where it is the same for all
    base = "work_base" if place.arena == "work" else "list_base"
    if tensor.place == TAPE:
        return f"{base} + {place.offset}u + {_slot(member, layout.plan, step)} * {layout.slot[place.arena]}u"
    return f"{base} + {place.offset}u"


def _slot(member: Member, plan, step: str) -> str:
    """Where on the tape the call works: the slot of the step at hand, or so many before the one that is scored."""
    lag = member.call.lag
    if lag is None:
        return f"{step}.slot"
    return f"(({step}.back + {plan.slots - lag}u) % {plan.slots}u)" if lag else f"{step}.back"


def _number(value) -> str:
    """A constant as WGSL: whole numbers are u32, others f32 with all their digits."""
    return f"{value}u" if isinstance(value, int) else f"{float(value)!r}f"
