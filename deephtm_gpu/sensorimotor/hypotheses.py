"""The hypotheses of a sensorimotor column about object and location; improbable ones are dropped."""

import numpy as np

MARGIN = 12.0  # nats; a hypothesis with less evidence than the best by more than this is dropped
SHRINK = 0.3  # the factor on the variance at a sensation
STEPS = 2  # of re-anchoring


class Hypotheses:
    """H active hypotheses: this object, from this start, rotated by this angle.

    objects: (H,) int. starts, places: (H, 2) float32, the first and the present location in the object's own
    coordinates. angles: (H,) radians by which the object is rotated. evidence: (H,) float32, nats; `latest` is the part
    from the last sensation. variance: of the location in each dimension, the same for all.
    """

    def __init__(self, objects, places, angles=(0.0,)):
        """objects: (B,), places: (B, 2). Each is combined with each angle, and all combinations are equally likely."""
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
        """displacement: (2,), as reported; noise: its standard deviation in each dimension."""
        self.places = self.places + self._in_object(displacement)
        self.variance += noise**2

    def sense(self, judge, winners):
        """Adds the evidence of K winners, re-anchors, and drops improbable hypotheses. judge: as `Parts.judge`."""
        uncertain = self.variance > 0
        evidence, gradient = judge(self.places, self.objects, winners, gradient=uncertain)
        if uncertain:
            evidence = self._anchor(judge, winners, evidence, gradient)
        self.latest = _finite(evidence)
        self.evidence = self.evidence + self.latest
        self._keep(self.evidence >= self.evidence.max() - MARGIN)

    def probabilities(self):
        """(H,): softmax of the evidence."""
        share = np.exp(self.evidence - self.evidence.max())
        return share / share.sum()

    def of_objects(self, count):
        """(count,): the probability of each object."""
        return np.bincount(self.objects, weights=self.probabilities(), minlength=count)

    def after(self, displacement):
        """(H, 2): the locations after a movement."""
        return self.places + self._in_object(displacement)

    def _in_object(self, displacement):
        """(H, 2): the displacement in each hypothesis' coordinates, that is, rotated back by the angle of the
        object."""
        x, y = np.asarray(displacement, np.float32)
        cos, sin = np.cos(self.angles), np.sin(self.angles)
        return np.stack([cos * x + sin * y, cos * y - sin * x], axis=1)

    def _anchor(self, judge, winners, evidence, gradient):
        """Moves each location by the Δ that maximises l − |Δ|²/2·variance, the evidence less the cost of the
        correction.

        This is gradient ascent in a few steps, none longer than √variance; a hypothesis takes a step only if it
        improves. Returns the evidence (H,), including the cost.
        """
        variance = np.float32(self.variance)
        shift = np.zeros_like(self.places)  # Δ
        for step in range(STEPS):
            if step:
                _, gradient = judge(self.places + shift, self.objects, winners, gradient=True)
            uphill = variance * gradient - shift  # variance times the gradient of the sum
            length = np.sqrt(np.square(uphill).sum(axis=1, keepdims=True))  # (H, 1)
            longest = np.sqrt(variance)
            tried = shift + uphill * (longest / np.maximum(length, longest))
            reached = judge(self.places + tried, self.objects, winners)[0] - np.square(tried).sum(axis=1) / (
                2 * variance
            )
            better = reached > evidence
            shift, evidence = np.where(better[:, None], tried, shift), np.where(better, reached, evidence)
        self.places = self.places + shift
        self.variance *= SHRINK
        return evidence

    def _keep(self, active):
        if not active.all():
            for name in ("objects", "angles", "starts", "places", "evidence", "latest"):
                setattr(self, name, getattr(self, name)[active])


def _finite(evidence):
    """evidence (H,), with values that are not finite set far below the smallest, so that one hypothesis is always
    active."""
    good = np.isfinite(evidence)
    if good.all():
        return evidence
    return np.where(good, evidence, evidence[good].min(initial=0) - 2 * MARGIN).astype(np.float32)
