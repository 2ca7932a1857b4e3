"""Bouncing balls: three balls in a box, seen from above, the standard series of moving pictures.

Source: Sutskever, Hinton & Taylor, "The recurrent temporal restricted Boltzmann machine", NIPS 2008.
"""

import numpy as np

from deephtm_gpu.arguments import check_count
from deephtm_gpu.errors import UserError

BOX, RADIUS = 10.0, 1.2
SPEED = 0.5  # length of the velocities of all balls together
SUBSTEPS = 2  # of a frame, each of half a unit of time
TRIES = 10_000
MOST = 6


class Balls:
    """Balls of equal mass that bounce off the walls and off each other without loss. An endless iterator of frames.

    Parameters
    ----------
    seed : int or sequence of int, default 0
        Of where they begin and which way they go.
    balls : int, default 3
        How many, 1 to 6.
    side : int, default 30
        Pixels along a side of the picture.

    Attributes
    ----------
    centres, velocities : ndarray (balls, 2)
        Along rows and columns, in units of a box of 10 by 10. Set them to make something happen: a ball that teleports.
    walls : ndarray (2, 2)
        The least and the greatest coordinate along rows and columns. Set them to move a wall.

    Raises
    ------
    UserError
        Where an argument is out of range.

    Examples
    --------
    >>> from deephtm_gpu.data.balls import Balls
    >>> Balls(seed=1).take(20).shape
    (20, 1, 30, 30)
    """

    def __init__(self, seed=0, balls: int = 3, side: int = 30) -> None:
        rng = np.random.default_rng(seed)
        self.side = check_count("Balls' side", side)
        count = check_count("Balls' balls", balls)
        if count > MOST:
            raise UserError(f"Balls' balls must be {MOST} at most, for more leave each other no room, got {count}.")
        self.walls = np.array([[0.0, BOX]] * 2)
        self.centres = _apart(rng, count)
        velocities = rng.normal(size=(count, 2))
        self.velocities = SPEED * velocities / np.linalg.norm(velocities)

    def __iter__(self):
        return self

    def __next__(self) -> np.ndarray:
        frame = self.picture()
        for _ in range(SUBSTEPS):
            self._move(1 / SUBSTEPS)
        return frame

    def take(self, steps: int) -> np.ndarray:
        """The next frames.

        Parameters
        ----------
        steps : int

        Returns
        -------
        ndarray (steps, 1, side, side) float32
            0 to 1.
        """
        return np.stack([next(self) for _ in range(check_count("steps", steps))])

    def picture(self) -> np.ndarray:
        """What is seen now, (1, side, side) float32."""
        at = (np.arange(self.side) + 0.5) / self.side * BOX
        squared = ((at[:, None, None] - self.centres[:, 0]) ** 2
                   + (at[None, :, None] - self.centres[:, 1]) ** 2)  # (side, side, balls)
        return np.exp(-(squared / RADIUS**2) ** 4).sum(axis=2).clip(max=1)[None].astype(np.float32)

    def _move(self, time):
        self.centres += time * self.velocities
        low, high = self.walls[:, 0] + RADIUS, self.walls[:, 1] - RADIUS
        self.velocities = np.where(self.centres < low, np.abs(self.velocities), self.velocities)
        self.velocities = np.where(self.centres > high, -np.abs(self.velocities), self.velocities)
        for a in range(len(self.centres)):
            for b in range(a):
                self._collide(a, b)

    def _collide(self, a, b):
        """Of equal masses: they exchange their velocities along the line between them, if they come closer."""
        line = self.centres[a] - self.centres[b]
        distance = np.linalg.norm(line)
        if not 0 < distance < 2 * RADIUS:
            return
        line /= distance
        closing = (self.velocities[b] - self.velocities[a]) @ line
        if closing > 0:
            self.velocities[a] += closing * line
            self.velocities[b] -= closing * line


def _apart(rng, count):
    """Centres inside the box, no two balls touching."""
    while True:
        centres = []
        for _ in range(TRIES):
            centre = rng.uniform(RADIUS, BOX - RADIUS, size=2)
            if all(np.linalg.norm(centre - other) > 2 * RADIUS for other in centres):
                centres.append(centre)
                if len(centres) == count:
                    return np.array(centres)
