"""Recognition of objects by touch: features at locations, sensed one after the other with the movements between them.

The task of Lewis, Purdy, Ahmad & Hawkins, "Locations in the neocortex: a theory of sensorimotor object recognition
using cortical grid cells", Frontiers in Neural Circuits 13 (2019), and its ideal observer.
"""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.arguments import check_count, check_number, check_seed, finite, shown
from deephtm_gpu.errors import UserError

QUARTERS = tuple(np.pi / 2 * np.arange(4))  # radians; a grid rotated by one of these is the same grid
SURE = 0.9  # the probability from which on an object counts as recognised
NEAR_ANGLE = 1e-3  # radians; angles that differ by less are the same
NEAR = 1e-4  # movements and codes that differ by less are the same


@dataclass(frozen=True)
class Objects:
    """O objects of P points.

    Attributes
    ----------
    places : ndarray (O, P, 2) float32
        The location of each point; those of one object differ.
    features : ndarray (O, P) int
        The number of the feature at each point.
    distinct : int
        How many features there are.
    """

    places: np.ndarray
    features: np.ndarray
    distinct: int


@dataclass(frozen=True)
class Exploration:
    """L points of an object, sensed one after the other.

    Attributes
    ----------
    object : int
        Its number.
    points : ndarray (L,) int
        The numbers of the points; the first is the start.
    features : ndarray (L,) int, or (L, D) float32
        Of each point the number of its feature, or its code.
    moves : ndarray (L - 1, 2) float32
        The displacements between the points, with noise if there is some.
    angle : float
        Radians by which the object is rotated, counter-clockwise.
    """

    object: int
    points: np.ndarray
    features: np.ndarray
    moves: np.ndarray
    angle: float = 0.0


