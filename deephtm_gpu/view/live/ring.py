"""The data of the live picture: the last steps, as rows of numbers.

The engine keeps only the last chunk and the steps that still learn, but the picture shows hundreds of steps. So the
picture has a ring of its own on the device that draws. After each chunk, the outputs of `Model.fit` are uploaded to it,
a few kilobytes. It works in the same way for a model on NumPy and for one on another adapter.
"""

from dataclasses import dataclass

import numpy as np

NOTHING = np.float32(-1e30)  # instead of NaN, which shaders do not detect reliably


@dataclass(frozen=True)
class Fields:
    """The layout of a row: name -> (offset, how many numbers)."""

    offsets: dict[str, tuple[int, int]]
    stride: int

    @classmethod
    def of(cls, **widths):
        offsets, at = {}, 0
        for name, width in widths.items():
            offsets[name] = (at, width)
            at += width
        return cls(offsets, at)

    def at(self, name) -> int:
        return self.offsets[name][0]

    def pack(self, count, **arrays) -> np.ndarray:
        """One array (count, ...) per field -> rows (count, stride)."""
        rows = np.full((count, self.stride), NOTHING, np.float32)
        for name, array in arrays.items():
            begin, width = self.offsets[name]
            rows[:, begin : begin + width] = np.asarray(array, np.float32).reshape(count, width)
        return np.where(np.isfinite(rows), rows, NOTHING)


class Ring:
    """The last `length` rows, and the blocks, which show the present step only.

    blocks: their shapes (tall, wide). count: rows so far.
    """

    def __init__(self, fields: Fields, length: int, blocks=()):
        self.fields, self.length, self.count = fields, length, 0
        self.rows = np.full((length, fields.stride), NOTHING, np.float32)  # (length, stride), row t at t % length
        ends = np.cumsum([0, *(tall * wide for tall, wide in blocks)])
        self.starts = [int(end) for end in ends[:-1]]  # of each block in `still`
        self.still = np.zeros(ends[-1], np.float32)  # column by column, as shaders go through them
        # Views of the same memory as arrays (tall, wide), to write into.
        self.blocks = [
            self.still[at : at + tall * wide].reshape(wide, tall).T for at, (tall, wide) in zip(self.starts, blocks)
        ]

    @property
    def newest(self) -> int:
        return (self.count - 1) % self.length

    def push(self, rows: np.ndarray):
        """rows (n, stride), the newest last."""
        kept = rows[-self.length :]
        at = (self.count + len(rows) - len(kept) + np.arange(len(kept))) % self.length
        self.rows[at] = kept
        self.count += len(rows)

    def last(self, steps, name) -> np.ndarray:
        """The field's last rows, the oldest first: (at most steps, width), NaN where there is no value."""
        n = min(steps, self.count, self.length)
        begin, width = self.fields.offsets[name]
        rows = self.rows[(self.count - n + np.arange(n)) % self.length, begin : begin + width]
        return np.where(rows == NOTHING, np.nan, rows)

    def since(self, count) -> list[tuple[int, np.ndarray]]:
        """The rows after the first `count`, as one or two pieces (index of the first row in the ring, rows)."""
        new = min(self.count - count, self.length)
        if new <= 0:
            return []
        first = (self.count - new) % self.length
        end = first + new
        pieces = [(first, self.rows[first : min(end, self.length)])]
        if end > self.length:
            pieces.append((0, self.rows[: end - self.length]))
        return pieces
