"""Trees of WGSL to LLVM IR, for a kernel whose workgroups have one lane: barriers vanish, and the lane is number 0.

Every function gets the arenas as its first arguments, so that the same code serves many models and threads. Each call
of an entry point is a machine function of its own, made for the constants it gets, and the same wherever the same call
stands: what an op computes does not depend, to the bit, on the kernel around it. All else goes into the caller. Whole
numbers are taken not to overflow in sums and products (`nuw`), which makes an index run on by itself; functions that
mix bits (`^`) are left alone. Sums may be reordered, as WGSL allows: LLVM then adds up several numbers at once.
"""

import re
import struct
from dataclasses import dataclass

from deephtm_gpu.backends.cpu import builtins
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
from deephtm_gpu.backends.cpu.wide import METADATA, mark_of, metadata_of

ARENAS = ("weights", "params", "work", "lists", "steps", "turn", "shared")
FAST = "reassoc nsz contract"
_ARITHMETIC = {"+": ("fadd", "add"), "-": ("fsub", "sub"), "*": ("fmul", "mul")}
_COMPARE = {"<": ("olt", "ult", "slt"), "<=": ("ole", "ule", "sle"), ">": ("ogt", "ugt", "sgt"),
            ">=": ("oge", "uge", "sge"), "==": ("oeq", "eq", "eq"), "!=": ("une", "ne", "ne")}
_BITS = {"&": "and", "|": "or", "^": "xor"}
_QUIET = {"workgroupBarrier", "storageBarrier", "textureBarrier"}
_LANES = "xyzw"
_AT_ONCE = {"work4", "put4", "weight4", "work8", "put8", "weights8", "put_weights8", "params4", "put_params4"}
_EIGHTS = {"add_scaled8", "add_product8", "total8"}


@dataclass(frozen=True)
class Value:
    """type: of WGSL; "int" is a whole number without a suffix. text: the operand in LLVM IR."""

    type: str
    text: str


@dataclass(frozen=True)
class Place:
    """Something in memory: its type, the operand that points at it, and how it is aligned."""

    type: str
    pointer: str
    align: int = 4


def translate(module: Module) -> str:
    """LLVM IR of all functions of a module; entry points are called `main` and get the workgroup's number along both
    axes behind the arenas."""
    types, calls, loops = Types(module), {}, []
    texts = [types.declarations()]
    for function in module.functions.values():
        texts.append(_Body(module, types, function, calls, loops).text())
    for function in calls.values():
        texts.append(_Body(module, types, function, None, loops).text())
    used = set(re.findall(r"@(llvm\.[\w.]+)", "\n".join(texts)))
    return "\n".join([*texts, *map(builtins.declaration, sorted(used)), METADATA, *loops])


def arena_arguments() -> str:
    return ", ".join(f"ptr noalias %{name}" for name in ARENAS)