def objects(count: int = 100, features: int = 10, points: int = 10, side: int = 4, seed: int = 0) -> Objects:
    """Random objects: points on a square grid, with a random feature at each point. The unit of length is the grid's
    pitch.

    Parameters
    ----------
    count : int, default 100
        How many objects.
    features : int, default 10
        How many different features there are.
    points : int, default 10
        Points of an object, at most side².
    side : int, default 4
        Points along a side of the grid.
    seed : int, default 0
        Seed of the objects.

    Returns
    -------
    Objects
        The objects.

    Raises
    ------
    UserError
        If an argument is out of range.

    Examples
    --------
    >>> from deephtm_gpu.data.objects import objects
    >>> task = objects(count=3, features=5, points=4)
    >>> task.places.shape, task.features.shape
    ((3, 4, 2), (3, 4))
    """
    sizes = {"count": count, "features": features, "points": points, "side": side}
    count, features, points, side = (check_count(f"objects' {name}", value) for name, value in sizes.items())
    if points > side * side:
        raise UserError(f"objects' points must be at most {side * side}, the points of a grid of {side} x {side}, got "
                        f"{points}; give fewer points, or a larger side.")
    rng = np.random.default_rng(check_seed("objects' seed", seed))
    taken = np.stack([rng.permutation(side * side)[:points] for _ in range(count)])  # (O, P)
    places = np.stack([taken % side, taken // side], axis=-1).astype(np.float32)
    return Objects(places, rng.integers(features, size=(count, points)), features)


def explorations(
    task: Objects,
    seed: int = 0,
    each: int = 1,
    sensations: int | None = None,
    angles=(0.0,),
    movement_noise: float = 0.0,
    codes=None,
    sensor_noise: float = 0.0,
) -> list[Exploration]:
    """Explorations of every object, from a random start in random order, without sensing a point twice.

    Parameters
    ----------
    task : Objects
        The objects.
    seed : int, default 0
        Seed of the explorations.
    each : int, default 1
        Explorations of each object.
    sensations : int, optional
        Points of an exploration; None for all points of the object.
    angles : sequence of float, default (0.0,)
        Radians. The object is rotated by one of these.
    movement_noise : float, default 0.0
        Standard deviation of the noise in the reported movements, in each dimension.
    codes : array (distinct, D), optional
        The codes of the features, which are sensed instead of their numbers.
    sensor_noise : float, default 0.0
        Standard deviation of the noise in the sensed codes, in each dimension.

    Returns
    -------
    list of Exploration
        In the order of the objects.

    Raises
    ------
    UserError
        If an argument is out of range.

    Examples
    --------
    >>> from deephtm_gpu.data.objects import explorations, objects
    >>> found = explorations(objects(count=3), each=2, sensations=4)
    >>> len(found), found[0].moves.shape
    (6, (3, 2))
    """
    angles, movement_noise, codes, sensor_noise = _checked(task, angles, movement_noise, codes, sensor_noise)
    count, points = task.features.shape
    length = points if sensations is None else check_count("The sensations of an exploration", sensations)
    if length > points:
        raise UserError(f"The sensations of an exploration must be at most {points}, the points of an object, got "
                        f"{shown(length)}.")
    rng, explored = np.random.default_rng(check_seed("The explorations' seed", seed)), []
    for o in np.repeat(np.arange(count), check_count("The explorations of each object", each)):
        order = rng.permutation(points)[:length]
        angle = float(angles[rng.integers(len(angles))])
        moves = np.diff(task.places[o, order], axis=0) @ _turn(angle).T
        moves = moves + movement_noise * rng.standard_normal((points, 2))[:length - 1]
        features = task.features[o, order]
        if codes is not None:
            features = codes[features]
            features = (features + sensor_noise * rng.standard_normal(features.shape)).astype(np.float32)
        explored.append(Exploration(int(o), order, features, moves.astype(np.float32), angle))
    return explored


class IdealObserver:
    """The exact probability of every (object, angle, start), from the objects and the noise. At the beginning all are
    equal.

    It does not use that no point is sensed twice, which makes no difference if the movements have no noise.

    Parameters
    ----------
    task, angles, movement_noise, codes, sensor_noise
        As in `explorations`.

    Raises
    ------
    UserError
        As `explorations`.

    Examples
    --------
    >>> from deephtm_gpu.data.objects import IdealObserver, explorations, objects
    >>> task = objects(count=5, seed=1)
    >>> exploration, ideal = explorations(task)[0], IdealObserver(task)
    >>> ideal.sense(exploration.features[0])
    >>> for move, feature in zip(exploration.moves, exploration.features[1:]):
    ...     ideal.move(move)
    ...     ideal.sense(feature)
    >>> round(float(ideal.truth(exploration)), 3)
    1.0
    """

    def __init__(self, task, angles=(0.0,), movement_noise=0.0, codes=None, sensor_noise=0.0):
        angles, self._movement_noise, self._codes, self._sensor_noise = _checked(
            task, angles, movement_noise, codes, sensor_noise
        )
        self._task, self.angles = task, angles
        steps = task.places[:, None] - task.places[:, :, None]  # (O, P, P, 2): from the first point to the second
        self._steps = np.stack([steps @ _turn(angle).T for angle in angles], axis=1)  # (O, A, P, P, 2)
        self.begin()

    def begin(self) -> None:
        """Forget what was sensed."""
        (O, P), A = self._task.features.shape, len(self.angles)
        self._joint = np.broadcast_to(np.eye(P) / (O * A * P), (O, A, P, P))  # [..., start, point]

    def sense(self, feature) -> None:
        """Take a sensed feature: its number, or its code (D,). Raises UserError."""
        if self._codes is None:
            if check_count("A feature's number", feature, minimum=0) >= self._task.distinct:
                raise UserError(f"A feature's number must be from 0 to {self._task.distinct - 1}, got "
                                f"{shown(feature)}.")
        else:
            feature = finite("A feature's code", feature, self._codes.shape[1:], dtype=float)
        if self._sensor_noise:
            miss = np.square(self._codes - feature).sum(axis=1) / (2 * self._sensor_noise**2)
            likely = np.exp(miss.min() - miss)  # (distinct,)
        elif self._codes is not None:
            likely = np.abs(self._codes - feature).max(axis=1) < NEAR
        else:
            likely = np.arange(self._task.distinct) == feature
        self._joint = self._normal(self._joint * likely[self._task.features][:, None, None])

    def move(self, displacement) -> None:
        """Take a reported displacement (2,). Raises UserError."""
        miss = self._steps - finite("A displacement", displacement, (2,))
        if self._movement_noise:
            miss = np.square(miss).sum(axis=-1) / (2 * self._movement_noise**2)
            likely = np.exp(miss.min() - miss)  # (O, A, P, P)
        else:
            likely = (np.abs(miss).max(axis=-1) < NEAR).astype(float)
        self._joint = self._normal(self._joint @ likely)

    def _normal(self, joint):
        return joint / max(joint.sum(), 1e-300)

    @property
    def posterior(self) -> np.ndarray:
        """(O, A, P): the probability of each object, angle and start."""
        return self._joint.sum(axis=-1)

    def truth(self, exploration: Exploration) -> float:
        """The probability of the exploration's object, angle and start."""
        turn = int(np.abs(np.array(self.angles) - exploration.angle).argmin())
        return self.posterior[exploration.object, turn, exploration.points[0]]

    def predict(self, displacement) -> np.ndarray:
        """(distinct,): the probability of each feature after this movement, given that it leads to a point. Raises
        UserError."""
        before = self._joint
        self.move(displacement)
        points, self._joint = self._joint.sum(axis=(1, 2)), before  # (O, P)
        return np.bincount(self._task.features.ravel(), weights=points.ravel(), minlength=self._task.distinct)


def _checked(task, angles, movement_noise, codes, sensor_noise):
    """The angles as a tuple of floats, both noises as floats, the codes (distinct, D) or None. Raises UserError."""
    if not isinstance(task, Objects):
        raise UserError(f"The task must be Objects, got {shown(task)}; give what data.objects.objects(...) returns.")
    angles = tuple(finite("A list of angles, in radians,", angles, ("A",), dtype=float).tolist())
    movement_noise, sensor_noise = (
        check_number("movement_noise", movement_noise, 0),
        check_number("sensor_noise", sensor_noise, 0),
    )
    if codes is not None:
        codes = finite("A table of features' codes", codes, (task.distinct, "D"), dtype=float)
    elif sensor_noise:
        raise UserError(f"sensor_noise must be 0 without codes, got {sensor_noise:g}; give codes too.")
    return angles, movement_noise, codes, sensor_noise


def names_truth(found, task, exploration) -> bool:
    """Whether a Recognition has the exploration's object, start and angle. The column's names of objects are their
    numbers."""
    start = task.places[exploration.object, exploration.points[0]]
    return bool(
        found.object == exploration.object
        and (found.start == start).all()
        and abs(found.angle - exploration.angle) < NEAR_ANGLE
    )


def features_alone(task: Objects, explored: list[Exploration], touches: int) -> float:
    """The result of a trivial observer, which ignores locations.

    It is the share of the explorations in which only the true object has the features of the first `touches` touches.
    """
    count = np.stack([(task.features == f).sum(axis=1) for f in range(task.distinct)], axis=1)  # (O, F)
    alone = [
        (count >= np.bincount(e.features[:touches], minlength=task.distinct)).all(axis=1).sum() == 1 for e in explored
    ]
    return float(np.mean(alone)) if alone else float("nan")


def _turn(angle):
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])
