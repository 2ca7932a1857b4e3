"""What a node gives at a step: how many numbers, and as what they travel."""

from dataclasses import dataclass, replace

from deephtm_gpu.errors import UserError


@dataclass(frozen=True)
class Form:
    """What a node gives at a step. size: how many numbers. length: how many (index, value) pairs they travel as, where
    most are 0 (None: all are there, dense). winners, cells: of a pooler or a memory; memory: whether it is one. shape:
    as the user sees it. positions: of a map (H, W), and all the others are then of one of its H*W positions; None:
    there is no map. coupled: whether what a position gives depends on others too (behind a convolution). ones: whether
    its last number is always 1."""

    size: int
    length: int | None = None
    winners: int = 0
    cells: int = 1
    shape: tuple[int, ...] = ()
    memory: bool = False
    positions: tuple[int, int] | None = None
    coupled: bool = False
    ones: bool = False

    @property
    def sparse(self) -> bool:
        return self.length is not None

    @property
    def sites(self) -> int:
        """How many positions it stands at."""
        return self.positions[0] * self.positions[1] if self.positions else 1

    @property
    def total(self) -> int:
        """How many numbers all positions give."""
        return self.size * self.sites

    @property
    def whole_shape(self) -> tuple[int, ...]:
        """Of all positions, (..., H, W)."""
        return (*self.shape, *(self.positions or ()))

    def __str__(self):
        return f"{self.size} at {self.positions[0]}×{self.positions[1]} positions" if self.positions else str(self.size)


def forms_of(network) -> dict:
    """Node -> the form of its value. Raises UserError if sizes do not match or depend on themselves."""
    forms, maps = {}, _maps_of(network.nodes)

    def form(node, before):
        read = [forms[b] for b in before]
        try:
            node.layer.check(node, read)
            coupled = maps[node] is not None and (node.layer.couples_positions or any(f.coupled for f in read))
            return replace(node.layer.form(read), positions=maps[node], coupled=coupled)
        except UserError as error:
            sources = ", ".join(f"{b.layer!r} ({f})" for b, f in zip(before, read))
            raise UserError(f"{error} In this network it reads {sources}.") from None

    for last in network.nodes:
        asked = {last: None}  # each reads the next
        while asked:
            node = next(reversed(asked))
            before = [] if node.layer.sizes_itself else node.sources
            unknown = next((b for b in before if b not in forms), None)
            if unknown in asked:
                raise UserError(f"The size of {unknown.layer!r} must not depend on itself through dh.previous; put a "
                                "dh.Linear(units) in the cycle.")
            if unknown is not None:
                asked[unknown] = None
                continue
            if node not in forms:
                forms[node] = form(node, before)
            del asked[node]
    for node in network.nodes:
        node.layer.check_maps(maps[node], [maps[b] for b in node.inputs], [maps[b] for b in node.contexts])
    return forms


def _maps_of(nodes) -> dict:
    """Of every node the (H, W) of the map that it gives, or None. A node that looks back at itself takes what its other
    inputs are."""
    maps = {}
    while True:
        known = len(maps)
        for node in nodes:
            read = [maps[b] for b in (node.sources or node.flow) if b in maps]
            if node not in maps and (read or not (node.sources or node.flow)):
                maps[node] = node.layer.positions(read)
        if len(maps) == known:  # those left read nothing but each other: no map comes in
            return maps | {node: None for node in nodes if node not in maps}
