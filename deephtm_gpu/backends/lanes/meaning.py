"""What WGSL's operators and functions do, on Python's numbers: u32 as int, i32 as `Int`, f32 as float (in double
precision), vectors and structs as tuples."""

import math
import struct

_WORD = 0xFFFFFFFF


class Int(int):
    """An i32."""


def signed(n: int) -> Int:
    n &= _WORD
    return Int(n - (1 << 32) if n >> 31 else n)


def _whole(a, b, n):
    return signed(n) if type(a) is Int or type(b) is Int else n & _WORD


def binary(scalar):
    """The operator of vectors, from that of numbers."""
    def both(a, b):
        if type(a) is tuple:
            return tuple(map(scalar, a, b)) if type(b) is tuple else tuple(scalar(x, b) for x in a)
        return tuple(scalar(a, y) for y in b) if type(b) is tuple else scalar(a, b)
    return both


def _is_float(a, b):
    return type(a) is float or type(b) is float


@binary
def add(a, b):
    return a + b if _is_float(a, b) else _whole(a, b, a + b)


@binary
def subtract(a, b):
    return a - b if _is_float(a, b) else _whole(a, b, a - b)


@binary
def multiply(a, b):
    return a * b if _is_float(a, b) else _whole(a, b, a * b)


@binary
def divide(a, b):
    if not _is_float(a, b):
        return a if b == 0 else _whole(a, b, abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1))
    if b == 0:
        return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1.0, b)
    return a / b


@binary
def remainder(a, b):
    if _is_float(a, b):
        return math.fmod(a, b)
    return 0 if b == 0 else _whole(a, b, int(math.fmod(a, b)) if a < 0 or b < 0 else a % b)


OPERATORS = {
    "+": add, "-": subtract, "*": multiply, "/": divide, "%": remainder,
    "&": binary(lambda a, b: a & b), "|": binary(lambda a, b: a | b), "^": binary(lambda a, b: a ^ b),
    "<<": binary(lambda a, b: _whole(a, a, a << (b & 31))), ">>": binary(lambda a, b: _whole(a, a, a >> (b & 31))),
    "<": binary(lambda a, b: a < b), "<=": binary(lambda a, b: a <= b), ">": binary(lambda a, b: a > b),
    ">=": binary(lambda a, b: a >= b), "==": binary(lambda a, b: a == b), "!=": binary(lambda a, b: a != b),
}


def each(function):
    """Of every number of a vector."""
    def of(a):
        return tuple(map(function, a)) if type(a) is tuple else function(a)
    return of


@each
def negative(a):
    return -a if type(a) is float else signed(-a)


@each
def inverted(a):
    return not a if type(a) is bool else ~a & _WORD


@each
def u32(a):
    if type(a) is float:
        return 0 if a != a else int(min(max(a, 0.0), 4294967295.0))
    return int(a) & _WORD


@each
def i32(a):
    if type(a) is float:
        return Int(0 if a != a else int(min(max(a, -2147483648.0), 2147483647.0)))
    return signed(int(a))


@each
def f32(a):
    return float(a)


@each
def exp(a):
    try:
        return math.exp(a) if a < 88.8 else math.inf if a == a else a
    except OverflowError:
        return math.inf


@each
def log(a):
    return math.log(a) if a > 0 else -math.inf if a == 0 else math.nan


@each
def sqrt(a):
    return math.sqrt(a) if a >= 0 else math.nan


@each
def floor(a):
    return float(math.floor(a)) if math.isfinite(a) else a


def bits_of(a: float) -> int:
    try:
        return struct.unpack("<I", struct.pack("<f", a))[0]
    except OverflowError:
        return bits_of(math.copysign(math.inf, a))


def select(no, yes, condition):
    if type(condition) is tuple:
        return tuple(y if c else n for n, y, c in zip(no, yes, condition))
    return yes if condition else no


smaller, larger = binary(min), binary(max)
FUNCTIONS = {
    "f32": f32, "u32": u32, "i32": i32, "exp": exp, "log": log, "sqrt": sqrt, "floor": floor, "abs": each(abs),
    "min": smaller, "max": larger, "clamp": lambda a, low, high: smaller(larger(a, low), high), "select": select,
    "dot": lambda a, b: sum(x * y for x, y in zip(a, b)), "fma": lambda a, b, c: add(multiply(a, b), c),
    "countOneBits": lambda a: a.bit_count(), "countLeadingZeros": lambda a: 32 - a.bit_length(),
    "firstTrailingBit": lambda a: (a & -a).bit_length() - 1 if a else _WORD,
    "extractBits": lambda a, offset, count: a >> offset & ((1 << count) - 1),
    "bitcast<u32>": bits_of, "bitcast<f32>": lambda a: struct.unpack("<f", struct.pack("<I", a))[0],
}
ATOMIC = {"atomicOr": OPERATORS["|"], "atomicAnd": OPERATORS["&"], "atomicAdd": add, "atomicMax": max, "atomicMin": min}


def vector(n: int, *parts):
    """A constructor: zeros of nothing, one number everywhere, or the numbers of all parts."""
    flat = [x for part in parts for x in (part if type(part) is tuple else (part,))]
    return tuple(flat * n if len(flat) == 1 else flat)


def with_part(value: tuple, at: int, part) -> tuple:
    return (*value[:at], part, *value[at + 1:])
