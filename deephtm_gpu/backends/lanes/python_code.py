"""Trees of WGSL to the text of Python functions. Those in which a barrier may be are generators: they yield its kind,
and all lanes of a workgroup go on together."""

from deephtm_gpu.backends.cpu.syntax import (
    Assign,
    Binary,
    Call,
    Declare,
    Discarded,
    Function,
    If,
    Index,
    Leave,
    Literal,
    Loop,
    Member,
    Module,
    Name,
    SyntaxNotKnown,
    Unary,
)
from deephtm_gpu.backends.cpu.types import Types, component, element_of, width
from deephtm_gpu.backends.lanes import meaning

BARRIERS = {"workgroupBarrier": "workgroup", "storageBarrier": "storage"}
_LANES = "xyzw"
_SHARED = ("storage", "uniform", "workgroup")


def functions_of(module: Module, memories: dict) -> dict:
    """name -> a Python function (memories, lane, ...) or a generator of them, as its text says."""
    waiting = _waiting(module)
    text = "\n".join(_Writer(module, waiting, f).text() for f in module.functions.values())
    names = {"OPERATORS": meaning.OPERATORS, "FUNCTIONS": meaning.FUNCTIONS, "ATOMIC": meaning.ATOMIC,
             "negative": meaning.negative, "inverted": meaning.inverted, "vector": meaning.vector,
             "with_part": meaning.with_part, "M": memories}
    exec(compile(text, "kernel", "exec"), names)
    return {name: names[f"f_{name}"] for name in module.functions}


def _waiting(module: Module) -> set[str]:
    """Functions in which, or in what they call, a barrier may be."""
    calls = {name: _called(f.body) for name, f in module.functions.items()}
    found = {name for name, called in calls.items() if called & {*BARRIERS, "workgroupUniformLoad"}}
    while more := {name for name, called in calls.items() if called & found} - found:
        found |= more
    return found


def _called(tree) -> set[str]:
    if isinstance(tree, tuple):
        return set().union(*map(_called, tree)) if tree else set()
    if not hasattr(tree, "__dataclass_fields__"):
        return set()
    own = {tree.name} if isinstance(tree, Call) else set()
    return own.union(*map(_called, vars(tree).values()))


