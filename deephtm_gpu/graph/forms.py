"""What a node gives at a step: how many numbers, and as what they travel."""

from dataclasses import dataclass

from deephtm_gpu.errors import UserError


@dataclass(frozen=True)
class Form:
    """What a node gives at a step. size: how many numbers. length: how many (index, value) pairs they travel as, where
    most are 0 (None: all are written out). winners, cells: of a pooler or a memory; memory: whether it is one. shape: as the user sees
    it."""

    size: int
    length: int | None = None
    winners: int = 0
    cells: int = 1
    shape: tuple[int, ...] = ()
    memory: bool = False

    @property
    def sparse(self) -> bool:
        return self.length is not None


def forms_of(network) -> dict:
    """What every node gives. Raises UserError where sizes do not fit or hang on themselves."""
    forms = {}

    def form(node, asked=()):
        if node not in forms:
            if node in asked:
                raise UserError(f"The size of {node.layer!r} depends on itself through dh.previous; put a dh.Linear(units) in the circle.")
            before = [] if node.layer.sizes_itself else node.sources
            read = [form(b, (*asked, node)) for b in before]
            try:
                node.layer.check(node, read)
                forms[node] = node.layer.form(read)
            except UserError as error:
                told = ", ".join(f"{b.layer!r} ({f.size})" for b, f in zip(before, read))
                raise UserError(f"{error} In this network it reads {told}.") from None
        return forms[node]

    for node in network.nodes:
        form(node)
    return forms
