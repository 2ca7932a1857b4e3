"""Grid cells: where a path has come to, as the activity of cells that fire on hexagonal grids of places."""

from math import cos, pi, sin

import numpy as np

from deephtm_gpu.arguments import LARGEST, check_count, check_scale, is_number, is_positive, shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.forms import Form
from deephtm_gpu.graph.nodes import Layer, Node, check_node
from deephtm_gpu.plan.tensors import MATRIX

STEEPEST = 20  # of the sharpness: beyond, float32 may lose all cells of a module
SIXTH = pi / 3  # of a turn; a hexagonal grid turned by it is the same grid
# from a place to its phases along two axes 60 degrees apart, at period 1
AXES = np.linalg.inv([[1, cos(SIXTH)], [0, sin(SIXTH)]])


class GridCells(Layer):
    """Grid cells: where a path has come to, as the activity of cells on hexagonal grids, followed by its movements.

    Parameters
    ----------
    modules : int, default 10
        How many grids of different periods.
    side : int, default 5
        A module has side × side cells; 2 or more.
    sharpness : float, default 1.0
        How steep the softmax over a module's cells is, above 0 and at most 20; far below 1 the norm of the code is less
        than 1.
    scale : float, default 2.0
        The period of the first module, in the movement's unit, above 0.
    ratio : float, default 1.3
        From one module's period to the next one's, above 0.
    orientation : float, optional
        By which the first module's grid is turned, in radians. Default: drawn from the seed.
    learn : bool, default False
        Whether the weight is learned, by the gradient of the whole path since it began (exact where the weight stood
        still); let paths be short, or begin anew.
    init_std : float, optional
        Draws the weight from N(0, init_std²) instead, whatever movement means (motor commands too); scale, ratio and
        orientation then have no effect. Default: hexagonal grids, for movements of 2 numbers.
    lr_scale : float, default 0.01
        Multiplies the learning rate of the weight: what reads the code cannot follow a faster one.

    Raises
    ------
    UserError
        Where an argument is out of range. When a network is made of it: where a node that it reads is of another size.

    Notes
    -----
    Gives modules · side² numbers of unit norm, module by module, in each row by row; the mean of each module's is 0.
    Learns weight (2 · modules, D), in periods per unit of movement: of module m a hexagonal grid of period scale ·
    ratio^m, turned by orientation + m · 60° / modules. Gradients flow into the anchor, and into the movement of the
    step at hand; earlier ones are constants, as with `dh.previous`.

    References
    ----------
    Hafting et al., "Microstructure of a spatial map in the entorhinal cortex", Nature 2005; Lewis, Purdy, Ahmad &
    Hawkins, "Locations in the neocortex", Frontiers in Neural Circuits 2019.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> movement, thing, begins = dh.Input((2,)), dh.Input((3,)), dh.Input((1,))
    >>> location = dh.GridCells(modules=4)(movement)  # a path that begins at phase 0, and never anew
    >>> anchored = dh.GridCells(modules=4)(movement, anchor=dh.Linear(8)(thing), restart=begins)
    """

    first_alone = True

    def __init__(self, modules: int = 10, side: int = 5, sharpness: float = 1.0, scale: float = 2.0, ratio: float = 1.3,
                 orientation: float | None = None, learn: bool = False, init_std: float | None = None,
                 lr_scale: float | None = 0.01) -> None:
        self.modules = check_count("GridCells' modules", modules)
        self.side = check_count("GridCells' side", side, minimum=2)
        if not (is_positive(sharpness) and sharpness <= STEEPEST):
            raise UserError(f"GridCells' sharpness must be a number above 0, at most {STEEPEST}, got "
                            f"{shown(sharpness)}.")
        for what, value in (("scale", scale), ("ratio", ratio)):
            if not is_positive(value):
                raise UserError(f"GridCells' {what} must be a number above 0, got {shown(value)}.")
        if orientation is not None and not is_number(orientation):
            raise UserError(f"GridCells' orientation must be an angle in radians, or None, got {shown(orientation)}.")
        if not isinstance(learn, (bool, np.bool_)):
            raise UserError(f"GridCells' learn must be True or False, got {shown(learn)}.")
        if init_std is not None and not (is_number(init_std) and init_std >= 0):
            raise UserError(f"GridCells' init_std must be a number, 0 or more, got {shown(init_std)}.")
        self.sharpness, self.scale, self.ratio = float(sharpness), float(scale), float(ratio)
        self.orientation = orientation
        self.learn, self.init_std, self.lr_scale = bool(learn), init_std, check_scale(lr_scale)
        self._check_periods()

    def __call__(  # type: ignore[override]  # nodes by their roles
        self, movement: Node, anchor: Node | None = None, restart: Node | None = None,
    ) -> Node:
        """Puts the layer into the flow.

        Parameters
        ----------
        movement : Node
            D numbers: how far the path goes in this step, before the code is read.
        anchor : Node, optional
            2 · modules numbers: the phases where the path begins, in periods, two for a module, module by module. It is
            read in every step, so let it stand still while the path lasts. Default: 0.
        restart : Node, optional
            1 number, above 0.5 in a step before whose movement the path begins anew. Default: never; reset() begins
            anew too.

        Returns
        -------
        Node
            The code, (modules · side²,).

        Raises
        ------
        UserError
            Where these are no nodes.
        """
        given = {role: check_node(node, self) for role, node in (("anchor", anchor), ("restart", restart))
                 if node is not None}
        node = self.add_node([check_node(movement, self), *given.values()])
        node.roles = list(given)
        return node

    def check(self, node, inputs):
        wanted = {"anchor": (2 * self.modules, f"two phases for each of {self.modules} modules"),
                  "restart": (1, "above 0.5 where the path begins")}
        for role, given in zip(getattr(node, "roles", self._roles(inputs[1:])), inputs[1:]):
            size, why = wanted[role]
            if given.size != size:
                raise UserError(f"{self!r}'s {role} must be a node of {size} numbers, {why}, got one of {given.size}.")

    def form(self, inputs):
        D, G, B = inputs[0].size, self.modules, self.side
        if self.init_std is None and D != 2:
            raise UserError(
                f"{self!r}'s movement must have 2 numbers, as its grids are hexagonal in the plane, got {D}; "
                "give init_std, which draws weights for any movement."
            )
        return Form(G * B * B, shape=(G * B * B,))

    def lower(self, low, inputs):
        D, G, B = inputs[0].size, self.modules, self.side
        (movement, to_movement), *others = [low.to_dense(x) for x in inputs]
        others = dict(zip(self._roles(inputs[1:]), others))
        weight = low.param("weight", (2 * G, D), MATRIX, std=self.init_std or 0.0, learned=self.learn,
                           start=self._hexagons if self.init_std is None else 0.0)
        # Where none is given, zeros that nothing writes.
        restart = others["restart"][0].tensor if "restart" in others else low.scratch("never", (1,))
        anchor = others["anchor"][0].tensor if "anchor" in others else low.scratch("origin", (2 * G,))
        travelled, path = low.state("travelled", (2 * G,)), low.state("path", (D,))
        phase, displacement = low.tape("phase", (2 * G,)), low.tape("displacement", (D,))
        code, norm = low.tape("code", (G * B * B,)), low.tape("norm", (1,))
        moved = movement.tensor
        if low.tick:  # behind a clock the path goes on, or begins anew, once per tick
            moved = low.times("moved", moved, low.tick)
            restart = low.times("restarts", restart, low.tick)
        low.forward("path_forward", movement=moved, weight=weight, restart=restart, anchor=anchor, travelled=travelled,
                    path=path, phase=phase, displacement=displacement, D=D, G=G)
        low.forward("grid_forward", phase=phase, code=code, norm=norm, sharpness=self.sharpness, G=G, B=B)

        def backward(dcode):
            dphase, dmovement = low.scratch("dphase", (2 * G,)), None
            low.learn("grid_backward", dcode=dcode, code=code, norm=norm, phase=phase, dphase=dphase,
                      sharpness=self.sharpness, G=G, B=B)
            if movement.grad:
                dmovement = low.scratch("dmovement", (D,))
                low.learn("linear_backward", dy=dphase, weight=weight, dx=dmovement, I=D, O=2 * G)
                if low.tick:
                    dmovement = low.times("dmoved", dmovement, low.tick, learns=True)
            if self.learn:
                low.update_product(weight, dphase, displacement)
            back = {"anchor": lambda to_sparse: to_sparse(dphase), "restart": lambda to_sparse: None}
            return [to_movement(dmovement)] + [back[role](to_sparse) for role, (_, to_sparse) in others.items()]

        return low.value(code), backward

    @property
    def learned(self):
        return self.learn

    def _roles(self, others):
        """What the inputs behind the movement are: both, or the one of the two that its size says. (A place in the
        flow, and a file, know no more of them.)"""
        if len(others) == 2:
            return ["anchor", "restart"]
        return ["restart" if x.size == 1 else "anchor" for x in others]

    def _check_periods(self):
        first, last = self._periods(np.array([0, self.modules - 1]))
        if not 1 / LARGEST <= min(first, last) <= max(first, last) <= LARGEST:
            raise UserError(
                f"GridCells' periods run from {first:g} to {last:g}, which a float32 cannot hold; take a "
                f"ratio nearer to 1, or fewer modules than {self.modules}."
            )

    def _periods(self, modules):
        """Of the modules of these numbers."""
        with np.errstate(all="ignore"):
            return self.scale * self.ratio ** modules.astype(np.float64)

    def _hexagons(self, rng):
        """The weight (2 * modules, 2) of hexagonal grids."""
        first = rng.uniform(0, SIXTH) if self.orientation is None else self.orientation
        turned = []
        for m, period in enumerate(self._periods(np.arange(self.modules))):
            angle = first + m * SIXTH / self.modules
            back = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])  # the plane, turned by -angle
            turned.append(AXES @ back / period)
        return np.concatenate(turned)
