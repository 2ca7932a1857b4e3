"""What a check found: one row of the table."""

from dataclasses import asdict, dataclass

import numpy as np


@dataclass
class Check:
    """kind: "op", "network" or "probe". error: the worst normalised mean-squared error, limit: what it may be. where:
    the size and tensor it came from, worst: the worst element. trials: how many comparisons were made."""

    kind: str
    name: str
    holds: bool
    error: float = 0.0
    limit: float = 0.0
    where: str = ""
    worst: str = ""
    trials: int = 1

    def as_dict(self) -> dict:
        return asdict(self)


def compare(got, want) -> tuple[float, str]:
    """got, want: arrays or lists of arrays -> (sum (got - want)^2 / sum want^2, the worst element). Whole numbers: 0 or
    infinity. Infinity too where shapes differ or a number is not finite where it should be. NaN where NaN should be is
    right."""
    if isinstance(want, list):
        if [len(g) for g in got] != [len(w) for w in want]:
            return np.inf, f"lengths {[len(g) for g in got]}, should be {[len(w) for w in want]}"
        got, want = (np.concatenate([np.asarray(a) for a in part]) if part else np.zeros(0) for part in (got, want))
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        return np.inf, f"shape {got.shape}, should be {want.shape}"
    if want.size == 0:
        return 0.0, ""
    both_nan = np.isnan(got) & np.isnan(want)
    got, want = np.where(both_nan, 0, got), np.where(both_nan, 0, want)
    off = np.where(got == want, 0.0, np.abs(got.astype(np.float64) - want))
    off = np.where(np.isfinite(off), off, np.inf)
    at = np.unravel_index(np.argmax(off), off.shape)
    worst = f"[{', '.join(map(str, at))}] is {got[at]:.9g}, should be {want[at]:.9g}"
    if want.dtype.kind in "iu":
        return (0.0 if off[at] == 0 else np.inf), worst
    return float((off**2).sum() / max((want.astype(np.float64) ** 2).sum(), 1e-30)), worst
