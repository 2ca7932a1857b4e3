"""WGSL text to trees: as much of the language as the shaders use.

An expression is one of `Literal`, `Name`, `Unary`, `Binary`, `Call`, `Member`, `Index`; a statement one of `Declare`,
`Assign`, `If`, `Loop`, `Leave`, `Discarded`. Types stay text: "u32", "vec4<f32>", "array<f32,64>", a struct's name.
"""

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(r"""\s+|//[^\n]*|
    (?P<number>0[xX][0-9a-fA-F]+[iu]?|\d+\.\d*(?:[eE][+-]?\d+)?f?|\d*\.\d+(?:[eE][+-]?\d+)?f?|
              \d+[eE][+-]?\d+f?|\d+[iuf]?)|
    (?P<word>[A-Za-z_]\w*)|
    (?P<mark><<=|>>=|->|\+\+|--|&&|\|\||<<|>>|<=|>=|==|!=|\+=|-=|\*=|/=|%=|&=|\|=|\^=|[-+*/%&|^!~<>=(){}\[\];:,.@])""",
                    re.VERBOSE)
_LEVELS = (("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", ">", "<=", ">="), ("<<", ">>"), ("+", "-"),
           ("*", "/", "%"))
_ASSIGN = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="}
GENERIC = {"vec2", "vec3", "vec4", "array", "atomic", "bitcast"}


class SyntaxNotKnown(ValueError):
    """A part of WGSL that the translator does not know."""


@dataclass(frozen=True)
class Literal:
    text: str


@dataclass(frozen=True)
class Name:
    name: str


@dataclass(frozen=True)
class Unary:
    mark: str
    value: object


@dataclass(frozen=True)
class Binary:
    mark: str
    left: object
    right: object


@dataclass(frozen=True)
class Call:
    """name: of a function, a struct or a type."""

    name: str
    arguments: tuple


@dataclass(frozen=True)
class Member:
    value: object
    name: str


@dataclass(frozen=True)
class Index:
    value: object
    at: object


@dataclass(frozen=True)
class Declare:
    """let or var. type: None where it is that of the value; value: None where it is zero."""

    name: str
    type: str | None
    value: object | None
    changes: bool


@dataclass(frozen=True)
class Assign:
    """mark: "=", or "+" of +=."""

    target: object
    mark: str
    value: object


@dataclass(frozen=True)
class If:
    condition: object
    then: tuple
    otherwise: tuple


@dataclass(frozen=True)
class Loop:
    """for, while and loop. condition: None for ever."""

    begin: tuple
    condition: object | None
    step: tuple
    body: tuple


@dataclass(frozen=True)
class Leave:
    """what: return, break or continue."""

    what: str
    value: object | None = None


@dataclass(frozen=True)
class Discarded:
    call: Call


@dataclass(frozen=True)
class Function:
    name: str
    arguments: tuple[tuple[str, str], ...]  # (name, type)
    returns: str | None
    body: tuple
    entry: bool = False


@dataclass
class Module:
    functions: dict[str, Function] = field(default_factory=dict)
    structs: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    constants: dict[str, tuple[str | None, object]] = field(default_factory=dict)  # name -> (type, value)
    variables: dict[str, tuple[str, str]] = field(default_factory=dict)  # name -> (address space, type)


def parse(text: str) -> Module:
    """The declarations of a WGSL text. Raises SyntaxNotKnown where it is not of the subset."""
    return _Parser(text).module()