class _Body:
    """The IR of one function."""

    def __init__(self, module: Module, types: Types, function: Function, calls: dict | None, loops: list):
        """calls: the functions made of calls of entry points, by what is called; None within one of them. loops:
        metadata of the module's loops."""
        self._module, self._types, self._function, self._calls, self._all_loops = module, types, function, calls, loops
        self._lines: list[str] = []
        self._allocas: list[str] = []
        self._scopes: list[dict[str, Value | Place]] = [{}]
        self._loops: list[tuple[str, str]] = []  # (where continue goes, where break goes)
        self._count = 0
        self._closed = False  # whether the block at hand has ended
        self._flag = "" if _mixes(function.body) else "nuw "

    def text(self) -> str:
        function = self._function
        if function.entry:
            arguments = f"{arena_arguments()}, i32 %group_x, i32 %group_y"
            self._bind_entry()
        else:
            arguments = ", ".join([arena_arguments(), *(f"{self._types.ir(t)} %a_{n}" for n, t in function.arguments)])
            for name, kind in function.arguments:
                self._scopes[-1][name] = Value(kind, f"%a_{name}")
        self._block(function.body)
        returns = "void" if function.returns is None else self._types.ir(function.returns)
        if not self._closed:
            self._emit("ret void" if returns == "void" else "unreachable")
        kind = "#0" if function.entry or self._calls is None else "#1"
        head = f"define internal {returns} @{function.name}({arguments}) {kind} {{"
        return "\n".join([head, "entry:", *self._allocas, *self._lines, "}"])

    def _bind_entry(self):
        for name, kind in self._function.arguments:
            if kind == "u32":
                self._scopes[-1][name] = Value("u32", "0")
            else:
                v = Value("vec3<u32>", "zeroinitializer")
                for lane, part in enumerate(("%group_x", "%group_y")):
                    v = Value(v.type, self._new(f"insertelement <3 x i32> {v.text}, i32 {part}, i32 {lane}"))
                self._scopes[-1][name] = v

    # Lines

    def _emit(self, line):
        self._lines.append("  " + line)

    def _name(self) -> str:
        self._count += 1
        return f"v{self._count}"

    def _new(self, operation) -> str:
        name = f"%{self._name()}"
        self._emit(f"{name} = {operation}")
        return name

    def _label(self, name):
        if not self._closed:
            self._emit(f"br label %{name}")
        self._lines.append(f"{name}:")
        self._closed = False

    def _jump(self, name, mark=""):
        if not self._closed:
            self._emit(f"br label %{name}{mark}")
        self._closed = True

    def _branch(self, condition: Value, yes, no):
        self._emit(f"br i1 {condition.text}, label %{yes}, label %{no}")
        self._closed = True

    def _alloca(self, ir) -> str:
        name = f"%{self._name()}"
        self._allocas.append(f"  {name} = alloca {ir}")
        return name

    # Statements

    def _block(self, statements):
        self._scopes.append({})
        for statement in statements:
            if self._closed:
                break  # nothing is behind a return
            self._statement(statement)
        self._scopes.pop()

    def _statement(self, statement):
        match statement:
            case Declare():
                self._declare(statement)
            case Assign():
                self._assign(statement)
            case If():
                self._if(statement)
            case Loop():
                self._loop(statement)
            case Leave("return", value):
                self._return(value)
            case Leave(what):
                self._jump(self._loops[-1][what == "break"])
            case Discarded(call) if self._function.entry and call.name in self._module.functions:
                self._apart(call)
            case Discarded(call):
                self._call(call)
            case _:
                raise SyntaxNotKnown(f"no statement is known as {statement!r}")

    def _declare(self, d: Declare):
        value = None if d.value is None else self._value(d.value)
        kind = d.type or ("i32" if value.type == "int" else value.type)
        if value is not None:
            value = self._as(value, kind)
        if not d.changes:
            self._scopes[-1][d.name] = value
            return
        ir = self._types.ir(kind)
        place = Place(kind, self._alloca(ir), self._types.align(kind))
        self._emit(f"store {ir} {'zeroinitializer' if value is None else value.text}, ptr {place.pointer}")
        self._scopes[-1][d.name] = place

    def _assign(self, a: Assign):
        if a.target == Name("lane"):
            return
        place = self._place(a.target)
        value = self._value(a.value)
        if a.mark != "=":
            value = self._binary(a.mark, self._load(place), value)
        self._store(place, self._as(value, _plain(place.type)))

    def _if(self, s: If):
        condition = self._value(s.condition)
        if condition.text in ("true", "false"):
            self._block(s.then if condition.text == "true" else s.otherwise)
            return
        n = self._name()
        self._branch(condition, f"then_{n}", f"else_{n}" if s.otherwise else f"end_{n}")
        self._label(f"then_{n}")
        self._block(s.then)
        leaves = self._closed
        self._jump(f"end_{n}")
        if s.otherwise:
            self._label(f"else_{n}")
            self._block(s.otherwise)
            leaves &= self._closed
            self._jump(f"end_{n}")
        else:
            leaves = False
        if not leaves:
            self._label(f"end_{n}")

    def _loop(self, s: Loop):
        n = self._name()
        self._scopes.append({})
        for begin in s.begin:
            self._statement(begin)
        self._label(f"head_{n}")
        if s.condition is not None:
            self._branch(self._value(s.condition), f"body_{n}", f"end_{n}")
            self._label(f"body_{n}")
        self._loops.append((f"next_{n}", f"end_{n}"))
        self._block(s.body)
        self._loops.pop()
        self._label(f"next_{n}")
        for step in s.step:
            self._statement(step)
        self._jump(f"head_{n}", mark_of(len(self._all_loops)))
        self._all_loops.append(metadata_of(len(self._all_loops), s))
        self._label(f"end_{n}")
        self._scopes.pop()

    def _return(self, value):
        if value is None:
            self._emit("ret void")
        else:
            made = self._as(self._value(value), self._function.returns)
            self._emit(f"ret {self._types.ir(made.type)} {made.text}")
        self._closed = True

    # Memory

    def _find(self, name) -> Value | Place | None:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        if name in self._module.variables:
            space, kind = self._module.variables[name]
            if space == "workgroup":
                at = self._types.shared_index(name)
                pointer = self._new(f"getelementptr inbounds %Shared, ptr %shared, i32 0, i32 {at}")
                return Place(kind, pointer, self._types.align(kind))
            if space in ("storage", "uniform"):
                return Place(kind, f"%{name}", self._types.align(kind))
        return None

    def _place(self, tree) -> Place:
        match tree:
            case Name(name):
                found = self._find(name)
                if isinstance(found, Place):
                    return found
            case Index(value, at):
                return self._element(self._place(value), self._as(self._value(at), "u32"))
            case Member(value, name):
                return self._member(self._place(value), name)
        raise SyntaxNotKnown(f"{tree!r} does not lie in memory")

    def _element(self, place: Place, at: Value) -> Place:
        inner = element_of(place.type)
        ir = self._types.ir(inner)
        wide = self._new(f"zext i32 {at.text} to i64") if not at.text.isdigit() else at.text
        pointer = self._new(f"getelementptr inbounds {ir}, ptr {place.pointer}, i64 {wide}")
        return Place(inner, pointer, self._types.align(inner))

    def _member(self, place: Place, name) -> Place:
        if width(place.type) > 1:
            return self._element(place, Value("u32", str(_LANES.index(name))))
        at, kind = self._types.field(place.type, name)
        if place.type == "Eight":  # its halves are no fields of a register
            half = self._new(f"getelementptr inbounds <4 x float>, ptr {place.pointer}, i32 {at}")
            return Place(kind, half, place.align)
        ir = self._types.ir(place.type)
        pointer = self._new(f"getelementptr inbounds {ir}, ptr {place.pointer}, i32 0, i32 {at}")
        return Place(kind, pointer, self._types.align(kind))

    def _load(self, place: Place) -> Value:
        kind = _plain(place.type)
        return Value(kind, self._new(f"load {self._types.ir(kind)}, ptr {place.pointer}, align {place.align}"))

    def _store(self, place: Place, value: Value):
        self._emit(f"store {self._types.ir(value.type)} {value.text}, ptr {place.pointer}, align {place.align}")

    # Expressions

    def _value(self, tree) -> Value:
        match tree:
            case Literal(text):
                return _literal(text)
            case Name(name):
                return self._named(name)
            case Unary(mark, value):
                return self._unary(mark, self._value(value))
            case Binary("&&" | "||"):
                return self._short(tree)
            case Binary(mark, left, right):
                return self._binary(mark, self._value(left), self._value(right))
            case Call():
                return self._call(tree)
            case Member() | Index():
                return self._part(tree)
        raise SyntaxNotKnown(f"no expression is known as {tree!r}")

    def _named(self, name) -> Value:
        if name in ("true", "false"):
            return Value("bool", name)
        if name == "lane":
            return Value("u32", "0")
        if name in self._module.constants and self._find(name) is None:
            kind, tree = self._module.constants[name]
            value = self._value(tree)
            return value if kind is None else self._as(value, kind)
        found = self._find(name)
        if found is None:
            raise SyntaxNotKnown(f"nothing in WGSL is called {name!r}")
        return self._load(found) if isinstance(found, Place) else found

    def _part(self, tree) -> Value:
        """Of a value, or of something in memory."""
        if self._lies_in_memory(tree):
            return self._load(self._place(tree))
        value = self._value(tree.value)
        if isinstance(tree, Index):
            at = self._as(self._value(tree.at), "u32")
            return self._lane(value, at.text)
        if value.type == "Eight":
            return self._half(value, tree.name)
        if width(value.type) == 1:
            at, kind = self._types.field(value.type, tree.name)
            return Value(kind, self._new(f"extractvalue {self._types.ir(value.type)} {value.text}, {at}"))
        if len(tree.name) == 1:
            return self._lane(value, str(_LANES.index(tree.name)))
        kind, n = component(value.type), len(tree.name)
        mask = ", ".join(f"i32 {_LANES.index(letter)}" for letter in tree.name)
        ir = self._types.ir(value.type)
        made = self._new(f"shufflevector {ir} {value.text}, {ir} poison, <{n} x i32> <{mask}>")
        return Value(f"vec{n}<{kind}>", made)

    def _half(self, value: Value, name: str) -> Value:
        lanes = ", ".join(f"i32 {i + 4 * (name == 'b')}" for i in range(4))
        ir = self._types.ir("Eight")
        return Value("vec4<f32>", self._new(f"shufflevector {ir} {value.text}, {ir} poison, <4 x i32> <{lanes}>"))

    def _lies_in_memory(self, tree) -> bool:
        while isinstance(tree, (Index, Member)):
            if isinstance(tree, Member) and len(tree.name) > 1 and set(tree.name) <= set(_LANES):
                return False
            tree = tree.value
        if not isinstance(tree, Name):
            return False
        for scope in reversed(self._scopes):
            if tree.name in scope:
                return isinstance(scope[tree.name], Place)
        return tree.name in self._module.variables

    def _lane(self, value: Value, at: str) -> Value:
        ir = self._types.ir(value.type)
        return Value(component(value.type), self._new(f"extractelement {ir} {value.text}, i32 {at}"))

    def _unary(self, mark, value: Value) -> Value:
        ir = self._types.ir(value.type)
        if mark == "-":
            if value.type == "int":
                return Value("int", str(-int(value.text)))
            floats = component(value.type) == "f32"
            return Value(value.type, self._new(f"fneg {ir} {value.text}" if floats
                                               else f"sub {ir} zeroinitializer, {value.text}"))
        ones = "true" if value.type == "bool" else "-1"
        if width(value.type) > 1:
            inner = self._types.ir(component(value.type))
            ones = f"<{', '.join([f'{inner} {ones}'] * width(value.type))}>"
        return Value(value.type, self._new(f"xor {ir} {value.text}, {ones}"))

    def _short(self, tree: Binary) -> Value:
        """The right side only where it counts: it may look where nothing is."""
        n, place = self._name(), self._alloca("i1")
        left = self._value(tree.left)
        self._emit(f"store i1 {left.text}, ptr {place}")
        yes, no = (f"more_{n}", f"known_{n}") if tree.mark == "&&" else (f"known_{n}", f"more_{n}")
        self._branch(left, yes, no)
        self._label(f"more_{n}")
        self._emit(f"store i1 {self._value(tree.right).text}, ptr {place}")
        self._label(f"known_{n}")
        return Value("bool", self._new(f"load i1, ptr {place}"))

    def _binary(self, mark, left: Value, right: Value) -> Value:
        if mark in ("<<", ">>"):
            return self._shift(mark, left, right)
        left, right = self._alike(left, right)
        kind, ir = left.type, self._types.ir(left.type)
        inner = component(kind)
        if mark in _COMPARE:
            of = {"f32": 0, "i32": 2, "int": 2}.get(inner, 1)
            name = f"{'fcmp' if inner == 'f32' else 'icmp'} {_COMPARE[mark][of]}"
            result = "bool" if width(kind) == 1 else f"vec{width(kind)}<bool>"
            return Value(result, self._new(f"{name} {ir} {left.text}, {right.text}"))
        if inner == "f32":
            name = f"{_ARITHMETIC[mark][0]} {FAST}" if mark in _ARITHMETIC else {"/": "fdiv", "%": "frem"}[mark]
        elif mark in _ARITHMETIC:
            sure = self._flag if inner == "u32" and mark != "-" else ""
            name = f"{_ARITHMETIC[mark][1]} {sure}"
        elif mark in _BITS:
            name = _BITS[mark]
        else:
            name = f"{'s' if inner == 'i32' else 'u'}{'div' if mark == '/' else 'rem'}"
        return Value(kind, self._new(f"{name} {ir} {left.text}, {right.text}"))

    def _shift(self, mark, left: Value, right: Value) -> Value:
        left = self._as(left, "u32") if left.type == "int" else left
        right = self._as(right, "u32")
        by = right.text if right.text.isdigit() else self._new(f"and i32 {right.text}, 31")
        name = "shl" if mark == "<<" else "ashr" if left.type == "i32" else "lshr"
        return Value(left.type, self._new(f"{name} i32 {left.text}, {by}"))

    def _alike(self, left: Value, right: Value) -> tuple[Value, Value]:
        """Both of one type: a plain number takes the other's, a single one becomes a vector."""
        if left.type == "int" and right.type != "int":
            left = self._as(left, component(right.type))
        elif right.type == "int" and left.type != "int":
            right = self._as(right, component(left.type))
        if width(left.type) > width(right.type):
            right = self._splat(right, width(left.type))
        elif width(right.type) > width(left.type):
            left = self._splat(left, width(right.type))
        return left, right

    def _splat(self, value: Value, n: int) -> Value:
        kind = f"vec{n}<{value.type}>"
        return self._vector(kind, [value] * n)

    def _vector(self, kind, parts) -> Value:
        ir, text = self._types.ir(kind), "poison"
        inner = component(kind)
        for lane, part in enumerate(parts):
            part = self._as(part, inner)
            text = self._new(f"insertelement {ir} {text}, {self._types.ir(inner)} {part.text}, i32 {lane}")
        return Value(kind, text)

    def _as(self, value: Value, kind: str) -> Value:
        """The same value where a type is asked for; only plain numbers change theirs."""
        if value.type == kind:
            return value
        if value.type == "int" and kind in ("u32", "i32", "int"):
            return Value(kind, value.text)
        if value.type == "int" and kind == "f32":
            return _literal(f"{value.text}.0")
        raise SyntaxNotKnown(f"in {self._function.name} a {kind} must stand where there is a {value.type}")

    # Calls

    def _call(self, call: Call) -> Value:
        name = call.name
        if name in _QUIET:
            return Value("void", "")
        if name in ("atomicLoad", "workgroupUniformLoad"):
            return self._load(self._place(call.arguments[0]))
        if name.startswith("atomic"):
            return self._atomic(name, call.arguments)
        if name in _AT_ONCE:
            return self._at_once(name, call.arguments)
        if name in _EIGHTS:
            return self._eight(name, [self._value(a) for a in call.arguments])
        if name in self._module.functions:
            return self._own(self._module.functions[name], call)
        arguments = [self._value(a) for a in call.arguments]
        if not arguments and (name in self._module.structs or name.startswith("vec")):
            return Value(name, "zeroinitializer")
        if name == "Eight":
            return self._halves(*arguments)
        if name in self._module.structs:
            return self._struct(name, arguments)
        if name.startswith("vec"):
            return self._construct(name, arguments)
        return self._builtin(name, arguments)

    def _apart(self, call: Call):
        """The call as a function of its own, which gets what varies."""
        given: dict = {}
        inside = self._varying(call, given)
        key = repr((inside, [value.type for value in given.values()]))
        if key not in self._calls:
            arguments = tuple((f"g{i}", value.type) for i, value in enumerate(given.values()))
            self._calls[key] = Function(f"call_{len(self._calls)}", arguments, None, (Discarded(inside),))
        passed = [f"ptr %{a}" for a in ARENAS]
        passed += [f"{self._types.ir(value.type)} {value.text}" for value in given.values()]
        self._emit(f"call void @{self._calls[key].name}({', '.join(passed)})")

    def _varying(self, tree, given: dict):
        """The tree with what varies, names and fields, as arguments g0, g1, ...; `given` collects their values."""
        match tree:
            case Name(name) if name in self._module.constants and self._find(name) is None:
                return self._varying(self._module.constants[name][1], given) if name.startswith("RULE") else tree
            case Name() | Member(Name(), _):
                if tree not in given:
                    given[tree] = self._value(tree)
                return Name(f"g{list(given).index(tree)}")
            case Unary(mark, value):
                return Unary(mark, self._varying(value, given))
            case Binary(mark, left, right):
                return Binary(mark, self._varying(left, given), self._varying(right, given))
            case Call(name, arguments):
                return Call(name, tuple(self._varying(a, given) for a in arguments))
            case Index(Name(name), at):
                return Index(Name(name), self._varying(at, given))
        return tree

    def _own(self, function: Function, call: Call) -> Value:
        given = [f"ptr %{a}" for a in ARENAS]
        for (_, kind), argument in zip(function.arguments, call.arguments, strict=True):
            value = self._as(self._value(argument), kind)
            given.append(f"{self._types.ir(kind)} {value.text}")
        if function.returns is None:
            self._emit(f"call void @{function.name}({', '.join(given)})")
            return Value("void", "")
        ir = self._types.ir(function.returns)
        return Value(function.returns, self._new(f"call {ir} @{function.name}({', '.join(given)})"))

    def _at_once(self, name, arguments) -> Value:
        """Four or eight floats in one load or store, wherever they begin. What lies behind a row's end is not used, and
        arenas have room behind theirs."""
        at = self._as(self._value(arguments[0]), "u32")
        if "weight" in name:
            row = self._element(Place("array<vec4<f32>>", "%weights"), at)
            at, place = self._as(self._value(arguments[1]), "u32"), Place("array<f32>", row.pointer)
        else:
            place = Place("array<f32>", "%params" if "params" in name else "%work")
        some = Place("Eight" if name.endswith("8") else "vec4<f32>", self._element(place, at).pointer, 4)
        if not name.startswith("put"):
            return self._load(some)
        self._store(some, self._value(arguments[-1]))
        return Value("void", "")

    def _eight(self, name, given) -> Value:
        ir = self._types.ir("Eight")
        if name == "total8":
            total = f"call {FAST} float @llvm.vector.reduce.fadd.v8f32(float -0.0, {ir} {given[0].text})"
            return Value("f32", self._new(total))
        factor = given[1] if given[1].type == "Eight" else self._vector("Eight", given[1:2] * 8)
        product = self._new(f"fmul {FAST} {ir} {factor.text}, {given[2].text}")
        return Value("Eight", self._new(f"fadd {FAST} {ir} {given[0].text}, {product}"))

    def _atomic(self, name, arguments) -> Value:
        """With one lane at a time, nothing comes between."""
        place, value = self._place(arguments[0]), self._as(self._value(arguments[1]), _plain("atomic<u32>"))
        if name == "atomicStore":
            self._store(place, value)
            return Value("void", "")
        before = self._load(place)
        mark = {"atomicOr": "|", "atomicAnd": "&", "atomicAdd": "+", "atomicXor": "^"}.get(name)
        after = self._binary(mark, before, value) if mark else self._builtin(name[6:].lower(), [before, value])
        self._store(place, after)
        return before

    def _halves(self, a, b) -> Value:
        lanes = ", ".join(f"i32 {i}" for i in range(8))
        both = f"<4 x float> {a.text}, <4 x float> {b.text}"
        return Value("Eight", self._new(f"shufflevector {both}, <8 x i32> <{lanes}>"))

    def _struct(self, name, arguments) -> Value:
        ir, text = self._types.ir(name), "poison"
        for at, ((_, kind), value) in enumerate(zip(self._module.structs[name], arguments, strict=True)):
            value = self._as(value, kind)
            text = self._new(f"insertvalue {ir} {text}, {self._types.ir(kind)} {value.text}, {at}")
        return Value(name, text)

    def _construct(self, kind, arguments) -> Value:
        if len(arguments) == 1 and width(arguments[0].type) == width(kind):
            return builtins.convert(self._types, self._new, arguments[0], kind)
        if len(arguments) == 1:
            return self._vector(kind, arguments * width(kind))
        parts = []
        for value in arguments:
            n = width(value.type)
            parts += [value] if n == 1 else [self._lane(value, str(i)) for i in range(n)]
        return self._vector(kind, parts)

    def _builtin(self, name, arguments) -> Value:
        if name in ("min", "max", "clamp", "select", "dot", "fma", "extractBits"):
            arguments = self._balance(name, arguments)
        made = builtins.call(self._types, self._new, name, arguments)
        if made is None:
            raise SyntaxNotKnown(f"the function {name!r} of WGSL is not known here")
        return Value(*made) if isinstance(made, tuple) else made

    def _balance(self, name, arguments):
        """Plain numbers among the arguments become what the others are."""
        if name == "extractBits":
            return [arguments[0], *(self._as(a, "u32") for a in arguments[1:])]
        last = arguments[2:] if name == "select" else []
        values = arguments[:2] if name == "select" else arguments
        kinds = {a.type for a in values} - {"int"}
        kind = kinds.pop() if kinds else "i32"
        return [*(self._as(a, kind) for a in values), *last]


