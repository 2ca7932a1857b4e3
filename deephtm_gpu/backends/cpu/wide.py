"""Loops over the lanes' shares, which LLVM goes through eight numbers at a time, where it can.

Only these: what LLVM chooses by itself, from its model of a processor's costs, has made it abort on some processors.
"""

from deephtm_gpu.backends.cpu.syntax import (
    Assign,
    Binary,
    Call,
    Declare,
    Discarded,
    Index,
    Literal,
    Loop,
    Member,
    Name,
    Unary,
)

METADATA = """!0 = !{!"llvm.loop.vectorize.width", i32 8}
!1 = !{!"llvm.loop.vectorize.enable", i1 false}"""
_FIRST = 2  # number of metadata that is a loop's
_DESCEND = "descend"  # whose conditions on the rule are gone when it is compiled
_MARKS = {"+", "-", "*", "/", "<", ">"}
_KNOWN = {"abs", "f32", "max", "min", "select", "sqrt"}


def mark_of(number: int) -> str:
    """The end of the branch back to the beginning of a module's loop `number`."""
    return f", !llvm.loop !{number + _FIRST}"


def metadata_of(number: int, loop: Loop) -> str:
    """What its mark refers to."""
    n = number + _FIRST
    return f"!{n} = distinct !{{!{n}, {'!0' if _is_wide(loop) else '!1'}}}"


def _is_wide(loop: Loop) -> bool:
    """Whether it steps by the number of lanes and does no more than arithmetic on floats that lie side by side."""
    match loop.step:
        case (Assign(Name(), "+", Name("WG")),):
            return all(map(_is_plain, loop.body))
    return False


def _is_plain(statement) -> bool:
    match statement:
        case Declare(_, _, value, _):
            return value is None or _is_simple(value)
        case Assign(target, _, value):
            return _is_simple(target) and _is_simple(value)
        case Discarded(Call(name, arguments)) if name == _DESCEND:
            return all(map(_is_simple, arguments))
        case Loop((Declare(),), Binary("<", Name(), Name("STREAMS")), _, body):
            return all(map(_is_plain, body))
    return False


def _is_simple(tree) -> bool:
    match tree:
        case Literal() | Name() | Member(Name(), _):
            return True
        case Unary(_, value):
            return _is_simple(value)
        case Binary(mark, left, right):
            return mark in _MARKS and _is_simple(left) and _is_simple(right)
        case Call(name, arguments):
            return name in _KNOWN and all(map(_is_simple, arguments))
        case Index(Name(name), at):
            # weights are quads.
            return name != "weights" and not _has_index(at) and _is_simple(at)
    return False


def _has_index(tree) -> bool:
    match tree:
        case Index():
            return True
        case Binary(_, left, right):
            return _has_index(left) or _has_index(right)
        case Call(_, arguments):
            return any(map(_has_index, arguments))
    return False