class _Parser:
    def __init__(self, text):
        self._text, self._tokens, at = text, [], 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if not found:
                raise SyntaxNotKnown(f"WGSL has no such character here: {text[at:at + 20]!r}")
            at = found.end()
            if found.lastgroup:
                self._tokens.append((found.lastgroup, found.group(found.lastgroup)))
        self._tokens.append(("end", ""))
        self._at = 0

    # Tokens

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _peek(self, more=0) -> str:
        return self._tokens[min(self._at + more, len(self._tokens) - 1)][1]

    def _kind(self) -> str:
        return self._tokens[self._at][0]

    def _take(self, *marks) -> str | None:
        return self._next() if self._peek() in marks and self._kind() != "end" else None

    def _need(self, mark):
        if self._next() != mark:
            near = " ".join(t for _, t in self._tokens[max(0, self._at - 8):self._at + 4])
            raise SyntaxNotKnown(f"{mark!r} is missing in WGSL near {near!r}")

    def _word(self) -> str:
        if self._kind() != "word":
            raise SyntaxNotKnown(f"a name must stand in WGSL where there is {self._peek()!r}")
        return self._next()

    # Declarations

    def module(self) -> Module:
        found = Module()
        while self._kind() != "end":
            entry = self._attributes()
            what = self._next()
            if what == "fn":
                made = self._function(entry)
                found.functions[made.name] = made
            elif what == "struct":
                name = self._word()
                found.structs[name] = self._fields()
            elif what == "const":
                name, kind = self._named()
                self._need("=")
                found.constants[name] = kind, self._expression()
                self._need(";")
            elif what == "var":
                self._need("<")
                space = self._word()
                while self._take(","):
                    self._word()
                self._need(">")
                name, kind = self._named()
                found.variables[name] = space, kind
                self._need(";")
            else:
                raise SyntaxNotKnown(f"a declaration in WGSL may not begin with {what!r}")
        return found

    def _attributes(self) -> bool:
        """Whether one of them makes an entry point."""
        entry = False
        while self._take("@"):
            entry |= self._word() == "compute"
            if self._take("("):
                while self._next() != ")":
                    pass
        return entry

    def _named(self):
        name = self._word()
        return name, self._type() if self._take(":") else None

    def _fields(self):
        self._need("{")
        fields = []
        while not self._take("}"):
            fields.append(self._named())
            self._take(",")
        return tuple(fields)

    def _function(self, entry):
        name = self._word()
        self._need("(")
        arguments = []
        while not self._take(")"):
            self._attributes()
            arguments.append(self._named())
            self._take(",")
        returns = self._type() if self._take("->") else None
        return Function(name, tuple(arguments), returns, self._block(), entry)

    def _type(self) -> str:
        name = self._word()
        if not self._take("<"):
            return name
        inner = [self._type()]
        while self._take(","):
            if self._peek() != ">":
                inner.append(str(_show(self._level(8))))
        if self._take(">>"):  # of a type within a type
            self._at -= 1
            self._tokens[self._at] = ("mark", ">")
        else:
            self._need(">")
        return f"{name}<{','.join(inner)}>"

    # Statements

    def _block(self) -> tuple:
        self._need("{")
        made = []
        while not self._take("}"):
            made += self._statement()
        return tuple(made)

    def _statement(self) -> list:
        if self._take(";"):
            return []
        if self._peek() == "{":
            return [If(Name("true"), self._block(), ())]
        word = self._peek()
        if word == "if":
            return [self._if()]
        if word == "for":
            return [self._for()]
        if word in ("while", "loop"):
            self._next()
            condition = self._expression() if word == "while" else None
            return [Loop((), condition, (), self._block())]
        if word == "return":
            self._next()
            value = None if self._peek() == ";" else self._expression()
            self._need(";")
            return [Leave("return", value)]
        if word in ("break", "continue"):
            self._next()
            self._need(";")
            return [Leave(word)]
        made = self._simple()
        self._need(";")
        return [made]

    def _if(self):
        self._need("if")
        condition, then, otherwise = self._expression(), self._block(), ()
        if self._take("else"):
            otherwise = (self._if(),) if self._peek() == "if" else self._block()
        return If(condition, then, otherwise)

    def _for(self):
        self._need("for")
        self._need("(")
        begin = () if self._peek() == ";" else (self._simple(),)
        self._need(";")
        condition = None if self._peek() == ";" else self._expression()
        self._need(";")
        step = () if self._peek() == ")" else (self._simple(),)
        self._need(")")
        return Loop(begin, condition, step, self._block())

    def _simple(self):
        """A declaration, an assignment or a call."""
        if word := self._take("let", "var", "const"):
            name, kind = self._named()
            value = self._expression() if self._take("=") else None
            return Declare(name, kind, value, word == "var")
        target = self._unary()
        if mark := self._take("++", "--"):
            return Assign(target, mark[0], Literal("1"))
        if self._peek() in _ASSIGN:
            mark = self._next()[:-1] or "="
            return Assign(target, mark, self._expression())
        if isinstance(target, Call):
            return Discarded(target)
        raise SyntaxNotKnown(f"a statement in WGSL may not be {_show(target)}")

    # Expressions

    def _expression(self):
        return self._level(0)

    def _level(self, level):
        if level == len(_LEVELS):
            return self._unary()
        left = self._level(level + 1)
        while self._peek() in _LEVELS[level] and self._kind() == "mark":
            left = Binary(self._next(), left, self._level(level + 1))
        return left

    def _unary(self):
        if mark := self._take("-", "!", "~", "&", "*"):
            value = self._unary()
            return value if mark in "&*" else Unary(mark, value)
        return self._behind(self._primary())

    def _primary(self):
        kind = self._kind()
        if self._take("("):
            inner = self._expression()
            self._need(")")
            return inner
        if kind == "number":
            return Literal(self._next())
        name = self._peek()
        if name in GENERIC and self._peek(1) == "<":
            name = self._type()
        else:
            name = self._word()
        if self._take("("):
            arguments = []
            while not self._take(")"):
                arguments.append(self._expression())
                self._take(",")
            return Call(name, tuple(arguments))
        return Name(name)

    def _behind(self, value):
        while True:
            if self._take("."):
                value = Member(value, self._word())
            elif self._take("["):
                value = Index(value, self._expression())
                self._need("]")
            else:
                return value


def _show(tree) -> str:
    """An expression as text, for types and messages."""
    match tree:
        case Literal(text):
            return text
        case Name(name):
            return name
        case Unary(mark, value):
            return f"{mark}{_show(value)}"
        case Binary(mark, left, right):
            return f"({_show(left)} {mark} {_show(right)})"
        case Call(name, arguments):
            return f"{name}({', '.join(map(_show, arguments))})"
        case Member(value, name):
            return f"{_show(value)}.{name}"
        case Index(value, at):
            return f"{_show(value)}[{_show(at)}]"
    return str(tree)
