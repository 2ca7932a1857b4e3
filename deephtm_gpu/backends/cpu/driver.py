"""A kernel program as one source and one native function, `run`, that goes through many steps.

    run(weights, params, work, lists, steps, shared, first, n, from, to)

runs n steps from step `first` of the chunk on: `head`, n - 1 times `body`, then `tail`; or a persistent kernel once, of
the models `from` to `to`.
"""

import re

from deephtm_gpu.backends.cpu.syntax import parse
from deephtm_gpu.backends.cpu.translate import ARENAS, translate
from deephtm_gpu.kernels.compose import ACROSS, split
from deephtm_gpu.kernels.program import Kernel, KernelProgram

_RULE, _MAIN = re.compile(r"\bRULE(\d+)\b"), re.compile(r"\bfn main\(")
_GIVEN = tuple(a for a in ARENAS if a != "turn")
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
    several = "\n".join([*(_groups(*k) for k in kernels), _several(head, body, tail)])
    whole = _persistent(body) if int(steps) else several
    return "\n".join([translate(parse(rest)), whole,
                      "attributes #0 = { nounwind }"])


def _pointers(names) -> str:
    return ", ".join(f"ptr %{n}" for n in names)


def _all(name, begin, end, n) -> str:
    """The workgroups of kernel n from number `begin` to `end`, both operands, one after the other."""
    return f"""
define internal void @{name}({", ".join(f"ptr noalias %{a}" for a in ARENAS)}, i32 %from, i32 %to) #0 {{
entry:
  %some = icmp ult i32 {begin}, {end}
  br i1 %some, label %group, label %end
group:
  %g = phi i32 [ {begin}, %entry ], [ %g1, %group ]
  %x = urem i32 %g, {ACROSS}
  %y = udiv i32 %g, {ACROSS}
  call void @main_{n}({_pointers(ARENAS)}, i32 %x, i32 %y)
  %g1 = add nuw i32 %g, 1
  %more = icmp ult i32 %g1, {end}
  br i1 %more, label %group, label %end
end:
  ret void
}}"""


def _groups(n, x, y) -> str:
    """All workgroups of a kernel, where these are not as many as fill its last row: what is too much returns at
    once."""
    return _all(f"all_{n}_{x}_{y}", 0, x * y if y == 1 else ACROSS * y, n)


def _begin() -> str:
    return f"""
define void @run({", ".join(f"ptr noalias %{a}" for a in _GIVEN)}, i32 %first, i32 %n, i32 %from, i32 %to) #0 {{
entry:
  %turn = alloca [4 x i32], align 16
  %count = getelementptr i32, ptr %turn, i32 1"""


def _call(kernel) -> str:
    n, x, y = kernel
    return f"  call void @all_{n}_{x}_{y}({_pointers(ARENAS)}, i32 0, i32 0)"


def _persistent(body) -> str:
    """Models are workgroups: from one to another, for several threads."""
    ((n, _, _),) = body
    return "\n".join([_all("models", "%from", "%to", n), _begin(), "  store i32 %first, ptr %turn",
                      "  store i32 %n, ptr %count", f"  call void @models({_pointers(ARENAS)}, i32 %from, i32 %to)",
                      "  ret void", "}"])


def _several(head, body, tail) -> str:
    """As the GPU backend encodes it: the body of a step is the end of the one before and the beginning of the next."""
    return "\n".join([
        _begin(), "  store i32 %first, ptr %turn", "  store i32 1, ptr %count", *map(_call, head),
        "  %last = sub i32 %n, 1", "  %alone = icmp eq i32 %last, 0", "  br i1 %alone, label %end, label %step",
        "step:", "  %i = phi i32 [ 0, %entry ], [ %i1, %step ]", "  %at = add i32 %first, %i",
        "  store i32 %at, ptr %turn", *map(_call, body), "  %i1 = add i32 %i, 1",
        "  %more = icmp ult i32 %i1, %last", "  br i1 %more, label %step, label %end",
        "end:", "  %final = add i32 %first, %last", "  store i32 %final, ptr %turn", *map(_call, tail), "  ret void", "}"])
