"""What WGSL's own functions become in LLVM IR: mostly LLVM's functions of the same name."""

from deephtm_gpu.backends.cpu.types import component, width

_FLOAT = {"sqrt": "sqrt", "exp": "exp", "log": "log", "floor": "floor", "ceil": "ceil", "abs": "fabs", "fma": "fma",
          "sin": "sin", "cos": "cos", "exp2": "exp2", "log2": "log2", "round": "roundeven", "trunc": "trunc"}
_PAIR = {"f32": {"min": "minnum", "max": "maxnum"}, "u32": {"min": "umin", "max": "umax"},
         "i32": {"min": "smin", "max": "smax"}}
_COUNT = {"countOneBits": "ctpop", "countLeadingZeros": "ctlz", "countTrailingZeros": "cttz"}


def declaration(name: str) -> str:
    """`declare` of one of LLVM's functions."""
    _, what, *suffix = name.split(".")
    if what in ("fptoui", "fptosi"):
        return f"declare {_ir(suffix[-2])} @{name}({_ir(suffix[-1])})"
    ir = _ir(suffix[-1])
    if what == "vector":
        return f"declare float @{name}(float, {ir})"
    if what in ("ctlz", "cttz", "abs"):
        return f"declare {ir} @{name}({ir}, i1)"
    many = {"minnum": 2, "maxnum": 2, "umin": 2, "umax": 2, "smin": 2, "smax": 2, "fma": 3}.get(what, 1)
    return f"declare {ir} @{name}({', '.join([ir] * many)})"


def call(types, new, name, arguments):
    """(type, operand) of a call of WGSL's own function; None where there is none of this name. new(operation) emits
    one."""
    first = arguments[0] if arguments else None
    kind = first.type if first else ""
    ir = types.ir(kind) if first else ""
    inner = component(kind)
    if name in ("f32", "u32", "i32", "bool"):
        made = convert(types, new, first, name)
        return made.type, made.text
    if name.startswith("bitcast<"):
        to = name[8:-1]
        return to, new(f"bitcast {ir} {first.text} to {types.ir(to)}")
    if name == "abs" and inner != "f32":
        return kind, new(f"call {ir} @llvm.abs.{_mangled(ir)}({ir} {first.text}, i1 false)")
    if name in _FLOAT and inner in ("f32", "int"):
        return kind, _intrinsic(new, _FLOAT[name], ir, arguments)
    if name in ("min", "max"):
        return kind, _intrinsic(new, _PAIR[inner][name], ir, arguments)
    if name == "clamp":
        above = type(first)(kind, _intrinsic(new, _PAIR[inner]["max"], ir, arguments[:2]))
        return kind, _intrinsic(new, _PAIR[inner]["min"], ir, [above, arguments[2]])
    if name == "select":
        other, condition = arguments[1], arguments[2]
        return kind, new(f"select {types.ir(condition.type)} {condition.text}, {ir} {other.text}, {ir} {first.text}")
    if name == "dot":
        return inner, _dot(new, ir, width(kind), *arguments)
    if name in _COUNT:
        more = ", i1 false" if name != "countOneBits" else ""
        return kind, new(f"call {ir} @llvm.{_COUNT[name]}.{_mangled(ir)}({ir} {first.text}{more})")
    if name == "firstTrailingBit":
        zeros = new(f"call {ir} @llvm.cttz.{_mangled(ir)}({ir} {first.text}, i1 false)")
        none = new(f"icmp eq {ir} {first.text}, 0")
        return kind, new(f"select i1 {none}, {ir} -1, {ir} {zeros}")
    if name == "extractBits":
        return kind, _extract(new, *(a.text for a in arguments))
    return None


def convert(types, new, value, to):
    """WGSL's f32(), u32(), i32(), bool() and those of vectors."""
    made = type(value)
    if value.type == to:
        return value
    a, b, ir, wanted = component(value.type), component(to), types.ir(value.type), types.ir(to)
    if a == "int" and b in ("u32", "i32"):
        return made(to, value.text)
    if b == "f32":
        name = "uitofp" if a in ("u32", "bool") else "sitofp"
        return made(to, new(f"{name} {ir} {value.text} to {wanted}"))
    if a == "f32" and b != "bool":
        what = "fptoui" if b == "u32" else "fptosi"
        name = f"llvm.{what}.sat.{_mangled(wanted)}.{_mangled(ir)}"
        return made(to, new(f"call {wanted} @{name}({ir} {value.text})"))
    if a == "bool":
        return made(to, new(f"zext {ir} {value.text} to {wanted}"))
    if b == "bool":
        test = "fcmp une" if a == "f32" else "icmp ne"
        return made(to, new(f"{test} {ir} {value.text}, zeroinitializer"))
    return made(to, value.text)  # u32 and i32 are the same bits


def _intrinsic(new, name, ir, arguments) -> str:
    return new(f"call {ir} @llvm.{name}.{_mangled(ir)}({', '.join(f'{ir} {a.text}' for a in arguments)})")


def _dot(new, ir, n, a, b) -> str:
    product = new(f"fmul reassoc nsz contract {ir} {a.text}, {b.text}")
    parts = [new(f"extractelement {ir} {product}, i32 {i}") for i in range(n)]
    while len(parts) > 1:
        parts = [new(f"fadd reassoc nsz contract float {p}, {q}") for p, q in zip(parts[::2], parts[1::2])
                 ] + parts[len(parts) // 2 * 2:]
    return parts[0]


def _extract(new, value, offset, count) -> str:
    """Offset and count as the shaders use them: within the word."""
    down = new(f"lshr i32 {value}, {offset}")
    ones = new(f"shl i32 -1, {count}")
    mask = new(f"xor i32 {ones}, -1")
    return new(f"and i32 {down}, {mask}")


def _mangled(ir: str) -> str:
    """<4 x float> as v4f32."""
    if ir.startswith("<"):
        n, inner = ir[1:-1].split(" x ")
        return f"v{n}{_mangled(inner)}"
    return {"float": "f32", "i32": "i32", "i1": "i1"}[ir]


def _ir(mangled: str) -> str:
    if mangled.startswith("v"):
        return f"<{mangled[1]} x {_ir(mangled[2:])}>"
    return {"f32": "float", "i32": "i32", "i1": "i1"}[mangled]
