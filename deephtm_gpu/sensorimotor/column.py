"""A column that learns objects by touching them, and recognises them by moving over them."""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.arguments import check_count, check_number, finite, real, shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.sensorimotor.hypotheses import Hypotheses
from deephtm_gpu.sensorimotor.parts import Parts
from deephtm_gpu.sensorimotor.saving import load_column, save_column

ONCE, OFTEN = 20.0, 10.0  # learning rates: one exposure must do it all; where more follow, a smaller step harms other objects less
FAR = 1e6  # places beyond that a float32 knows no better than to a sixteenth, and what counts of them is their remainder on a grid
LOUD = 1e30  # numbers of features beyond that, summed up in a pooler, could leave the range of a float32
MOST = 1_000_000  # objects, and exposures at once
MOST_FEATURES = 10_000  # that are told by numbers: each has a code of as many numbers as there are features
MOST_WEIGHTS = 1_000_000_000


@dataclass(frozen=True)
class Recognition:
    """What a column makes of all that it has sensed since `begin`.

    posterior: (O,) the probability of each object, in the order in which they were learned. object: the name of the likeliest
    hypothesis' object; start and place: (2,), where touch began and where it is now, in that object's own coordinates;
    angle: radians by which it is turned; probability: of this hypothesis. living: how many hypotheses are left.

    The column knows of no object but those that it learned: one of them is always the likeliest. fit says how far that hypothesis expected
    what was sensed just now (the geometric mean of the winners' probabilities): near 1, or near epsilon where it fits nothing that is known.
    """

    posterior: np.ndarray
    object: object
    start: np.ndarray
    place: np.ndarray
    angle: float
    probability: float
    living: int
    fit: float


