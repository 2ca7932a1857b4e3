"""Kernels from the library of WGSL functions: takes the declarations that a dispatch needs from the shader files, sets
their constants to the network at hand, and writes the entry point that calls the ops of the dispatch.

A shader file may name on its first line the files of `shaders/lib` whose declarations it uses: `// lib: arenas,
reduce`. So may these.
"""

import re
from functools import cache
from importlib import resources
from pathlib import Path

from deephtm_gpu.kernels.arenas import Layout
from deephtm_gpu.kernels.schedule import Dispatch, Group, Member
from deephtm_gpu.ops.spec import Struct
from deephtm_gpu.ops.table import SHADERS
from deephtm_gpu.plan.tensors import IO, STEP, TAPE, Tensor

ACROSS = 32768  # workgroups along x; more are along y
BINDINGS = ("weights", "params", "work", "lists")  # by binding number; the steps are the next binding
STEPS, TURN = len(BINDINGS), len(BINDINGS) + 1

_LIB = re.compile(r"// lib: ([\w, ]+)\n")
_WORD = re.compile(r"[A-Za-z_]\w*")
_RULE = re.compile(r"\bRule\([^()]*\)")
_NAME = re.compile(r"\b(?:fn|var(?:<[^>]*>)?|const|struct)\s+(\w+)")


@cache
def shader_folder() -> Path:
    """`shaders/`: inside the installed package, or beside the package in a checkout."""
    packaged = Path(str(resources.files("deephtm_gpu") / "shaders"))
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "shaders"


@cache
def shader_text(name: str) -> str:
    """name: of a file in `shaders/`, "relu" or "lib/reduce"."""
    return (shader_folder() / f"{name}.wgsl").read_text(encoding="utf-8")


@cache
def files_of(name: str) -> tuple[str, ...]:
    """The files whose declarations the file `name` needs: those of the library, each once and behind what it needs
    itself, then the file."""
    named = _LIB.match(shader_text(name))
    libs = [f"lib/{lib.strip()}" for lib in named.group(1).split(",")] if named else []
    return tuple(dict.fromkeys([file for lib in libs for file in files_of(lib)] + [name]))


@cache
def declarations(name: str) -> dict[str, str]:
    """The top-level declarations of a shader file by name, in their order."""
    return split(shader_text(name))


def split(text: str) -> dict[str, str]:
    """WGSL text -> {name: declaration}, comments left out. A top-level declaration ends with the first line that ends
    in `;` or `}` with all braces closed."""
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
    """The constants of the library that depend on the network and the device."""
    return {
        "WG": f"const WG: u32 = {lanes}u;",
        "STREAMS": f"const STREAMS: u32 = {layout.plan.streams}u;",
        "STREAM": f"const STREAM: u32 = {layout.stride['work']}u;",
        "LISTS": f"const LISTS: u32 = {layout.stride['lists']}u;",
    }


def _steps(layout: Layout) -> str:
    """The steps of the chunk, one behind the last too; and the steps that this dispatch is for."""
    return f"""struct Step {{ number: u32, t: u32, rate: f32, k: f32, slot: u32, back: u32, scored: u32, waiting: f32 }}
struct Turn {{ first: u32, count: u32, pad0: u32, pad1: u32 }}
@group(0) @binding({STEPS}) var<uniform> steps: array<Step, {layout.steps + 1}>;
@group(0) @binding({TURN}) var<uniform> turn: Turn;"""


def compose(dispatch: Dispatch, layout: Layout, lanes: int, override: dict[str, str] | None = None) -> str:
    """The WGSL of a dispatch. override: shader texts by file name, in place of the library's (to break one on
    purpose)."""
    library: dict[str, str] = {}
    shaders = dict.fromkeys(SHADERS[m.call.name] for m in dispatch.members())
    for file in dict.fromkeys(file for shader in shaders for file in files_of(shader)):
        own = split(override[file]) if override and file in override else declarations(file)
        for name in own.keys() & library.keys():
            raise ValueError(f"{file}.wgsl declares {name!r}, which another shader file declares too; move it to "
                             "shaders/lib")
        library.update(own)
    library.update(settings(layout, lanes))
    entry = _with_table("\n".join([_steps(layout), _entry(dispatch, layout)]))
    return "\n".join([*_needed(library, entry), entry])


def _with_table(entry: str) -> str:
    """Each rule once, as a constant that the calls pass by value: there is no array to be indexed when the kernel
    runs."""
    rules = list(dict.fromkeys(_RULE.findall(entry)))
    for n, rule in enumerate(rules):
        entry = entry.replace(rule, f"RULE{n}")
    return "\n".join([*(f"const RULE{n} = {rule};" for n, rule in enumerate(rules)), entry])


def _needed(library: dict[str, str], entry: str) -> list[str]:
    """The declarations that the entry point needs, and those that these need."""
    found, left = set(), {entry}
    while left:
        new = {name for text in left for name in _WORD.findall(text) if name in library} - found
        found |= new
        left = {library[name] for name in new}
    return [text for name, text in library.items() if name in found]


