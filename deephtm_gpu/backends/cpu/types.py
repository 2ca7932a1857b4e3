"""Types of WGSL as types of LLVM IR."""

import re

from deephtm_gpu.backends.cpu.syntax import Binary, Call, Literal, Module, Name, SyntaxNotKnown, parse

_VECTOR = re.compile(r"vec([234])<(\w+)>")
EIGHT = "<8 x float>"  # the struct of `shaders/lib/eight.wgsl`, in one register
_PLAIN = {"Eight": EIGHT, "f32": "float", "u32": "i32", "i32": "i32", "int": "i32", "bool": "i1"}


def width(kind: str) -> int:
    """Numbers of a vector; 1 of anything else."""
    found = _VECTOR.fullmatch(kind)
    return int(found.group(1)) if found else 1


def component(kind: str) -> str:
    """What a vector is made of; anything else itself."""
    if kind == "Eight":
        return "f32"
    found = _VECTOR.fullmatch(kind)
    return found.group(2) if found else kind


def element_of(kind: str) -> str:
    """What is found at an index."""
    if width(kind) > 1:
        return component(kind)
    if kind.startswith("array<"):
        inner = kind[6:-1]
        return inner if inner.endswith(">") and "," not in inner.split(">")[-1] else inner.rsplit(",", 1)[0]
    raise SyntaxNotKnown(f"a {kind} has no elements")


class Types:
    """Those of a module: its structs, and its workgroup variables as the struct `%Shared`."""

    def __init__(self, module: Module):
        self._module = module
        self._shared = [name for name, (space, _) in module.variables.items() if space == "workgroup"]

    def declarations(self) -> str:
        lines = [f"%{name} = type {{ {', '.join(self.ir(kind) for _, kind in fields)} }}"
                 for name, fields in self._module.structs.items() if name != "Eight"]
        shared = ", ".join(self.ir(self._module.variables[name][1]) for name in self._shared)
        return "\n".join([*lines, f"%Shared = type {{ {shared or 'i32'} }}"])

    def shared_index(self, name: str) -> int:
        return self._shared.index(name)

    def ir(self, kind: str) -> str:
        if kind in _PLAIN:
            return _PLAIN[kind]
        if width(kind) > 1:
            return f"<{width(kind)} x {_PLAIN[component(kind)]}>"
        if kind.startswith("atomic<"):
            return self.ir(kind[7:-1])
        if kind.startswith("array<"):
            inner = element_of(kind)
            count = kind[6:-1][len(inner):].lstrip(",")
            return f"[{self._count(count)} x {self.ir(inner)}]"
        if kind in self._module.structs:
            return f"%{kind}"
        raise SyntaxNotKnown(f"the type {kind!r} of WGSL is not known here")

    def align(self, kind: str) -> int:
        if kind.startswith("array<"):
            return self.align(element_of(kind))
        return {1: 4, 2: 8, 3: 16, 4: 16}[width(kind)]

    def field(self, kind: str, name: str) -> tuple[int, str]:
        """(its number, its type)"""
        for at, (field, of) in enumerate(self._module.structs.get(kind, ())):
            if field == name:
                return at, of
        raise SyntaxNotKnown(f"a {kind} has no field {name!r}")

    def _count(self, text: str) -> int:
        """The length of an array; a run-time array has none."""
        if not text:
            return 0
        tree = parse(f"const N = {text};").constants["N"][1]
        return self._number(tree)

    def _number(self, tree) -> int:
        match tree:
            case Literal(text):
                return int(text.rstrip("ui"), 0)
            case Name(name):
                return self._number(self._module.constants[name][1])
            case Binary(mark, left, right):
                a, b = self._number(left), self._number(right)
                return {"+": a + b, "-": a - b, "*": a * b, "/": a // b if b else a, "%": a % b if b else 0}[mark]
            case Call("clamp", (value, low, high)):
                return min(max(self._number(value), self._number(low)), self._number(high))
            case Call("max" | "min" as name, arguments):
                return {"max": max, "min": min}[name](map(self._number, arguments))
        raise SyntaxNotKnown(f"the length of an array in WGSL may not be {tree!r}")