class SensorimotorColumn:
    """Learns which feature is where on which object, and tells object and place from features and the movements between.

    A feature wins K columns of a spatial pooler; a temporal memory, whose context is a grid code of the place in the
    object's own space, learns to expect them. Every hypothesis about object and place carries its own code.

    features: how many there are, each then told by its number; or their codes, (F, D): then any vector (D,) will do as a
    feature, and is taken for what it resembles. objects: how many can be learned; columns, winners, cells_per_column: of
    pooler and memory (keep objects · points · winners under 5 · columns · cells); modules and side: of the grid cells.
    epsilon: the probability of what was not expected. device: as of `dh.Model`; the hypotheses stand side by side on it. Places,
    movements and angles go to 1,000,000. Raises UserError, DeviceError.

    It is put together of parts that stand in any network: a SpatialPooler, GridCells, an Expectation; `memory` is the Model that learns.
    """

    def __init__(self, features, objects, columns=128, winners=5, cells_per_column=32, modules=10, side=5, epsilon=0.05, seed=0,
                 device="auto"):
        sizes = dict(objects=objects, columns=columns, winners=winners, cells_per_column=cells_per_column, modules=modules, side=side)
        sizes = {name: check_count(f"SensorimotorColumn's {name}", value) for name, value in sizes.items()}
        objects, columns, winners, cells_per_column, modules, side = sizes.values()
        seed, epsilon = check_count("SensorimotorColumn's seed", seed, least=0), check_number("SensorimotorColumn's epsilon", epsilon)
        if objects > MOST:
            raise UserError(f"SensorimotorColumn's objects = {shown(objects)} was asked for; give {MOST:,} at most.")
        if side < 2:
            raise UserError(f"Grid modules of {side} x {side} cells were asked for; one cell has no phase: give side >= 2.")
        if winners >= columns:
            raise UserError(f"{winners} winners of {columns} columns were asked for; one must be there to lose: give winners <= "
                            f"{columns - 1}.")
        if columns * cells_per_column * modules * side * side > MOST_WEIGHTS:
            asked = ", ".join(f"{name}={shown(value)}" for name, value in sizes.items() if name not in ("objects", "winners"))
            raise UserError(f"{asked} was asked for; a column learns columns · cells_per_column · modules · side² weights: make less of them, "
                            f"{MOST_WEIGHTS:,} at most.")
        if not 0 < np.float32(epsilon) < 1:
            raise UserError(f"epsilon={epsilon} was asked for; it is the probability of the unexpected: give 0 < epsilon < 1.")
        self._codes = _codes(features)  # (F, D)
        self._sizes = sizes | {"epsilon": epsilon, "seed": seed}
        self._parts = Parts(objects, self._codes.shape[1], columns, winners, cells_per_column, modules, side, epsilon, seed, device)
        self._order = np.random.default_rng([seed, 2])  # of the points in an exposure
        self._capacity = objects
        self._places = {}  # name -> (L, 2), what was learned of it
        self._known = self._parts.winners(self._codes)  # (F, K)
        self._hypotheses = None

    @property
    def device(self):
        """What it runs on: name, backend, "hardware" or "software"."""
        return self._parts.device

    @property
    def memory(self):
        """The Model that learns; see `parts.Parts`."""
        return self._parts.memory

    @property
    def objects(self):
        """The names of the objects that it knows, in the order in which they were learned."""
        return tuple(self._places)

    @property
    def features(self):
        """How many features it knows by number."""
        return len(self._codes)

    @property
    def capacity(self):
        """How many objects it can learn."""
        return self._capacity

    def learn(self, object, places, features, exposures=5):
        """Sees L points of an object `exposures` times, in random order. What was known of it stays.

        Of more than about 100 objects, learned one after the other, the last blur the first: go round them all again and again,
        with one exposure each time.

        object: its name, anything hashable. places: (L, 2), in the object's own coordinates, one feature's pitch for unit.
        features: (L,) int or (L, D). Raises UserError; then, and where learning breaks off, it knows no more objects
        and places than before.
        """
        object, places, winners = _name(object), finite("A list of places", places, ("L", 2), FAR), self._winners(features)
        if len(winners) != len(places):
            raise UserError(f"{len(winners)} features at {len(places)} places were to be learned; there is one at each: give as "
                            "many of the ones as of the others.")
        if check_count("exposures", exposures) > MOST:
            raise UserError(f"exposures = {shown(exposures)} was asked for; give {MOST:,} at most at once.")
        if object not in self._places and len(self._places) == self._capacity:
            raise UserError(f"{object!r} was to be learned; the column was made for {self._capacity} objects and knows as many: "
                            "make it with a larger `objects`.")
        before = self._order.bit_generator.state
        order = np.concatenate([self._order.permutation(len(places)) for _ in range(exposures)])
        number = self._number(object) if object in self._places else len(self._places)
        try:
            self._parts.learn(places[order], np.full(len(order), number), winners[order], ONCE if exposures == 1 else OFTEN)
        except BaseException:  # an object that was not learned is not known, even where someone lost patience
            self._order.bit_generator.state = before
            raise
        old = self._places.get(object, np.zeros((0, 2), np.float32))
        self._places[object] = np.unique(np.concatenate([old, places]), axis=0)

    def begin(self, angles=(0.0,)):
        """Forgets what was sensed: it may touch any known point of any known object, turned by any of these angles (radians,
        counter-clockwise). Raises UserError."""
        if not self._places:
            raise UserError("Recognition was to begin; the column knows no object: learn one first.")
        angles = finite("A list of angles, in radians,", angles, ("A",), FAR)
        numbers = np.repeat(np.arange(len(self._places)), [len(places) for places in self._places.values()])
        self._hypotheses = Hypotheses(numbers, np.concatenate(list(self._places.values())), angles)

    def sense(self, feature):
        """feature: its number, or a vector (D,). Returns a Recognition. Raises UserError."""
        told = self._begun()
        told.sense(self._parts.judge, self._winners(feature, one=True)[0])
        share = told.probabilities()
        best = int(share.argmax())
        return Recognition(told.of_objects(len(self._places)), self.objects[told.objects[best]], told.starts[best].copy(),
                           told.places[best].copy(), float(told.angles[best]), float(share[best]), len(told),
                           float(np.exp(told.latest[best] / self._sizes["winners"])))

    def move(self, displacement, noise=0.0):
        """displacement: (2,), what is told of the movement. noise: its standard deviation, in either direction; the column then
        corrects the place by what it senses. Raises UserError."""
        noise = check_number("The noise of a movement, a standard deviation,", noise, 0, FAR)
        told = self._begun()
        displacement, _ = self._ahead(displacement)
        told.move(displacement, noise)

    def predict(self, displacement=(0.0, 0.0)):
        """Returns (F,): the probability of each feature where the movement would lead, given that one is there. Raises
        UserError."""
        told = self._begun()
        (_, places), log = self._ahead(displacement), np.log(np.maximum(told.probabilities(), 1e-30))
        joint = np.stack([log + self._parts.judge(places, told.objects, winners)[0] for winners in self._known])  # (F, H)
        each = np.exp(joint - joint.max()).sum(axis=1)
        return each / each.sum()

    def save(self, path):
        """Writes all that it has learned (safetensors), for `dh.SensorimotorColumn.load(path)`; what it has sensed since `begin` is not
        kept. Raises UserError where it cannot be written."""
        save_column(self, path)

    @classmethod
    def load(cls, path, device="auto"):
        """The column that `save(path)` wrote. Raises UserError where it holds none, DeviceError where there is no such device."""
        return load_column(cls, path, device)

    def expects(self, object, place):
        """What it expects at a place (2,) of an object that it knows: (F,), the probability of each feature, given that one is there.
        Raises UserError."""
        place, number = finite("A place", place, (2,), FAR)[None], [self._number(object)]
        evidence = np.array([self._parts.judge(place, number, winners)[0][0] for winners in self._known])
        each = np.exp(evidence - evidence.max())
        return each / each.sum()

    @property
    def grid(self):
        """The shape of its grid cells: modules, side, side."""
        return self._sizes["modules"], self._sizes["side"], self._sizes["side"]

    def bumps(self, object, place):
        """How active the grid cells are at a place (2,) of an object: (modules, side, side), each module's summing to 1. Raises
        UserError."""
        return self._parts.bumps(finite("A place", place, (2,), FAR), self._number(object))

    def living(self):
        """The living hypotheses: (numbers of their objects (H,), places (H, 2), probabilities (H,)). Raises UserError."""
        told = self._begun()
        return told.objects.copy(), told.places.copy(), told.probabilities()

    def known(self, object):
        """The places (L, 2) that were learned of an object. Raises UserError."""
        self._number(object)
        return self._places[object].copy()

    def _number(self, object) -> int:
        if _name(object) not in self._places:
            raise UserError(f"What is known of {shown(object)} was asked for; the column knows {len(self._places)} objects, and not that one.")
        return list(self._places).index(object)

    def _begun(self):
        if self._hypotheses is None:
            raise UserError("A sensation, a movement or a prediction was asked of a column that has not begun: call begin() first.")
        return self._hypotheses

    def _ahead(self, displacement):
        """A displacement (2,), and where it leads (H, 2). Raises UserError."""
        displacement = finite("A displacement", displacement, (2,), FAR)
        places = self._begun().after(displacement)
        if np.abs(places).max() > FAR:
            raise UserError(f"A displacement of {displacement.tolist()} was given; with those before it leads further than {FAR:,.0f} from an "
                            "object's origin: give less, or begin() anew.")
        return displacement, places

    def _winners(self, features, one=False):
        """(B,) int or (B, D) -> (B, K); or `one` of them -> (1, K)."""
        given, (F, D), sides = real(features), self._codes.shape, () if one else ("L",)
        if given is not None and given.ndim == len(sides) and given.dtype.kind in "iu" and given.size:
            if not 0 <= given.min() <= given.max() < F:
                raise UserError(f"Feature {given.min() if given.min() < 0 else given.max()} was given; there are {F}: give 0 to {F - 1}.")
            return self._known[np.atleast_1d(given)]
        what = "A feature" if one else "A list of features"
        vectors = finite(f"{what}, told by a whole number from 0 to {F - 1} or by a vector,", features, (*sides, D), LOUD)
        return self._parts.winners(vectors.reshape(-1, D))


def _name(object):
    try:
        hash(object)
    except TypeError:
        raise UserError(f"An object was named {shown(object)}; a name can be looked up: give a text, a number, or a tuple of those.") from None
    return object


def _codes(features):
    given = real(features)
    if given is not None and given.ndim:
        return finite("A table of features' codes", features, ("F", "D"), LOUD)
    if given is None or check_count("SensorimotorColumn's features", features) > MOST_FEATURES:
        raise UserError(f"SensorimotorColumn's features = {shown(features)} was given; give how many there are, {MOST_FEATURES:,} at most, or "
                        "their codes (F, D).")
    return np.eye(check_count("SensorimotorColumn's features", features), dtype=np.float32)
