"""Objects to be recognised by touch: features at places, sensed one after the other, the movements between them told.

The task of Lewis, Purdy, Ahmad & Hawkins, "Locations in the neocortex: a theory of sensorimotor object recognition using
cortical grid cells", Frontiers in Neural Circuits 13 (2019), and what an ideal observer makes of it.
"""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.arguments import check_count, check_number, finite, shown
from deephtm_gpu.errors import UserError

QUARTERS = tuple(np.pi / 2 * np.arange(4))  # a grid of places turned by these is a grid again
SURE = 0.9  # the probability from which something is recognised
NEAR_ANGLE = 1e-3  # radians
NEAR = 1e-4  # movements that differ by less are the same


@dataclass(frozen=True)
class Objects:
    """O objects of P points. places: (O, P, 2) float32, of an object no two the same. features: (O, P) int, the number of the
    feature at each point. distinct: how many features there are."""

    places: np.ndarray
    features: np.ndarray
    distinct: int


@dataclass(frozen=True)
class Exploration:
    """L points of an object, sensed in turn.

    object: its number. points: (L,) int, the points' numbers; the first is the start. features: (L,) int, or (L, D) float32
    where features are codes. moves: (L - 1, 2) float32, as they are told. angle: radians by which the object is turned
    (counter-clockwise).
    """

    object: int
    points: np.ndarray
    features: np.ndarray
    moves: np.ndarray
    angle: float = 0.0