def _plain(kind: str) -> str:
    """What a load of it gives."""
    return kind[7:-1] if kind.startswith("atomic<") else kind


def _literal(text: str) -> Value:
    if text.lower().startswith("0x"):
        digits = text.rstrip("ui")
        return Value("u32" if text.endswith("u") else "int", str(_signed(int(digits, 16))))
    if text.endswith("u"):
        return Value("u32", str(_signed(int(text[:-1]))))
    if text.endswith("i"):
        return Value("i32", text[:-1])
    if text.isdigit():
        return Value("int", text)
    return Value("f32", float_text(float(text.rstrip("f"))))


def float_text(number: float) -> str:
    """A float32 as LLVM wants it: the bits of the double that equals it."""
    rounded = struct.unpack("<f", struct.pack("<f", number))[0]
    return f"0x{struct.unpack('<Q', struct.pack('<d', rounded))[0]:016X}"


def _signed(n: int) -> int:
    return n - (1 << 32) if n >= 1 << 31 else n


def _mixes(tree) -> bool:
    """Whether bits are mixed anywhere in it: there numbers overflow on purpose."""
    if isinstance(tree, tuple):
        return any(_mixes(t) for t in tree)
    if isinstance(tree, Binary) and tree.mark == "^" or isinstance(tree, Assign) and tree.mark == "^":
        return True
    return any(_mixes(t) for t in vars(tree).values()) if hasattr(tree, "__dataclass_fields__") else False
