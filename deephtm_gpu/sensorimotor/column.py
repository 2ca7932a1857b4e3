"""A column that learns objects by touching them, and recognises them by moving over them."""

from collections.abc import Hashable
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from deephtm_gpu.arguments import check_count, check_number, check_seed, finite, real, shown
from deephtm_gpu.backends.protocol import DeviceInfo
from deephtm_gpu.errors import UserError
from deephtm_gpu.model import Model
from deephtm_gpu.sensorimotor.hypotheses import Hypotheses
from deephtm_gpu.sensorimotor.parts import Parts
from deephtm_gpu.sensorimotor.saving import load_column, save_column

ONE_EXPOSURE_LR, LR = 20.0, 10.0  # one exposure must be enough; with more, a smaller step disturbs other objects less
# Beyond this the resolution of a float32 is less than a sixteenth, and only the phase on a grid matters.
MAX_COORDINATE = 1e6
MAX_CODE = 1e30  # a sum of larger numbers, in the pooler, can leave the range of a float32
MAX_OBJECTS = MAX_EXPOSURES = 1_000_000
MAX_FEATURES = 10_000  # that are given by number: each has a one-hot code of this size
MAX_WEIGHTS = 1_000_000_000


@dataclass(frozen=True)
class Recognition:
    """What the column infers from all sensations since `begin`.

    One of the objects that were learned is always the likeliest, even if the true object is unknown: see `fit`.

    Attributes
    ----------
    posterior : ndarray (O,)
        The probability of each object, in the order of learning.
    object : hashable
        The name of the object of the likeliest hypothesis.
    start, place : ndarray (2,)
        The location of the first touch and the present location, in that object's own coordinates.
    angle : float
        Radians by which the object is rotated.
    probability : float
        Of this hypothesis.
    living : int
        How many hypotheses are active.
    fit : float
        How well this hypothesis expected the last sensation: the geometric mean of the winners' probabilities. Near 1,
        or near epsilon if the sensation fits nothing that is known.
    """

    posterior: np.ndarray
    object: Hashable
    start: np.ndarray
    place: np.ndarray
    angle: float
    probability: float
    living: int
    fit: float


