"""A network as plain data, and back: its nodes in their order, each with the numbers of the nodes that it reads."""

from deephtm_gpu.graph.networks import Network
from deephtm_gpu.graph.nodes import Input, Layer, Node, Previous, source_of
from deephtm_gpu.saving.objects import describe, make


def describe_network(network: Network) -> dict:
    """Raises UserError where a layer cannot be described."""
    number, owners = {node: n for n, node in enumerate(network.nodes)}, network.owners()

    def description(node):
        if isinstance(node.layer, Previous):
            return {"previous": number[source_of(node)]}
        before = {"inputs": [number[n] for n in node.inputs], "contexts": [number[n] for n in node.contexts]}
        shares = {} if owners[node] is node else {"shares": number[owners[node]]}
        kind = {"map": node.layer.is_map} if isinstance(node.layer, Input) else {}
        return describe(node.layer) | before | shares | kind

    return {"nodes": [description(n) for n in network.nodes], "inputs": [number[n] for n in network.inputs],
            "outputs": [number[n] for n in network.outputs]}


def make_network(described: dict) -> Network:
    """The same network of fresh layers; its nodes have the same order, and so the same names. Raises all kinds of
    errors where the description is none."""
    nodes: list[Node] = []
    for description in described["nodes"]:
        nodes.append(nodes[description["shares"]].layer.add_node([]) if "shares" in description else _node(description))
    for node, description in zip(nodes, described["nodes"]):
        if "previous" in description:
            node.layer.source = nodes[description["previous"]]
        else:
            node.inputs = [nodes[n] for n in description["inputs"]]
            node.contexts = [nodes[n] for n in description["contexts"]]
    network = Network([nodes[n] for n in described["inputs"]], [nodes[n] for n in described["outputs"]])
    if network.nodes != nodes:
        raise ValueError("the nodes do not stand in the order of flow")
    return network


def _node(description) -> Node:
    if "previous" in description:
        return Previous(None).nodes[0]
    made = make(description, Layer)
    if isinstance(made, Node):
        # Files of before maps say nothing: three dimensions were a vector too.
        made.layer.is_map = description.get("map", False)
    # dh.Input(shape) gives a node. Which nodes it reads is all there is to a node.
    return made if isinstance(made, Node) else made.add_node([])