class _Writer:
    def __init__(self, module: Module, waiting: set[str], function: Function):
        self._module, self._waiting, self._function = module, waiting, function
        self._types, self._lines, self._depth = Types(module), [], 1
        self._scopes: list[dict[str, str]] = [{}]
        self._kinds: dict[str, str | None] = {}  # types of variables, where they are known
        self._count, self._steps = 0, []

    def text(self) -> str:
        f = self._function
        arguments = [self._bind(name, kind) for name, kind in f.arguments]
        self._block(f.body)
        return "\n".join([f"def f_{f.name}({', '.join(['lane', *arguments])}):", *self._lines, "    return", ""])

    def _emit(self, line):
        self._lines.append("    " * self._depth + line)

    def _bind(self, name, kind=None) -> str:
        self._count += 1
        own = f"v{self._count}_{name}"
        self._scopes[-1][name] = own
        self._kinds[own] = kind
        return own

    def _find(self, name) -> str | None:
        return next((scope[name] for scope in reversed(self._scopes) if name in scope), None)

    # Statements

    def _block(self, statements):
        self._scopes.append({})
        for statement in statements:
            self._statement(statement)
        self._scopes.pop()

    def _indented(self, statements):
        self._depth += 1
        self._emit("pass")
        self._block(statements)
        self._depth -= 1

    def _statement(self, s):
        match s:
            case Declare(name, kind, value, _):
                made = self._zero(kind) if value is None else self._value(value)
                self._emit(f"{self._bind(name, kind or self._kind(value))} = {made}")
            case Assign(Name("lane")):
                pass
            case Assign(target, mark, value):
                made = self._value(value)
                if mark != "=":
                    made = f"OPERATORS['{mark}']({self._value(target)}, {made})"
                self._store(target, made)
            case If(condition, then, otherwise):
                self._emit(f"if {self._value(condition)}:")
                self._indented(then)
                self._emit("else:")
                self._indented(otherwise)
            case Loop():
                self._loop(s)
            case Leave("return", value):
                self._emit("return" if value is None else f"return {self._value(value)}")
            case Leave("break"):
                self._emit("break")
            case Leave("continue"):
                for step in self._steps[-1]:
                    self._statement(step)
                self._emit("continue")
            case Discarded(Call(name)) if name in BARRIERS:
                self._emit(f"yield '{BARRIERS[name]}'")
            case Discarded(call):
                self._emit(self._value(call))
            case _:
                raise SyntaxNotKnown(f"no statement is known as {s!r}")

    def _loop(self, s: Loop):
        self._scopes.append({})
        for begin in s.begin:
            self._statement(begin)
        condition = "True" if s.condition is None else self._value(s.condition)
        self._emit(f"while {condition}:")
        self._steps.append(s.step)
        self._indented(s.body)
        self._depth += 1
        for step in s.step:
            self._statement(step)
        self._depth -= 1
        self._steps.pop()
        self._scopes.pop()

    def _store(self, target, made):
        """Of a variable, or of a part of one: the rest of it stays."""
        match target:
            case Name(name) if own := self._find(name):
                self._emit(f"{own} = {made}")
            case Name(name):
                self._emit(f"M['{name}'].write(0, {made}, lane)")
            case Index(Name(name), at) if self._is_shared(name):
                self._emit(f"M['{name}'].write({self._value(at)}, {made}, lane)")
            case Index(Name(name), at) if (self._kinds.get(self._find(name)) or "").startswith("array<"):
                self._emit(f"{self._find(name)}[{self._value(at)}] = {made}")
            case Index(value, at):
                self._store(value, f"with_part({self._value(value)}, {self._value(at)}, {made})")
            case Member(value, name):
                self._store(value, f"with_part({self._value(value)}, {self._field(value, name)}, {made})")

    def _zero(self, kind) -> str:
        if kind.startswith("array<"):
            return f"[{self._zero(element_of(kind))}] * {self._types.ir(kind)[1:].split(' x ')[0]}"
        if kind in self._module.structs:
            return f"({', '.join(self._zero(of) for _, of in self._module.structs[kind])},)"
        zero = {"f32": "0.0", "bool": "False"}.get(component(kind), "0")
        return f"({zero},) * {width(kind)}" if width(kind) > 1 else zero

    # Expressions

    def _value(self, tree) -> str:
        match tree:
            case Literal(text):
                return _number(text)
            case Name("lane"):
                return "lane"
            case Name("true" | "false" as name):
                return name.capitalize()
            case Name(name):
                return self._named(name)
            case Unary("!", value) | Unary("~", value):
                return f"inverted({self._value(value)})"
            case Unary("-", value):
                return f"negative({self._value(value)})"
            case Binary("&&" | "||" as mark, left, right):
                return f"({self._value(left)} {'and' if mark == '&&' else 'or'} {self._value(right)})"
            case Binary(mark, left, right):
                return f"OPERATORS['{mark}']({self._value(left)}, {self._value(right)})"
            case Call():
                return self._call(tree)
            case Index(Name(name), at) if self._is_shared(name):
                return f"M['{name}'].read({self._value(at)}, lane)"
            case Index(value, at):
                return f"{self._value(value)}[{self._value(at)}]"
            case Member(value, name):
                return self._member(value, name)
        raise SyntaxNotKnown(f"no expression is known as {tree!r}")

    def _is_shared(self, name) -> bool:
        return self._find(name) is None and self._module.variables.get(name, ("",))[0] in _SHARED

    def _named(self, name) -> str:
        if own := self._find(name):
            return own
        if name in self._module.constants:
            kind, tree = self._module.constants[name]
            made = self._value(tree)
            return f"float({made})" if kind == "f32" else made
        return f"M['{name}'].read(0, lane)"

    def _member(self, value, name) -> str:
        kind = self._kind(value)
        if kind in self._module.structs:
            return f"{self._value(value)}[{self._field(value, name)}]"
        made = self._value(value)
        if len(name) == 1:
            return f"{made}[{_LANES.index(name)}]"
        return f"(lambda q: ({', '.join(f'q[{_LANES.index(x)}]' for x in name)}))({made})"

    def _field(self, value, name) -> int:
        kind = self._kind(value)
        return self._types.field(kind, name)[0] if kind in self._module.structs else _LANES.index(name)

    def _kind(self, tree) -> str | None:
        """The type of an expression, as far as structs go."""
        match tree:
            case Name(name) if own := self._find(name):
                return self._kinds.get(own)
            case Name(name) if name in self._module.constants:
                kind, value = self._module.constants[name]
                return kind or self._kind(value)
            case Name(name):
                return self._module.variables.get(name, (None, None))[1]
            case Call(name):
                return self._module.functions[name].returns if name in self._module.functions else name
            case Index(value):
                kind = self._kind(value) or ""
                return kind[6:-1].rsplit(",", 1)[0] if kind.startswith("array<") else None
            case Member(value, name):
                kind = self._kind(value)
                return self._types.field(kind, name)[1] if kind in self._module.structs else None
        return None

    def _call(self, call: Call) -> str:
        name = call.name
        if name == "workgroupUniformLoad":
            return f"(yield ('load', lambda lane: {self._value(call.arguments[0])}))"
        if name == "atomicLoad":
            return self._atomic(call.arguments[0], "peek()")
        if name.startswith("atomic"):
            change = "lambda a, b: b" if name == "atomicStore" else f"ATOMIC['{name}']"
            return self._atomic(call.arguments[0], f"change({change}, {self._value(call.arguments[1])})")
        given = ", ".join(map(self._value, call.arguments))
        if name in self._module.functions:
            made = f"f_{name}({', '.join(filter(None, ['lane', given]))})"
            return f"(yield from {made})" if name in self._waiting else made
        if name in self._module.structs:
            return f"({given},)" if given else self._zero(name)
        if name.startswith("vec"):
            return f"vector({width(name)}, {given})" if given else self._zero(name)
        if name not in meaning.FUNCTIONS:
            raise SyntaxNotKnown(f"the function {name!r} of WGSL is not known here")
        return f"FUNCTIONS['{name}']({given})"

    def _atomic(self, target, action) -> str:
        name, at = (target.value.name, self._value(target.at)) if isinstance(target, Index) else (target.name, "0")
        return f"M['{name}'].atomic({at}).{action}"


def _number(text: str) -> str:
    if text.lower().startswith("0x") or text.rstrip("ui").isdigit():
        return str(int(text.rstrip("ui"), 0))
    return repr(float(text.rstrip("f")))