def _entry(dispatch: Dispatch, layout: Layout) -> str:
    body = (
        _many_steps(dispatch, layout)
        if dispatch.persistent
        else _solo(dispatch, layout)
        if dispatch.solo
        else _wide(dispatch, layout)
    )
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
    unit = "group"
    if dispatch.sites > 1:
        unit = f"group / {dispatch.sites}u"
        yield f"let site = group % {dispatch.sites}u;"
    yield from _bases(layout, unit, unit if layout.plan.streams == 1 else f"{unit} / {layout.plan.streams}u")
    yield from _ROW
    yield from _calls(dispatch.groups[0], layout)


def _many_steps(dispatch, layout):
    yield from _bases(layout, "group", "group")
    # Row n holds its own number. (With `turn` alone, Mesa's lavapipe would compile the kernel again for each number of
    # steps.)
    yield "for (var n = turn.first; steps[n].number < turn.first + turn.count; n++) {"
    yield "  let now = steps[n];"
    yield from ("  " + line for line in _calls(dispatch.groups[0], layout))
    yield "  storageBarrier();"
    yield "  workgroupBarrier();"
    yield "}"


def _wide(dispatch, layout):
    parts = sum(g.workgroups for g in dispatch.groups)
    model = f"group / {parts}u" if layout.plan.models > 1 else "0u"
    # The functions step from stream to stream themselves.
    yield from _bases(layout, f"({model}) * {layout.plan.streams}u", model)
    yield from _ROW
    if layout.plan.models > 1:
        yield f"let part = group % {parts}u;"
    part, first, branch = "part" if layout.plan.models > 1 else "group", 0, "if"
    for group in dispatch.groups:
        yield f"{branch} ({part} < {first + group.workgroups}u) {{"
        mine = f"{part} - {first}u"
        if group.sites > 1:
            yield f"  let site = ({mine}) / {group.parts}u;"
            mine = f"({mine}) % {group.parts}u"
        yield from ("  " + line for line in _calls(group, layout, mine, f"{group.parts}u"))
        first, branch = first + group.workgroups, "} else if"
    yield "}"


def _calls(group: Group, layout: Layout, part="0u", parts="1u"):
    for member in group.members:
        if member.barrier:
            yield "storageBarrier();"
            yield "workgroupBarrier();"
        whole = {"part": part, "parts": parts}
        call = (
            f"{member.call.name}({', '.join(_argument(a, member, layout, whole) for a in member.call.op.arguments)});"
        )
        if member.call.sites == group.sites:
            yield call
            continue
        # No barrier between turns: they write at different positions, and functions leave workgroup memory to whichever
        # comes next.
        yield f"for (var site = 0u; site < {member.call.sites}u; site++) {{"
        yield f"  {call}"
        yield "}"


def _argument(argument: str | Struct, member: Member, layout: Layout, parts: dict[str, str]) -> str:
    """What the WGSL function of the call takes for it. parts: which part of how many, as WGSL."""
    if isinstance(argument, Struct):
        return f"{argument.type}({', '.join(_argument(field, member, layout, parts) for field in argument.fields)})"
    if argument in member.call.tensors:
        return _address(member.call.tensors[argument], member, layout)
    return _number(member.call.consts[argument]) if argument in member.call.consts else parts[argument]


def _address(tensor: Tensor | float, member: Member, layout: Layout) -> str:
    """Where the tensor lies, as WGSL; a number as itself."""
    if not isinstance(tensor, Tensor):
        return _number(tensor)
    step = "next" if member.phase else "now"
    if tensor.storage == STEP:
        return f"{step}.{tensor.name}"
    address = layout.addresses[tensor]
    if tensor.parameter:
        base = {"weights": "weight_base", "params": "param_base"}[address.arena]
        return f"{base} + {address.offset}u" if layout.plan.models > 1 else f"{address.offset}u"
    if tensor.storage == IO:
        at = f"{address.offset}u + ({step}.number * {layout.plan.units}u + unit) * {tensor.size}u"
        return f"work[{at}]" if tensor.name == "rate" else at  # a number, as where it is the same for all
    base = "work_base" if address.arena == "work" else "list_base"
    at = f"{base} + {address.offset}u"
    if tensor.storage == TAPE:
        at += f" + {_slot(member, layout.plan, step)} * {layout.slot[address.arena]}u"
    if tensor.sites > 1 and not member.call.op.whole:
        at += f" + site * {layout.site(tensor)}u"
    return at


def _slot(member: Member, plan, step: str) -> str:
    """Where on the tape the call works: the slot of the step at hand, or so many before the one that is scored."""
    lag = member.call.lag
    if lag is None:
        return f"{step}.slot"
    return f"(({step}.back + {plan.slots - lag}u) % {plan.slots}u)" if lag else f"{step}.back"


def _number(value) -> str:
    """A constant as WGSL: whole numbers are u32, others f32 with all their digits."""
    return f"{value}u" if isinstance(value, int) else f"{float(value)!r}f"
