"""Which clock every node goes by."""


def clocks_of(nodes) -> dict:
    """By node: the node of the `Hold` (see `layers/clock.py`) whose ticks it goes by; None: every step. nodes: in the
    order of flow. Of several that tick alike the first stands for all."""
    clocks, parents, alike = {}, {}, {}
    for node in nodes:
        if node.layer.ticks:
            parent = clocks[node.inputs[0]]
            clocks[node] = clock = alike.setdefault((parent, node.layer.clock_key(node)), node)
            parents[clock] = parent
        else:
            read = node.flow[:1] if node.layer.first_alone else node.flow
            clocks[node] = _common([_chain(clocks[before], parents) for before in read])
    return clocks


def parent_of(node, clocks):
    """The clock that a `Hold`'s own clock counts."""
    return clocks[node.inputs[0]]


def _chain(clock, parents) -> list:
    """The clock, the one that it counts, ... without the network's own."""
    chain = []
    while clock is not None:
        chain.append(clock)
        clock = parents[clock]
    return chain


def _common(chains):
    """The first clock that stands in all of the chains; None: the network's own."""
    if not chains:
        return None
    return next((clock for clock in chains[0] if all(clock in chain for chain in chains)), None)