def objects(count=100, features=10, points=10, side=4, seed=0):
    """`count` objects: each has `points` places drawn from a grid of side x side, no place twice, and at each one of `features`
    features. The unit of length is the grid's pitch. Raises UserError."""
    sizes = {"count": count, "features": features, "points": points, "side": side}
    count, features, points, side = (check_count(f"objects' {name}", value) for name, value in sizes.items())
    if points > side * side:
        raise UserError(f"Objects of {points} points on a grid of {side} x {side} places were asked for; no place is taken "
                        f"twice: give points <= {side * side}.")
    rng = np.random.default_rng(check_count("objects' seed", seed, least=0))
    taken = np.stack([rng.permutation(side * side)[:points] for _ in range(count)])  # (O, P)
    places = np.stack([taken % side, taken // side], axis=-1).astype(np.float32)
    return Objects(places, rng.integers(features, size=(count, points)), features)


def explorations(task, seed=0, each=1, sensations=None, angles=(0.0,), movement_noise=0.0, codes=None, sensor_noise=0.0):
    """Every object explored `each` times, from a random start in random order, no point twice. Returns a list of Exploration.

    sensations: points of an exploration (None: all that the object has). angles: radians, one of which the object is turned by.
    movement_noise: standard deviation of what is told of a movement, in either direction. codes: (distinct, D), what is sensed
    in place of a feature's number, with noise of the standard deviation `sensor_noise` in every dimension. Raises UserError.
    """
    angles, movement_noise, codes, sensor_noise = _checked(task, angles, movement_noise, codes, sensor_noise)
    count, points = task.features.shape
    length = points if sensations is None else check_count("The sensations of an exploration", sensations)
    if length > points:
        raise UserError(f"Explorations of {shown(length)} sensations were asked for; an object has {points} points and none is "
                        f"sensed twice: give 1 to {points}.")
    rng, told = np.random.default_rng(check_count("The explorations' seed", seed, least=0)), []
    for o in np.repeat(np.arange(count), check_count("The explorations of each object", each)):
        order = rng.permutation(points)[:length]
        angle = float(angles[rng.integers(len(angles))])
        moves = np.diff(task.places[o, order], axis=0) @ _turn(angle).T
        moves = moves + movement_noise * rng.standard_normal((points, 2))[:length - 1]
        features = task.features[o, order]
        if codes is not None:
            features = codes[features]
            features = (features + sensor_noise * rng.standard_normal(features.shape)).astype(np.float32)
        told.append(Exploration(int(o), order, features, moves.astype(np.float32), angle))
    return told


class IdealObserver:
    """Knows the objects and the kind of noise, and keeps the exact probability of every (object, angle, start).

    At the beginning all are equally likely. Only of points that repeat it does not know that they never do, which says
    nothing where movements are told without noise. Arguments, and what is raised, as of `explorations`.
    """

    def __init__(self, task, angles=(0.0,), movement_noise=0.0, codes=None, sensor_noise=0.0):
        angles, self._movement_noise, self._codes, self._sensor_noise = _checked(task, angles, movement_noise, codes, sensor_noise)
        self._task, self.angles = task, angles
        steps = task.places[:, None] - task.places[:, :, None]  # (O, P, P, 2): from the first point to the second
        self._steps = np.stack([steps @ _turn(angle).T for angle in angles], axis=1)  # (O, A, P, P, 2)
        self.begin()

    def begin(self):
        """Nothing has been sensed."""
        (O, P), A = self._task.features.shape, len(self.angles)
        self._joint = np.broadcast_to(np.eye(P) / (O * A * P), (O, A, P, P))  # [..., start, point]

    def sense(self, feature):
        """feature: its number, or its code (D,). Raises UserError."""
        if self._codes is None:
            if check_count("A feature's number", feature, least=0) >= self._task.distinct:
                raise UserError(f"Feature {shown(feature)} was sensed; there are {self._task.distinct}: give 0 to {self._task.distinct - 1}.")
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

    def move(self, displacement):
        """displacement: (2,), as it is told. Raises UserError."""
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
    def posterior(self):
        """(O, A, P): the probability of each object, angle and point that was the start."""
        return self._joint.sum(axis=-1)

    def truth(self, exploration):
        """The probability of its object, angle and start."""
        turn = int(np.abs(np.array(self.angles) - exploration.angle).argmin())
        return self.posterior[exploration.object, turn, exploration.points[0]]

    def predict(self, displacement):
        """(distinct,): the probability of each feature where this movement leads to, given that it leads to a point. Raises
        UserError."""
        kept = self._joint
        self.move(displacement)
        there, self._joint = self._joint.sum(axis=(1, 2)), kept  # (O, P)
        return np.bincount(self._task.features.ravel(), weights=there.ravel(), minlength=self._task.distinct)


def _checked(task, angles, movement_noise, codes, sensor_noise):
    """The angles as a tuple of floats, both noises as floats, the codes (distinct, D) or None. Raises UserError."""
    if not isinstance(task, Objects):
        raise UserError(f"{shown(task)} was to be explored; only Objects can: give what data.objects.objects(...) returned.")
    angles = tuple(finite("A list of angles, in radians,", angles, ("A",), dtype=float).tolist())
    movement_noise, sensor_noise = check_number("movement_noise", movement_noise, 0), check_number("sensor_noise", sensor_noise, 0)
    if codes is not None:
        codes = finite("A table of features' codes", codes, (task.distinct, "D"), dtype=float)
    elif sensor_noise:
        raise UserError("Noise was asked for in features that are numbers; only codes can have it: give codes, too.")
    return angles, movement_noise, codes, sensor_noise


def names_truth(found, task, exploration) -> bool:
    """Whether a Recognition, of a column that calls objects by their numbers, names the exploration's object, start and angle."""
    start = task.places[exploration.object, exploration.points[0]]
    return bool(found.object == exploration.object and (found.start == start).all() and abs(found.angle - exploration.angle) < NEAR_ANGLE)


def features_alone(task, told, touches):
    """A trivial observer, that feels features and knows nothing of places: the share of the explorations `told` in which the first `touches`
    features are found on the true object and on no other."""
    count = np.stack([(task.features == f).sum(axis=1) for f in range(task.distinct)], axis=1)  # (O, F)
    alone = [(count >= np.bincount(e.features[:touches], minlength=task.distinct)).all(axis=1).sum() == 1 for e in told]
    return float(np.mean(alone)) if alone else float("nan")


def _turn(angle):
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])
