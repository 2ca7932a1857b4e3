"""Layers with several inputs: Add and Concat."""

from collections.abc import Sequence

from deephtm_gpu.arguments import shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.forms import Form
from deephtm_gpu.graph.nodes import Layer, Node, check_node


class _Combine(Layer):
    def __call__(self, nodes: Sequence[Node]) -> Node:  # type: ignore[override]  # several nodes, not one
        """Puts the layer into the flow.

        Parameters
        ----------
        nodes : sequence of Node
            Two or more.

        Returns
        -------
        Node
            What it gives.

        Raises
        ------
        UserError
            Where these are no list of nodes, or too few.
        """
        if not isinstance(nodes, (list, tuple)) or len(nodes) < 2:
            raise UserError(f"{type(self).__name__} must be called on a list of two nodes or more, got {shown(nodes)}.")
        return self.add_node([check_node(n, self) for n in nodes])


class Add(_Combine):
    """The sum of nodes of one size. `a + b` makes one too.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> x = dh.Input((2,))
    >>> net = dh.Network(x, dh.Add()([dh.Linear(2)(x), dh.Linear(2)(dh.ReLU()(x))]))
    """

    def form(self, inputs):
        if len({f.size for f in inputs}) > 1:
            raise UserError(f"Add's nodes must have the same size, got sizes {[f.size for f in inputs]}.")
        return Form(inputs[0].size, shape=inputs[0].shape)

    def lower(self, low, inputs):
        parts = [low.to_dense(x) for x in inputs]
        total = parts[0][0].tensor
        for n, (x, _) in enumerate(parts[1:]):
            y = low.tape(f"y{n}", (x.size,))
            low.forward("add_forward", a=total, b=x.tensor, y=y, D=x.size)
            total = y
        return low.value(total), lambda dy: [to_sparse(dy) for _, to_sparse in parts]


class Concat(_Combine):
    """Nodes one behind the other, as one vector.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> eye, ear = dh.Input((2,)), dh.Input((3,))
    >>> both = dh.Concat()([eye, ear])  # 5 numbers
    """

    def form(self, inputs):
        size = sum(f.size for f in inputs)
        return Form(size, shape=(size,))

    def lower(self, low, inputs):
        parts = [low.to_dense(x) for x in inputs]
        whole, joints = parts[0][0].tensor, []  # joints: (size so far, size of the next)
        for n, (x, _) in enumerate(parts[1:]):
            y = low.tape(f"y{n}", (whole.size + x.size,))
            low.forward("concat_forward", a=whole, c=x.tensor, y=y, D=whole.size, I=x.size)
            joints.append((whole.size, x.size))
            whole = y

        def backward(dy):
            gradients = []
            for n, (D, I) in reversed(list(enumerate(joints))):
                da, db = low.scratch(f"da{n}", (D,)), low.scratch(f"db{n}", (I,))
                low.learn("concat_backward", dy=dy, da=da, db=db, D=D, I=I)
                gradients.append(db)
                dy = da
            gradients.append(dy)
            return [to_sparse(d) for (_, to_sparse), d in zip(parts, reversed(gradients))]

        return low.value(whole), backward


Node.sum_of = staticmethod(lambda nodes: Add()(nodes))
