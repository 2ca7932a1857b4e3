"""Where a sensorimotor column may be: hypotheses that live as long as what is sensed speaks for them."""

import numpy as np

BEHIND = 12.0  # nats behind the best hypothesis, where one dies
SHRINK = 0.3  # of the variance, by a sensation
STEPS = 2  # of re-anchoring


class Hypotheses:
    """H living hypotheses: this object, from this start, turned by this angle.

    objects: (H,) int. starts, places: (H, 2) float32, in the object's own coordinates: where touch began and where it is
    now. angles: (H,) radians by which the object is turned. evidence: (H,) float32, nats, of which `latest` came with the last
    sensation. variance: of the place in either direction, the same for all.
    """

    def __init__(self, objects, places, angles=(0.0,)):
        """objects: (B,), places: (B, 2); each with each of the angles, and all of them equally likely."""
        self.objects = np.tile(objects, len(angles))
        self.angles = np.repeat(np.asarray(angles, np.float32), len(objects))
        self.starts = np.tile(np.asarray(places, np.float32), (len(angles), 1))
        self.places = self.starts.copy()
        self.evidence = np.zeros(len(self.objects), np.float32)
        self.latest = self.evidence.copy()
        self.variance = 0.0

    def __len__(self):
        return len(self.objects)

    def move(self, displacement, noise=0.0):
        """displacement: (2,), as it was felt; noise: its standard deviation in either direction."""
        self.places = self.places + self._felt_there(displacement)
        self.variance += noise**2

    def sense(self, judge, winners):
        """Adds what K winners say, re-anchors, and drops who is too far behind. judge: as `Parts.judge`."""
        loose = self.variance > 0
        found, slope = judge(self.places, self.objects, winners, gradient=loose)
        if loose:
            found = self._anchor(judge, winners, found, slope)
        self.latest = _finite(found)
        self.evidence = self.evidence + self.latest
        self._keep(self.evidence >= self.evidence.max() - BEHIND)

    def probabilities(self):
        """(H,): softmax of the evidence."""
        share = np.exp(self.evidence - self.evidence.max())
        return share / share.sum()

    def of_objects(self, count):
        """(count,): the probability of each object."""
        return np.bincount(self.objects, weights=self.probabilities(), minlength=count)

    def after(self, displacement):
        """(H, 2): the places where a movement would lead."""
        return self.places + self._felt_there(displacement)

    def _felt_there(self, displacement):
        """(H, 2): in each hypothesis' coordinates. A turned object has its own axes: turn the movement back."""
        x, y = np.asarray(displacement, np.float32)
        cos, sin = np.cos(self.angles), np.sin(self.angles)
        return np.stack([cos * x + sin * y, cos * y - sin * x], axis=1)

    def _anchor(self, judge, winners, found, slope):
        """Moves each place by that Δ for which l − |Δ|²/2·variance is best: what is sensed speaks for it, and what it costs to
        have moved that far wrongly against it. Uphill in a few steps, none longer than √variance, each kept only by those
        whom it betters. Returns their evidence (H,), with the cost."""
        variance = np.float32(self.variance)
        off = np.zeros_like(self.places)  # Δ
        for step in range(STEPS):
            if step:
                _, slope = judge(self.places + off, self.objects, winners, gradient=True)
            uphill = variance * slope - off  # variance times the gradient
            length = np.sqrt(np.square(uphill).sum(axis=1, keepdims=True))  # (H, 1)
            furthest = np.sqrt(variance)
            tried = off + uphill * (furthest / np.maximum(length, furthest))
            reached = judge(self.places + tried, self.objects, winners)[0] - np.square(tried).sum(axis=1) / (2 * variance)
            better = reached > found
            off, found = np.where(better[:, None], tried, off), np.where(better, reached, found)
        self.places = self.places + off
        self.variance *= SHRINK
        return found

    def _keep(self, living):
        if not living.all():
            for name in ("objects", "angles", "starts", "places", "evidence", "latest"):
                setattr(self, name, getattr(self, name)[living])


def _finite(found):
    """found (H,): evidence. What is no finite number is taken as far worse than the worst; so whatever comes, one stays alive."""
    good = np.isfinite(found)
    if good.all():
        return found
    return np.where(good, found, found[good].min(initial=0) - 2 * BEHIND).astype(np.float32)
