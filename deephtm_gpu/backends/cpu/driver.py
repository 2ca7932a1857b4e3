"""A kernel program as one source and one native function, `run`, that goes through many steps of some models.

    run(weights, params, work, lists, each, steps, shared, first, n, from, to)

runs, for each model from number `from` to `to`, n steps from step `first` of the chunk on: `head`, n - 1 times `body`,
then `tail`; or a persistent kernel once. each: bytes from a model's arena to that of the next, for all four arenas.
"""

import re

from deephtm_gpu.backends.cpu.native import is_x86
from deephtm_gpu.backends.cpu.syntax import parse
from deephtm_gpu.backends.cpu.translate import ARENAS, translate
from deephtm_gpu.kernels.compose import ACROSS, split
from deephtm_gpu.kernels.program import Kernel, KernelProgram

_RULE, _MAIN = re.compile(r"\bRULE(\d+)\b"), re.compile(r"\bfn main\(")
_GIVEN = tuple(a for a in ARENAS if a != "turn")
_FLUSH = 0x8040  # of the control register: what goes in and what comes out
_MOVED = ("weights", "params", "work", "lists")  # those of a model
_HEADER = "// program "


def source_of(program: KernelProgram) -> str:
    """All kernels of a program in one WGSL text, each declaration once; the entry point of kernel n is `main_n`. What
    runs when stands in the first line."""
    kernels: list[Kernel] = []
    order = []
    for part in (program.head, program.body, program.tail):
        numbers = []
        for kernel in part:
            if kernel not in kernels:
                kernels.append(kernel)
            numbers.append(f"{kernels.index(kernel)}x{kernel.x}x{kernel.y}")
        order.append(",".join(numbers))
    declared: dict[str, str] = {}
    for n, kernel in enumerate(kernels):
        text = _MAIN.sub(f"fn main_{n}(", _RULE.sub(rf"RULE\1_{n}", kernel.code))
        for name, declaration in split(text).items():
            if declared.setdefault(name, declaration) != declaration:
                raise ValueError(f"two kernels of a program declare {name!r} differently")
    return "\n".join([f"{_HEADER}{program.steps} {';'.join(order)}", *declared.values()])


def ir_of(source: str) -> str:
    """LLVM IR of what `source_of` gave."""
    first, _, rest = source.partition("\n")
    steps, order = first.removeprefix(_HEADER).split(" ", 1)
    head, body, tail = ([tuple(map(int, k.split("x"))) for k in part.split(",") if k] for part in order.split(";"))
    kernels = dict.fromkeys([*head, *body, *tail])
    one = _persistent(body) if int(steps) else _several(head, body, tail)
    return "\n".join([translate(parse(rest)), *(_groups(*k) for k in kernels), one, _models(),
                      "attributes #0 = { nounwind noinline }", "attributes #1 = { nounwind alwaysinline }"])


def _typed(names) -> str:
    return ", ".join(f"ptr noalias %{n}" for n in names)


def _pointers(names) -> str:
    return ", ".join(f"ptr %{n}" for n in names)


def _groups(n, x, y) -> str:
    """All workgroups of a kernel, one after the other."""
    return f"""
define internal void @all_{n}_{x}_{y}({_typed(ARENAS)}) #0 {{
entry:
  br label %group
group:
  %g = phi i32 [ 0, %entry ], [ %g1, %group ]
  %x = urem i32 %g, {ACROSS}
  %y = udiv i32 %g, {ACROSS}
  call void @main_{n}({_pointers(ARENAS)}, i32 %x, i32 %y)
  %g1 = add nuw i32 %g, 1
  %more = icmp ult i32 %g1, {x * y}
  br i1 %more, label %group, label %end
end:
  ret void
}}"""


def _begin() -> str:
    return f"""
define internal void @one({_typed(_GIVEN)}, i32 %first, i32 %n) #0 {{
entry:
  %turn = alloca [4 x i32], align 16
  %count = getelementptr i32, ptr %turn, i32 1
  store i32 %first, ptr %turn"""


def _call(kernel) -> str:
    n, x, y = kernel
    return f"  call void @all_{n}_{x}_{y}({_pointers(ARENAS)})"


def _persistent(body) -> str:
    return "\n".join([_begin(), "  store i32 %n, ptr %count", *map(_call, body), "  ret void", "}"])


def _several(head, body, tail) -> str:
    """As the GPU backend encodes it: the body of a step is the end of the one before and the beginning of the next."""
    return "\n".join([
        _begin(), "  store i32 1, ptr %count", *map(_call, head),
        "  %last = sub i32 %n, 1", "  %alone = icmp eq i32 %last, 0", "  br i1 %alone, label %end, label %step",
        "step:", "  %i = phi i32 [ 0, %entry ], [ %i1, %step ]", "  %at = add i32 %first, %i",
        "  store i32 %at, ptr %turn", *map(_call, body), "  %i1 = add i32 %i, 1",
        "  %more = icmp ult i32 %i1, %last", "  br i1 %more, label %step, label %end",
        "end:", "  %final = add i32 %first, %last", "  store i32 %final, ptr %turn", *map(_call, tail),
        "  ret void", "}"])


def _models() -> str:
    """Model after model: the arenas of the next lie so many bytes behind."""
    moved = [f"  %{a}_each = load i64, ptr {f'%each_{i}' if i else '%each'}\n  %{a}_far = mul i64 %{a}_each, %wide\n"
             f"  %{a}_at = getelementptr i8, ptr %{a}, i64 %{a}_far" for i, a in enumerate(_MOVED)]
    begin, end, declared = _flushing()
    steps = [f"  %each_{i} = getelementptr i64, ptr %each, i32 {i}" for i in range(1, len(_MOVED))]
    given = ", ".join(f"ptr %{a}{'_at' if a in _MOVED else ''}" for a in _GIVEN)
    return "\n".join([
        f"define void @run({_typed(_MOVED)}, ptr %each, ptr %steps, ptr %shared, i32 %first, i32 %n, i32 %from, "
        "i32 %to) #0 {", "entry:", *begin, *steps, "  br label %model", "model:",
        "  %p = phi i32 [ %from, %entry ], [ %p1, %model ]", "  %wide = zext i32 %p to i64", *moved,
        f"  call void @one({given}, i32 %first, i32 %n)", "  %p1 = add i32 %p, 1", "  %more = icmp ult i32 %p1, %to",
        "  br i1 %more, label %model, label %end", "end:", *end, "  ret void", "}", *declared])


def _flushing() -> tuple[list[str], list[str], list[str]]:
    """Numbers too small to be normal are 0, as WGSL allows and GPUs have it: a processor takes a hundred cycles for
    each. Lines at the beginning and the end of a function, and what they need."""
    if not is_x86():
        return [], [], []
    begin = ["%were = alloca i32", "%flush = alloca i32", "call void @llvm.x86.sse.stmxcsr(ptr %were)",
             "%control = load i32, ptr %were", f"%set = or i32 %control, {_FLUSH}", "store i32 %set, ptr %flush",
             "call void @llvm.x86.sse.ldmxcsr(ptr %flush)"]
    return [f"  {line}" for line in begin], ["  call void @llvm.x86.sse.ldmxcsr(ptr %were)"], [
        f"declare void @llvm.x86.sse.{name}mxcsr(ptr)" for name in ("st", "ld")]