class SensorimotorColumn:
    """Learns which feature is where on which object, and infers object and location from features and the movements
    between them.

    A feature wins K columns of a spatial pooler. A temporal memory learns to expect these columns; its distal context
    is a grid code of the location in the object's own space. Every hypothesis about object and location has a code of
    its own. The parts are ordinary layers: a SpatialPooler, GridCells, an Expectation. After Lewis, Purdy, Ahmad &
    Hawkins, "Locations in the neocortex", Frontiers in Neural Circuits 13 (2019).

    Parameters
    ----------
    features : int or array_like (F, D)
        How many features there are; each is then given by its number. Or their codes; then any vector (D,) can be given
        as a feature, and counts as the feature it resembles.
    objects : int
        How many objects can be learned.
    columns : int, default 128
        Of pooler and memory.
    winners : int, default 5
        How many columns win for a feature: K.
    cells_per_column : int, default 32
        Of the memory. Keep objects · points · winners under 5 · columns · cells_per_column.
    modules : int, default 10
        Of the grid cells.
    side : int, default 5
        Of a module, which has side × side cells.
    epsilon : float, default 0.05
        The probability of a column that was not expected, between 0 and 1.
    seed : int, default 0
        Seed of weights and order.
    device : str, default "auto"
        As in `dh.Model`. The hypotheses are evaluated in parallel on it.

    Raises
    ------
    UserError
        If an argument is out of range.
    DeviceError
        If there is no such device.

    Notes
    -----
    Coordinates, displacements and angles must be at most 1,000,000 in absolute value.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> column = dh.SensorimotorColumn(features=4, objects=2, device="numpy")
    >>> column.learn("cup", places=[[0, 0], [1, 0], [0, 1]], features=[0, 1, 2])
    >>> column.learn("pen", places=[[0, 0], [1, 0], [2, 0]], features=[3, 1, 1])
    >>> column.begin()
    >>> column.sense(1).living  # feature 1 is once on the cup and twice on the pen
    3
    >>> column.move((-1, 0))
    >>> column.sense(3).object
    'pen'
    """

    def __init__(
        self,
        features: Any,
        objects: int,
        columns: int = 128,
        winners: int = 5,
        cells_per_column: int = 32,
        modules: int = 10,
        side: int = 5,
        epsilon: float = 0.05,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        sizes = dict(
            objects=objects,
            columns=columns,
            winners=winners,
            cells_per_column=cells_per_column,
            modules=modules,
            side=side,
        )
        sizes = {name: check_count(f"SensorimotorColumn's {name}", value) for name, value in sizes.items()}
        seed, epsilon = (
            check_seed("SensorimotorColumn's seed", seed),
            check_number("SensorimotorColumn's epsilon", epsilon),
        )
        _check_sizes(**sizes)
        if not 0 < np.float32(epsilon) < 1:
            raise UserError(f"SensorimotorColumn's epsilon must be a probability between 0 and 1, got {epsilon}.")
        self._codes = _codes(features)  # (F, D)
        self._sizes = sizes | {"epsilon": epsilon, "seed": seed}
        self._capacity = sizes.pop("objects")
        self._parts = Parts(self._capacity, self._codes.shape[1], *sizes.values(), epsilon, seed, device)
        self._order = np.random.default_rng([seed, 2])  # of the points in an exposure
        self._places = {}  # name -> (L, 2), the locations learned of it
        self._known = self._parts.winners(self._codes)  # (F, K)
        self._hypotheses = None

    @property
    def device(self) -> DeviceInfo:
        """What it runs on: name, backend, "hardware" or "software"."""
        return self._parts.device

    @property
    def memory(self) -> Model:
        """The Model that learns; see `parts.Parts`."""
        return self._parts.memory

    @property
    def objects(self) -> tuple[Hashable, ...]:
        """The names of the objects that it knows, in the order of learning."""
        return tuple(self._places)

    @property
    def features(self) -> int:
        """How many features it knows by number."""
        return len(self._codes)

    @property
    def capacity(self) -> int:
        """How many objects it can learn."""
        return self._capacity

    def learn(self, object: Hashable, places: Any, features: Any, exposures: int = 5) -> None:
        """Learn L points of an object, `exposures` times in random order, in addition to what is known of it.

        If more than about 100 objects are learned one after the other, the first are partly overwritten: learn all
        objects in turn, with one exposure each, several times.

        Parameters
        ----------
        object : hashable
            Its name.
        places : array_like (L, 2)
            Locations in the object's own coordinates; the distance between two features is the unit.
        features : array_like (L,) of int, or (L, D)
            The feature at each location: its number or its code.
        exposures : int, default 5
            How often each point is learned.

        Raises
        ------
        UserError
            If an argument is invalid, or the column already knows as many objects as it can.

        Notes
        -----
        After any exception, the known objects and locations are as before.
        """
        object, places, winners = (
            _name(object),
            finite("A list of places", places, ("L", 2), MAX_COORDINATE),
            self._winners(features),
        )
        if len(winners) != len(places):
            raise UserError(f"learn must have one feature for each place, got {len(winners)} features at "
                            f"{len(places)} places.")
        if check_count("exposures", exposures) > MAX_EXPOSURES:
            raise UserError(f"exposures must be at most {MAX_EXPOSURES:,} at once, got {shown(exposures)}.")
        if object not in self._places and len(self._places) == self._capacity:
            raise UserError(f"The column can learn {self._capacity} objects and knows as many, got one more, "
                            f"{shown(object)}; make the column with a larger `objects`.")
        before = self._order.bit_generator.state
        order = np.concatenate([self._order.permutation(len(places)) for _ in range(exposures)])
        number = self._number(object) if object in self._places else len(self._places)
        lr = ONE_EXPOSURE_LR if exposures == 1 else LR
        try:
            self._parts.learn(places[order], np.full(len(order), number), winners[order], lr)
        except BaseException:  # KeyboardInterrupt too: an object that was not learned completely is not known
            self._order.bit_generator.state = before
            raise
        old = self._places.get(object, np.zeros((0, 2), np.float32))
        self._places[object] = np.unique(np.concatenate([old, places]), axis=0)

    def begin(self, angles: Any = (0.0,)) -> None:
        """Forget all sensations: the touch can begin at any known point of any known object.

        Parameters
        ----------
        angles : array_like (A,), default (0.0,)
            Radians, counter-clockwise, by which the object can be rotated.

        Raises
        ------
        UserError
            If no object is known, or an angle is invalid.
        """
        if not self._places:
            raise UserError("begin() must come after learn(): the column knows no object; learn one first.")
        angles = finite("A list of angles, in radians,", angles, ("A",), MAX_COORDINATE)
        numbers = np.repeat(np.arange(len(self._places)), [len(places) for places in self._places.values()])
        self._hypotheses = Hypotheses(numbers, np.concatenate(list(self._places.values())), angles)

    def sense(self, feature: Any) -> Recognition:
        """Take a sensation.

        Parameters
        ----------
        feature : int or array_like (D,)
            Its number, or a vector.

        Returns
        -------
        Recognition
            What follows from all sensations since `begin`.

        Raises
        ------
        UserError
            If the feature is invalid, or before `begin`.
        """
        hypotheses = self._begun()
        hypotheses.sense(self._parts.judge, self._winners(feature, one=True)[0])
        share = hypotheses.probabilities()
        best = int(share.argmax())
        return Recognition(
            hypotheses.of_objects(len(self._places)),
            self.objects[hypotheses.objects[best]],
            hypotheses.starts[best].copy(),
            hypotheses.places[best].copy(),
            float(hypotheses.angles[best]),
            float(share[best]),
            len(hypotheses),
            float(np.exp(hypotheses.latest[best] / self._sizes["winners"])),
        )

    def move(self, displacement: Any, noise: float = 0.0) -> None:
        """Take a movement.

        Parameters
        ----------
        displacement : array_like (2,)
            As reported by the body.
        noise : float, default 0.0
            Standard deviation of the displacement in each dimension. If it is not 0, sensations correct the location.

        Raises
        ------
        UserError
            If an argument is invalid, or before `begin`.
        """
        noise = check_number("The noise of a movement, a standard deviation,", noise, 0, MAX_COORDINATE)
        displacement, _ = self._ahead(displacement)
        self._hypotheses.move(displacement, noise)

    def predict(self, displacement: Any = (0.0, 0.0)) -> np.ndarray:
        """The probability of each feature after a movement, given that it leads to a feature.

        Parameters
        ----------
        displacement : array_like (2,), default (0.0, 0.0)
            The movement.

        Returns
        -------
        ndarray (F,)
            The probabilities, which sum to 1.

        Raises
        ------
        UserError
            If the displacement is invalid, or before `begin`.
        """
        hypotheses = self._begun()
        (_, places), log = self._ahead(displacement), np.log(np.maximum(hypotheses.probabilities(), 1e-30))
        # (F, H).
        joint = np.stack([log + self._parts.judge(places, hypotheses.objects, winners)[0] for winners in self._known])
        each = np.exp(joint - joint.max()).sum(axis=1)
        return each / each.sum()

    def save(self, path: str | PathLike[str]) -> None:
        """Write all that was learned, for `dh.SensorimotorColumn.load(path)`. The sensations since `begin` are not
        saved.

        Parameters
        ----------
        path : str or Path
            The file, in safetensors format.

        Raises
        ------
        UserError
            If the file cannot be written, or an object's name is neither a text nor a whole number.
        """
        save_column(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str], device: str = "auto") -> "SensorimotorColumn":
        """Read the file that `save` wrote.

        Parameters
        ----------
        path : str or Path
            The file.
        device : str, default "auto"
            As in `dh.Model`.

        Returns
        -------
        SensorimotorColumn
            The column.

        Raises
        ------
        UserError
            If the file holds no column.
        DeviceError
            If there is no such device.
        """
        return load_column(cls, path, device)

    def expects(self, object: Hashable, place: Any) -> np.ndarray:
        """The probability of each feature at a location of a known object, given that there is one.

        Parameters
        ----------
        object : hashable
            Its name.
        place : array_like (2,)
            The location, in the object's own coordinates.

        Returns
        -------
        ndarray (F,)
            The probabilities, which sum to 1.

        Raises
        ------
        UserError
            If the object is not known, or the location is invalid.
        """
        place, number = finite("A place", place, (2,), MAX_COORDINATE)[None], [self._number(object)]
        evidence = np.array([self._parts.judge(place, number, winners)[0][0] for winners in self._known])
        each = np.exp(evidence - evidence.max())
        return each / each.sum()

    @property
    def grid(self) -> tuple[int, int, int]:
        """The shape of its grid cells: modules, side, side."""
        return self._sizes["modules"], self._sizes["side"], self._sizes["side"]

    def bumps(self, object: Hashable, place: Any) -> np.ndarray:
        """The activity of the grid cells at a location of a known object.

        Parameters
        ----------
        object : hashable
            Its name.
        place : array_like (2,)
            The location, in the object's own coordinates.

        Returns
        -------
        ndarray (modules, side, side)
            The activity; each module sums to 1.

        Raises
        ------
        UserError
            If the object is not known, or the location is invalid.
        """
        return self._parts.bumps(finite("A place", place, (2,), MAX_COORDINATE), self._number(object))

    def living(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The H active hypotheses.

        Returns
        -------
        objects : ndarray (H,)
            The number of each one's object, in the order of learning, from 0.
        places : ndarray (H, 2)
            The present location of each, in its object's own coordinates.
        probabilities : ndarray (H,)
            Of each; they sum to 1.

        Raises
        ------
        UserError
            If called before `begin`.
        """
        hypotheses = self._begun()
        return hypotheses.objects.copy(), hypotheses.places.copy(), hypotheses.probabilities()

    def known(self, object: Hashable) -> np.ndarray:
        """The locations that were learned of an object.

        Parameters
        ----------
        object : hashable
            Its name.

        Returns
        -------
        ndarray (L, 2)
            The locations, each once.

        Raises
        ------
        UserError
            If the object is not known.
        """
        self._number(object)
        return self._places[object].copy()

    def _number(self, object) -> int:
        if _name(object) not in self._places:
            raise UserError(f"The object must be one of the {len(self._places)} that the column knows, got "
                            f"{shown(object)}; learn it first.")
        return list(self._places).index(object)

    def _begun(self):
        if self._hypotheses is None:
            raise UserError("sense, move, predict and living must come after begin(); call begin() first.")
        return self._hypotheses

    def _ahead(self, displacement):
        """A displacement (2,), and the locations after it (H, 2). Raises UserError."""
        displacement = finite("A displacement", displacement, (2,), MAX_COORDINATE)
        places = self._begun().after(displacement)
        if np.abs(places).max() > MAX_COORDINATE:
            raise UserError(f"Displacements must stay within {MAX_COORDINATE:,.0f} of an object's origin in all, got "
                            f"{displacement.tolist()} after the others; give a smaller one, or begin() again.")
        return displacement, places

    def _winners(self, features, one=False):
        """(B,) int or (B, D) -> (B, K); or `one` of them -> (1, K)."""
        given, (F, D), sides = real(features), self._codes.shape, () if one else ("L",)
        if given is not None and given.ndim == len(sides) and given.dtype.kind in "iu" and given.size:
            if not 0 <= given.min() <= given.max() < F:
                raise UserError(f"A feature's number must be from 0 to {F - 1}, got "
                                f"{given.min() if given.min() < 0 else given.max()}.")
            return self._known[np.atleast_1d(given)]
        what = "A feature" if one else "A list of features"
        vectors = finite(f"{what} (numbers from 0 to {F - 1}, or vectors)", features, (*sides, D), MAX_CODE)
        return self._parts.winners(vectors.reshape(-1, D))


def _check_sizes(objects, columns, winners, cells_per_column, modules, side):
    if objects > MAX_OBJECTS:
        raise UserError(f"SensorimotorColumn's objects must be at most {MAX_OBJECTS:,}, got {shown(objects)}.")
    if side < 2:
        raise UserError(f"SensorimotorColumn's side must be 2 or more, got {side}: a module of {side} x {side} cells "
                        "has no phase.")
    if winners >= columns:
        raise UserError(f"SensorimotorColumn's winners must be fewer than its columns, got {winners} winners of "
                        f"{columns} columns; give winners <= {columns - 1}.")
    if columns * cells_per_column * modules * side * side > MAX_WEIGHTS:
        sizes = dict(columns=columns, cells_per_column=cells_per_column, modules=modules, side=side)
        got = ", ".join(f"{name}={shown(value)}" for name, value in sizes.items())
        raise UserError("SensorimotorColumn's weights, columns · cells_per_column · modules · side², must be at most "
                        f"{MAX_WEIGHTS:,}, got {got}; make one of them smaller.")


def _name(object):
    try:
        hash(object)
    except TypeError:
        raise UserError("An object's name must be hashable, such as a text, a number or a tuple, got "
                        f"{shown(object)}.") from None
    return object


def _codes(features):
    given = real(features)
    if given is not None and given.ndim:
        return finite("A table of features' codes", features, ("F", "D"), MAX_CODE)
    if given is None or check_count("SensorimotorColumn's features", features) > MAX_FEATURES:
        raise UserError(f"SensorimotorColumn's features must be their number, at most {MAX_FEATURES:,}, or their codes "
                        f"(F, D), got {shown(features)}.")
    return np.eye(check_count("SensorimotorColumn's features", features), dtype=np.float32)
